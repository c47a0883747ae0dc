/**
 * Requests and replies of the transmission phase, compact and extended. proto.md, "Transmission". A server on its data
 * path reads fields in place and writes with the `put` functions, which make no object; the codecs stand on them.
 */
import { err, ok, type Result } from '../../base/index.ts';
import { type Short, short } from '../short.ts';
import { NBD_MAGIC } from './constants.ts';
import type { NbdMagicError } from './handshake.ts';

export const REQUEST_BYTES = 28;
export const EXTENDED_REQUEST_BYTES = 32;
export const SIMPLE_REPLY_BYTES = 16;
export const CHUNK_HEADER_BYTES = 20;
export const EXTENDED_CHUNK_HEADER_BYTES = 32;

/** Where a request's fields stand; the length is 32 bits wide in a compact one and 64 in an extended one. */
export const REQUEST_FIELD = { magic: 0, flags: 4, type: 6, cookie: 8, offset: 16, length: 24 } as const;

const view = (b: Uint8Array): DataView => new DataView(b.buffer, b.byteOffset, b.length);

/** A request's header. A write's data follow it. */
export type NbdRequest = {
  readonly extended: boolean;
  readonly flags: number;
  readonly type: number;
  readonly cookie: bigint;
  readonly offset: bigint;
  readonly length: bigint;
};
export function decodeRequest(b: Uint8Array): Result<NbdRequest, Short | NbdMagicError> {
  if (b.length < REQUEST_BYTES) return short(REQUEST_BYTES, b.length);
  const v = view(b);
  const magic = v.getUint32(REQUEST_FIELD.magic);
  const extended = magic === NBD_MAGIC.extendedRequest;
  if (!extended && magic !== NBD_MAGIC.request) return err({ kind: 'magic' });
  if (extended && b.length < EXTENDED_REQUEST_BYTES) return short(EXTENDED_REQUEST_BYTES, b.length);
  return ok({
    extended,
    flags: v.getUint16(REQUEST_FIELD.flags),
    type: v.getUint16(REQUEST_FIELD.type),
    cookie: v.getBigUint64(REQUEST_FIELD.cookie),
    offset: v.getBigUint64(REQUEST_FIELD.offset),
    length: extended ? v.getBigUint64(REQUEST_FIELD.length) : BigInt(v.getUint32(REQUEST_FIELD.length)),
  });
}
export function encodeRequest(r: NbdRequest): Uint8Array {
  const out = new Uint8Array(r.extended ? EXTENDED_REQUEST_BYTES : REQUEST_BYTES);
  const v = view(out);
  v.setUint32(REQUEST_FIELD.magic, r.extended ? NBD_MAGIC.extendedRequest : NBD_MAGIC.request);
  v.setUint16(REQUEST_FIELD.flags, r.flags);
  v.setUint16(REQUEST_FIELD.type, r.type);
  v.setBigUint64(REQUEST_FIELD.cookie, r.cookie);
  v.setBigUint64(REQUEST_FIELD.offset, r.offset);
  if (r.extended) v.setBigUint64(REQUEST_FIELD.length, r.length);
  else v.setUint32(REQUEST_FIELD.length, Number(r.length));
  return out;
}

const HIGH = 0x1_0000_0000;
/** A whole number below 2^53 as a u64. */
export function putU64(v: DataView, at: number, n: number): void {
  v.setUint32(at, Math.floor(n / HIGH));
  v.setUint32(at + 4, n % HIGH);
}
/** A u64; beyond 2^53 it comes out inexact, and no less. */
export const getU64 = (v: DataView, at: number): number => v.getUint32(at) * HIGH + v.getUint32(at + 4);

export function putSimpleReply(v: DataView, at: number, error: number, cookieHigh: number, cookieLow: number): void {
  v.setUint32(at, NBD_MAGIC.simpleReply);
  v.setUint32(at + 4, error);
  v.setUint32(at + 8, cookieHigh);
  v.setUint32(at + 12, cookieLow);
}
/** `length`: of what follows the header. */
export function putChunkHeader(
  v: DataView,
  at: number,
  flags: number,
  type: number,
  cookieHigh: number,
  cookieLow: number,
  length: number,
): void {
  v.setUint32(at, NBD_MAGIC.chunk);
  v.setUint16(at + 4, flags);
  v.setUint16(at + 6, type);
  v.setUint32(at + 8, cookieHigh);
  v.setUint32(at + 12, cookieLow);
  v.setUint32(at + 16, length);
}
/** `offset`: of the request. */
export function putExtendedChunkHeader(
  v: DataView,
  at: number,
  flags: number,
  type: number,
  cookieHigh: number,
  cookieLow: number,
  offset: number,
  length: number,
): void {
  v.setUint32(at, NBD_MAGIC.extendedChunk);
  v.setUint16(at + 4, flags);
  v.setUint16(at + 6, type);
  v.setUint32(at + 8, cookieHigh);
  v.setUint32(at + 12, cookieLow);
  putU64(v, at + 16, offset);
  putU64(v, at + 24, length);
}

/** A reply's header; `length` bytes of payload follow it, and a simple reply to a READ is followed by the data. */
export type NbdReplyHeader =
  | { readonly kind: 'simple'; readonly error: number; readonly cookie: bigint }
  | {
      readonly kind: 'chunk';
      readonly flags: number;
      readonly type: number;
      readonly cookie: bigint;
      readonly length: bigint;
      /** Extended headers only. */
      readonly offset: bigint | undefined;
    };
export function decodeReplyHeader(b: Uint8Array): Result<NbdReplyHeader, Short | NbdMagicError> {
  if (b.length < SIMPLE_REPLY_BYTES) return short(SIMPLE_REPLY_BYTES, b.length);
  const v = view(b);
  const cookie = v.getBigUint64(8);
  switch (v.getUint32(0)) {
    case NBD_MAGIC.simpleReply:
      return ok({ kind: 'simple', error: v.getUint32(4), cookie });
    case NBD_MAGIC.chunk:
      if (b.length < CHUNK_HEADER_BYTES) return short(CHUNK_HEADER_BYTES, b.length);
      return ok({
        kind: 'chunk',
        flags: v.getUint16(4),
        type: v.getUint16(6),
        cookie,
        length: BigInt(v.getUint32(16)),
        offset: undefined,
      });
    case NBD_MAGIC.extendedChunk:
      if (b.length < EXTENDED_CHUNK_HEADER_BYTES) return short(EXTENDED_CHUNK_HEADER_BYTES, b.length);
      return ok({
        kind: 'chunk',
        flags: v.getUint16(4),
        type: v.getUint16(6),
        cookie,
        length: v.getBigUint64(24),
        offset: v.getBigUint64(16),
      });
    default:
      return err({ kind: 'magic' });
  }
}
export function encodeReplyHeader(r: NbdReplyHeader): Uint8Array {
  if (r.kind === 'simple') {
    const out = new Uint8Array(SIMPLE_REPLY_BYTES);
    const v = view(out);
    putSimpleReply(v, 0, r.error, 0, 0);
    v.setBigUint64(8, r.cookie);
    return out;
  }
  if (r.offset === undefined) {
    const out = new Uint8Array(CHUNK_HEADER_BYTES);
    const v = view(out);
    putChunkHeader(v, 0, r.flags, r.type, 0, 0, Number(r.length));
    v.setBigUint64(8, r.cookie);
    return out;
  }
  const out = new Uint8Array(EXTENDED_CHUNK_HEADER_BYTES);
  const v = view(out);
  putExtendedChunkHeader(v, 0, r.flags, r.type, 0, 0, 0, 0);
  v.setBigUint64(8, r.cookie);
  v.setBigUint64(16, r.offset);
  v.setBigUint64(24, r.length);
  return out;
}
