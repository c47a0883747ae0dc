/** IPv6 (RFC 8200): the fixed header, and a bounded walk over extension headers. */
import { ByteWriter, err, type IpAddress, ipBytes, ipFromBytes, ok, type Result } from '../base/index.ts';
import { IP_PROTOCOL } from './ipv4.ts';
import { type Short, short } from './short.ts';

/** One extension header as it stands: `type` is the number that announced it. */
export type ExtensionHeader = {
  readonly type: number;
  /** What follows its first two bytes (next header, length). */
  readonly body: Uint8Array;
};
export type Ipv6Packet = {
  readonly trafficClass: number;
  /** 20 bits. */
  readonly flowLabel: number;
  readonly hopLimit: number;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly extensions: readonly ExtensionHeader[];
  /** Upper-layer protocol: what the last header announces. Behind a fragment header with an offset, `payload` is a middle piece of it. */
  readonly protocol: number;
  /** A view of what the payload length covers, behind the extension headers. */
  readonly payload: Uint8Array;
};
export type Ipv6Error =
  | Short
  | { readonly kind: 'version'; readonly have: number }
  /** More extension headers than anybody has a use for: a packet made to keep receivers busy. */
  | { readonly kind: 'extensions'; readonly limit: number };

const HEADER = 40;
const MAX_EXTENSIONS = 8;
const EXTENSION = { hopByHop: 0, routing: 43, fragment: 44, destination: 60 } as const;

/** Whole length in bytes of the extension header `type` whose length byte is given; undefined when it is no extension header. */
function extensionLength(type: number, length: number): number | undefined {
  switch (type) {
    case EXTENSION.hopByHop:
    case EXTENSION.routing:
    case EXTENSION.destination:
      return (length + 1) * 8;
    case EXTENSION.fragment:
      return 8;
    case IP_PROTOCOL.ah:
      return (length + 2) * 4; // RFC 4302 section 2.2 counts otherwise
    default:
      return undefined;
  }
}

export function decodeIpv6(b: Uint8Array): Result<Ipv6Packet, Ipv6Error> {
  if (b.length < HEADER) return short(HEADER, b.length);
  const v = new DataView(b.buffer, b.byteOffset, b.length);
  const first = v.getUint32(0);
  if (first >>> 28 !== 6) return err({ kind: 'version', have: first >>> 28 });
  const end = HEADER + v.getUint16(4);
  if (b.length < end) return short(end, b.length);
  const extensions: ExtensionHeader[] = [];
  let protocol = v.getUint8(6);
  let at = HEADER;
  while (extensionLength(protocol, 0) !== undefined) {
    if (extensions.length === MAX_EXTENSIONS) return err({ kind: 'extensions', limit: MAX_EXTENSIONS });
    if (end < at + 8) return short(at + 8, end);
    const length = extensionLength(protocol, v.getUint8(at + 1)) as number;
    if (end < at + length) return short(at + length, end);
    extensions.push({ type: protocol, body: b.subarray(at + 2, at + length) });
    protocol = v.getUint8(at);
    at += length;
  }
  return ok({
    trafficClass: (first >>> 20) & 0xff,
    flowLabel: first & 0xfffff,
    hopLimit: v.getUint8(7),
    source: ipFromBytes(b.subarray(8, 24)),
    destination: ipFromBytes(b.subarray(24, 40)),
    extensions,
    protocol,
    payload: b.subarray(at, end),
  });
}

/** Each extension body must fill its header's unit, as decoding yields it: 8 n + 6 bytes (AH: 4 n + 2). */
export function encodeIpv6(p: Ipv6Packet): Uint8Array {
  const w = new ByteWriter(HEADER + 64 + p.payload.length);
  const next = (i: number): number => p.extensions[i]?.type ?? p.protocol;
  w.u32(((6 << 28) | (p.trafficClass << 20) | p.flowLabel) >>> 0).u16(0);
  w.u8(next(0)).u8(p.hopLimit).put(ipBytes(p.source)).put(ipBytes(p.destination));
  p.extensions.forEach((e, i) => {
    const whole = e.body.length + 2;
    // A fragment header has no length; the byte is reserved and zero (RFC 8200 section 4.5).
    const length = e.type === EXTENSION.fragment ? 0 : e.type === IP_PROTOCOL.ah ? whole / 4 - 2 : whole / 8 - 1;
    w.u8(next(i + 1))
      .u8(length)
      .put(e.body);
  });
  w.put(p.payload);
  if (w.length - HEADER > 0xffff) throw new Error(`bug: an IPv6 payload of ${w.length - HEADER} bytes`);
  w.patchU16(4, w.length - HEADER);
  return w.done();
}
