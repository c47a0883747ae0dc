/**
 * Block devices and files, read and written in batches. All requests move data through one page-aligned slab, of which
 * each user reserves its part together with the number of requests that it may have in flight; so memory and queue are
 * bounded from the start. The simulator implements this too.
 */
import type { Bytes, Result } from '../base/index.ts';
import type { HostError } from './ports.ts';

/** A user's part of the queue. */
export type BlockRegion = {
  /** Offset in the slab, page-aligned. */
  readonly at: number;
  readonly bytes: number;
  /** Requests in flight at once, at most. */
  readonly requests: number;
};

export interface BlockQueue {
  /** What serves it, for status: `io_uring`, `fs`. */
  readonly kind: string;
  readonly slab: Uint8Array;
  /** Undefined when slab or queue are used up. */
  reserve(requests: number, bytes: number): BlockRegion | undefined;
  /** Only when none of its requests is in flight. */
  release(region: BlockRegion): void;
  open(path: string, o: BlockOpenOptions): Result<BlockDevice, HostError>;
  /**
   * Hands over what was asked since the last time. Happens by itself at the end of the turn; who calls it earlier may be
   * answered before it returns.
   */
  submit(): void;
  /** Called when a batch of completions was told of: the moment to send what they led to. Returns how to end it. */
  onBatch(run: () => void): () => void;
  /** Only when nothing is in flight. Open devices are closed. */
  close(): void;
}

export type BlockOpenOptions = {
  readonly readOnly: boolean;
  /**
   * Past the page cache. `auto`: block devices always, files where file system and size allow it; a mirror or an export
   * that cached twice would only lose memory, and io_uring hands buffered writes to kernel threads.
   */
  readonly direct: 'auto' | 'yes' | 'no';
  /** Refuses a device that is mounted or held by another (O_EXCL); files are not affected. */
  readonly exclusive?: boolean;
};

/** 0: done; negative: the negative errno. Told exactly once for each request, never before the call that asked returned. */
export type BlockDone = (tag: number, result: number) => void;

/** What WRITE_ZEROES may do: give space back, keep it allocated, or refuse (-EOPNOTSUPP) unless it is faster than writing. */
export type ZeroMode = { readonly keep: boolean; readonly fast: boolean };

/**
 * Tags are the caller's own, any int32, unique among its requests in flight. Requests run in any order beside each other; who
 * wants an order waits for the answer. Offsets and lengths lie within the device, or the answer is -EINVAL.
 */
export interface BlockDevice {
  readonly path: string;
  /** Bytes. Changes only through `refresh`. */
  readonly size: Bytes;
  /** What offsets and lengths must be multiples of: 1 without O_DIRECT. */
  readonly unit: number;
  readonly physicalBlock: number;
  readonly readOnly: boolean;
  readonly rotational: boolean;
  readonly isBlockDevice: boolean;
  readonly direct: boolean;
  /** Set once, before the first request. */
  onDone(done: BlockDone): void;
  read(tag: number, at: number, length: number, offset: number): void;
  /** `through`: on stable storage before the answer (FUA). */
  write(tag: number, at: number, length: number, offset: number, through: boolean): void;
  /** All writes answered before are on stable storage. Once it failed it fails for ever: the kernel tells of a lost write only once. */
  flush(tag: number): void;
  /** A hint: what cannot be discarded stays, and that is no error. */
  discard(tag: number, length: number, offset: number): void;
  zero(tag: number, length: number, offset: number, mode: ZeroMode): void;
  /** Pieces of what is allocated and what is a hole (which reads as zeros), from `offset` on, without gaps; at most `limit`, and perhaps less far than asked. */
  extents(offset: number, length: number, limit: number): readonly BlockExtent[];
  /** Looks at the size again, after the device or file has grown. */
  refresh(): Result<Bytes, HostError>;
  close(): void;
}
export type BlockExtent = { readonly length: number; readonly hole: boolean };
