import { type Family, familyOf, ok, type Result } from '../../base/index.ts';
import type { HostError, Network, Route, Rule } from '../ports.ts';
import { addressKey } from './canonical.ts';
import { type ActualTables, type NetTables, type PlannedCommand, plan } from './plan.ts';

/** linux/rtnetlink.h: the table that ordinary routes are in. */
const RT_TABLE_MAIN = 254;

/**
 * The part of the kernel's tables that a plan from `mine` to `wanted` looks at: only the route tables that these name,
 * since another may hold a million routes. The main table of IPv4 is among them where an address with a subnet is to
 * go, for the kernel may take routes along with it.
 */
export function readTables(network: Network, wanted: NetTables, mine: NetTables): Result<ActualTables, HostError> {
  const keep = new Set(wanted.addresses.map(addressKey));
  const losesSubnet = mine.addresses.some(
    (a) => familyOf(a.prefix.address) === 4 && (a.peer ?? a.prefix).length < 32 && !keep.has(addressKey(a)),
  );
  const named = new Map([...wanted.routes, ...mine.routes].map((r) => [`${r.family} ${r.table}`, r]));
  const tables: { readonly family: Family; readonly table: number }[] = [...named.values()];
  if (losesSubnet && !named.has(`4 ${RT_TABLE_MAIN}`)) tables.push({ family: 4, table: RT_TABLE_MAIN });
  const routes: Route[] = [];
  for (const { family, table } of tables) {
    const read = network.routes({ family, table });
    if (!read.ok) return read;
    for (const r of read.value) routes.push(r);
  }
  const rules: Rule[] = [];
  for (const family of new Set([...wanted.rules, ...mine.rules].map((r) => r.family))) {
    const read = network.rules(family);
    if (!read.ok) return read;
    rules.push(...read.value);
  }
  return ok({ links: network.links(), addresses: network.addresses(), routes, rules });
}

/** A step with what became of it. */
export type DoneCommand = PlannedCommand & { readonly result: Result<void, HostError> };

/** Reads, plans and applies. The outcome is empty where nothing was to be done; an error where the kernel could not be read. */
export function reconcile(
  network: Network,
  wanted: NetTables,
  mine: NetTables,
): Result<readonly DoneCommand[], HostError> {
  const actual = readTables(network, wanted, mine);
  if (!actual.ok) return actual;
  const steps = plan(wanted, actual.value, mine);
  if (steps.length === 0) return ok([]);
  const results = network.apply(steps.map((s) => s.command));
  return ok(steps.map((s, i) => ({ ...s, result: results[i] as Result<void, HostError> })));
}
