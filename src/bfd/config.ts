/** What an operator says of one BFD session: keepalived's `bfd_instance`. Ranges are checked by whoever reads the file. */
import { type Family, type IpAddress, type Microseconds, us } from '../base/index.ts';

export type BfdInstance = {
  readonly name: string;
  /** `neighbor_ip` */
  readonly neighbour: IpAddress;
  /** `source_ip`; undefined: the kernel chooses. */
  readonly source: IpAddress | undefined;
  /** Shortest gap between received packets that we can follow. */
  readonly minRx: Microseconds;
  /** Gap between our packets while the session is up, unless the neighbour asks for more. */
  readonly minTx: Microseconds;
  /** The same while it is not up; at least one second (RFC 5880 section 6.8.3). */
  readonly idleTx: Microseconds;
  /** So many missing packets are a silence, 1..255. */
  readonly multiplier: number;
  /** Says nothing until the neighbour has spoken. */
  readonly passive: boolean;
  /** TTL or hop limit to send with, and that the neighbour is taken to send with, 1..255. */
  readonly ttl: number;
  /** How much lower than `ttl` a received one may be; -1 and 255 switch the check off. */
  readonly maxHops: number;
  /** Port 4784 (RFC 5883) in place of 3784. */
  readonly multihop: boolean;
  /** What a tracker adds to or takes from a priority, unless it says otherwise: -253..253. */
  readonly weight: number;
  /** The weight counts the other way round: `weight N reverse`. */
  readonly weightReverse: boolean;
  /** Whether virtual routers, and whether health checkers, are told; both unless only one is named. */
  readonly tells: { readonly vrrp: boolean; readonly checkers: boolean };
};

/**
 * What keepalived sends with when nothing is said: RFC 5881's 255 over IPv4, but the kernel's 64 over IPv6 (seen on the
 * wire of 2.2.7). A neighbour of ours is a keepalived as often as not, so this is our default too.
 */
export const BFD_DEFAULT_TTL: Readonly<Record<Family, number>> = { 4: 255, 6: 64 };

/** keepalived's defaults; the address has none, and the TTL's depends on its family. */
export const BFD_DEFAULTS = {
  source: undefined,
  minRx: us(10_000),
  minTx: us(10_000),
  idleTx: us(1_000_000),
  multiplier: 5,
  passive: false,
  maxHops: 0,
  multihop: false,
  weight: 0,
  weightReverse: false,
  tells: { vrrp: true, checkers: true },
} as const satisfies Omit<BfdInstance, 'name' | 'neighbour' | 'ttl'>;

/** Whether two instances are one session: such a session goes on when the rest of its configuration changes. */
export const sameSession = (a: BfdInstance, b: BfdInstance): boolean =>
  a.neighbour === b.neighbour && a.source === b.source && a.multihop === b.multihop && a.ttl === b.ttl;
