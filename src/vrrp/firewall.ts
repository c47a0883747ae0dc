/**
 * What must not pass, as text for nft. Pure.
 *
 * `no_accept`: a master that routes for its addresses but does not answer on them. Packets to them are dropped in the
 * input hook, but for neighbour discovery. The rules stand while the instance is configured, not only while it is
 * master: on a backup nothing arrives at the input hook for an address that it does not have. So nothing has to be done
 * on the way of a failover.
 *
 * Macvlans: a backup listens on its own, which bears the address of the master's. A report of group membership that it
 * sent would teach every switch that the virtual hardware address is here.
 */
import { familyOf } from '../base/index.ts';
import type { Instance, VrrpConfig } from './config.ts';
import { vmacsOf } from './vmac.ts';

/** One argument for nft that replaces the whole table, or removes it; undefined: nothing to do. */
export function firewallCommands(
  instances: readonly Instance[],
  filter: VrrpConfig['filter'],
  installed: boolean,
): string | undefined {
  const table = `inet ${filter.table}`;
  const silent = instances
    .filter((i) => !i.accept && i.priority !== 255)
    .flatMap((i) => [...i.addresses, ...i.excluded].map((a) => a.prefix.address));
  const of = (family: 4 | 6): string => [...new Set(silent.filter((a) => familyOf(a) === family))].join(', ');
  const vmacs = [...new Set(instances.flatMap((i) => vmacsOf(i).map((v) => `"${v.name}"`)))].join(', ');
  const [four, six] = [of(4), of(6)];
  const rules = [
    four && `input ip daddr { ${four} } drop`,
    six && `input ip6 daddr { ${six} } icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept`,
    six && `input ip6 daddr { ${six} } drop`,
    vmacs && `output oifname { ${vmacs} } ip protocol igmp drop`,
    vmacs &&
      `output oifname { ${vmacs} } icmpv6 type { mld-listener-report, mld-listener-done, mld2-listener-report } drop`,
  ].filter((r) => r !== '');
  // `add` before `delete` makes the removal of what may not exist no error; all of it is one transaction.
  if (rules.length === 0) return installed ? `add table ${table}; delete table ${table}` : undefined;
  return [
    `add table ${table}`,
    `delete table ${table}`,
    `add table ${table}`,
    `add chain ${table} input { type filter hook input priority ${filter.priority}; policy accept; }`,
    `add chain ${table} output { type filter hook output priority ${filter.priority}; policy accept; }`,
    ...rules.map((r) => `add rule ${table} ${r}`),
  ].join('; ');
}
