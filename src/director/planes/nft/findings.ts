/** What of the host's settings stands in the way of NAT: reported, never changed. */
import { type Family, type Text, text } from '../../../base/index.ts';
import type { Scheduler } from '../../config.ts';
import { choiceOf } from './slots.ts';

export type NatFinding = { readonly code: 'nat-forwarding' | 'nat-redirects' | 'nat-loose'; readonly text: Text };

/**
 * Of services by NAT. `get` reads a sysctl; undefined where there is none. `shared`: interfaces whose subnet has servers and may
 * have clients. `plane`: what IPVS knows of connections does not depend on conntrack.
 */
export function natFindings(
  services: readonly { readonly family: Family; readonly scheduler: Scheduler }[],
  get: (name: string) => string | undefined,
  { shared, plane }: { readonly shared: readonly string[]; readonly plane: 'nft' | 'ipvs' },
): NatFinding[] {
  const found: NatFinding[] = [];
  const wants = (name: string, value: string, code: NatFinding['code'], why: Text): void => {
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
  if (services.some((s) => s.family === 4)) {
    wants('net.ipv4.ip_forward', '1', 'nat-forwarding', forwarding);
    // The kernel sends where either says so.
    for (const name of shared.length === 0 ? [] : ['all', ...shared])
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
  if (services.some((s) => s.family === 6)) wants('net.ipv6.conf.all.forwarding', '1', 'nat-forwarding', forwarding);
  if (plane === 'nft' && services.some((s) => choiceOf(s.scheduler, false) !== 'count'))
    wants(
      'net.netfilter.nf_conntrack_tcp_loose',
      '1',
      'nat-loose',
      text('connections would not survive a change of director', '连接无法在负载均衡器切换后存活'),
    );
  return found;
}
