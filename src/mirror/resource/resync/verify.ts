/**
 * Online verify of one volume. The source (VerifyS: whoever was told to verify) asks for a digest of each block; the target
 * reads its own and answers; the source compares and tells the verdict. Both mark what differs.
 *
 * A block that is written between the two readings would look different. So whoever writes keeps its writes of the block
 * back, by a range lock, from before its own reading until the verdict; whoever does not write lets the peer's through,
 * since the peer waits for their acknowledgement.
 */
import { type Microseconds, SpareMemory, us } from '../../../base/index.ts';
import {
  type BlockAckPacket,
  type DigestPacket,
  NO_BLOCK_ID,
  type RequestPacket,
  sector,
  VERIFY_VERDICT,
} from '../../../wire/index.ts';
import { BIT_BYTES, BIT_SECTORS, bitsTouched, mayAsk } from '../bits.ts';
import { NumberTable } from '../data/number-table.ts';
import type { RangeLock } from '../data/range-locks.ts';
import type { Context } from '../types.ts';
import type { Volume } from '../volume.ts';
import { digestOf } from './digest.ts';
import { RateController } from './rate.ts';

const TICK = 100_000;
/** Blocks on their way at once: what keeps disks and network busy, and little memory. */
const WINDOW_BLOCKS = 256;

/** What both ends of a verify share. */
export interface VerifyWorld {
  readonly c: Context;
  readonly volume: Volume;
  readonly algorithm: string;
}
/** `at`: its first sector. `size` in bytes. */
type Block = {
  readonly at: number;
  readonly size: number;
  lock: RangeLock | undefined;
  waiting: (() => void) | undefined;
};

const blockOf = (at: number): number => Math.floor(at / BIT_SECTORS);

/** Blocks between the first of the two readings and the verdict, and the locks that keep their writes back. */
class Blocks {
  readonly #w: VerifyWorld;
  /** By which block of the volume they are. */
  readonly #all = new NumberTable<Block>((b) => blockOf(b.at));
  readonly #spare = new SpareMemory(WINDOW_BLOCKS * BIT_BYTES);

  constructor(w: VerifyWorld) {
    this.#w = w;
  }
  get size(): number {
    return this.#all.size;
  }
  get bytes(): number {
    let n = 0;
    for (const b of this.#all.values()) n += b.size;
    return n;
  }
  bits(): number[] {
    return this.#all.values().map((b) => blockOf(b.at));
  }
  sizeOf(at: number): number | undefined {
    return this.#at(at)?.size;
  }
  #at(at: number): Block | undefined {
    const block = this.#all.get(blockOf(at));
    return block?.at === at ? block : undefined;
  }
  /** `then`, once no earlier write of it is under way. A peer that asks for it again is answered once. */
  begin(at: number, size: number, then: () => void): void {
    if (this.#all.get(blockOf(at)) !== undefined) return;
    const block: Block = { at, size, lock: undefined, waiting: then };
    this.#all.add(block);
    this.#lock(block);
  }
  end(at: number): void {
    const block = this.#at(at);
    if (block === undefined) return;
    this.#all.delete(blockOf(at));
    this.#free(block);
  }
  endAll(): void {
    for (const b of this.#all.values()) this.end(b.at);
  }
  /**
   * Reads the own block, behind all writes that the peer sent before: they have their places among the ranges. `data` is
   * only lent.
   */
  read(at: number, size: number, then: (result: number, data: Uint8Array) => void): void {
    const { c, volume } = this.#w;
    const memory = this.#spare.take(size);
    const data = memory.length === size ? memory : memory.subarray(0, size);
    const read = (end: () => void): void =>
      c.disk(volume.number, 'data', { op: 'read', offset: at * 512, into: data }, (result) => {
        end();
        then(result, data);
        // A disk that was given up may yet come back to it.
        if (result === 0) this.#spare.give(memory);
      });
    if (this.#at(at)?.lock !== undefined) {
      read(() => {});
      return;
    }
    const lock: RangeLock = volume.locks.acquire(at * 512, at * 512 + size, () =>
      read(() => volume.locks.release(lock)),
    );
  }
  rolesChanged(): void {
    const { volume } = this.#w;
    for (const block of this.#all.values()) {
      if (volume.peerRole === 'Primary') {
        this.#free(block);
        this.#go(block);
      } else if (volume.primary && block.lock === undefined) this.#lock(block);
    }
  }
  #lock(block: Block): void {
    const taken = (): void => {
      this.#go(block);
      // Only the peer writes: its writes are let through, and it keeps back those that would disturb.
      if (this.#w.volume.peerRole === 'Primary') this.#free(block);
    };
    // It may be free at once, and then `run` is called before the lock is returned.
    let free = false;
    const from = block.at * 512;
    block.lock = this.#w.volume.locks.acquire(from, from + block.size, () => {
      if (block.lock === undefined) free = true;
      else taken();
    });
    if (free) taken();
  }
  #go(block: Block): void {
    const then = block.waiting;
    block.waiting = undefined;
    then?.();
  }
  #free(block: Block): void {
    const { lock } = block;
    block.lock = undefined;
    if (lock !== undefined) this.#w.volume.locks.release(lock);
  }
}

export class VerifySource {
  readonly #w: VerifyWorld;
  readonly #blocks: Blocks;
  readonly #rate: RateController;
  readonly begun: Microseconds;
  /** Bits. */
  readonly total: number;
  readonly #to: number;
  #cursor: number;
  /** Bytes that may still be asked for before the next tick. */
  #budget = 0;
  #due: Microseconds;
  #ended = false;
  /** Bytes that differ, and bits that were judged. */
  found = 0;
  done = 0;
  onEnd: () => void = () => {};

  /** From bit `from` up to `to`. */
  constructor(w: VerifyWorld, from: number, to: number) {
    this.#w = w;
    this.#blocks = new Blocks(w);
    this.#rate = new RateController(() => w.volume.config.options.resync);
    this.begun = w.c.now;
    this.#due = us(w.c.now);
    this.#cursor = from;
    this.#to = to;
    this.total = Math.max(0, to - from);
  }
  get deadline(): Microseconds | undefined {
    return this.#ended ? undefined : this.#due;
  }
  /** The first bit that is not judged. */
  get position(): number {
    return Math.min(this.#cursor, ...this.#blocks.bits());
  }
  tick(): void {
    const { c } = this.#w;
    if (this.#ended || c.now < this.#due) return;
    this.#due = us(c.now + TICK);
    this.#budget = this.#rate.step(this.#blocks.bytes, TICK);
    this.#pursue();
    this.#check();
  }
  /** Asks for as many blocks as the rate allows and there is room for. */
  #pursue(): void {
    const { c, volume } = this.#w;
    while (!this.#ended && this.#budget >= BIT_BYTES && this.#cursor < this.#to && this.#blocks.size < WINDOW_BLOCKS) {
      const at = this.#cursor++ * BIT_SECTORS;
      const size = Math.min(BIT_BYTES, (volume.size - at) * 512);
      this.#budget -= BIT_BYTES;
      this.#blocks.begin(at, size, () => {
        const block = { volume: volume.number, sector: sector(at), id: NO_BLOCK_ID, size, pad: 0 };
        if (!this.#ended) c.send('data', { kind: 'P_OV_REQUEST', ...block });
      });
    }
  }
  replied(p: DigestPacket): void {
    if (this.#blocks.sizeOf(p.sector) !== p.size) return;
    this.#rate.received(p.size);
    this.#blocks.read(p.sector, p.size, (result, data) => {
      if (this.#ended) return;
      if (result !== 0) return this.#w.volume.onBroken();
      this.#verdict(p, Buffer.compare(digestOf(this.#w.algorithm, data), p.digest) === 0);
    });
  }
  #verdict(p: DigestPacket, equal: boolean): void {
    const { c, volume } = this.#w;
    if (!equal) {
      this.found += p.size;
      volume.bitmap.set(bitsTouched(p.sector * 512, p.size));
    }
    const id = equal ? VERIFY_VERDICT.inSync : VERIFY_VERDICT.outOfSync;
    c.send('meta', {
      kind: 'P_OV_RESULT',
      volume: p.volume,
      sector: p.sector,
      id,
      size: p.size,
      seq: volume.nextSeq(),
    });
    this.#judged(p.sector);
  }
  /** The peer could not read it. */
  refused(p: BlockAckPacket): void {
    if (this.#blocks.sizeOf(p.sector) === p.size) this.#judged(p.sector);
  }
  #judged(at: number): void {
    this.done++;
    this.#blocks.end(at);
    this.#pursue();
    this.#check();
  }
  #check(): void {
    if (this.#ended || this.#blocks.size > 0 || this.#cursor < this.#to) return;
    this.#ended = true;
    this.onEnd();
  }
  rolesChanged(): void {
    this.#blocks.rolesChanged();
  }
  stop(): void {
    this.#ended = true;
    this.#blocks.endAll();
  }
}

export class VerifyTarget {
  readonly #w: VerifyWorld;
  readonly #blocks: Blocks;
  readonly begun: Microseconds;
  /** Bits from the first request to the end of the device: how far the source means to go nobody tells. */
  total = 0;
  #first: number | undefined;
  #stopped = false;
  found = 0;
  done = 0;

  constructor(w: VerifyWorld) {
    this.#w = w;
    this.#blocks = new Blocks(w);
    this.begun = w.c.now;
  }
  requested(p: RequestPacket): void {
    const { c, volume, algorithm } = this.#w;
    if (!mayAsk(volume.size, p)) return;
    if (this.#first === undefined) {
      this.#first = Math.floor(p.sector / BIT_SECTORS);
      this.total = volume.bitmap.bits - this.#first;
    }
    if (this.#stopped) return;
    this.#blocks.begin(p.sector, p.size, () =>
      this.#blocks.read(p.sector, p.size, (result, data) => {
        if (this.#stopped) return;
        if (result !== 0) return volume.onBroken();
        const block = { volume: p.volume, sector: p.sector, id: p.id, size: p.size, pad: 0 };
        c.send('data', { kind: 'P_OV_REPLY', ...block, digest: digestOf(algorithm, data) });
      }),
    );
  }
  /** True: that was the last block of the device. */
  judged(p: BlockAckPacket): boolean {
    if (this.#blocks.sizeOf(p.sector) !== p.size) return false;
    this.#blocks.end(p.sector);
    this.done += Math.ceil(p.size / BIT_BYTES);
    if (p.id === VERIFY_VERDICT.outOfSync) {
      this.found += p.size;
      this.#w.volume.bitmap.set(bitsTouched(p.sector * 512, p.size));
    }
    return this.done >= this.total;
  }
  rolesChanged(): void {
    this.#blocks.rolesChanged();
  }
  stop(): void {
    this.#stopped = true;
    this.#blocks.endAll();
  }
}
