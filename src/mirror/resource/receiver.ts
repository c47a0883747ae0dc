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
import { bitsCovered, bitsTouched } from './sender.ts';
import { SoleDisk, soleDisk } from './sole-disk.ts';
import type { Context } from './types.ts';
import type { Backing, Volume } from './volume.ts';

export type PeerWrite = DataPacket | TrimPacket | WriteSamePacket;
type Epoch = {
  barrier: BarrierId | undefined;
  count: number;
  active: number;
  waiting: { readonly volume: Volume; readonly packet: PeerWrite }[];
  readonly volumes: Set<Volume>;
};
const fresh = (): Epoch => ({ barrier: undefined, count: 0, active: 0, waiting: [], volumes: new Set() });

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
    this.#epochs = [fresh()];
    this.#flushing = false;
    this.#gone.clear();
  }

  write(v: Volume, packet: PeerWrite): void {
    const epoch = this.#epochs.at(-1) as Epoch;
    epoch.count++;
    v.counters.nr += sizeOf(packet);
    v.counters.ua++;
    if (this.#epochs.length > 1) epoch.waiting.push({ volume: v, packet });
    else this.#start(epoch, v, packet);
  }
  barrier(id: BarrierId): void {
    (this.#epochs.at(-1) as Epoch).barrier = id;
    this.#epochs.push(fresh());
    this.#advance();
  }

  #start(epoch: Epoch, v: Volume, p: PeerWrite): void {
    const era = this.#era;
    const offset = p.sector * 512;
    const length = sizeOf(p);
    epoch.active++;
    // Not while it waits: what waits is dropped when the connection is lost, and must not have been told to be here.
    if ((p.flags & DRBD_WRITE_FLAG.sendReceiveAck) !== 0) this.#ack(v, p, 'P_RECV_ACK');
    const end = (good: boolean): void => {
      v.counters.ua--;
      const sure = (p.flags & DRBD_WRITE_FLAG.maySetInSync) !== 0 && !soleDisk(v);
      if (good && sure && v.backing !== undefined) v.bitmap.clear(bitsCovered(offset, length, v.size * 512));
      else if (!good && v.backing !== undefined) v.bitmap.set(bitsTouched(offset, length));
      if (era !== this.#era) return;
      const syncing = v.connection !== 'Connected' && v.connection !== 'VerifyS' && v.connection !== 'VerifyT';
      if (!good) this.#ack(v, p, 'P_NEG_ACK');
      else if ((p.flags & DRBD_WRITE_FLAG.sendWriteAck) !== 0)
        this.#ack(v, p, syncing && (p.flags & DRBD_WRITE_FLAG.maySetInSync) !== 0 ? 'P_RS_WRITE_ACK' : 'P_WRITE_ACK');
      epoch.active--;
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
      const { backing } = v;
      if (backing === undefined) {
        v.locks.release(lock);
        end(false);
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
        v.locks.release(lock);
      };
      const write = (): void => {
        if (v.backing !== backing) {
          v.locks.release(lock);
          end(false);
          return;
        }
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
      };
      if (!soleDisk(v)) return write();
      v.bitmap.set(bitsTouched(offset, length));
      this.#sole.heat(v, offset, length, (given) => {
        cool = given;
        write();
      });
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
    if (head.barrier === undefined || head.active > 0 || head.waiting.length > 0 || this.#flushing) return;
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
      for (const w of next.waiting.splice(0)) this.#start(next, w.volume, w.packet);
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
