/**
 * The requests in flight of all connections, by slot number, in typed arrays: no object a request. Each slot has its part
 * of the slab, in two classes of size; a request that is larger goes through its slot in pieces.
 */
import type { BlockQueue, BlockRegion } from '../host/index.ts';

/** Whose request it is: it is told what came of it. */
export interface SlotOwner {
  completed(slot: number, result: number): void;
}

export type SlotSizes = {
  readonly small: number;
  readonly smallBytes: number;
  readonly large: number;
  readonly largeBytes: number;
};
/** 8.6 MiB of slab. Small ones carry what file systems and databases write, large ones what copies and read-ahead do. */
export const DEFAULT_SLOTS: SlotSizes = { small: 224, smallBytes: 16_384, large: 20, largeBytes: 262_144 };
export const slabBytesOf = (s: SlotSizes): number => s.small * s.smallBytes + s.large * s.largeBytes;

export class Slots {
  readonly slab: Uint8Array;
  readonly sizes: SlotSizes;
  readonly region: BlockRegion;
  /** Undefined while free; kept to the end when its client has gone. */
  readonly owner: (SlotOwner | undefined)[];
  readonly at: Int32Array;
  readonly cookieHigh: Uint32Array;
  readonly cookieLow: Uint32Array;
  readonly type: Uint8Array;
  readonly flags: Uint16Array;
  /** Of the request, in the export. */
  readonly offset: Float64Array;
  readonly length: Float64Array;
  /** Bytes of it done. */
  readonly done: Float64Array;
  /** Bytes of the piece in flight. */
  readonly piece: Int32Array;
  /** NBD error that the reply will carry. */
  readonly error: Uint8Array;
  /** The request was carried out, and its flush for FUA is under way. */
  readonly syncing: Uint8Array;
  readonly #freeSmall: Int32Array;
  readonly #freeLarge: Int32Array;
  #smallLeft: number;
  #largeLeft: number;

  constructor(queue: BlockQueue, region: BlockRegion, sizes: SlotSizes) {
    const n = sizes.small + sizes.large;
    this.slab = queue.slab;
    this.region = region;
    this.sizes = sizes;
    this.owner = Array<SlotOwner | undefined>(n).fill(undefined);
    const largeAt = region.at + sizes.small * sizes.smallBytes;
    this.at = Int32Array.from({ length: n }, (_, i) =>
      i < sizes.small ? region.at + i * sizes.smallBytes : largeAt + (i - sizes.small) * sizes.largeBytes,
    );
    this.cookieHigh = new Uint32Array(n);
    this.cookieLow = new Uint32Array(n);
    this.type = new Uint8Array(n);
    this.flags = new Uint16Array(n);
    this.offset = new Float64Array(n);
    this.length = new Float64Array(n);
    this.done = new Float64Array(n);
    this.piece = new Int32Array(n);
    this.error = new Uint8Array(n);
    this.syncing = new Uint8Array(n);
    this.#freeSmall = Int32Array.from({ length: sizes.small }, (_, i) => sizes.small - 1 - i);
    this.#freeLarge = Int32Array.from({ length: sizes.large }, (_, i) => n - 1 - i);
    this.#smallLeft = sizes.small;
    this.#largeLeft = sizes.large;
  }
  get free(): number {
    return this.#smallLeft + this.#largeLeft;
  }
  isLarge(slot: number): boolean {
    return slot >= this.sizes.small;
  }
  bytesOf(slot: number): number {
    return this.isLarge(slot) ? this.sizes.largeBytes : this.sizes.smallBytes;
  }
  /**
   * Whether one that holds `held` of a class may take another: while it holds less than twice what is free. So one alone gets
   * two thirds, two that never let go get two fifths each, and a newcomer always finds some.
   */
  isFair(large: boolean, held: number): boolean {
    return held < 2 * (large ? this.#largeLeft : this.#smallLeft);
  }
  /** For so much data; -1 when none is free. */
  take(owner: SlotOwner, bytes: number): number {
    let slot = -1;
    if (bytes > this.sizes.smallBytes) {
      if (this.#largeLeft > 0) slot = this.#freeLarge[--this.#largeLeft] as number;
    } else if (this.#smallLeft > 0) slot = this.#freeSmall[--this.#smallLeft] as number;
    if (slot >= 0) {
      this.owner[slot] = owner;
      this.done[slot] = 0;
      this.error[slot] = 0;
      this.syncing[slot] = 0;
    }
    return slot;
  }
  give(slot: number): void {
    if (this.owner[slot] === undefined) throw new Error(`bug: slot ${slot} was given back twice`);
    this.owner[slot] = undefined;
    if (this.isLarge(slot)) this.#freeLarge[this.#largeLeft++] = slot;
    else this.#freeSmall[this.#smallLeft++] = slot;
  }
}
