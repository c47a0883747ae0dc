/** What of the host's settings stands in the way of NAT: reported, never changed. */
import { text } from '../../../base/index.ts';
import type { Refusal, WantedService } from '../../types.ts';
import { serviceFamily } from './image.ts';
import { choiceOf } from './slots.ts';

/** `get` reads a sysctl; undefined where there is none. `interfaces`: those that clients and servers are behind. */
export function natFindings(
  services: readonly WantedService[],
  get: (name: string) => string | undefined,
  interfaces: readonly string[],
): Refusal[] {
  const nat = services.filter((s) => s.servers.some((x) => x.forwarding.method === 'nat'));
  const found: Refusal[] = [];
  const wants = (name: string, value: string, code: string, why: ReturnType<typeof text>): void => {
    const have = get(name);
    if (have === undefined || have === value) return;
    found.push({
      code,
      text: text(
        `${name} is ${have}: ${why.en} (sysctl ${name}=${value})`,
        `${name} 为 ${have}：${why.zh}（sysctl ${name}=${value}）`,
      ),
    });
  };
  const forwarding = text('NAT forwards packets, and this host does not', 'NAT 需要转发数据包，而本机未开启转发');
  if (nat.some((s) => serviceFamily(s) === 4)) {
    wants('net.ipv4.ip_forward', '1', 'nat-forwarding', forwarding);
    // The kernel sends where either says so.
    for (const name of ['all', ...interfaces])
      wants(
        `net.ipv4.conf.${name.replaceAll('.', '/')}.send_redirects`,
        '0',
        'nat-redirects',
        text(
          'where clients and servers share a subnet they would be told to go past NAT',
          '客户端与服务器同网段时会被告知绕过 NAT',
        ),
      );
  }
  if (nat.some((s) => serviceFamily(s) === 6)) wants('net.ipv6.conf.all.forwarding', '1', 'nat-forwarding', forwarding);
  if (nat.some((s) => choiceOf(s.scheduler, false) !== 'count'))
    wants(
      'net.netfilter.nf_conntrack_tcp_loose',
      '1',
      'nat-loose',
      text('connections would not survive a change of director', '连接无法在负载均衡器切换后存活'),
    );
  return found;
}
