import type { Family, Result } from '../../base/index.ts';
import type { HostError, Network, Route, Rule } from '../ports.ts';
import {
  type ActualTables,
  type NetTables,
  type PlannedCommand,
  type PlanOptions,
  plan,
  removedOf,
  takenAlong,
} from './plan.ts';

/** linux/rtnetlink.h: the table that ordinary routes are in. */
const RT_TABLE_MAIN = 254;

/** What was read, and what could not be. */
export type ReadTables = { readonly tables: ActualTables; readonly unread: readonly HostError[] };

/**
 * The part of the kernel's tables that a plan from `mine` to `wanted` looks at. Routes are read only where some are
 * wanted or held, and of these tables only routes of the same protocols, since others may be a million. The main table
 * of IPv4 is read whole where the kernel may take routes along with an address that goes.
 *
 * Of what cannot be read it is assumed that exactly what was held is there: then a plan puts and removes too much rather
 * than too little, and both do no harm.
 */
export function readTables(network: Network, wanted: NetTables, mine: NetTables): ReadTables {
  const addresses = network.addresses();
  const unread: HostError[] = [];
  const read = <T>(answer: Result<readonly T[], HostError>, held: () => readonly T[]): readonly T[] => {
    if (answer.ok) return answer.value;
    unread.push(answer.error);
    return held();
  };
  const routes: Route[] = [];
  for (const { family, table, protocol } of routeTables(wanted, mine, addresses)) {
    const here = (r: Route): boolean =>
      r.family === family && r.table === table && (protocol ?? r.protocol) === r.protocol;
    const asked = { family, table, ...(protocol !== undefined && { protocol }) };
    for (const r of read(network.routes(asked), () => mine.routes.filter(here))) routes.push(r);
  }
  const rules: Rule[] = [];
  for (const family of new Set([...wanted.rules, ...mine.rules].map((r) => r.family)))
    rules.push(...read(network.rules(family), () => mine.rules.filter((r) => r.family === family)));
  return { tables: { links: network.links(), addresses, routes, rules }, unread };
}

type RouteTable = { readonly family: Family; readonly table: number; readonly protocol: number | undefined };
function routeTables(wanted: NetTables, mine: NetTables, actual: ActualTables['addresses']): RouteTable[] {
  const named = new Map<string, RouteTable>();
  for (const { family, table, protocol } of [...wanted.routes, ...mine.routes])
    named.set(`${family} ${table} ${protocol}`, { family, table, protocol });
  if (!losesNeighbours(wanted, mine, actual)) return [...named.values()];
  const others = [...named.values()].filter((t) => t.family !== 4 || t.table !== RT_TABLE_MAIN);
  return [...others, { family: 4, table: RT_TABLE_MAIN, protocol: undefined }];
}
function losesNeighbours(wanted: NetTables, mine: NetTables, actual: ActualTables['addresses']): boolean {
  const removed = removedOf(mine.addresses, wanted.addresses, actual);
  return takenAlong(removed, wanted.addresses, actual).length > 0;
}

/** A step with what became of it. */
export type DoneCommand = PlannedCommand & { readonly result: Result<void, HostError> };
export type Reconciled = { readonly steps: readonly DoneCommand[]; readonly unread: readonly HostError[] };

/** Reads, plans and applies, all in one batch. No steps where nothing was to be done. */
export function reconcile(network: Network, wanted: NetTables, mine: NetTables, options: PlanOptions = {}): Reconciled {
  const { tables, unread } = readTables(network, wanted, mine);
  const steps = plan(wanted, tables, mine, options);
  if (steps.length === 0) return { steps: [], unread };
  const results = network.apply(steps.map((s) => s.command));
  return { steps: steps.map((s, i) => ({ ...s, result: results[i] as Result<void, HostError> })), unread };
}
