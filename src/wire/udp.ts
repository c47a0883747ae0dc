/** UDP (RFC 768) over IPv4 and IPv6. */
import { err, type IpAddress, internetChecksum, ok, type Result } from '../base/index.ts';
import { IP_PROTOCOL } from './ipv4.ts';
import { sumPseudoHeader } from './pseudo.ts';
import { type Short, short } from './short.ts';

export type UdpDatagram = {
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** A view of what the length field covers. */
  readonly payload: Uint8Array;
};
export type UdpError =
  | Short
  /** The length field is below the header's eight bytes. */
  | { readonly kind: 'length'; readonly have: number }
  | { readonly kind: 'checksum'; readonly have: number; readonly want: number };
/** The addresses of the IP header in front, which the checksum covers. */
export type TransportPath = { readonly source: IpAddress; readonly destination: IpAddress };

const HEADER = 8;

/** A checksum field of 0 means "none" and passes over IPv4 only (RFC 8200 section 8.1). */
export function decodeUdp(b: Uint8Array, path: TransportPath): Result<UdpDatagram, UdpError> {
  if (b.length < HEADER) return short(HEADER, b.length);
  const v = new DataView(b.buffer, b.byteOffset, b.length);
  const length = v.getUint16(4);
  if (length < HEADER) return err({ kind: 'length', have: length });
  if (b.length < length) return short(length, b.length);
  const datagram = b.subarray(0, length);
  const have = v.getUint16(6);
  const none = have === 0 && !path.source.includes(':');
  if (!none) {
    const start = sumPseudoHeader(path.source, path.destination, IP_PROTOCOL.udp, length);
    if (have === 0 || internetChecksum(datagram, start) !== 0) {
      const want = internetChecksum(datagram, start + 0xffff - have);
      return err({ kind: 'checksum', have, want: want === 0 ? 0xffff : want });
    }
  }
  return ok({ sourcePort: v.getUint16(0), destinationPort: v.getUint16(2), payload: datagram.subarray(HEADER) });
}

/** Header, payload and checksum; at most 65527 bytes of payload. */
export function encodeUdp(d: UdpDatagram, path: TransportPath): Uint8Array {
  const out = new Uint8Array(HEADER + d.payload.length);
  if (out.length > 0xffff) throw new Error(`bug: a UDP payload of ${d.payload.length} bytes`);
  const v = new DataView(out.buffer);
  v.setUint16(0, d.sourcePort);
  v.setUint16(2, d.destinationPort);
  v.setUint16(4, out.length);
  out.set(d.payload, HEADER);
  const sum = internetChecksum(out, sumPseudoHeader(path.source, path.destination, IP_PROTOCOL.udp, out.length));
  v.setUint16(6, sum === 0 ? 0xffff : sum); // 0 would say "none"
  return out;
}
