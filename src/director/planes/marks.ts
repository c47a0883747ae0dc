/**
 * The marks that planes put on packets and connections: `0xASSSSNNN`, the tag `A`, the number of the service in 16 bits,
 * the number of the server in it in 12.
 */
import { familyOf, type IpAddress, ipBytes, ipFromBytes } from '../../base/index.ts';
import type { Protocol } from '../config.ts';

export const MARK_TAG = 0xa000_0000;
export const MARK_MASK = 0xf000_0000;
/** All bits but the server's number. */
export const SERVICE_MASK = 0xffff_f000;
/** The server's number alone. */
export const SERVER_MASK = 0xfff;
export const MAX_SERVICES = 0x1_0000;
export const MAX_SERVERS = 0x1000;

/**
 * Of a connection that another director told of and that has not come by here: the tag is `B`. Its first packet takes the
 * bit away.
 */
export const TOLD_BIT = 0x1000_0000;
export const TOLD_TAG = (MARK_TAG | TOLD_BIT) >>> 0;
/** All bits but that: under it the marks of a server are one, whoever knows the connection. */
export const UNTOLD_MASK = ~TOLD_BIT >>> 0;

export const serviceMark = (service: number): number => (MARK_TAG | (service << 12)) >>> 0;
export const serverMark = (service: number, server: number): number => (serviceMark(service) | server) >>> 0;
export const isOurMark = (mark: number): boolean => (mark & MARK_MASK) >>> 0 === MARK_TAG;
export const isToldMark = (mark: number): boolean => (mark & MARK_MASK) >>> 0 === TOLD_TAG;
export const serviceOfMark = (mark: number): number => (mark >>> 12) & 0xffff;
export const serverOfMark = (mark: number): number => mark & 0xfff;

export const PROTOCOL_NUMBER: Record<Protocol, number> = { tcp: 6, udp: 17, sctp: 132 };

type Range = { readonly from: IpAddress; readonly to: IpAddress };
const numberOf = (a: IpAddress): bigint => ipBytes(a).reduce((n, b) => (n << 8n) | BigInt(b), 0n);
/** How many addresses a range has. */
export const rangeSize = (r: Range): number => (r.from === r.to ? 1 : Number(numberOf(r.to) - numberOf(r.from)) + 1);
/** All addresses of a range, in order. */
export function* eachAddress(r: Range): Generator<IpAddress> {
  yield r.from;
  if (r.from === r.to) return;
  const last = numberOf(r.to);
  const length = familyOf(r.from) === 4 ? 4 : 16;
  for (let n = numberOf(r.from) + 1n; n <= last; n++) {
    const bytes = new Uint8Array(length);
    for (let i = length - 1, rest = n; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
    yield ipFromBytes(bytes);
  }
}
