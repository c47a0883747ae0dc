/** What a service takes, address by address: common to planes whose kernel tables know no ranges. */
import { type Family, familyOf, type IpAddress, ipBytes, ipFromBytes } from '../../base/index.ts';
import type { Protocol } from '../config.ts';
import type { ServiceMatch } from '../types.ts';

export const PROTOCOL_NUMBER: Record<Protocol, number> = { tcp: 6, udp: 17, sctp: 132 };

type Range = { readonly from: IpAddress; readonly to: IpAddress };
const numberOf = (a: IpAddress): bigint => ipBytes(a).reduce((n, b) => (n << 8n) | BigInt(b), 0n);
/** How many addresses a range has. */
export const rangeSize = (r: Range): number => (r.from === r.to ? 1 : Number(numberOf(r.to) - numberOf(r.from)) + 1);
/** All addresses of a range, in order. */
function* eachAddress(r: Range): Generator<IpAddress> {
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
export const familyOfMatch = (m: ServiceMatch): Family =>
  m.by === 'fwmark' ? m.family : familyOf(m.ranges[0]?.from ?? NOWHERE);
const NOWHERE = '0.0.0.0' as IpAddress;

/** `port` 0: every port. */
export type Listening = { readonly address: IpAddress; readonly protocol: number; readonly port: number };
/** At which addresses and ports; at none where a firewall mark chooses. */
export function listens(m: ServiceMatch): readonly Listening[] {
  if (m.by !== 'address') return [];
  const { protocol, port, ranges } = m;
  return ranges.flatMap((r) =>
    [...eachAddress(r)].map((address) => ({ address, protocol: PROTOCOL_NUMBER[protocol], port })),
  );
}
