/** Payloads of structured reply chunks. proto.md, "Structured reply types". */
import { ByteReader, ByteWriter, err, ok, type Result } from '../../base/index.ts';
import { NBD_CHUNK } from './constants.ts';
import type { NbdDataError } from './options.ts';
import { nbdBytes, nbdString } from './strings.ts';

export type NbdExtent = { readonly length: bigint; readonly flags: bigint };
export type NbdChunk =
  | { readonly type: typeof NBD_CHUNK.none }
  | { readonly type: typeof NBD_CHUNK.offsetData; readonly offset: bigint; readonly data: Uint8Array }
  | { readonly type: typeof NBD_CHUNK.offsetHole; readonly offset: bigint; readonly length: number }
  | {
      readonly type: typeof NBD_CHUNK.blockStatus | typeof NBD_CHUNK.extendedBlockStatus;
      readonly context: number;
      readonly extents: readonly NbdExtent[];
    }
  | { readonly type: typeof NBD_CHUNK.error; readonly error: number; readonly message: string }
  | {
      readonly type: typeof NBD_CHUNK.errorOffset;
      readonly error: number;
      readonly message: string;
      readonly offset: bigint;
    };

/** `type`: a chunk type that is not known here. */
export type NbdChunkError = NbdDataError | { readonly kind: 'type'; readonly have: number };

export function decodeChunk(type: number, b: Uint8Array): Result<NbdChunk, NbdChunkError> {
  const r = new ByteReader(b);
  const whole = <T extends NbdChunk>(c: T): Result<T, NbdChunkError> =>
    r.short || r.left > 0 ? err({ kind: 'data' }) : ok(c);
  switch (type) {
    case NBD_CHUNK.none:
      return whole({ type });
    case NBD_CHUNK.offsetData: {
      const offset = r.u64();
      // Without a byte of data it would be no data chunk.
      return r.short || r.left === 0 ? err({ kind: 'data' }) : ok({ type, offset, data: r.rest() });
    }
    case NBD_CHUNK.offsetHole:
      return whole({ type, offset: r.u64(), length: r.u32() });
    case NBD_CHUNK.blockStatus: {
      const context = r.u32();
      const extents: NbdExtent[] = [];
      while (r.left > 0) extents.push({ length: BigInt(r.u32()), flags: BigInt(r.u32()) });
      return whole({ type, context, extents });
    }
    case NBD_CHUNK.extendedBlockStatus: {
      const context = r.u32();
      const count = r.u32();
      if (r.left !== count * 16) return err({ kind: 'data' });
      const extents: NbdExtent[] = [];
      for (let i = 0; i < count; i++) extents.push({ length: r.u64(), flags: r.u64() });
      return whole({ type, context, extents });
    }
    case NBD_CHUNK.error:
    case NBD_CHUNK.errorOffset: {
      const error = r.u32();
      const message = nbdString(r.bytes(r.u16()));
      if (message === undefined) return err({ kind: 'text' });
      return type === NBD_CHUNK.error
        ? whole({ type, error, message })
        : whole({ type, error, message, offset: r.u64() });
    }
    default:
      return err({ kind: 'type', have: type });
  }
}
export function encodeChunk(c: NbdChunk): Uint8Array {
  const w = new ByteWriter();
  switch (c.type) {
    case NBD_CHUNK.none:
      return w.done();
    case NBD_CHUNK.offsetData:
      return w.u64(c.offset).put(c.data).done();
    case NBD_CHUNK.offsetHole:
      return w.u64(c.offset).u32(c.length).done();
    case NBD_CHUNK.blockStatus:
      w.u32(c.context);
      for (const e of c.extents) w.u32(Number(e.length)).u32(Number(e.flags));
      return w.done();
    case NBD_CHUNK.extendedBlockStatus:
      w.u32(c.context).u32(c.extents.length);
      for (const e of c.extents) w.u64(e.length).u64(e.flags);
      return w.done();
    case NBD_CHUNK.error:
    case NBD_CHUNK.errorOffset: {
      const message = nbdBytes(c.message);
      w.u32(c.error).u16(message.length).put(message);
      if (c.type === NBD_CHUNK.errorOffset) w.u64(c.offset);
      return w.done();
    }
  }
}
