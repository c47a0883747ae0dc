/**
 * Maglev's lookup table (Eisenbud and others, "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016,
 * section 3.4), with weights by taking turns less often. When a server leaves, almost only its own slots move.
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

/**
 * For each of `size` slots the index into `servers`; `NOBODY` everywhere when no server has a weight. `size` must be
 * prime and above the number of servers. A server with weight w has about w / sum of the slots, and one with weight 0 none.
 * `table`: an old one of that size, to be written over.
 */
export function maglev(
  servers: readonly RingServer[],
  size: number,
  table = new Int32Array(size),
): Int32Array<ArrayBuffer> {
  table.fill(NOBODY);
  const order = servers
    .map((s, index) => ({ index, weight: s.weight, key: s.key }))
    .filter((s) => s.weight > 0)
    .sort((a, b) => compareKeys(a.key, b.key));
  if (order.length === 0) return table;
  invariant(size > order.length, 'a ring has more slots than servers');
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
    const s = order[i] as (typeof order)[number];
    named[i] = s.index;
    next[i] = hash32(s.key, OFFSET_SEED) % size;
    skip[i] = (hash32(s.key, SKIP_SEED) % (size - 1)) + 1;
    weight[i] = s.weight;
  }
  for (let turn = 1, filled = 0; ; turn++) {
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
      if (++filled === size) return table;
    }
  }
}
