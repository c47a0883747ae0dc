/**
 * `no_accept`: a master that routes for its addresses but does not answer on them. Packets to them are dropped in the
 * input hook of nftables, but for neighbour discovery. Pure: the text for nft.
 *
 * The rules stand while the instance is configured, not only while it is master: on a backup nothing arrives at the
 * input hook for an address that it does not have. So nothing has to be done on the way of a failover.
 */
import { familyOf } from '../base/index.ts';
import type { Instance } from './config.ts';

const TABLE = 'inet holdfast_vrrp';

/** One argument for nft that replaces the whole table, or removes it; undefined: nothing to do. */
export function firewallCommands(instances: readonly Instance[], installed: boolean): string | undefined {
  const silent = instances
    .filter((i) => !i.accept && i.priority !== 255)
    .flatMap((i) => [...i.addresses, ...i.excluded].map((a) => a.prefix.address));
  // `add` before `delete` makes the removal of what may not exist no error; all of it is one transaction.
  if (silent.length === 0) return installed ? `add table ${TABLE}; delete table ${TABLE}` : undefined;
  const of = (family: 4 | 6): string => [...new Set(silent.filter((a) => familyOf(a) === family))].join(', ');
  const rules = [
    of(4) && `add rule ${TABLE} input ip daddr { ${of(4)} } drop`,
    of(6) &&
      `add rule ${TABLE} input ip6 daddr { ${of(6)} } icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept`,
    of(6) && `add rule ${TABLE} input ip6 daddr { ${of(6)} } drop`,
  ].filter((r) => r !== '');
  return [
    `add table ${TABLE}`,
    `delete table ${TABLE}`,
    `add table ${TABLE}`,
    `add chain ${TABLE} input { type filter hook input priority -1; policy accept; }`,
    ...rules,
  ].join('; ');
}
