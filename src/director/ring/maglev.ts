/**
 * Maglev's lookup table (Eisenbud and others, "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016,
 * section 3.4), with weights by taking turns less often. When a server leaves, almost only its own slots move; where it
 * is only away for now, exactly its own.
 */
import { invariant } from '../../base/index.ts';
import { hash32 } from './hash.ts';

/** `key` names the server for good (`192.168.1.61:80`): two directors with the same servers compute the same table, in whatever order they list them. */
export type RingServer = { readonly key: string; readonly weight: number };

/** A slot of a table without servers. */
export const NOBODY = -1;
/** Primes: how large a table is is a trade of memory and time to write against evenness and disruption. */
export const RING_SIZES = { small: 251, medium: 1021, large: 4093, full: 65537 } as const;

const OFFSET_SEED = 0x5bd1e995;
const SKIP_SEED = 0x27d4eb2f;

const compareKeys = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export type RingOptions = {
  /** Servers that take nothing for now, with the weights that they would have. Those of them in `servers` have weight 0 there. */
  readonly away?: readonly RingServer[];
  /** An old table of that size, to be written over. */
  readonly table?: Int32Array<ArrayBuffer> | undefined;
};
/** A slot of a server that is away, before others get it. */
const AWAY = -2;

/**
 * For each of `size` slots the index into `servers`; `NOBODY` everywhere when no server has a weight. `size` must be
 * prime and above the number of servers. A server with weight w has about w / sum of the slots, and one with weight 0 none.
 * The slots of servers that are away are dealt among the others, and no other slot moves: so a director that takes over
 * after a server died finds every connection to the living where it is.
 */
export function maglev(servers: readonly RingServer[], size: number, o: RingOptions = {}): Int32Array<ArrayBuffer> {
  const table = o.table ?? new Int32Array(size);
  table.fill(NOBODY);
  const present = servers.map((s, index) => ({ index, weight: s.weight, key: s.key })).filter((s) => s.weight > 0);
  if (present.length === 0) return table;
  const here = new Set(present.map((s) => s.key));
  const away = (o.away ?? []).filter((s) => s.weight > 0 && !here.has(s.key));
  invariant(size > present.length + away.length, 'a ring has more slots than servers');
  deal([...present, ...away.map((s) => ({ ...s, index: AWAY }))], table, size);
  if (away.length === 0) return table;
  let free = 0;
  for (let slot = 0; slot < size; slot++)
    if (table[slot] === AWAY) {
      table[slot] = NOBODY;
      free++;
    }
  deal(present, table, free);
  return table;
}

type Dealt = RingServer & { readonly index: number };
/** In turns, until the `free` slots that are nobody's are taken. */
function deal(servers: readonly Dealt[], table: Int32Array, free: number): void {
  if (free === 0) return;
  const order = servers.toSorted((a, b) => compareKeys(a.key, b.key));
  const size = table.length;
  const count = order.length;
  const heaviest = order.reduce((most, s) => Math.max(most, s.weight), 0);
  const alike = order.every((s) => s.weight === heaviest);
  /** Of each server: its name in the table, where it looks next, its step, and the turn at which it may take again. */
  const named = new Int32Array(count);
  const next = new Int32Array(count);
  const skip = new Int32Array(count);
  const weight = new Float64Array(count);
  const owed = new Float64Array(count);
  // Plain loops: a director builds ten thousand of these tables when it starts.
  for (let i = 0; i < count; i++) {
    const s = order[i] as Dealt;
    named[i] = s.index;
    next[i] = hash32(s.key, OFFSET_SEED) % size;
    skip[i] = (hash32(s.key, SKIP_SEED) % (size - 1)) + 1;
    weight[i] = s.weight;
  }
  for (let turn = 1, left = free; ; turn++) {
    for (let i = 0; i < count; i++) {
      if (!alike) {
        if (turn * (weight[i] as number) < (owed[i] as number)) continue;
        owed[i] = (owed[i] as number) + heaviest;
      }
      let slot = next[i] as number;
      const step = skip[i] as number;
      while (table[slot] !== NOBODY) {
        slot += step;
        if (slot >= size) slot -= size;
      }
      table[slot] = named[i] as number;
      next[i] = slot;
      if (--left === 0) return;
    }
  }
}
