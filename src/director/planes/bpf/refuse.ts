import { familyOf, text } from '../../../base/index.ts';
import type { Scheduler } from '../../config.ts';
import type { Refusal, WantedService } from '../../types.ts';

/** Those that would need what this plane does not count. */
const UNKNOWN: readonly Scheduler[] = ['lblc', 'lblcr', 'twos'];

/** What can be said of a service without looking at this host. */
export function refusalOf(s: WantedService): Refusal | undefined {
  const say = (code: string, en: string, zh: string): Refusal => ({
    code,
    text: text(`${s.key}: ${en}`, `${s.key}：${zh}`),
  });
  if (s.match.by === 'fwmark')
    return say(
      'bpf-fwmark',
      'the bpf plane runs before firewall marks are set; a group of addresses, ranges and ports is matched without them',
      'bpf 平面先于防火墙标记运行；地址、区段与端口的组无需标记即可匹配',
    );
  if (UNKNOWN.includes(s.scheduler))
    return say(
      'bpf-scheduler',
      `no scheduler ${s.scheduler} in the bpf plane; mh keeps a client at its server`,
      `bpf 平面没有调度算法 ${s.scheduler}；mh 可使客户端固定于同一服务器`,
    );
  const { port, ranges } = s.match;
  const families = new Set(ranges.map((r) => familyOf(r.from)));
  if (ranges.length === 0 || families.size > 1)
    return say('bpf-families', 'its addresses must be of one family', '其地址必须属于同一地址族');
  for (const x of s.servers) {
    const tunnel = x.forwarding.method === 'tunnel';
    if (x.port !== 0 && x.port !== port)
      return say(
        'bpf-port',
        `${x.key} has another port than the service: ${tunnel ? 'TUN' : 'DR'} leaves ports as they are; NAT changes them`,
        `${x.key} 的端口与虚拟服务不同：${tunnel ? 'TUN' : 'DR'} 不修改端口；请用 NAT`,
      );
    if (!tunnel && !families.has(familyOf(x.address)))
      return say(
        'bpf-family',
        `${x.key} is of another family than the service: only TUN does that`,
        `${x.key} 与虚拟服务地址族不同：仅 TUN 支持`,
      );
  }
  return undefined;
}
