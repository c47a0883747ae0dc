/**
 * The bitmap of out-of-sync blocks: one bit for each 4 KiB, set where the peer may differ. In memory it is what it is on
 * disk (little-endian words), so that a page is written from where it lies. Counts are kept, not counted.
 */
import { invariant } from '../../base/index.ts';
import { BLOCK_BYTES, BLOCK_SECTORS, EXTENT_BITS, PAGE_BITS } from './layout.ts';

const ONES = 0xffff_ffff;
const WORDS_PER_PAGE = BLOCK_BYTES / 4;
const EMPTY_PAGE = new Uint8Array(BLOCK_BYTES);
invariant(
  new Uint8Array(Uint32Array.of(1).buffer)[0] === 1,
  'the bitmap is kept as it is on disk, which takes a little-endian processor',
);

function popcount(word: number): number {
  let x = word - ((word >>> 1) & 0x5555_5555);
  x = (x & 0x3333_3333) + ((x >>> 2) & 0x3333_3333);
  return (((x + (x >>> 4)) & 0x0f0f_0f0f) * 0x0101_0101) >>> 24;
}
const wordOf = (bit: number): number => Math.floor(bit / 32);
/** Bits `from`..`to` of a word, both included. */
const maskOf = (from: number, to: number): number => ((ONES << from) & (ONES >>> (31 - to))) >>> 0;

/** Bits of a device of so many sectors; the last one may stand for less than 4 KiB. */
export const bitsFor = (sectors: number): number => Math.ceil(sectors / BLOCK_SECTORS);

export type BitRange = { /** First bit. */ readonly from: number /** One behind the last. */; readonly to: number };

export class Bitmap {
  readonly bits: number;
  readonly pages: number;
  readonly #words: Uint32Array;
  readonly #dirty: Uint8Array;
  #count = 0;

  /** All clear. Bits behind the end are set up to the end of the extent, as the kernel keeps them on disk, and count nowhere. */
  constructor(bits: number) {
    this.bits = bits;
    this.pages = Math.ceil(bits / PAGE_BITS);
    this.#words = new Uint32Array(this.pages * WORDS_PER_PAGE);
    this.#dirty = new Uint8Array(this.pages);
    this.#padEnd();
  }

  /** Bits that are set. */
  get count(): number {
    return this.#count;
  }
  has(bit: number): boolean {
    return (((this.#words[wordOf(bit)] as number) >>> (bit & 31)) & 1) === 1;
  }
  /** Sets the bits of the range that are on the device; returns how many were clear. */
  set(r: BitRange): number {
    return this.#change(r, true);
  }
  /** Returns how many were set. */
  clear(r: BitRange): number {
    return this.#change(r, false);
  }
  setAll(): number {
    return this.set({ from: 0, to: this.bits });
  }
  /** The bits of 4 MiB: what a hot extent of the activity log may have changed. Clipped to the device. */
  setExtent(extent: number): number {
    return this.set({ from: extent * EXTENT_BITS, to: (extent + 1) * EXTENT_BITS });
  }
  countIn(r: BitRange): number {
    let n = 0;
    this.#each(r, (i, mask) => {
      n += popcount((this.#words[i] as number) & mask);
    });
    return n;
  }

  /** The first set bit at or behind `from`; undefined when there is none. */
  nextSet(from: number): number | undefined {
    return this.#next(from, 0);
  }
  nextClear(from: number): number | undefined {
    return this.#next(from, ONES);
  }
  /** Ranges of set bits in order, from `from` on. The bitmap may change between two of them. */
  *ranges(from = 0): Generator<BitRange> {
    for (let at = this.nextSet(from); at !== undefined; ) {
      const to = this.nextClear(at) ?? this.bits;
      yield { from: at, to };
      at = this.nextSet(to);
    }
  }
  /** Length of the run of equal bits that begins at `from`: what the compressed form is made of. */
  runLength(from: number): number {
    return ((this.has(from) ? this.nextClear(from) : this.nextSet(from)) ?? this.bits) - from;
  }

  /** Pages as they are to be written: a view, which changes with the bitmap. */
  page(n: number, pages = 1): Uint8Array {
    return new Uint8Array(this.#words.buffer, n * BLOCK_BYTES, pages * BLOCK_BYTES);
  }
  /** Takes pages as they were read, one or more. Bits behind the end of the device are ignored. No page is dirty by it. */
  load(n: number, bytes: Uint8Array): void {
    const pages = bytes.length / BLOCK_BYTES;
    invariant(Number.isInteger(pages) && n + pages <= this.pages, 'pages of the bitmap have 4096 bytes');
    for (let i = 0; i < pages; i++) this.#loadPage(n + i, bytes.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES));
  }
  #loadPage(n: number, bytes: Uint8Array): void {
    const range = { from: n * PAGE_BITS, to: (n + 1) * PAGE_BITS };
    const before = this.#count > 0 ? this.countIn(range) : 0;
    // Most bitmaps are nearly empty: memory that nothing was ever written to costs none.
    if (before === 0 && Buffer.compare(bytes, EMPTY_PAGE) === 0) return;
    new Uint8Array(this.#words.buffer, n * BLOCK_BYTES, BLOCK_BYTES).set(bytes);
    this.#count += this.countIn(range) - before;
    if (range.to > this.bits) this.#padEnd();
  }
  /** Words as they travel in P_BITMAP, ORed in at `from`, a multiple of 64. Returns how many bits were new; more than there are is a bug of the caller. */
  merge(from: number, words: Uint8Array): number {
    invariant(from % 64 === 0 && words.length % 8 === 0, 'plain bitmaps travel in whole words of 64 bits');
    let added = 0;
    const v = new DataView(words.buffer, words.byteOffset, words.length);
    for (let at = 0; at < words.length; at += 4) {
      const word = v.getUint32(at, true);
      const first = from + at * 8;
      if (word === 0 || first >= this.bits) continue;
      added += this.#write(wordOf(first), this.#bounded(first, word), true);
    }
    return added;
  }
  /** `words` 64-bit words from bit `from` on, a multiple of 64: a view. Bits behind the end may be set in it. */
  words(from: number, words: number): Uint8Array {
    return new Uint8Array(this.#words.buffer, from / 8, words * 8);
  }

  isDirty(page: number): boolean {
    return this.#dirty[page] === 1;
  }
  /** Pages that changed since they were last marked written, in order. */
  *dirtyPages(): Generator<number> {
    for (let n = this.#dirty.indexOf(1); n >= 0; n = this.#dirty.indexOf(1, n + 1)) yield n;
  }
  /** Runs of pages that changed, none longer than `most`, in order. The bitmap may change between two of them. */
  *dirtyRuns(most: number): Generator<{ readonly page: number; readonly pages: number }> {
    for (let n = this.#dirty.indexOf(1); n >= 0; n = this.#dirty.indexOf(1, n + 1)) {
      const page = n;
      while (n + 1 < this.pages && n + 1 - page < most && this.#dirty[n + 1] === 1) n++;
      yield { page, pages: n + 1 - page };
    }
  }
  /** Mark before the write begins: what changes while it is under way makes the page dirty again. */
  markWritten(page: number, pages = 1): void {
    this.#dirty.fill(0, page, page + pages);
  }

  /** A bitmap of another size with the same bits; new ones are set, or clear when `clearNew`. */
  resized(bits: number, clearNew = false): Bitmap {
    const out = new Bitmap(bits);
    for (const r of this.ranges()) out.set(r);
    if (!clearNew && bits > this.bits) out.set({ from: this.bits, to: bits });
    out.#dirty.fill(1);
    return out;
  }

  #padEnd(): void {
    const end = Math.ceil(this.bits / EXTENT_BITS) * EXTENT_BITS;
    const partial = wordOf(this.bits);
    for (let i = partial; i < wordOf(end); i++)
      this.#words[i] = (this.#words[i] as number) | (i === partial ? maskOf(this.bits & 31, 31) : ONES);
  }
  /** Without the bits of a word that are behind the end. */
  #bounded(first: number, word: number): number {
    const left = this.bits - first;
    return left >= 32 ? word : word & (left <= 0 ? 0 : maskOf(0, left - 1));
  }
  /** Calls `one` for each word of the range, with the bits of it that count. */
  #each(r: BitRange, one: (index: number, mask: number) => void): void {
    const to = Math.min(r.to, this.bits);
    if (r.from >= to) return;
    const [first, last] = [wordOf(r.from), wordOf(to - 1)];
    for (let i = first; i <= last; i++) one(i, maskOf(i === first ? r.from & 31 : 0, i === last ? (to - 1) & 31 : 31));
  }
  #change(r: BitRange, set: boolean): number {
    let n = 0;
    this.#each(r, (i, mask) => {
      n += this.#write(i, mask, set);
    });
    return n;
  }
  #write(i: number, mask: number, set: boolean): number {
    const before = this.#words[i] as number;
    const changed = (set ? mask & ~before : mask & before) >>> 0;
    if (changed === 0) return 0;
    this.#words[i] = before ^ changed;
    const n = popcount(changed);
    this.#count += set ? n : -n;
    this.#dirty[Math.floor(i / WORDS_PER_PAGE)] = 1;
    return n;
  }
  /** The first bit at or behind `from` that differs from `skip`, a whole word of the other value. */
  #next(from: number, skip: number): number | undefined {
    if (from >= this.bits) return undefined;
    let i = wordOf(from);
    let word = (((this.#words[i] as number) ^ skip) & maskOf(from & 31, 31)) >>> 0;
    while (word === 0) {
      i++;
      if (i * 32 >= this.bits) return undefined;
      word = ((this.#words[i] as number) ^ skip) >>> 0;
    }
    const at = i * 32 + 31 - Math.clz32(word & -word);
    return at < this.bits ? at : undefined;
  }
}
