/** Rings of services: how large, what is in their slots, and the memory that they lie in. */
import { hash32, maglev, NOBODY, RING_SIZES, wrrSequence } from '../../ring/index.ts';
import { BLOCK_SLOTS, blocksFor } from './tables.ts';

/**
 * How many slots a ring has: at least a hundred for each server (the Maglev paper, section 5.3), so that none has over
 * one percent more than its share. 65,537 for everybody would be 2.6 GB for 10,000 services, and 20 to 40 ms for every
 * change of a weight; by its own servers, a service of ten has one page, and is rebuilt in some 20 microseconds.
 * `have` is kept until it fits badly: a server more or less must not move every client.
 */
export function ringSize(servers: number, have: number): number {
  const { medium, large, full } = RING_SIZES;
  if (have === medium && servers <= 12) return medium;
  if (have === large && servers <= 50 && servers > 5) return large;
  if (have === full && servers > 20) return full;
  return servers <= 10 ? medium : servers <= 40 ? large : full;
}

export type RingMember = { readonly key: string; readonly weight: number };
type Remembered = {
  readonly inTurn: boolean;
  readonly members: readonly RingMember[];
  readonly away: readonly RingMember[];
  readonly indices: Int32Array<ArrayBuffer>;
};
/** A power of two. */
const REMEMBERED = 256;

/**
 * Rings by what they are made from: services with the same servers have the same one. Servers are told apart by their
 * addresses, since ports never change here: a thousand services of the same ten servers share one computation.
 */
export class RingCache {
  /** Each at the place that its hash says; another with that place takes it, and its memory. */
  readonly #known: (Remembered | undefined)[] = Array(REMEMBERED).fill(undefined);

  /** Indices into `members`, or NOBODY; good until the next call. */
  get(
    inTurn: boolean,
    size: number,
    members: readonly RingMember[],
    away: readonly RingMember[],
  ): Int32Array<ArrayBuffer> {
    let hash = size + (inTurn ? 1 : 0);
    for (const m of members) hash = Math.imul(hash ^ hash32(m.key, m.weight), 0x01000193);
    for (const m of away) hash = Math.imul(hash ^ hash32(m.key, ~m.weight), 0x01000193);
    const place = (hash ^ (hash >>> 16)) & (REMEMBERED - 1);
    const known = this.#known[place];
    const fits = known?.indices.length === size && known.inTurn === inTurn;
    if (fits && sameMembers(known.members, members) && sameMembers(known.away, away)) return known.indices;
    const indices = inTurn
      ? wrrSequence(
          members.map((m) => m.weight),
          size,
        )
      : maglev(members, size, { away, table: known?.indices.length === size ? known.indices : undefined });
    this.#known[place] = { inTurn, members, away, indices };
    return indices;
  }
}
function sameMembers(a: readonly RingMember[], b: readonly RingMember[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i]?.key !== b[i]?.key || a[i]?.weight !== b[i]?.weight) return false;
  return true;
}

/** Blocks in one piece of memory, where many rings come at once: each alone is a thing for the garbage collector. */
const PIECE_BLOCKS = 1024;

export class RingRoom {
  #piece = new Uint32Array(0);
  #used = 0;
  #coming = 0;
  /** So many services come now. A piece lives while one of its rings does, so rings that come alone get no piece. */
  expect(services: number): void {
    this.#coming = services;
    this.#piece = new Uint32Array(0);
    this.#used = 0;
  }
  take(slots: number): Uint32Array {
    const room = blocksFor(slots) * BLOCK_SLOTS;
    this.#coming--;
    if (this.#used + room > this.#piece.length) {
      const blocks = Math.min(PIECE_BLOCKS, this.#coming);
      if (blocks * BLOCK_SLOTS < room) return new Uint32Array(slots);
      this.#piece = new Uint32Array(blocks * BLOCK_SLOTS);
      this.#used = 0;
    }
    this.#used += room;
    return this.#piece.subarray(this.#used - room, this.#used - room + slots);
  }
}

/** The ids of the servers in the slots. */
export function fillRing(ring: Uint32Array, indices: Int32Array, servers: readonly { readonly id: number }[]): void {
  const ids = new Uint32Array(servers.length);
  for (let i = 0; i < ids.length; i++) ids[i] = (servers[i] as { id: number }).id;
  for (let slot = 0; slot < ring.length; slot++) {
    const i = indices[slot] as number;
    ring[slot] = i === NOBODY ? 0 : (ids[i] as number);
  }
}
export function sameSlots(a: Uint32Array, b: Uint32Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
