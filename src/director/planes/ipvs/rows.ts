/** What the kernel's table holds, for status, metrics and the look-alike of `ipvsadm -Ln`. */
import { type Family, hostLength, type IpAddress } from '../../../base/index.ts';
import { IPVS_FLAG, type IpvsForward, type IpvsService, type IpvsStats } from '../../../wire/index.ts';
import type { Protocol } from '../../config.ts';
import type { IpvsPool } from './actual.ts';
import { schedulerFlags } from './describe.ts';

/** Since the counters were zeroed, and the kernel's estimates per second. */
export type LvsCounters = {
  readonly connections: number;
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly connectionRate: number;
  readonly packetRateIn: number;
  readonly packetRateOut: number;
  readonly byteRateIn: number;
  readonly byteRateOut: number;
};
export type LvsServerRow = {
  readonly address: IpAddress;
  readonly port: number;
  readonly forward: IpvsForward;
  readonly weight: number;
  readonly active: number;
  readonly inactive: number;
  readonly counters: LvsCounters;
};
export type LvsServiceRow = {
  readonly match:
    | { readonly by: 'address'; readonly protocol: Protocol; readonly address: IpAddress; readonly port: number }
    | { readonly by: 'fwmark'; readonly mark: number; readonly family: Family };
  readonly scheduler: string;
  readonly flags: readonly string[];
  readonly onePacket: boolean;
  readonly persistence?: {
    readonly seconds: number;
    /** Prefix length; absent: the whole address. */
    readonly granularity?: number;
    readonly engine?: string;
  };
  readonly servers: readonly LvsServerRow[];
  readonly counters: LvsCounters;
};

const PROTOCOL: Readonly<Record<number, Protocol>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };
const NOTHING: IpvsStats = {
  connections: 0n,
  packetsIn: 0n,
  packetsOut: 0n,
  bytesIn: 0n,
  bytesOut: 0n,
  connectionRate: 0n,
  packetRateIn: 0n,
  packetRateOut: 0n,
  byteRateIn: 0n,
  byteRateOut: 0n,
};
export const countersOf = (s: IpvsStats = NOTHING): LvsCounters =>
  Object.fromEntries(Object.entries(s).map(([name, n]) => [name, Number(n)])) as LvsCounters;

/** The number of leading ones of an IPv4 mask. */
const prefixOf = (mask: number): number => Math.clz32(~mask);

function persistenceOf(s: IpvsService, family: Family): Pick<LvsServiceRow, 'persistence'> {
  if ((s.flags & IPVS_FLAG.persistent) === 0) return {};
  const length = family === 4 ? prefixOf(s.netmask) : s.netmask;
  return {
    persistence: {
      seconds: s.timeout,
      ...(length < hostLength(family) && { granularity: length }),
      ...(s.engine !== undefined && { engine: s.engine }),
    },
  };
}

/** Undefined for a protocol that has no name here. */
export function rowOf({ service, servers }: IpvsPool): LvsServiceRow | undefined {
  const i = service.identity;
  const protocol = i.by === 'address' ? PROTOCOL[i.protocol] : undefined;
  if (i.by === 'address' && protocol === undefined) return undefined;
  const family = i.by === 'fwmark' ? i.family : i.address.includes(':') ? 6 : 4;
  return {
    match: i.by === 'fwmark' ? i : { by: 'address', protocol: protocol as Protocol, address: i.address, port: i.port },
    scheduler: service.scheduler,
    flags: schedulerFlags(service),
    onePacket: (service.flags & IPVS_FLAG.onePacket) !== 0,
    ...persistenceOf(service, family),
    servers: servers.map((d) => ({
      address: d.address,
      port: d.port,
      forward: d.forward,
      weight: d.weight,
      active: d.counts?.active ?? 0,
      inactive: d.counts?.inactive ?? 0,
      counters: countersOf(d.stats),
    })),
    counters: countersOf(service.stats),
  };
}
