/**
 * An undo file: what a side that discards its data held in the blocks that a resync is about to overwrite. A header, then
 * records of blocks, then a record that says that nothing is missing. Big-endian; every piece has its own CRC32C.
 */
import { crc32c, err, ok, type Result } from '../../base/index.ts';
import type { UuidSet } from '../../wire/index.ts';

export const UNDO_HEADER_BYTES = 4096;
export const UNDO_RECORD_BYTES = 32;
/** Data of one record at most. */
export const UNDO_LARGEST = 1 << 18;
const MAGIC = 0x486f_6c64_556e_646fn;
const RECORD = 0x426c_6f63;
const END = 0x446f_6e65;
const VERSION = 1;
const NAME = 255;

export type UndoHeader = {
  readonly volume: number;
  /** The volume's, in bytes. */
  readonly size: bigint;
  /** Milliseconds since the Unix epoch. */
  readonly at: bigint;
  /** Of this side, and of the peer, as they were before the resync. */
  readonly mine: UuidSet;
  readonly peer: UuidSet;
  /** Blocks of 4 KiB that each side had changed since the split, and bytes of their union: what the file holds. */
  readonly changedHere: bigint;
  readonly changedThere: bigint;
  readonly total: bigint;
  /** At most 255 bytes of UTF-8 each. */
  readonly name: string;
  readonly host: string;
  readonly peerHost: string;
};
/** Stands before its data, or at the end of all: `total` bytes in `records` records. */
export type UndoRecord =
  | { readonly kind: 'blocks'; readonly offset: bigint; readonly length: number; readonly crc: number }
  | { readonly kind: 'end'; readonly total: bigint; readonly records: number };
export type UndoError =
  | { readonly kind: 'short'; readonly need: number; readonly have: number }
  | { readonly kind: 'magic' }
  | { readonly kind: 'version'; readonly have: number }
  | { readonly kind: 'crc'; readonly have: number; readonly want: number }
  | { readonly kind: 'length'; readonly have: number }
  | { readonly kind: 'text' };

const AT = { version: 8, crc: 12, volume: 16, numbers: 24, texts: 128 } as const;
const ZERO = new Uint8Array(4);
const SLOT = NAME + 1;
const view = (b: Uint8Array): DataView => new DataView(b.buffer, b.byteOffset, b.byteLength);
/** Over all of it with the field itself as zeros. */
const crcWithout = (b: Uint8Array, at: number): number => {
  const copy = b.slice();
  copy.set(ZERO, at);
  return crc32c(copy);
};
const idsOf = (u: UuidSet): readonly bigint[] => [u.current, u.bitmap, ...u.history];

/** Cut to what a header has room for, between characters. */
export function undoName(s: string): string {
  let cut = s.replaceAll('\0', '').toWellFormed();
  while (Buffer.byteLength(cut) > NAME) cut = [...cut].slice(0, -1).join('');
  return cut;
}
export function encodeUndoHeader(h: UndoHeader): Uint8Array {
  const out = new Uint8Array(UNDO_HEADER_BYTES);
  const v = view(out);
  v.setBigUint64(0, MAGIC);
  v.setUint32(AT.version, VERSION);
  v.setUint32(AT.volume, h.volume);
  const numbers = [h.size, h.at, ...idsOf(h.mine), ...idsOf(h.peer), h.changedHere, h.changedThere, h.total];
  for (const [i, n] of numbers.entries()) v.setBigUint64(AT.numbers + 8 * i, n);
  for (const [i, s] of [h.name, h.host, h.peerHost].entries()) {
    const encoded = Buffer.from(undoName(s));
    out[AT.texts + i * SLOT] = encoded.length;
    out.set(encoded, AT.texts + i * SLOT + 1);
  }
  v.setUint32(AT.crc, crcWithout(out, AT.crc));
  return out;
}
export function decodeUndoHeader(bytes: Uint8Array): Result<UndoHeader, UndoError> {
  if (bytes.length < UNDO_HEADER_BYTES) return err({ kind: 'short', need: UNDO_HEADER_BYTES, have: bytes.length });
  const b = bytes.subarray(0, UNDO_HEADER_BYTES);
  const v = view(b);
  if (v.getBigUint64(0) !== MAGIC) return err({ kind: 'magic' });
  const version = v.getUint32(AT.version);
  if (version !== VERSION) return err({ kind: 'version', have: version });
  const [have, want] = [v.getUint32(AT.crc), crcWithout(b, AT.crc)];
  if (have !== want) return err({ kind: 'crc', have, want });
  const number = (i: number): bigint => v.getBigUint64(AT.numbers + 8 * i);
  const set = (i: number): UuidSet =>
    ({ current: number(i), bitmap: number(i + 1), history: [number(i + 2), number(i + 3)] }) as unknown as UuidSet;
  const texts: string[] = [];
  for (let i = 0; i < 3; i++) {
    const at = AT.texts + i * SLOT;
    const length = b[at] as number;
    try {
      texts.push(
        new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(b.subarray(at + 1, at + 1 + length)),
      );
    } catch {
      return err({ kind: 'text' });
    }
  }
  const [name = '', host = '', peerHost = ''] = texts;
  return ok({
    volume: v.getUint32(AT.volume),
    size: number(0),
    at: number(1),
    mine: set(2),
    peer: set(6),
    changedHere: number(10),
    changedThere: number(11),
    total: number(12),
    name,
    host,
    peerHost,
  });
}

export function encodeUndoRecord(r: UndoRecord): Uint8Array {
  const out = new Uint8Array(UNDO_RECORD_BYTES);
  const v = view(out);
  v.setUint32(0, r.kind === 'blocks' ? RECORD : END);
  v.setUint32(4, r.kind === 'blocks' ? r.length : r.records);
  v.setBigUint64(8, r.kind === 'blocks' ? r.offset : r.total);
  v.setUint32(16, r.kind === 'blocks' ? r.crc : 0);
  v.setUint32(20, crcWithout(out, 20));
  return out;
}
export function decodeUndoRecord(bytes: Uint8Array): Result<UndoRecord, UndoError> {
  if (bytes.length < UNDO_RECORD_BYTES) return err({ kind: 'short', need: UNDO_RECORD_BYTES, have: bytes.length });
  const b = bytes.subarray(0, UNDO_RECORD_BYTES);
  const v = view(b);
  const magic = v.getUint32(0);
  if (magic !== RECORD && magic !== END) return err({ kind: 'magic' });
  const [have, want] = [v.getUint32(20), crcWithout(b, 20)];
  if (have !== want) return err({ kind: 'crc', have, want });
  const [count, long] = [v.getUint32(4), v.getBigUint64(8)];
  if (magic === END) return ok({ kind: 'end', total: long, records: count });
  if (count === 0 || count > UNDO_LARGEST) return err({ kind: 'length', have: count });
  return ok({ kind: 'blocks', offset: long, length: count, crc: v.getUint32(16) });
}
export const undoCodecs = [
  { name: 'undo header', decode: decodeUndoHeader, encode: encodeUndoHeader },
  { name: 'undo record', decode: decodeUndoRecord, encode: encodeUndoRecord },
] as const;
