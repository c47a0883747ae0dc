/** What an export is, and what it wants of that which stands behind it. */
import type { Bytes, Text } from '../base/index.ts';

/** Told exactly once for each request, never before the call that asked returned. 0, or a negative errno of Linux. */
export type BackendDone = (tag: number, result: number) => void;

export type BackendExtent = { readonly length: number; readonly hole: boolean };

/**
 * What stands behind an export: a file, a device, or a mirror. The server has checked offsets, lengths, alignment to `unit`
 * and read-only before it asks. Data move through the slab of the block queue that the server was given: `at` is an offset
 * in it, and belongs to the backend until it has answered.
 *
 * Tags are the server's slot numbers, unique among its requests in flight. Requests run in any order; a flush covers
 * every write that was answered before it was asked, whichever connection that came from.
 */
export interface ExportBackend {
  /** Bytes; may change, and then `onResize` is told. */
  readonly size: Bytes;
  /** Offsets and lengths must be multiples of it; a power of two, at most 65536. */
  readonly unit: number;
  readonly preferredBlock: number;
  readonly readOnly: boolean;
  readonly rotational: boolean;
  /** Discarded space may be given back. */
  readonly canTrim: boolean;
  /** Reading ahead makes later reads faster. */
  readonly canCache: boolean;
  /** Flush covers the writes of all connections, also after a fail-over. */
  readonly canMultiConn: boolean;
  /** Set by the server before the first request. */
  onDone(done: BackendDone): void;
  onResize(changed: () => void): void;
  read(tag: number, at: number, length: number, offset: number): void;
  write(tag: number, at: number, length: number, offset: number, through: boolean): void;
  flush(tag: number): void;
  trim(tag: number, length: number, offset: number): void;
  zero(tag: number, length: number, offset: number, mode: { readonly keep: boolean; readonly fast: boolean }): void;
  /** From `offset` on without gaps, at most `limit` pieces, perhaps less far than asked; undefined where nothing is known. */
  extents(offset: number, length: number, limit: number): readonly BackendExtent[] | undefined;
  /** Hands over what was asked; may answer before it returns. At the end of a turn it happens by itself. */
  submit(): void;
}

export type Export = {
  readonly name: string;
  readonly description: string;
  /** More than the backend demands: nobody writes through this export. */
  readonly readOnly: boolean;
  readonly backend: ExportBackend;
  /** Names of client certificates (subject common names) that may use it; undefined: everybody who gets this far. */
  readonly clients: readonly string[] | undefined;
  /** Why nobody may use it now, asked at each handshake: NBD carries the English words to the client. */
  readonly refuses?: () => Text | undefined;
};

/** none: never. selective: who asks gets it. forced: nothing but STARTTLS and ABORT before it. */
export type TlsMode = 'none' | 'selective' | 'forced';

export const MAX_BLOCK = 32 * 1024 * 1024;
