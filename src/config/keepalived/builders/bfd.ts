import { familyOf, text } from '../../../base/index.ts';
import { BFD_DEFAULT_TTL, BFD_DEFAULTS, type BfdInstance } from '../../../bfd/config.ts';
import type { Report } from '../report.ts';
import { type RootValues, unique } from './vrrp.ts';

/** Names become part of log lines and of messages between processes; keepalived allows 31 characters. */
const LONGEST_NAME = 31;

export function buildBfd(r: RootValues, report: Report): BfdInstance[] {
  const sessions = new Map<string, string>();
  return unique(r.bfd_instance, report).flatMap((x): BfdInstance[] => {
    const { head: name, values: v } = x.value;
    const drop = (code: string, place: typeof x.at, en: string, zh: string): [] => {
      report.fault(
        code,
        place,
        text(`bfd_instance ${name} ${en}; it is dropped`, `bfd_instance ${name} ${zh}，被丢弃`),
      );
      return [];
    };
    if (name.length > LONGEST_NAME)
      return drop(
        'bfd-name-long',
        x.at,
        `has a name beyond ${LONGEST_NAME} characters`,
        `的名称超过 ${LONGEST_NAME} 个字符`,
      );
    if (!v.neighbor_ip && x.value.refused.has('neighbor_ip') && !report.lenient) return [];
    if (!v.neighbor_ip) return drop('bfd-neighbour-missing', x.at, 'has no neighbor_ip', '没有 neighbor_ip');
    const neighbour = v.neighbor_ip.value;
    const source = v.source_ip?.value;
    if (source !== undefined && familyOf(source) !== familyOf(neighbour))
      return drop('address-family', v.source_ip!.at, 'has addresses of two families', '的两个地址协议族不同');
    const key = `${neighbour} ${source ?? ''}`;
    const other = sessions.get(key);
    if (other !== undefined)
      return drop(
        'bfd-session-repeated',
        v.neighbor_ip.at,
        `has the same addresses as ${other}`,
        `与 ${other} 的地址相同`,
      );
    sessions.set(key, name);
    const [vrrp, checkers] = [v.vrrp !== undefined, v.checker !== undefined];
    return [
      {
        ...BFD_DEFAULTS,
        name,
        neighbour,
        source,
        minRx: v.min_rx?.value ?? BFD_DEFAULTS.minRx,
        minTx: v.min_tx?.value ?? BFD_DEFAULTS.minTx,
        idleTx: v.idle_tx?.value ?? BFD_DEFAULTS.idleTx,
        multiplier: v.multiplier?.value ?? BFD_DEFAULTS.multiplier,
        passive: v.passive !== undefined,
        ttl: v.ttl?.value ?? BFD_DEFAULT_TTL[familyOf(neighbour)],
        maxHops: v.max_hops?.value ?? BFD_DEFAULTS.maxHops,
        multihop: v.multihop?.value ?? BFD_DEFAULTS.multihop,
        weight: v.weight?.value.value ?? 0,
        weightReverse: v.weight?.value.reverse ?? false,
        tells: vrrp === checkers ? { vrrp: true, checkers: true } : { vrrp, checkers },
      },
    ];
  });
}
