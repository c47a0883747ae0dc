/**
 * Resync of one volume by its bitmap. The target asks, in the order of the bitmap, for what its rate allows; the source
 * answers from its disk; both clear the bits when the target has written.
 */
import { type Microseconds, SpareMemory, us } from '../../../base/index.ts';
import {
  type BlockAckPacket,
  type BlockRangePacket,
  type DataPacket,
  type DigestPacket,
  NO_BLOCK_ID,
  type RequestPacket,
  sector,
} from '../../../wire/index.ts';
import { BIT_BYTES, BIT_SECTORS, bitsCovered, LARGEST, mayAsk } from '../bits.ts';
import type { RangeLock } from '../data/range-locks.ts';
import type { Context } from '../types.ts';
import type { Volume } from '../volume.ts';
import { digestOf } from './digest.ts';
import { RateController } from './rate.ts';
import { YIELDING, Yielding } from './yielding.ts';

/** 16 MiB in bits: no request crosses it. */
const EXTENT_BITS = 4096;
const TICK = 100_000;
const EINVAL = -22;
/** Bytes on their way at once, unless `c-fill-target` wants more: what keeps disks and network busy, and little memory. */
const WINDOW = 4 << 20;

/** How far a request from `bit` on goes: merged while the bits are set, with growing alignment. Bits. */
export function mergedBits(v: Volume, from: number, most: number): number {
  let align = 1;
  let n = 1;
  for (;;) {
    if ((n + 1) * BIT_BYTES > LARGEST || n >= most) return n;
    if ((from * BIT_SECTORS) & ((1 << (align + 3)) - 1)) return n;
    const next = from + n;
    if (next % EXTENT_BITS === 0 || next >= v.bitmap.bits || !v.bitmap.has(next)) return n;
    n++;
    if (BIT_BYTES << align <= n * BIT_BYTES) align++;
  }
}

export class ResyncTarget {
  readonly #c: Context;
  readonly #v: Volume;
  readonly #checksums: string | undefined;
  readonly rate: RateController;
  readonly begun: Microseconds;
  #cursor = 0;
  /** By first sector: bytes that were asked for and are not written. */
  readonly #asked = new Map<number, number>();
  #inFlight = 0;
  /** Bytes that may still be asked for before the next tick. */
  #budget = 0;
  /** Of a primary: its own writes there wait. */
  readonly #kept = new Map<number, RangeLock>();
  #failed = 0;
  #due: Microseconds;
  #ended = false;
  readonly total: number;
  equal = 0;
  #paused = false;
  readonly #yielding: Yielding;
  onEnd: (failed: number) => void = () => {};

  constructor(c: Context, v: Volume, checksums: string | undefined) {
    this.#c = c;
    this.#v = v;
    this.#checksums = checksums;
    this.rate = new RateController(() => v.config.options.resync);
    this.begun = c.now;
    this.#due = us(c.now);
    this.total = v.bitmap.count;
    this.#yielding = new Yielding(() => v.config.options.resync.minRate, c.now);
  }
  get deadline(): Microseconds | undefined {
    return this.#ended || this.#paused ? undefined : this.#due;
  }
  pause(paused: boolean): void {
    if (this.#paused && !paused) this.#due = us(this.#c.now);
    this.#paused = paused;
  }
  get failed(): number {
    return this.#failed;
  }
  tick(): void {
    if (this.#ended || this.#paused || this.#c.now < this.#due) return;
    this.#due = us(this.#c.now + TICK);
    this.#budget = this.rate.step(this.#inFlight, TICK);
    this.#pursue();
    this.#check();
  }
  /** Asks for as much as the rate allows and the window has room for. */
  #pursue(): void {
    if (this.#ended || this.#paused) return;
    const { asked, largest } = this.#yielding.yields(this.#v.usedAt, this.#c.now)
      ? YIELDING
      : { asked: Math.max(WINDOW, this.#v.config.options.resync.fillTarget), largest: LARGEST };
    while (this.#budget >= BIT_BYTES && this.#inFlight < asked) {
      const bit = this.#v.bitmap.nextSet(this.#cursor);
      if (bit === undefined) break;
      const at = sector(bit * BIT_SECTORS);
      if (this.#asked.has(at)) {
        this.#cursor = bit + 1;
        continue;
      }
      const bits = mergedBits(this.#v, bit, Math.floor(Math.min(this.#budget, largest) / BIT_BYTES));
      const size = Math.min(bits * BIT_BYTES, this.#v.size * 512 - bit * BIT_BYTES);
      // What is being written here now must not be replaced by what the source had before: later, then.
      if (this.#v.primary && this.#v.busy(at * 512, at * 512 + size)) break;
      this.#cursor = bit + bits;
      this.#asked.set(at, size);
      this.#inFlight += size;
      this.#budget -= size;
      if (this.#v.primary) {
        const ask = (): void => {
          if (this.#asked.has(at)) this.#ask(at, size);
        };
        this.#kept.set(at, this.#v.fetching.acquire(at * 512, at * 512 + size, ask));
      } else this.#ask(at, size);
    }
  }
  /** Who begins to write here keeps away from what was asked for before: the source may have read it already. */
  rolesChanged(): void {
    const v = this.#v;
    if (!v.primary || this.#ended) return;
    for (const [at, size] of this.#asked)
      if (!this.#kept.has(at))
        this.#kept.set(
          at,
          v.fetching.acquire(at * 512, at * 512 + size, () => {}),
        );
  }
  #ask(at: number, size: number): void {
    const block = { volume: this.#v.number, sector: sector(at), id: NO_BLOCK_ID, size, pad: 0 };
    if (this.#checksums === undefined) {
      this.#c.send('data', { kind: 'P_RS_DATA_REQUEST', ...block });
      return;
    }
    const into = new Uint8Array(size);
    const lock = this.#v.locks.acquire(at * 512, at * 512 + size, () =>
      this.#c.disk(this.#v.number, 'data', { op: 'read', offset: at * 512, into }, (result) => {
        this.#v.locks.release(lock);
        if (this.#ended || !this.#asked.has(at)) return;
        if (result !== 0) return this.#v.onBroken();
        const digest = digestOf(this.#checksums as string, into);
        this.#c.send('data', { kind: 'P_CSUM_RS_REQUEST', ...block, digest });
      }),
    );
  }

  /** P_RS_DATA_REPLY, or P_RS_DEALLOCATED: zeros. */
  answered(p: DataPacket | BlockRangePacket): void {
    const v = this.#v;
    const size = p.kind === 'P_RS_DEALLOCATED' ? p.size : 'data' in p ? p.data.length : 0;
    const offset = p.sector * 512;
    if (this.#asked.get(p.sector) !== size) return;
    this.rate.received(size);
    this.#yielding.moved(size);
    v.counters.nr += size;
    const lock = v.locks.acquire(offset, offset + size, () => {
      v.counters.lo++;
      v.counters.dw += size;
      const done = (result: number): void => {
        v.landed();
        v.locks.release(lock);
        v.backing?.store.wrote();
        if (this.#ended || v.backing === undefined) return;
        this.#took(p.sector);
        if (result === 0) v.bitmap.clear(bitsCovered(offset, size, v.size * 512));
        else this.#failed += size;
        this.#ack(p.sector, size, result === 0 ? 'P_RS_WRITE_ACK' : 'P_NEG_ACK');
        if (result !== 0) v.onBroken();
        this.#pursue();
        this.#check();
      };
      this.#c.disk(
        v.number,
        'data',
        p.kind === 'P_RS_DEALLOCATED'
          ? { op: 'zero', offset, length: size, keep: false }
          : { op: 'write', offset, bytes: (p as DataPacket).data, through: false },
        done,
      );
    });
  }
  /** The source has the same there. */
  inSync(p: BlockAckPacket): void {
    if (!this.#took(p.sector)) return;
    this.rate.received(p.size);
    this.#yielding.moved(p.size);
    this.equal += p.size;
    this.#v.bitmap.clear(bitsCovered(p.sector * 512, p.size, this.#v.size * 512));
    this.#pursue();
    this.#check();
  }
  /** The source could not read it, or went ahead. */
  refused(p: BlockAckPacket): void {
    if (!this.#took(p.sector)) return;
    if (p.kind === 'P_NEG_RS_DREPLY') this.#failed += p.size;
    else this.#cursor = Math.min(this.#cursor, p.sector / BIT_SECTORS);
    this.#check();
  }
  /** What was asked for there is dealt with. False: nothing was. */
  #took(at: number): boolean {
    const kept = this.#kept.get(at);
    if (kept !== undefined) this.#v.fetching.release(kept);
    this.#kept.delete(at);
    this.#inFlight -= this.#asked.get(at) ?? 0;
    return this.#asked.delete(at);
  }
  #ack(at: number, size: number, kind: 'P_RS_WRITE_ACK' | 'P_NEG_ACK'): void {
    const v = this.#v;
    this.#c.send('meta', { kind, volume: v.number, sector: sector(at), id: NO_BLOCK_ID, size, seq: v.nextSeq() });
  }
  #check(): void {
    if (this.#ended || this.#asked.size > 0) return;
    if (this.#v.bitmap.nextSet(this.#cursor) !== undefined) return;
    if (this.#v.bitmap.count > 0 && this.#failed === 0) {
      // Bits that were set behind the cursor.
      this.#cursor = 0;
      return;
    }
    this.#ended = true;
    this.onEnd(this.#failed);
  }
  stop(): void {
    this.#ended = true;
    for (const k of this.#kept.values()) this.#v.fetching.release(k);
    this.#kept.clear();
  }
}

/** What a source has in memory: answers that are being read, or that the peer has not taken. */
const SOURCE_BYTES = 4 << 20;

/**
 * Answers P_RS_DATA_REQUEST and its kin, in order, as memory allows. The lock keeps writes back until the answer is on its
 * way behind them.
 */
export class ResyncSource {
  readonly #c: Context;
  readonly #v: Volume;
  readonly begun: Microseconds;
  readonly total: number;
  #stopped = false;
  failed = 0;
  readonly #asked: { readonly p: RequestPacket | DigestPacket; readonly algorithm: string | undefined }[] = [];
  #bytes = 0;
  /** Of these: what is being read, or was and waits for its turn. */
  #ahead = 0;
  /** Read, and behind what the target has not acknowledged. */
  readonly #held: { readonly size: number; readonly answer: () => void }[] = [];
  /** Sent, and not acknowledged. */
  #open = 0;
  readonly #yielding: Yielding;
  readonly #spare = new SpareMemory(SOURCE_BYTES);

  constructor(c: Context, v: Volume) {
    this.#c = c;
    this.#v = v;
    this.begun = c.now;
    this.total = v.bitmap.count;
    this.#yielding = new Yielding(() => v.config.options.resync.minRate, c.now);
  }
  requested(p: RequestPacket | DigestPacket, algorithm: string | undefined): void {
    if (!mayAsk(this.#v.size, p)) {
      this.#answer(p, NOTHING, EINVAL, algorithm, () => {});
      return;
    }
    this.#asked.push({ p, algorithm });
    this.#next();
  }
  #next(): void {
    for (let a = this.#asked[0]; a !== undefined; a = this.#asked[0]) {
      if (this.#stopped || (this.#bytes > 0 && this.#bytes + a.p.size > SOURCE_BYTES)) return;
      if (this.#yields && this.#ahead > 0 && this.#ahead + a.p.size > YIELDING.window) return;
      this.#asked.shift();
      this.#bytes += a.p.size;
      this.#ahead += a.p.size;
      this.#read(a.p, a.algorithm);
    }
  }
  get #yields(): boolean {
    return this.#yielding.yields(this.#v.usedAt, this.#c.now);
  }
  /** What was read goes, in its order: while it yields, no more than the window is on its way, and the next is read meanwhile. */
  #send(): void {
    for (let h = this.#held[0]; h !== undefined; h = this.#held[0]) {
      if (!this.#stopped && this.#yields && this.#open > 0 && this.#open + h.size > YIELDING.window) return;
      this.#held.shift();
      this.#ahead -= h.size;
      h.answer();
    }
    this.#next();
  }
  #read(p: RequestPacket | DigestPacket, algorithm: string | undefined): void {
    const v = this.#v;
    const offset = p.sector * 512;
    const memory = this.#spare.take(p.size);
    const into = memory.length === p.size ? memory : memory.subarray(0, p.size);
    const gone = (): void => {
      this.#bytes -= p.size;
      this.#spare.give(memory);
      this.#next();
    };
    const lock = v.locks.acquire(offset, offset + p.size, () => {
      v.counters.dr += p.size;
      this.#c.disk(v.number, 'data', { op: 'read', offset, into }, (result) => {
        const answer = (): void => {
          // Sent before the lock ends: a write that waits for it is sent behind.
          if (!this.#stopped) this.#answer(p, into, result, algorithm, gone);
          v.locks.release(lock);
        };
        this.#held.push({ size: p.size, answer });
        this.#send();
        if (result !== 0) v.onBroken();
      });
    });
  }
  #answer(
    p: RequestPacket | DigestPacket,
    data: Uint8Array,
    result: number,
    algorithm: string | undefined,
    gone: () => void,
  ): void {
    const v = this.#v;
    const block = { volume: v.number, sector: p.sector, id: p.id };
    const ack = (kind: BlockAckPacket['kind']): void => {
      this.#c.send('meta', { kind, ...block, size: p.size, seq: v.nextSeq() });
    };
    if (result !== 0) {
      this.failed += p.size;
      ack('P_NEG_RS_DREPLY');
      gone();
      return;
    }
    if (p.kind === 'P_CSUM_RS_REQUEST' && algorithm !== undefined) {
      if (Buffer.compare(digestOf(algorithm, data), p.digest) === 0) {
        v.bitmap.clear(bitsCovered(p.sector * 512, p.size, v.size * 512));
        ack('P_RS_IS_IN_SYNC');
        gone();
        return;
      }
    }
    v.counters.ns += p.size;
    this.#open += p.size;
    if (p.kind === 'P_RS_THIN_REQ' && data.every((b) => b === 0)) {
      this.#c.send('data', {
        kind: 'P_RS_DEALLOCATED',
        volume: v.number,
        sector: p.sector,
        size: p.size,
        pad: 0,
      });
      gone();
      return;
    }
    this.#c.send('data', { kind: 'P_RS_DATA_REPLY', ...block, seq: 0, flags: 0, digest: NOTHING, data }, gone);
  }
  /** The target has it, or could not write it. */
  acknowledged(p: BlockAckPacket): void {
    if (p.kind === 'P_RS_WRITE_ACK') this.#v.bitmap.clear(bitsCovered(p.sector * 512, p.size, this.#v.size * 512));
    else this.failed += p.size;
    this.#open = Math.max(0, this.#open - p.size);
    this.#yielding.moved(p.size);
    this.#send();
  }
  stop(): void {
    this.#stopped = true;
    this.#asked.length = 0;
    this.#send();
  }
}
const NOTHING = new Uint8Array(0);
