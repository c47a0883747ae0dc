/** IPv4 (RFC 791): header with options, and the payload behind it. */
import { err, type IpAddress, internetChecksum, ipBytes, ipFromBytes, ok, type Result } from '../base/index.ts';
import { type Short, short } from './short.ts';

export const IP_PROTOCOL = { icmp: 1, tcp: 6, udp: 17, ah: 51, icmpv6: 58, vrrp: 112 } as const;
/** DSCP CS6, internetwork control: what keepalived puts on its VRRP packets (seen on the wire). */
export const TOS_INTERNETWORK_CONTROL = 0xc0;

export type Ipv4Packet = {
  /** DSCP and ECN, one byte. */
  readonly tos: number;
  readonly id: number;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  /** In bytes: a multiple of eight. */
  readonly fragmentOffset: number;
  readonly ttl: number;
  readonly protocol: number;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** Raw options, 0..40 bytes; encoding fills up to a multiple of four with end-of-list. */
  readonly options: Uint8Array;
  /** A view of what the total length covers; link padding is cut off. */
  readonly payload: Uint8Array;
};
export type Ipv4Error =
  | Short
  | { readonly kind: 'version'; readonly have: number }
  /** Header length below 20, or total length below the header's. */
  | { readonly kind: 'length'; readonly header: number; readonly total: number }
  | { readonly kind: 'checksum'; readonly have: number; readonly want: number };

const HEADER = 20;

export function decodeIpv4(b: Uint8Array): Result<Ipv4Packet, Ipv4Error> {
  if (b.length < HEADER) return short(HEADER, b.length);
  const v = new DataView(b.buffer, b.byteOffset, b.length);
  const first = v.getUint8(0);
  if (first >> 4 !== 4) return err({ kind: 'version', have: first >> 4 });
  const header = (first & 0xf) * 4;
  const total = v.getUint16(2);
  if (header < HEADER || total < header) return err({ kind: 'length', header, total });
  if (b.length < total) return short(total, b.length);
  const have = v.getUint16(10);
  // Over a good header the folded sum is zero; what the field should have been is only worked out for the message.
  if (internetChecksum(b.subarray(0, header)) !== 0)
    return err({ kind: 'checksum', have, want: internetChecksum(b.subarray(0, header), 0xffff - have) });
  const fragment = v.getUint16(6);
  return ok({
    tos: v.getUint8(1),
    id: v.getUint16(4),
    dontFragment: (fragment & 0x4000) !== 0,
    moreFragments: (fragment & 0x2000) !== 0,
    fragmentOffset: (fragment & 0x1fff) * 8,
    ttl: v.getUint8(8),
    protocol: v.getUint8(9),
    source: ipFromBytes(b.subarray(12, 16)),
    destination: ipFromBytes(b.subarray(16, 20)),
    options: b.subarray(HEADER, header),
    payload: b.subarray(header, total),
  });
}

/** Total length and checksum are worked out. The whole packet must stay within 65535 bytes, options within 40. */
export function encodeIpv4(p: Ipv4Packet): Uint8Array {
  const header = HEADER + Math.ceil(p.options.length / 4) * 4;
  const out = new Uint8Array(header + p.payload.length);
  if (header > 60 || out.length > 0xffff)
    throw new Error(`bug: an IPv4 packet of ${header} + ${p.payload.length} bytes`);
  const v = new DataView(out.buffer);
  v.setUint8(0, 0x40 | (header / 4));
  v.setUint8(1, p.tos);
  v.setUint16(2, out.length);
  v.setUint16(4, p.id);
  v.setUint16(6, (p.dontFragment ? 0x4000 : 0) | (p.moreFragments ? 0x2000 : 0) | (p.fragmentOffset / 8));
  v.setUint8(8, p.ttl);
  v.setUint8(9, p.protocol);
  out.set(ipBytes(p.source), 12);
  out.set(ipBytes(p.destination), 16);
  out.set(p.options, HEADER);
  v.setUint16(10, internetChecksum(out.subarray(0, header)));
  out.set(p.payload, header);
  return out;
}

/** Gives an encoded packet another identification, in place. The checksum follows by RFC 1624 section 3, equation 3. */
export function renumberIpv4(packet: Uint8Array, id: number): void {
  const v = new DataView(packet.buffer, packet.byteOffset, packet.length);
  let sum = (~v.getUint16(10) & 0xffff) + (~v.getUint16(4) & 0xffff) + id;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  v.setUint16(4, id);
  v.setUint16(10, ~sum & 0xffff);
}
