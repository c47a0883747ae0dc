/** ICMP (RFC 792) and ICMPv6 (RFC 4443): echo, and errors with the packet that caused them. Neighbour discovery is in ndp.ts. */
import { ByteReader, ByteWriter, err, type Family, internetChecksum, ok, type Result } from '../base/index.ts';
import { IP_PROTOCOL } from './ipv4.ts';
import { sumPseudoHeader } from './pseudo.ts';
import { type Short, short } from './short.ts';
import type { TransportPath } from './udp.ts';

/** The common name of an error over both families; the code says more and differs between them. */
export type IcmpErrorName = 'unreachable' | 'too-big' | 'time-exceeded' | 'parameter-problem';
export type IcmpMessage =
  | {
      readonly kind: 'echo-request' | 'echo-reply';
      readonly id: number;
      readonly sequence: number;
      readonly data: Uint8Array;
    }
  | {
      readonly kind: IcmpErrorName;
      readonly code: number;
      /** The four bytes behind the checksum: MTU, pointer, or nothing, by kind. */
      readonly parameter: number;
      /** The beginning of the packet that caused it, from its IP header on. */
      readonly cause: Uint8Array;
    };
export type IcmpError =
  | Short
  | { readonly kind: 'checksum'; readonly have: number; readonly want: number }
  /** A message that this codec does not speak. */
  | { readonly kind: 'type'; readonly have: number };
export type IcmpPath = TransportPath & { readonly family: Family };

const HEADER = 8;
const TYPES: Readonly<Record<Family, readonly (readonly [number, IcmpMessage['kind']])[]>> = {
  4: [
    [0, 'echo-reply'],
    [3, 'unreachable'],
    [8, 'echo-request'],
    [11, 'time-exceeded'],
    [12, 'parameter-problem'],
  ],
  6: [
    [1, 'unreachable'],
    [2, 'too-big'],
    [3, 'time-exceeded'],
    [4, 'parameter-problem'],
    [128, 'echo-request'],
    [129, 'echo-reply'],
  ],
};

/** ICMP's checksum stands alone, ICMPv6's covers the pseudo-header (RFC 4443 section 2.3). */
const icmpChecksumStart = (path: IcmpPath, length: number): number =>
  path.family === 4 ? 0 : sumPseudoHeader(path.source, path.destination, IP_PROTOCOL.icmpv6, length);

export function decodeIcmp(b: Uint8Array, path: IcmpPath): Result<IcmpMessage, IcmpError> {
  if (b.length < HEADER) return short(HEADER, b.length);
  const r = new ByteReader(b);
  const type = r.u8();
  const code = r.u8();
  const have = r.u16();
  const start = icmpChecksumStart(path, b.length);
  if (internetChecksum(b, start) !== 0)
    return err({ kind: 'checksum', have, want: internetChecksum(b, start + 0xffff - have) });
  const kind = TYPES[path.family].find(([t]) => t === type)?.[1];
  switch (kind) {
    case undefined:
      return err({ kind: 'type', have: type });
    case 'echo-request':
    case 'echo-reply':
      return ok({ kind, id: r.u16(), sequence: r.u16(), data: r.rest() });
    default:
      return ok({ kind, code, parameter: r.u32(), cause: r.rest() });
  }
}

/** `too-big` exists in ICMPv6 only: over IPv4 it is `unreachable` with code 4. */
export function encodeIcmp(m: IcmpMessage, path: IcmpPath): Uint8Array {
  const type = TYPES[path.family].find(([, k]) => k === m.kind)?.[0];
  if (type === undefined) throw new Error(`bug: no ${m.kind} in ICMP for IPv${path.family}`);
  const w = new ByteWriter(64);
  if ('data' in m) w.u8(type).u8(0).u16(0).u16(m.id).u16(m.sequence).put(m.data);
  else w.u8(type).u8(m.code).u16(0).u32(m.parameter).put(m.cause);
  const out = w.done();
  const sum = internetChecksum(out, icmpChecksumStart(path, out.length));
  out[2] = sum >> 8;
  out[3] = sum & 0xff;
  return out;
}
