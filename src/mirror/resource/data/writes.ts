/** A write of the application on its way, the epochs that writes are sent in, and the packet that the peer is sent. */
import {
  type BarrierId,
  type BlockId,
  type DataPacket,
  DRBD_FEATURE,
  DRBD_WRITE_FLAG,
  type DrbdPacket,
} from '../../../wire/index.ts';
import type { AppRequest } from '../types.ts';
import type { Volume } from '../volume.ts';
import type { RangeLock } from './range-locks.ts';

export type AppWrite = Extract<AppRequest, { readonly op: 'write' | 'zero' }>;
export type Write = {
  readonly id: BlockId;
  readonly volume: Volume;
  readonly request: AppWrite;
  readonly offset: number;
  readonly length: number;
  lock: RangeLock | undefined;
  /** Kept back a resync of its place to this side. */
  fetching: RangeLock | undefined;
  /** Extents of the activity log that it needs, first and last, and how many of them are held. */
  readonly first: number;
  readonly last: number;
  held: number;
  /** Those that are held and were not hot when they were taken. */
  pending: Set<number> | undefined;
  local: 'waits' | 'flies' | 'done' | 'failed';
  /**
   * `none`: the peer does not take part. `lost`: it did, and was lost. While requests are frozen: `kept`, to be sent again;
   * `carried`, it had told to have it, though not on stable storage. `retry`: it collided with one of the peer's.
   */
  peer: 'none' | 'sent' | 'acked' | 'failed' | 'lost' | 'kept' | 'carried' | 'retry';
  /** In which it was sent last. */
  epoch: Epoch | undefined;
  /** The peer has told to have it: in A it counts as acknowledged without. */
  told: boolean;
  /** It did so in a resync: where the own disk has it too, the blocks do not differ any more. */
  equal: boolean;
  sentAt: number;
  completed: boolean;
  durable: boolean;
};
/** `begun`: when its first write was sent; `closed`: when its barrier was. */
export type Epoch = {
  readonly barrier: BarrierId;
  readonly writes: Write[];
  /** Of earlier epochs, also of an earlier connection: durable with this one, in which a flush was sent for them. */
  readonly carried: readonly Write[];
  readonly begun: number;
  /** One of its writes is answered: what is sent from now on may depend on it, so a barrier goes before that. */
  ends: boolean;
  closed: number | undefined;
  /** Writes that the peer refused for one of its own (two primaries). As a kernel that sends them counts, they are none of its. */
  judged: number;
};
export const countOf = (e: Epoch): number => e.writes.length - e.judged + (e.carried.length > 0 ? 1 : 0);
export const isOf = (e: Epoch, v: Volume): boolean => [e.writes, e.carried].some((l) => l.some((w) => w.volume === v));
export type Flush = {
  readonly volume: Volume;
  readonly tag: number;
  epochs: Set<Epoch>;
  local: boolean;
  failed: boolean;
};

const NOTHING = new Uint8Array(0);
/** Zeros go as what the peer knows: before P_ZEROES a P_TRIM had the meaning of both. `features`: those that it has too. */
export function writePacket(
  r: AppWrite,
  block: Pick<DataPacket, 'volume' | 'sector' | 'id' | 'seq' | 'flags'>,
  features: () => number,
): DrbdPacket {
  const { discard, fua, zeroes } = DRBD_WRITE_FLAG;
  if (r.op === 'write') {
    const flags = block.flags | (r.through ? fua : 0);
    return { kind: 'P_DATA', ...block, flags, digest: NOTHING, data: r.bytes };
  }
  const has = features();
  if ((has & DRBD_FEATURE.writeZeroes) !== 0) {
    const flags = block.flags | zeroes | (r.unmap ? discard : 0);
    return { kind: 'P_ZEROES', ...block, flags, size: r.length };
  }
  if ((has & DRBD_FEATURE.trim) !== 0)
    return { kind: 'P_TRIM', ...block, flags: block.flags | discard, size: r.length };
  return { kind: 'P_DATA', ...block, digest: NOTHING, data: new Uint8Array(r.length) };
}
