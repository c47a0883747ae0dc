/**
 * Hashing with few entries: each server takes as many of a number of seats as its weight says, most seats stay empty, and a
 * flow draws seats until it finds one that is taken (the idea of DxHash: Dong and Wang, "A Scalable Consistent Hash Based on
 * the Pseudo-Random Sequence", 2021). Ten equal servers are ten entries, where a table without gaps needs hundreds to be as
 * even. When a server leaves, exactly its own flows go on drawing; one that comes gets what draws its seat first, and now and
 * then has another server move to its next seat.
 */
import { invariant } from '../../base/index.ts';
import { hash32 } from './hash.ts';
import { NOBODY, type RingServer } from './maglev.ts';
import { quotas } from './wrr.ts';

/** A flow that has drawn so many empty seats is given to whoever has the last one: at the emptiest, two of 31 seats, one flow of seventy. */
export const DRAWS = 64;
/** Primes, so that every step leads through all seats; up to about half of them are taken. */
const ROOMS = [
  { seats: 31, most: 16 },
  { seats: 127, most: 64 },
  { seats: 509, most: 256 },
  { seats: 2039, most: 1024 },
  { seats: 8191, most: 4095 },
] as const;
/** The largest room that is taken for the sake of weights alone. */
const EXACT_ENOUGH = 509;
/** A share may be off by this part of it before a larger room is taken. */
const TOLERANCE = 1 / 20;

const OFFSET_SEED = 0x5bd1e995;
const SKIP_SEED = 0x27d4eb2f;
const CLAIM_SEED = 0x165667b1;
const LAST_SEED = 0x3c6ef372;

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** How many seats there are, and how many of them each of these weights, all above 0, takes. */
function seating(weights: readonly number[]): { readonly seats: number; readonly taken: readonly number[] } {
  const unit = weights.reduce(gcd, 0);
  const total = weights.reduce((n, w) => n + w, 0);
  for (const { seats, most } of ROOMS) {
    if (weights.length > most) continue;
    if (total / unit <= most) return { seats, taken: weights.map((w) => w / unit) };
    const taken = quotas(weights, most);
    const close = taken.every((n, i) => {
      const exact = ((weights[i] as number) * most) / total;
      return Math.abs(n - exact) <= exact * TOLERANCE;
    });
    if (close || seats >= EXACT_ENOUGH) return { seats, taken };
  }
  invariant(false, 'there are seats for all servers');
}

/**
 * For each seat the index into `servers`, or `NOBODY`; the entry behind the last is whoever gets the flows that drew in vain.
 * The number of seats follows from all servers, those that are away included, so that two directors agree and no server moves
 * while another is away. `NOBODY` everywhere when no server has a weight.
 */
export function takeSeats(
  servers: readonly RingServer[],
  o: { readonly away?: readonly RingServer[] } = {},
): Int32Array<ArrayBuffer> {
  const present = servers.map((s, index) => ({ ...s, index })).filter((s) => s.weight > 0);
  const here = new Set(present.map((s) => s.key));
  const away = (o.away ?? []).filter((s) => s.weight > 0 && !here.has(s.key));
  // Where seats must be rounded, who gets one more follows from the keys too.
  const all = [...present, ...away.map((s) => ({ ...s, index: NOBODY }))].sort((a, b) => (a.key < b.key ? -1 : 1));
  if (present.length === 0) return new Int32Array(seating(all.map((s) => s.weight)).seats + 1).fill(NOBODY);
  const { seats, taken } = seating(all.map((s) => s.weight));
  const owners = claim(
    all.map((s) => s.key),
    taken,
    seats,
  );
  const out = new Int32Array(seats + 1);
  for (let seat = 0; seat < seats; seat++) {
    const owner = owners[seat] as number;
    out[seat] = owner === NOBODY ? NOBODY : (all[owner]?.index as number);
  }
  const rank = (s: RingServer): number => hash32(s.key, LAST_SEED);
  out[seats] = present.reduce((a, b) => (rank(b) < rank(a) || (rank(b) === rank(a) && b.key < a.key) ? b : a)).index;
  return out;
}

/**
 * Everybody asks for seats in an order of its own, and where two want one it is the seat that chooses: so who has which
 * depends on nothing but who is there (Gale and Shapley, 1962), and who comes late moves few.
 */
function claim(keys: readonly string[], taken: readonly number[], seats: number): Int32Array {
  const owners = new Int32Array(seats).fill(NOBODY);
  const next = Int32Array.from(keys, (k) => hash32(k, OFFSET_SEED) % seats);
  const skip = Int32Array.from(keys, (k) => (hash32(k, SKIP_SEED) % (seats - 1)) + 1);
  const claims = Int32Array.from(keys, (k) => hash32(k, CLAIM_SEED));
  const asking: number[] = [];
  taken.forEach((n, i) => {
    for (let k = 0; k < n; k++) asking.push(i);
  });
  for (let who = asking.pop(); who !== undefined; who = asking.pop()) {
    const seat = next[who] as number;
    next[who] = (seat + (skip[who] as number)) % seats;
    const owner = owners[seat] as number;
    if (owner === NOBODY) owners[seat] = who;
    else if (wins(who, owner, seat)) {
      owners[seat] = who;
      asking.push(owner);
    } else asking.push(who);
  }
  return owners;

  function wins(a: number, b: number, seat: number): boolean {
    const [x, y] = [drawn(claims[a] as number, seat), drawn(claims[b] as number, seat)];
    return x < y || (x === y && (keys[a] as string) < (keys[b] as string));
  }
}
/** What a seat thinks of one that asks for it. */
function drawn(claim: number, seat: number): number {
  let h = Math.imul(claim ^ Math.imul(seat + 1, 0x9e3779b1), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
