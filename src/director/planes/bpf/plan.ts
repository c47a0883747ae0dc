/**
 * What must be written to the maps so that a service is as wanted. The order keeps every moment right: a server is there
 * before a slot names it, a ring before the service points to it, and what nobody names any more goes last.
 */
import { sameSlots } from './rings.ts';
import { BLOCK_SLOTS, type Entry, entryText, type ServerRow, type ServiceTable } from './tables.ts';

export type Change =
  | { readonly do: 'server-set'; readonly service: number; readonly row: ServerRow }
  /** The slots of one ring that differ, by blocks. */
  | { readonly do: 'ring-set'; readonly block: number; readonly slots: Uint32Array; readonly of: number }
  | { readonly do: 'service-set'; readonly entry: Entry; readonly table: ServiceTable }
  | { readonly do: 'service-remove'; readonly entry: Entry }
  | { readonly do: 'server-clear'; readonly id: number };

export const PHASES: readonly Change['do'][] = [
  'server-set',
  'ring-set',
  'service-set',
  'service-remove',
  'server-clear',
];

function sameRow(a: ServerRow, b: ServerRow): boolean {
  if (a.id !== b.id || a.serial !== b.serial || a.address !== b.address || a.port !== b.port || a.weight !== b.weight)
    return false;
  const [x, y] = [a.way, b.way];
  if (x === y) return true;
  if (x.send === 'here' || y.send === 'here') return x.send === y.send;
  if (x.send !== y.send || x.ifindex !== y.ifindex) return false;
  if (x.send === 'direct' || y.send === 'direct') return true;
  return x.source === y.source && x.mtu === y.mtu && x.guePort === y.guePort;
}
const sameHead = (a: ServiceTable, b: ServiceTable): boolean =>
  a.id === b.id &&
  a.block === b.block &&
  a.ring.length === b.ring.length &&
  a.stateless === b.stateless &&
  a.inTurn === b.inTurn &&
  a.hashing.source === b.hashing.source &&
  a.hashing.sourcePort === b.hashing.sourcePort &&
  a.hashing.destination === b.hashing.destination &&
  a.hashing.destinationPort === b.hashing.destinationPort &&
  a.hashing.sourceBits === b.hashing.sourceBits;

/** Blocks of the ring that differ from what is there. */
function ringChanges(wanted: ServiceTable, actual: ServiceTable | undefined): Change[] {
  const old = actual?.block === wanted.block ? actual.ring : undefined;
  if (old === wanted.ring) return [];
  const out: Change[] = [];
  for (let at = 0; at < wanted.ring.length; at += BLOCK_SLOTS) {
    const slots = wanted.ring.subarray(at, at + BLOCK_SLOTS);
    const before = old?.subarray(at, at + BLOCK_SLOTS);
    if (before && sameSlots(before, slots)) continue;
    out.push({ do: 'ring-set', block: wanted.block + at / BLOCK_SLOTS, slots, of: wanted.id });
  }
  return out;
}

/** A service that is new. */
function setUp(table: ServiceTable): Change[] {
  const out: Change[] = [];
  for (const row of table.servers) out.push({ do: 'server-set', service: table.id, row });
  out.push(...ringChanges(table, undefined));
  for (const entry of table.entries) out.push({ do: 'service-set', entry, table });
  return out;
}

/** Undefined for wanted: the service goes; for actual: it is new. Empty: it is as it should be. */
export function planService(wanted: ServiceTable | undefined, actual: ServiceTable | undefined): Change[] {
  if (wanted && !actual) return setUp(wanted);
  const out: Change[] = [];
  const had = new Map(actual?.servers.map((s) => [s.id, s]));
  for (const row of wanted?.servers ?? []) {
    const old = had.get(row.id);
    if (wanted && (!old || !sameRow(old, row))) out.push({ do: 'server-set', service: wanted.id, row });
    had.delete(row.id);
  }
  if (wanted) out.push(...ringChanges(wanted, actual));
  const entries = new Map(actual?.entries.map((e) => [entryText(e), e]));
  const keep = wanted !== undefined && actual !== undefined && sameHead(wanted, actual);
  for (const entry of wanted?.entries ?? []) {
    if (wanted && !(keep && entries.has(entryText(entry)))) out.push({ do: 'service-set', entry, table: wanted });
    entries.delete(entryText(entry));
  }
  for (const entry of entries.values()) out.push({ do: 'service-remove', entry });
  for (const id of had.keys()) out.push({ do: 'server-clear', id });
  return out;
}

/** All services by their names: of each what differs, in the order of the phases over all. */
export function plan(
  wanted: ReadonlyMap<string, ServiceTable>,
  actual: ReadonlyMap<string, ServiceTable>,
): readonly Change[] {
  const all = [...wanted].flatMap(([key, t]) => planService(t, actual.get(key)));
  for (const [key, t] of actual) if (!wanted.has(key)) all.push(...planService(undefined, t));
  return PHASES.flatMap((phase) => all.filter((c) => c.do === phase));
}
