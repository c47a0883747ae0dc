/** How replies are written, in each of the three dialects: simple, structured, extended. proto.md, "Reply message". */
import {
  CHUNK_HEADER_BYTES,
  EXTENDED_CHUNK_HEADER_BYTES,
  NBD_CHUNK,
  NBD_CHUNK_DONE,
  NBD_COMMAND,
  NBD_COMMAND_FLAG,
  NBD_ERROR,
  NBD_STATE,
  putChunkHeader,
  putExtendedChunkHeader,
  putSimpleReply,
  putU64,
  SIMPLE_REPLY_BYTES,
} from '../wire/index.ts';
import { BASE_ALLOCATION_ID } from './machine.ts';
import type { Outgoing } from './replies.ts';
import type { Slots } from './slots.ts';
import type { ExportBackend } from './types.ts';

/** What the handshake agreed on. */
export type Agreed = { readonly structured: boolean; readonly extended: boolean; readonly allocation: boolean };

/** Extents in one answer, at most; a client asks on behind them. */
const MAX_EXTENTS = 256;

/** Whether a read is answered in one piece, however long it is. */
export const replyBytesAhead = (a: Agreed, flags: number): boolean =>
  !a.structured || (flags & NBD_COMMAND_FLAG.df) !== 0;

function chunk(out: Outgoing, a: Agreed, s: Slots, slot: number, done: boolean, type: number, length: number): void {
  const high = s.cookieHigh[slot] as number;
  const low = s.cookieLow[slot] as number;
  const flags = done ? NBD_CHUNK_DONE : 0;
  if (a.extended) {
    putExtendedChunkHeader(out.view, out.to, flags, type, high, low, s.offset[slot] as number, length);
    out.to += EXTENDED_CHUNK_HEADER_BYTES;
  } else {
    putChunkHeader(out.view, out.to, flags, type, high, low, length);
    out.to += CHUNK_HEADER_BYTES;
  }
}

/** A reply without data: done, or its error. */
export function reply(out: Outgoing, a: Agreed, s: Slots, slot: number): void {
  const error = s.error[slot] as number;
  const type = s.type[slot];
  const chunks = a.extended || (a.structured && (type === NBD_COMMAND.read || type === NBD_COMMAND.blockStatus));
  if (!chunks) {
    putSimpleReply(out.view, out.to, error, s.cookieHigh[slot] as number, s.cookieLow[slot] as number);
    out.to += SIMPLE_REPLY_BYTES;
  } else if (error === NBD_ERROR.none) chunk(out, a, s, slot, true, NBD_CHUNK.none, 0);
  else {
    chunk(out, a, s, slot, true, NBD_CHUNK.error, 6);
    out.view.setUint32(out.to, error);
    out.view.setUint16(out.to + 4, 0);
    out.to += 6;
  }
}

/** The header of `length` bytes of read data. `whole`: they are all of them. */
export function readReply(out: Outgoing, a: Agreed, s: Slots, slot: number, length: number, whole: boolean): void {
  if (!a.structured) {
    putSimpleReply(out.view, out.to, NBD_ERROR.none, s.cookieHigh[slot] as number, s.cookieLow[slot] as number);
    out.to += SIMPLE_REPLY_BYTES;
    return;
  }
  const progress = whole ? 0 : (s.done[slot] as number);
  const last = whole || progress + length >= (s.length[slot] as number);
  chunk(out, a, s, slot, last, NBD_CHUNK.offsetData, 8 + length);
  putU64(out.view, out.to, (s.offset[slot] as number) + progress);
  out.to += 8;
}

/** The allocation of a range: holes read as zeros. */
export function blockStatus(out: Outgoing, a: Agreed, s: Slots, slot: number, backend: ExportBackend): void {
  const offset = s.offset[slot] as number;
  const length = s.length[slot] as number;
  const one = ((s.flags[slot] as number) & NBD_COMMAND_FLAG.reqOne) !== 0;
  const extents = backend.extents(offset, length, one ? 1 : MAX_EXTENTS) ?? [{ length, hole: false }];
  if (a.extended) {
    chunk(out, a, s, slot, true, NBD_CHUNK.extendedBlockStatus, 8 + extents.length * 16);
    out.view.setUint32(out.to, BASE_ALLOCATION_ID);
    out.view.setUint32(out.to + 4, extents.length);
    out.to += 8;
    for (const e of extents) {
      putU64(out.view, out.to, e.length);
      putU64(out.view, out.to + 8, e.hole ? NBD_STATE.hole | NBD_STATE.zero : 0);
      out.to += 16;
    }
    return;
  }
  chunk(out, a, s, slot, true, NBD_CHUNK.blockStatus, 4 + extents.length * 8);
  out.view.setUint32(out.to, BASE_ALLOCATION_ID);
  out.to += 4;
  for (const e of extents) {
    out.view.setUint32(out.to, e.length);
    out.view.setUint32(out.to + 4, e.hole ? NBD_STATE.hole | NBD_STATE.zero : 0);
    out.to += 8;
  }
}
