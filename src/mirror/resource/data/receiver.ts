/**
 * The peer's writes: taken in the order in which they came, written, acknowledged; and epochs. A write of a later epoch may
 * depend on those of earlier ones that the peer has told its application of: in protocol C they are written here by then;
 * those of A and B may not be, and it waits for them. No epoch is acknowledged before a flush that began when it was written;
 * one flush serves all that it covers, so it is not begun for each: within FLUSH_WITHIN, or at once when the peer waits.
 */
import { type Microseconds, us } from '../../../base/index.ts';
import {
  type BarrierId,
  type BlockAckPacket,
  type DataPacket,
  DRBD_WRITE_FLAG,
  sector,
  type TrimPacket,
  type WriteSamePacket,
} from '../../../wire/index.ts';
import { areSectors, bitsCovered, bitsTouched } from '../bits.ts';
import type { FailedIo } from '../disks/disks.ts';
import { SoleDisk, soleDisk } from '../disks/sole-disk.ts';
import type { Context } from '../types.ts';
import type { Backing, Volume } from '../volume.ts';
import type { RangeLock } from './range-locks.ts';

export type PeerWrite = DataPacket | TrimPacket | WriteSamePacket;
type Item = {
  readonly epoch: Epoch;
  readonly volume: Volume;
  readonly packet: PeerWrite;
  lock: RangeLock | undefined;
  granted: boolean;
  /** When it came ours was the only disk: whatever disk the peer has taken by the time it is written lacks it. */
  readonly sole: boolean;
};
type Epoch = {
  barrier: BarrierId | undefined;
  count: number;
  active: number;
  /** Of those that wait or are active: whose sender does not wait until they are written. */
  early: number;
  readonly waiting: Set<Item>;
  readonly volumes: Set<Volume>;
};
const fresh = (): Epoch => ({
  barrier: undefined,
  count: 0,
  active: 0,
  early: 0,
  waiting: new Set(),
  volumes: new Set(),
});
const isDone = (e: Epoch): boolean => e.barrier !== undefined && e.active === 0 && e.waiting.size === 0;
const isEarly = (p: PeerWrite): boolean => (p.flags & DRBD_WRITE_FLAG.sendWriteAck) === 0;

/** How long an epoch that nobody waits for may stay without its flush. Microseconds. */
const FLUSH_WITHIN = 5_000;

export class Receiver {
  readonly #c: Context;
  #epochs: Epoch[] = [fresh()];
  /** Of all epochs. */
  #early = 0;
  #flushing = false;
  /** Of flushes: one that was given up, or is of an older connection, ends nothing. */
  #round = 0;
  /** Epochs at the front that the peer waits for. */
  #urgent = 0;
  #due: Microseconds | undefined;
  /** Which connection: what is done for an older one is not acknowledged. */
  #era = 0;
  #held = 0;
  /** Writes that have begun and not ended, of all connections. */
  #landing = 0;
  readonly #afterLanding: (() => void)[] = [];

  /** Disks that are gone, of which the peer may not know: nothing on them counts as durable. */
  readonly #gone = new Set<Volume>();
  readonly #sole = new SoleDisk();
  readonly #failed: (v: Volume, on: Backing, io: FailedIo) => void;

  constructor(c: Context, failed: (v: Volume, on: Backing, io: FailedIo) => void) {
    this.#c = c;
    this.#failed = failed;
  }
  unsure(v: Volume): void {
    this.#gone.add(v);
  }
  detached(v: Volume): void {
    this.unsure(v);
    this.#sole.detached(v);
  }
  /** The peer knows. */
  told(v: Volume): void {
    this.#gone.delete(v);
    this.#advance();
  }
  ready(v: Volume): void {
    this.#sole.ready(v);
  }
  get epochs(): number {
    return this.#epochs.length;
  }
  /** Whether some of the peer's writes are on their way to a disk, of whichever connection. */
  get landing(): boolean {
    return this.#landing > 0;
  }
  /** `then`, when none is any more. */
  afterLanding(then: () => void): void {
    this.#afterLanding.push(then);
  }
  #land(): void {
    if (--this.#landing === 0) for (const then of this.#afterLanding.splice(0)) then();
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
    this.#due = undefined;
    this.hurry();
  }
  lost(): void {
    this.#era++;
    this.#round++;
    this.#early = 0;
    this.#urgent = 0;
    this.#due = undefined;
    const dropped = this.#epochs.flatMap((e) => [...e.waiting]);
    // All of them first: the end of one lock lets the next one run, and what is dropped must not begin.
    for (const e of this.#epochs) e.waiting.clear();
    this.#epochs = [fresh()];
    for (const w of dropped) {
      w.volume.counters.ua--;
      this.#held -= sizeOf(w.packet);
      if (w.lock !== undefined) w.volume.locks.release(w.lock);
    }
    this.#flushing = false;
    this.#gone.clear();
  }

  write(v: Volume, packet: PeerWrite): void {
    const epoch = this.#epochs.at(-1) as Epoch;
    v.counters.nr += sizeOf(packet);
    v.counters.ua++;
    v.usedAt = this.#c.now;
    const offset = packet.sector * 512;
    const end = offset + sizeOf(packet);
    const verdict = this.judge(v, offset, end);
    if (verdict !== undefined) {
      v.counters.ua--;
      this.#ack(v, packet, verdict);
      if (verdict === 'P_RETRY_WRITE') this.#heldUp(v, epoch, offset, end);
      return;
    }
    epoch.count++;
    const item: Item = { epoch, volume: v, packet, lock: undefined, granted: end === offset, sole: soleDisk(v) };
    epoch.waiting.add(item);
    // Also while it waits: a disk that the peer attaches meanwhile is told of it as a block that differs.
    if (item.sole && end > offset && v.backing !== undefined) v.bitmap.set(bitsTouched(offset, end - offset));
    this.#held += end - offset;
    const early = isEarly(packet) ? 1 : 0;
    epoch.early += early;
    this.#early += early;
    // Its place among all that overlaps is that of its arrival, also where it has to wait for an earlier epoch.
    if (!item.granted)
      item.lock = v.locks.acquire(offset, end, () => {
        item.granted = true;
        if (item.lock !== undefined) this.#try(item);
      });
    this.#try(item);
  }
  /**
   * A kernel counts a write that it has to try again as part of its epoch until it has written ours, and not from then on: the
   * epoch ends when that is past, and is counted without it. One that it has superseded it does not count, nor an epoch of such.
   */
  #heldUp(v: Volume, epoch: Epoch, from: number, to: number): void {
    const era = this.#era;
    epoch.active++;
    this.collided(v, from, to, () => {
      if (era !== this.#era) return;
      epoch.active--;
      this.#advance();
    });
  }
  /** `then`: what was in the way of a write of the peer is on its disk. */
  collided: (v: Volume, from: number, to: number, then: () => void) => void = (_v, _from, _to, then) => then();
  /** Two primaries: what the peer is answered at once where its write collides with one of ours, instead of writing it. */
  judge: (v: Volume, from: number, to: number) => 'P_SUPERSEDED' | 'P_RETRY_WRITE' | undefined = () => undefined;
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

  #try(item: Item): void {
    if (item.granted && this.#mayBegin(item.epoch) && item.epoch.waiting.delete(item)) this.#start(item);
  }
  /** Nothing of an earlier epoch that it may depend on is unwritten. */
  #mayBegin(epoch: Epoch): boolean {
    if (this.#early === epoch.early) return true;
    for (const e of this.#epochs) {
      if (e === epoch) return true;
      if (e.early > 0) return false;
    }
    return false;
  }
  /** What waited for an earlier epoch: in the order in which it came, up to where the next one is to be waited for. */
  #release(): void {
    for (const e of [...this.#epochs]) {
      if (!this.#mayBegin(e)) return;
      for (const w of [...e.waiting]) this.#try(w);
    }
  }
  #start({ epoch, volume: v, packet: p, lock, sole }: Item): void {
    const era = this.#era;
    const offset = p.sector * 512;
    const length = sizeOf(p);
    epoch.active++;
    this.#landing++;
    epoch.volumes.add(v);
    const { backing } = v;
    const end = (good: boolean): void => {
      v.counters.ua--;
      this.#held -= length;
      const sure = (p.flags & DRBD_WRITE_FLAG.maySetInSync) !== 0 && !sole && !soleDisk(v);
      if (good && sure && v.backing !== undefined) v.bitmap.clear(bitsCovered(offset, length, v.size * 512));
      else if (!good && v.backing !== undefined) v.bitmap.set(bitsTouched(offset, length));
      const { syncing } = v;
      // Before an own write goes on that waited for this one: two primaries tell from the numbers which was first.
      if (era === this.#era) {
        if (!good) this.#ack(v, p, 'P_NEG_ACK');
        else if ((p.flags & DRBD_WRITE_FLAG.sendWriteAck) !== 0)
          this.#ack(v, p, syncing && (p.flags & DRBD_WRITE_FLAG.maySetInSync) !== 0 ? 'P_RS_WRITE_ACK' : 'P_WRITE_ACK');
      }
      if (lock !== undefined) v.locks.release(lock);
      this.#land();
      if (era !== this.#era) return;
      epoch.active--;
      if (isEarly(p)) {
        epoch.early--;
        this.#early--;
        if (epoch.early === 0 && this.#epochs.length > 1) this.#release();
      }
      this.#advance();
    };
    const fits = (length === 0 || areSectors(length)) && offset + length <= v.size * 512;
    if (backing === undefined || !fits || (p.kind === 'P_WSAME' && !areSectors(p.data.length))) {
      end(false);
      return;
    }
    // Not while it waits: what waits is dropped when the connection is lost, and must not have been told to be here.
    if ((p.flags & DRBD_WRITE_FLAG.sendReceiveAck) !== 0) this.#ack(v, p, 'P_RECV_ACK');
    // A flush alone: that of its epoch does it.
    if (length === 0) {
      end(true);
      return;
    }
    let cool = (): void => {};
    const done = (result: number): void => {
      backing.store.wrote();
      const good = result === 0 && v.backing === backing;
      if (result !== 0) this.#failed(v, backing, { op: 'write', offset, length });
      v.landed();
      cool();
      end(good);
    };
    const write = (): void => {
      if (v.backing !== backing) {
        end(false);
        return;
      }
      v.counters.lo++;
      v.counters.dw += length;
      const through = (p.flags & DRBD_WRITE_FLAG.fua) !== 0;
      const keep = (p.flags & DRBD_WRITE_FLAG.discard) === 0;
      if (!('data' in p)) this.#c.disk(v.number, 'data', { op: 'zero', offset, length, keep }, done);
      else {
        const bytes = p.kind === 'P_WSAME' ? repeated(p.data, length) : p.data;
        this.#c.disk(v.number, 'data', { op: 'write', offset, bytes, through }, done);
      }
    };
    if (!sole && !soleDisk(v)) {
      write();
      return;
    }
    v.bitmap.set(bitsTouched(offset, length));
    this.#sole.heat(v, offset, length, (given) => {
      cool = given;
      write();
    });
  }
  #ack(v: Volume, p: PeerWrite, kind: BlockAckPacket['kind']): void {
    const packet: BlockAckPacket = {
      kind,
      volume: v.number,
      sector: sector(p.sector),
      id: p.id,
      size: sizeOf(p),
      seq: v.nextSeq(),
    };
    this.#c.send('meta', packet);
  }
  #advance(): void {
    if (this.#flushing) return;
    let done = 0;
    const volumes = new Set<Volume>();
    for (const e of this.#epochs) {
      if (!isDone(e) || (this.#gone.size > 0 && [...e.volumes].some((v) => this.#gone.has(v)))) break;
      for (const v of e.volumes) if (v.backing !== undefined && v.config.options.diskFlushes) volumes.add(v);
      done++;
    }
    if (done === 0) return;
    if (volumes.size > 0 && this.#urgent === 0) {
      this.#due ??= us(this.#c.now + FLUSH_WITHIN);
      return;
    }
    const round = ++this.#round;
    this.#flushing = true;
    this.#due = undefined;
    let left = volumes.size;
    const end = (): void => {
      this.#flushing = false;
      this.#urgent = Math.max(0, this.#urgent - done);
      for (const { barrier, count } of this.#epochs.splice(0, done))
        if (barrier !== undefined && count > 0)
          this.#c.send('meta', { kind: 'P_BARRIER_ACK', volume: 0, barrier, setSize: count });
      this.#advance();
    };
    if (left === 0) {
      end();
      return;
    }
    for (const v of volumes)
      this.#flushOne(v, round, () => {
        if (--left === 0) end();
      });
  }
  /** Who cannot flush does not say that it has: the peer learns first that the disk is not good any more. */
  #flushOne(v: Volume, round: number, then: () => void): void {
    const { backing } = v;
    this.#c.disk(v.number, 'data', { op: 'flush' }, (result) => {
      if (result !== 0 && backing !== undefined) this.#failed(v, backing, { op: 'flush', offset: 0, length: 0 });
      if (round !== this.#round) return;
      if (!this.#gone.has(v)) return then();
      this.#round++;
      this.#flushing = false;
    });
  }
}
const sizeOf = (p: PeerWrite): number => ('size' in p ? p.size : p.data.length);
function repeated(pattern: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let at = 0; at < length; at += pattern.length) out.set(pattern.subarray(0, length - at), at);
  return out;
}
