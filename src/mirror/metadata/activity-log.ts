/**
 * The activity log: which 4 MiB extents may have writes that the peer has not. A write may go to the disk only when its
 * extent is hot, that is, named by a transaction that is durable. Decides what to write and when; writes nothing itself.
 *
 * Order, which makes any crash harmless: the bitmap pages of extents that are thrown out, then the transaction, then
 * the data writes. An extent stays while anybody holds it, which must be until the peer has acknowledged the epoch of its
 * writes (P_BARRIER_ACK), or the blocks are marked in the bitmap.
 */
import { invariant } from '../../base/index.ts';
import { type AlUpdate, CONTEXT_SLOTS, encodeAlBlock, FREE_EXTENT, MAX_UPDATES } from './al-block.ts';
import { type AlGeometry, alBlockIndex, alBlocks, EXTENT_BITS, PAGE_BITS } from './layout.ts';
import { SlotList } from './slot-list.ts';

/** `al-extents`: fewer are raised to this. */
export const MIN_EXTENTS = 67;
/** The most slots that a ring can describe when one of its blocks is torn: every other one repeats 919 of them. */
export const maxExtents = (g: AlGeometry): number => Math.min(65534, (alBlocks(g) - 1) * CONTEXT_SLOTS);

export type Begin =
  /** Held, and the write may go. */
  | 'hot'
  /** Held, and the write must wait for the commit of a transaction. */
  | 'pending'
  /** Not held: no slot is free, or the next transaction is full. Ask again after a commit or a release. */
  | 'full';
export type AlWrite = {
  readonly number: number;
  /** Which block of the ring. */
  readonly block: number;
  readonly bytes: Uint8Array;
  readonly updates: readonly AlUpdate[];
  /** Bitmap pages of the extents that this transaction throws out: those that are dirty must be durable before it. */
  readonly bitmapPages: readonly number[];
};

type Change = AlUpdate & { readonly evicted: number | undefined };

export class ActivityLog {
  readonly #geometry: AlGeometry;
  /** What the log on disk says once all that is in flight is written: extent of each slot. */
  readonly #slots: Uint32Array;
  readonly #holders: Uint32Array;
  /** What the slot is for, from the moment that it is taken: ahead of what the log says. */
  readonly #extents: Uint32Array;
  /** Slots of hot and of pending extents. */
  readonly #slotOf = new Map<number, number>();
  readonly #pending = new Set<number>();
  /** Slots of hot extents that nobody holds, least recently used first. */
  readonly #cold: SlotList;
  #unused: number[] = [];
  #changes: Change[] = [];
  #flight: readonly Change[] | undefined;
  #next = 0;
  #contextStart = 0;

  /** The ring must be freshly initialised: what an older log said has been applied to the bitmap. */
  constructor(extents: number, geometry: AlGeometry) {
    invariant(extents >= MIN_EXTENTS && extents <= maxExtents(geometry), 'the ring can describe all slots of the log');
    this.#geometry = geometry;
    this.#slots = new Uint32Array(extents).fill(FREE_EXTENT);
    this.#holders = new Uint32Array(extents);
    this.#extents = new Uint32Array(extents);
    this.#cold = new SlotList(extents);
    this.#unused = Array.from({ length: extents }, (_, i) => i);
  }

  /** Takes a hold on the extent unless the answer is `full`. Each hold is given back by `end`. */
  begin(extent: number): Begin {
    const known = this.#slotOf.get(extent);
    if (known !== undefined) {
      this.#holders[known] = (this.#holders[known] as number) + 1;
      if (this.#pending.has(extent)) return 'pending';
      this.#cold.delete(known);
      return 'hot';
    }
    if (this.#changes.length === MAX_UPDATES) return 'full';
    let slot = this.#unused.pop();
    let evicted: number | undefined;
    if (slot === undefined) {
      slot = this.#cold.shift();
      if (slot === undefined) return 'full';
      evicted = this.#extents[slot] as number;
      this.#slotOf.delete(evicted);
    }
    this.#slotOf.set(extent, slot);
    this.#extents[slot] = extent;
    this.#pending.add(extent);
    this.#holders[slot] = 1;
    this.#changes.push({ slot, extent, evicted });
    return 'pending';
  }
  /** Gives back one hold. The extent stays hot until its slot is needed. */
  end(extent: number): void {
    const slot = this.#slotOf.get(extent);
    invariant(
      slot !== undefined && (this.#holders[slot] as number) > 0,
      'an extent is given back as often as it was taken',
    );
    const left = (this.#holders[slot] as number) - 1;
    this.#holders[slot] = left;
    if (left === 0 && !this.#pending.has(extent)) this.#cold.push(slot);
  }

  /** Whether `transaction` would yield one. */
  get wanting(): boolean {
    return this.#flight === undefined && this.#changes.length > 0;
  }
  /** The next transaction, when there are changes and none is in flight. It ends by `committed`. */
  transaction(): AlWrite | undefined {
    if (!this.wanting) return undefined;
    const changes = this.#changes;
    this.#flight = changes;
    this.#changes = [];
    const updates = changes.map(({ slot, extent }) => ({ slot, extent }));
    const context = new Uint32Array(CONTEXT_SLOTS).fill(FREE_EXTENT);
    context.set(this.#slots.subarray(this.#contextStart, this.#contextStart + CONTEXT_SLOTS));
    const pages = new Set<number>();
    for (const c of changes) if (c.evicted !== undefined) pages.add(Math.floor((c.evicted * EXTENT_BITS) / PAGE_BITS));
    return {
      number: this.#next,
      block: alBlockIndex(this.#geometry, this.#next),
      bytes: encodeAlBlock({
        kind: 'update',
        number: this.#next,
        updates,
        contextSize: this.#slots.length,
        contextStart: this.#contextStart,
        context,
      }),
      updates,
      bitmapPages: [...pages],
    };
  }
  /** The transaction in flight is durable. Returns the extents that are hot by it: writes that wait for them may go. */
  committed(): readonly number[] {
    const changes = this.#flight;
    invariant(changes !== undefined, 'only a transaction in flight is committed');
    this.#flight = undefined;
    this.#next = (this.#next + 1) >>> 0;
    this.#contextStart += CONTEXT_SLOTS;
    if (this.#contextStart >= this.#slots.length) this.#contextStart = 0;
    for (const { slot, extent } of changes) {
      this.#slots[slot] = extent;
      this.#pending.delete(extent);
      if (this.#holders[slot] === 0) this.#cold.push(slot);
    }
    return changes.map((c) => c.extent);
  }

  /** Extents that are hot on disk or about to be: for status, and for marking the bitmap when the peer is lost. */
  *extents(): Generator<number> {
    yield* this.#slotOf.keys();
  }
  /** Extents that somebody holds: what congestion-extents counts. */
  get active(): number {
    return this.#slotOf.size - this.#cold.size;
  }
}
