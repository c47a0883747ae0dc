/** native/uring.c, typed. Negative numbers are negative errno values; misuse throws with a code, as in `../addon.ts`. */
import type { Result } from '../../../base/index.ts';
import type { HostError } from '../../index.ts';
import { loadNative } from '../native.ts';

declare const ring: unique symbol;
export type Ring = { readonly [ring]: true };

/** The operations of a descriptor, as native/uring.c numbers them. */
export const OPERATION = { read: 0, write: 1, writeThrough: 2, sync: 3, punch: 4, zero: 5, discard: 6 } as const;
/** int32 of one descriptor: operation, fd, slab offset, length low, file offset low and high, tag, length high. */
export const DESCRIPTOR_INTS = 8;
/** int32 of one completion: tag, result. */
export const COMPLETION_INTS = 2;
export const PAGE = 4096;

export interface UringAddon {
  pages(bytes: number): ArrayBuffer | number;
  ring(entries: number, slabBytes: number): Ring | number;
  /** Descriptors, completions (twice the entries) and slab, each from a page on. */
  memory(r: Ring): ArrayBuffer;
  submit(r: Ring, n: number): number;
  watch(r: Ring, ready: (n: number) => void): number;
  deferred(r: Ring): boolean;
  /** Bytes of the slab that are locked: whole chunks of 128 KiB, each from its first request on. */
  locked(r: Ring): number;
  close(r: Ring): void;
  geometry(fd: number, out: Float64Array): number;
  seek(fd: number, offset: number, hole: 0 | 1): number;
  allocate(fd: number, operation: number, offset: number, length: number, done: (result: number) => void): number;
}

export const loadUringAddon = (): Result<UringAddon, HostError> => loadNative('uring');
