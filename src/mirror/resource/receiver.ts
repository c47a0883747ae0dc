/**
 * The peer's writes: taken in the order in which they came, written, acknowledged; and epochs. Writes of the epoch behind
 * an unfinished one wait until that is flushed, so that the disk never has what depends on writes that it lacks.
 */
import {
  type BarrierId,
  type BlockAckPacket,
  type DataPacket,
  DRBD_WRITE_FLAG,
  sector,
  type TrimPacket,
  type WriteSamePacket,
} from '../../wire/index.ts';
import type { FailedIo } from './disks.ts';
import type { RangeLock } from './range-locks.ts';
import { bitsCovered, bitsTouched } from './sender.ts';
import { SoleDisk, soleDisk } from './sole-disk.ts';
import type { Context } from './types.ts';
import type { Backing, Volume } from './volume.ts';

export type PeerWrite = DataPacket | TrimPacket | WriteSamePacket;
type Item = {
  readonly epoch: Epoch;
  readonly volume: Volume;
  readonly packet: PeerWrite;
  lock: RangeLock | undefined;
  granted: boolean;
};
type Epoch = {
  barrier: BarrierId | undefined;
  count: number;
  active: number;
  readonly waiting: Set<Item>;
  readonly volumes: Set<Volume>;
};
const fresh = (): Epoch => ({ barrier: undefined, count: 0, active: 0, waiting: new Set(), volumes: new Set() });

export class Receiver {
  readonly #c: Context;
  #epochs: Epoch[] = [fresh()];
  #flushing = false;
  /** Which connection: what is done for an older one is not acknowledged. */
  #era = 0;

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
  lost(): void {
    this.#era++;
    const old = this.#epochs;
    this.#epochs = [fresh()];
    for (const e of old)
      for (const w of e.waiting) {
        w.volume.counters.ua--;
        if (w.lock !== undefined) w.volume.locks.release(w.lock);
      }
    this.#flushing = false;
    this.#gone.clear();
  }

  write(v: Volume, packet: PeerWrite): void {
    const epoch = this.#epochs.at(-1) as Epoch;
    epoch.count++;
    v.counters.nr += sizeOf(packet);
    v.counters.ua++;
    const offset = packet.sector * 512;
    const end = offset + sizeOf(packet);
    const verdict = this.judge(v, offset, end);
    if (verdict !== undefined) {
      v.counters.ua--;
      this.#ack(v, packet, verdict);
      return;
    }
    const item: Item = { epoch, volume: v, packet, lock: undefined, granted: end === offset };
    epoch.waiting.add(item);
    // Its place among all that overlaps is that of its arrival, also where it has to wait for an earlier epoch.
    if (!item.granted)
      item.lock = v.locks.acquire(offset, end, () => {
        item.granted = true;
        if (item.lock !== undefined) this.#try(item);
      });
    this.#try(item);
  }
  /** Two primaries: what the peer is answered at once where its write collides with one of ours, instead of writing it. */
  judge: (v: Volume, from: number, to: number) => 'P_SUPERSEDED' | 'P_RETRY_WRITE' | undefined = () => undefined;
  barrier(id: BarrierId): void {
    (this.#epochs.at(-1) as Epoch).barrier = id;
    this.#epochs.push(fresh());
    this.#advance();
  }

  #try(item: Item): void {
    if (item.granted && this.#epochs[0] === item.epoch && item.epoch.waiting.delete(item)) this.#start(item);
  }
  #start({ epoch, volume: v, packet: p, lock }: Item): void {
    const era = this.#era;
    const offset = p.sector * 512;
    const length = sizeOf(p);
    epoch.active++;
    epoch.volumes.add(v);
    const { backing } = v;
    const end = (good: boolean): void => {
      v.counters.ua--;
      const sure = (p.flags & DRBD_WRITE_FLAG.maySetInSync) !== 0 && !soleDisk(v);
      if (good && sure && v.backing !== undefined) v.bitmap.clear(bitsCovered(offset, length, v.size * 512));
      else if (!good && v.backing !== undefined) v.bitmap.set(bitsTouched(offset, length));
      if (lock !== undefined) v.locks.release(lock);
      if (era !== this.#era) return;
      const syncing = v.connection !== 'Connected' && v.connection !== 'VerifyS' && v.connection !== 'VerifyT';
      if (!good) this.#ack(v, p, 'P_NEG_ACK');
      else if ((p.flags & DRBD_WRITE_FLAG.sendWriteAck) !== 0)
        this.#ack(v, p, syncing && (p.flags & DRBD_WRITE_FLAG.maySetInSync) !== 0 ? 'P_RS_WRITE_ACK' : 'P_WRITE_ACK');
      epoch.active--;
      this.#advance();
    };
    if (backing === undefined || offset + length > v.size * 512) {
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
    if (!soleDisk(v)) {
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
    const head = this.#epochs[0] as Epoch;
    if (head.barrier === undefined || head.active > 0 || head.waiting.size > 0 || this.#flushing) return;
    if ([...head.volumes].some((v) => this.#gone.has(v))) return;
    const { barrier } = head;
    const era = this.#era;
    this.#flushing = true;
    const volumes = [...head.volumes].filter((v) => v.backing !== undefined && v.config.options.diskFlushes);
    let left = volumes.length;
    const end = (): void => {
      if (era !== this.#era) return;
      this.#flushing = false;
      this.#c.send('meta', { kind: 'P_BARRIER_ACK', volume: 0, barrier, setSize: head.count });
      this.#epochs.shift();
      const next = this.#epochs[0] as Epoch;
      for (const w of [...next.waiting]) this.#try(w);
      this.#advance();
    };
    if (left === 0) {
      end();
      return;
    }
    for (const v of volumes)
      this.#flushOne(v, () => {
        if (--left === 0) end();
      });
  }
  /** Who cannot flush does not say that it has: the peer learns first that the disk is not good any more. */
  #flushOne(v: Volume, then: () => void): void {
    const { backing } = v;
    const era = this.#era;
    this.#c.disk(v.number, 'data', { op: 'flush' }, (result) => {
      if (result !== 0 && backing !== undefined) this.#failed(v, backing, { op: 'flush', offset: 0, length: 0 });
      if (era !== this.#era) return;
      if (!this.#gone.has(v)) return then();
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
