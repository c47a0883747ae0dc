/**
 * The peer's writes: taken in the order in which they came, written, acknowledged; and epochs. A write of a later epoch may
 * depend on those of earlier ones that the peer has told its application of: in protocol C they are written here by then;
 * those of A and B may not be, and it waits for them. No epoch is acknowledged before a flush that began when it was written;
 * one flush serves all that it covers, so it is not begun for each: within FLUSH_WITHIN, or at once when the peer waits.
 */
import { type Microseconds, us } from '../../base/index.ts';
import {
  type BarrierId,
  type BlockAckPacket,
  type DataPacket,
  DRBD_WRITE_FLAG,
  sector,
  type TrimPacket,
  type WriteSamePacket,
} from '../../wire/index.ts';
import { bitsCovered, bitsTouched } from './sender.ts';
import type { Context } from './types.ts';
import type { Volume } from './volume.ts';

export type PeerWrite = DataPacket | TrimPacket | WriteSamePacket;
type Epoch = {
  barrier: BarrierId | undefined;
  count: number;
  active: number;
  /** Of those that are active: whose sender does not wait until they are written. */
  early: number;
  waiting: ({ readonly volume: Volume; readonly packet: PeerWrite } | (() => void))[];
  readonly volumes: Set<Volume>;
};
const fresh = (): Epoch => ({
  barrier: undefined,
  count: 0,
  active: 0,
  early: 0,
  waiting: [],
  volumes: new Set(),
});
const isDone = (e: Epoch): boolean => e.barrier !== undefined && e.active === 0 && e.waiting.length === 0;
const isEarly = (p: PeerWrite): boolean => (p.flags & DRBD_WRITE_FLAG.sendWriteAck) === 0;

/** How long an epoch that nobody waits for may stay without its flush. Microseconds. */
const FLUSH_WITHIN = 5_000;

export class Receiver {
  readonly #c: Context;
  #epochs: Epoch[] = [fresh()];
  #early = 0;
  #waiting = 0;
  #releasing = false;
  #flushing = false;
  /** Epochs at the front that the peer waits for. */
  #urgent = 0;
  #due: Microseconds | undefined;
  /** Which connection: what is done for an older one is not acknowledged. */
  #era = 0;
  #held = 0;

  constructor(c: Context) {
    this.#c = c;
  }
  get epochs(): number {
    return this.#epochs.length;
  }
  /** Bytes of writes that came and are not on the disk. */
  get held(): number {
    return this.#held;
  }
  get deadline(): Microseconds | undefined {
    return this.#due;
  }
  tick(): void {
    if (this.#due === undefined || this.#c.now < this.#due) return;
    this.hurry();
  }
  lost(): void {
    for (const e of this.#epochs)
      for (const w of e.waiting) if (typeof w !== 'function') this.#held -= sizeOf(w.packet);
    this.#era++;
    this.#epochs = [fresh()];
    this.#early = 0;
    this.#waiting = 0;
    this.#flushing = false;
    this.#urgent = 0;
    this.#due = undefined;
  }

  write(v: Volume, packet: PeerWrite): void {
    const epoch = this.#epochs.at(-1) as Epoch;
    epoch.count++;
    v.counters.nr += sizeOf(packet);
    v.counters.ua++;
    this.#held += sizeOf(packet);
    if (this.#waiting > 0 || this.#early > epoch.early) {
      epoch.waiting.push({ volume: v, packet });
      this.#waiting++;
    } else this.#start(epoch, v, packet);
  }
  /** Runs it when every write that came before has begun, and so holds its range. */
  behind(run: () => void): void {
    if (this.#waiting === 0) {
      run();
      return;
    }
    (this.#epochs.at(-1) as Epoch).waiting.push(run);
    this.#waiting++;
  }
  barrier(id: BarrierId): void {
    (this.#epochs.at(-1) as Epoch).barrier = id;
    this.#epochs.push(fresh());
    this.#advance();
  }
  /** The peer waits for the epochs that have ended (P_UNPLUG_REMOTE). */
  hurry(): void {
    this.#urgent = this.#epochs.length - 1;
    this.#advance();
  }
  /** Starts what no longer waits for an earlier epoch, in order. */
  #release(): void {
    if (this.#waiting === 0 || this.#releasing) return;
    this.#releasing = true;
    let before = 0;
    for (const e of this.#epochs) {
      if (before > 0) break;
      for (const w of e.waiting.splice(0)) {
        this.#waiting--;
        if (typeof w === 'function') w();
        else this.#start(e, w.volume, w.packet);
      }
      before += e.early;
    }
    this.#releasing = false;
  }

  #start(epoch: Epoch, v: Volume, p: PeerWrite): void {
    const era = this.#era;
    const offset = p.sector * 512;
    const length = sizeOf(p);
    const early = isEarly(p) ? 1 : 0;
    epoch.active++;
    epoch.early += early;
    this.#early += early;
    // Not while it waits: what waits is dropped when the connection is lost, and must not have been told to be here.
    if ((p.flags & DRBD_WRITE_FLAG.sendReceiveAck) !== 0) this.#ack(v, p, 'P_RECV_ACK');
    const end = (good: boolean): void => {
      v.counters.ua--;
      this.#held -= length;
      if (good && (p.flags & DRBD_WRITE_FLAG.maySetInSync) !== 0 && v.backing !== undefined)
        v.bitmap.clear(bitsCovered(offset, length, v.size * 512));
      else if (!good && v.backing !== undefined) v.bitmap.set(bitsTouched(offset, length));
      if (era !== this.#era) return;
      const syncing = v.connection !== 'Connected' && v.connection !== 'VerifyS' && v.connection !== 'VerifyT';
      if (!good) this.#ack(v, p, 'P_NEG_ACK');
      else if ((p.flags & DRBD_WRITE_FLAG.sendWriteAck) !== 0)
        this.#ack(v, p, syncing && (p.flags & DRBD_WRITE_FLAG.maySetInSync) !== 0 ? 'P_RS_WRITE_ACK' : 'P_WRITE_ACK');
      epoch.active--;
      epoch.early -= early;
      this.#early -= early;
      if (early > 0) this.#release();
      this.#advance();
    };
    if (v.backing === undefined || offset + length > v.size * 512) {
      end(false);
      return;
    }
    if (length === 0) {
      this.#c.disk(v.number, 'data', { op: 'flush' }, (result) => end(result === 0));
      return;
    }
    epoch.volumes.add(v);
    const lock = v.locks.acquire(offset, offset + length, () => {
      const done = (result: number): void => {
        v.counters.lo--;
        v.locks.release(lock);
        v.backing?.store.wrote();
        if (result !== 0) v.onBroken();
        end(result === 0);
      };
      v.counters.lo++;
      v.counters.dw += length;
      const through = (p.flags & DRBD_WRITE_FLAG.fua) !== 0;
      if (!('data' in p))
        this.#c.disk(
          v.number,
          'data',
          { op: 'zero', offset, length, keep: (p.flags & DRBD_WRITE_FLAG.discard) === 0 },
          done,
        );
      else {
        const bytes = p.kind === 'P_WSAME' ? repeated(p.data, length) : p.data;
        this.#c.disk(v.number, 'data', { op: 'write', offset, bytes, through }, done);
      }
    });
  }
  #ack(v: Volume, p: PeerWrite, kind: BlockAckPacket['kind']): void {
    v.seq = (v.seq + 1) >>> 0;
    const packet: BlockAckPacket = {
      kind,
      volume: v.number,
      sector: sector(p.sector),
      id: p.id,
      size: sizeOf(p),
      seq: v.seq,
    };
    this.#c.send('meta', packet);
  }
  #advance(): void {
    if (this.#flushing) return;
    let done = 0;
    while (isDone(this.#epochs[done] as Epoch)) done++;
    if (done === 0) return;
    const volumes = new Set<Volume>();
    for (let i = 0; i < done; i++)
      for (const v of (this.#epochs[i] as Epoch).volumes)
        if (v.backing !== undefined && v.config.options.diskFlushes) volumes.add(v);
    if (volumes.size > 0 && this.#urgent === 0) {
      this.#due ??= us(this.#c.now + FLUSH_WITHIN);
      return;
    }
    const era = this.#era;
    this.#flushing = true;
    this.#due = undefined;
    let left = volumes.size;
    const end = (): void => {
      if (era !== this.#era) return;
      this.#flushing = false;
      this.#urgent = Math.max(0, this.#urgent - done);
      for (const { barrier, count } of this.#epochs.splice(0, done))
        if (barrier !== undefined) this.#c.send('meta', { kind: 'P_BARRIER_ACK', volume: 0, barrier, setSize: count });
      this.#advance();
    };
    if (left === 0) {
      end();
      return;
    }
    for (const v of volumes)
      this.#c.disk(v.number, 'data', { op: 'flush' }, (result) => {
        // Who cannot flush does not say that it has: the disk is given up, and the peer learns of it.
        if (result !== 0) return v.onBroken();
        if (--left === 0) end();
      });
  }
}
const sizeOf = (p: PeerWrite): number => ('size' in p ? p.size : p.data.length);
function repeated(pattern: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let at = 0; at < length; at += pattern.length) out.set(pattern.subarray(0, length - at), at);
  return out;
}
