/** The frames of the handshake: greeting, options, replies to options. proto.md, "Fixed newstyle negotiation". */
import { ByteWriter, err, ok, type Result } from '../../base/index.ts';
import { type Short, short } from '../short.ts';
import { NBD_MAGIC } from './constants.ts';

export type NbdMagicError = { readonly kind: 'magic' };
export type NbdLengthError = { readonly kind: 'length'; readonly need: number; readonly have: number };
export type NbdFrameError = Short | NbdMagicError | NbdLengthError;

export const GREETING_BYTES = 18;
export const CLIENT_FLAGS_BYTES = 4;
export const OPTION_HEADER_BYTES = 16;
export const OPTION_REPLY_HEADER_BYTES = 20;

const view = (b: Uint8Array): DataView => new DataView(b.buffer, b.byteOffset, b.length);

/** The first bytes of a newstyle server: its handshake flags. */
export type NbdGreeting = { readonly flags: number };
export function decodeGreeting(b: Uint8Array): Result<NbdGreeting, NbdFrameError> {
  if (b.length < GREETING_BYTES) return short(GREETING_BYTES, b.length);
  const v = view(b);
  if (v.getBigUint64(0) !== NBD_MAGIC.greeting || v.getBigUint64(8) !== NBD_MAGIC.option) return err({ kind: 'magic' });
  return ok({ flags: v.getUint16(16) });
}
export function encodeGreeting(g: NbdGreeting): Uint8Array {
  return new ByteWriter(GREETING_BYTES).u64(NBD_MAGIC.greeting).u64(NBD_MAGIC.option).u16(g.flags).done();
}

/** What a header announces, before its data are there. */
export type NbdOptionHeader = { readonly option: number; readonly length: number };
export function decodeOptionHeader(b: Uint8Array): Result<NbdOptionHeader, NbdFrameError> {
  if (b.length < OPTION_HEADER_BYTES) return short(OPTION_HEADER_BYTES, b.length);
  const v = view(b);
  if (v.getBigUint64(0) !== NBD_MAGIC.option) return err({ kind: 'magic' });
  return ok({ option: v.getUint32(8), length: v.getUint32(12) });
}
export type NbdOptionFrame = { readonly option: number; readonly data: Uint8Array };
export function decodeOption(b: Uint8Array): Result<NbdOptionFrame, NbdFrameError> {
  const h = decodeOptionHeader(b);
  if (!h.ok) return h;
  const have = b.length - OPTION_HEADER_BYTES;
  if (have !== h.value.length) return err({ kind: 'length', need: h.value.length, have });
  return ok({ option: h.value.option, data: b.subarray(OPTION_HEADER_BYTES) });
}
export function encodeOption(o: NbdOptionFrame): Uint8Array {
  return new ByteWriter(OPTION_HEADER_BYTES + o.data.length)
    .u64(NBD_MAGIC.option)
    .u32(o.option)
    .u32(o.data.length)
    .put(o.data)
    .done();
}

export type NbdOptionReply = { readonly option: number; readonly type: number; readonly data: Uint8Array };
export function decodeOptionReply(b: Uint8Array): Result<NbdOptionReply, NbdFrameError> {
  if (b.length < OPTION_REPLY_HEADER_BYTES) return short(OPTION_REPLY_HEADER_BYTES, b.length);
  const v = view(b);
  if (v.getBigUint64(0) !== NBD_MAGIC.optionReply) return err({ kind: 'magic' });
  const need = v.getUint32(16);
  const have = b.length - OPTION_REPLY_HEADER_BYTES;
  if (have !== need) return err({ kind: 'length', need, have });
  return ok({ option: v.getUint32(8), type: v.getUint32(12), data: b.subarray(OPTION_REPLY_HEADER_BYTES) });
}
export function encodeOptionReply(r: NbdOptionReply): Uint8Array {
  return new ByteWriter(OPTION_REPLY_HEADER_BYTES + r.data.length)
    .u64(NBD_MAGIC.optionReply)
    .u32(r.option)
    .u32(r.type)
    .u32(r.data.length)
    .put(r.data)
    .done();
}
