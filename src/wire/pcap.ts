/**
 * Capture files. Reads classic pcap (libpcap's savefile, draft-ietf-opsawg-pcap), both byte orders, micro- and
 * nanoseconds, and pcapng (draft-ietf-opsawg-pcapng: section, interface, enhanced, simple and obsolete packet blocks);
 * writes classic pcap with microseconds.
 */
import { ByteWriter, err, type Microseconds, ok, type Result, us } from '../base/index.ts';
import { type Short, short } from './short.ts';

/** LINKTYPE_*: Ethernet, raw IP, Linux cooked. */
export const LINK_TYPE = { ethernet: 1, raw: 101, cooked: 113 } as const;

export type CapturedPacket = {
  /** Since the Unix epoch; parts of a microsecond are dropped. */
  readonly at: Microseconds;
  readonly linkType: number;
  /** Bytes it had on the wire; more than `bytes` when it was cut. */
  readonly wireLength: number;
  /** A view into the file. */
  readonly bytes: Uint8Array;
};
export type Capture = {
  readonly packets: readonly CapturedPacket[];
  /** The file ends in the middle of a record, as one that is still being written does: what was whole is in `packets`. */
  readonly truncated: boolean;
};
export type PcapError =
  | Short
  | { readonly kind: 'magic'; readonly have: number }
  | { readonly kind: 'version'; readonly major: number; readonly minor: number }
  /** A record or block whose length cannot be. */
  | { readonly kind: 'record'; readonly at: number; readonly length: number }
  /** A packet of an interface that no block described. */
  | { readonly kind: 'interface'; readonly at: number; readonly have: number };

const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const MAGIC_NANOSECONDS = 0xa1b23c4d;
const MAGIC_SECTION = 0x0a0d0d0a;
const BYTE_ORDER = 0x1a2b3c4d;
/** libpcap's MAXIMUM_SNAPLEN: nothing longer is a packet. */
const MAX_PACKET = 262144;
const FILE_HEADER = 24;
const RECORD_HEADER = 16;

export function decodePcap(b: Uint8Array): Result<Capture, PcapError> {
  if (b.length < 12) return short(12, b.length);
  const v = new DataView(b.buffer, b.byteOffset, b.length);
  const magic = v.getUint32(0);
  if (magic === MAGIC_SECTION) return decodePcapng(b, v);
  for (const little of [false, true]) {
    const m = v.getUint32(0, little);
    if (m === MAGIC_MICROSECONDS || m === MAGIC_NANOSECONDS)
      return decodeClassic(b, v, little, m === MAGIC_NANOSECONDS);
  }
  return err({ kind: 'magic', have: magic });
}

function decodeClassic(b: Uint8Array, v: DataView, little: boolean, nano: boolean): Result<Capture, PcapError> {
  if (b.length < FILE_HEADER) return short(FILE_HEADER, b.length);
  const major = v.getUint16(4, little);
  const minor = v.getUint16(6, little);
  if (major !== 2) return err({ kind: 'version', major, minor });
  const linkType = v.getUint32(20, little) & 0xffff; // above: length of the frame check sequence
  const packets: CapturedPacket[] = [];
  let at = FILE_HEADER;
  while (at + RECORD_HEADER <= b.length) {
    const length = v.getUint32(at + 8, little);
    if (length > MAX_PACKET) return err({ kind: 'record', at, length });
    const end = at + RECORD_HEADER + length;
    if (end > b.length) break;
    const fraction = v.getUint32(at + 4, little);
    packets.push({
      at: us(v.getUint32(at, little) * 1_000_000 + (nano ? Math.floor(fraction / 1000) : fraction)),
      linkType,
      wireLength: v.getUint32(at + 12, little),
      bytes: b.subarray(at + RECORD_HEADER, end),
    });
    at = end;
  }
  return ok({ packets, truncated: at !== b.length });
}

type Interface = { readonly linkType: number; readonly snapLength: number; readonly ticksPerSecond: number };
const BLOCK = { interface: 1, packet: 2, simple: 3, enhanced: 6 } as const;

function decodePcapng(b: Uint8Array, v: DataView): Result<Capture, PcapError> {
  const packets: CapturedPacket[] = [];
  let interfaces: Interface[] = [];
  let little = false;
  let at = 0;
  while (at + 12 <= b.length) {
    if (v.getUint32(at) === MAGIC_SECTION) {
      // The same number in both byte orders, on purpose; the next one tells them apart.
      little = v.getUint32(at + 8, true) === BYTE_ORDER;
      if (!little && v.getUint32(at + 8) !== BYTE_ORDER) return err({ kind: 'magic', have: v.getUint32(at + 8) });
      if (at + 16 > b.length) break;
      const major = v.getUint16(at + 12, little);
      if (major !== 1) return err({ kind: 'version', major, minor: v.getUint16(at + 14, little) });
      interfaces = [];
    }
    const type = v.getUint32(at, little);
    const length = v.getUint32(at + 4, little);
    if (length < 12 || length % 4 !== 0) return err({ kind: 'record', at, length });
    if (at + length > b.length) break;
    const body = at + 8;
    const end = at + length - 4; // the length stands again at the end
    if (type === BLOCK.interface) {
      if (end < body + 8) return err({ kind: 'record', at, length });
      interfaces.push({
        linkType: v.getUint16(body, little),
        snapLength: v.getUint32(body + 4, little),
        ticksPerSecond: timestampResolution(v, body + 8, end, little),
      });
    } else if (type === BLOCK.enhanced || type === BLOCK.packet) {
      if (end < body + 20) return err({ kind: 'record', at, length });
      const index = type === BLOCK.enhanced ? v.getUint32(body, little) : v.getUint16(body, little);
      const from = interfaces[index];
      if (!from) return err({ kind: 'interface', at, have: index });
      const captured = v.getUint32(body + 12, little);
      if (captured > end - body - 20) return err({ kind: 'record', at, length: captured });
      const ticks = v.getUint32(body + 4, little) * 0x1_0000_0000 + v.getUint32(body + 8, little);
      packets.push({
        at: us(Math.floor((ticks / from.ticksPerSecond) * 1_000_000)),
        linkType: from.linkType,
        wireLength: v.getUint32(body + 16, little),
        bytes: b.subarray(body + 20, body + 20 + captured),
      });
    } else if (type === BLOCK.simple) {
      const from = interfaces[0];
      if (!from) return err({ kind: 'interface', at, have: 0 });
      if (end < body + 4) return err({ kind: 'record', at, length });
      const wireLength = v.getUint32(body, little);
      const captured = Math.min(wireLength, from.snapLength === 0 ? wireLength : from.snapLength, end - body - 4);
      const bytes = b.subarray(body + 4, body + 4 + captured);
      packets.push({ at: us(0), linkType: from.linkType, wireLength, bytes });
    }
    at += length;
  }
  return ok({ packets, truncated: at !== b.length });
}

/** Option if_tsresol (9) among an interface's options: a power of ten, or of two with the high bit; a million by default. */
function timestampResolution(v: DataView, start: number, end: number, little: boolean): number {
  for (let at = start; at + 4 <= end; ) {
    const code = v.getUint16(at, little);
    const length = v.getUint16(at + 2, little);
    if (code === 0) break;
    if (code === 9 && length >= 1 && at + 5 <= end) {
      const r = v.getUint8(at + 4);
      return r & 0x80 ? 2 ** (r & 0x7f) : 10 ** r;
    }
    at += 4 + Math.ceil(length / 4) * 4;
  }
  return 1_000_000;
}

/** What stands at the head of a classic file, written before its first packet. One file has one link type. */
function encodePcapHeader(linkType: number): Uint8Array {
  const w = new ByteWriter(FILE_HEADER).u32(MAGIC_MICROSECONDS).u16(2).u16(4);
  return w.zeros(8).u32(MAX_PACKET).u32(linkType).done();
}

/** One record, to be appended to a file: captures are written as they happen. */
function encodePcapRecord(p: Omit<CapturedPacket, 'linkType'>): Uint8Array {
  return new ByteWriter(RECORD_HEADER + p.bytes.length)
    .u32(Math.floor(p.at / 1_000_000))
    .u32(p.at % 1_000_000)
    .u32(p.bytes.length)
    .u32(p.wireLength)
    .put(p.bytes)
    .done();
}

/** A whole classic file; its link type is that of the first packet, Ethernet when there is none. */
export function encodePcap(c: { readonly packets: readonly CapturedPacket[] }): Uint8Array {
  const w = new ByteWriter(4096).put(encodePcapHeader(c.packets[0]?.linkType ?? LINK_TYPE.ethernet));
  for (const p of c.packets) w.put(encodePcapRecord(p));
  return w.done();
}
