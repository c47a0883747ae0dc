/** What a pool wants, in the kernel's terms; and what IPVS cannot carry, whatever the kernel. */
import {
  type Family,
  familyOf,
  hostLength,
  type IpAddress,
  ipBytes,
  ipFromBytes,
  type Text,
  text,
  unreachable,
} from '../../../base/index.ts';
import {
  IPVS_FLAG,
  type IpvsDaemon,
  type IpvsDestination,
  type IpvsIdentity,
  type IpvsService,
} from '../../../wire/index.ts';
import type { Forwarding, Protocol, SchedulerFlag } from '../../config.ts';
import type { Refusal, ServiceMatch, WantedServer, WantedService, WantedSync } from '../../types.ts';
import { familyOfMatch } from '../matches.ts';
import type { IpvsPool } from './actual.ts';

const PROTOCOL: Record<Protocol, number> = { tcp: 6, udp: 17, sctp: 132 };
const SCHEDULER_FLAG: Record<SchedulerFlag, number> = {
  'flag-1': IPVS_FLAG.scheduler1,
  'flag-2': IPVS_FLAG.scheduler2,
  'flag-3': IPVS_FLAG.scheduler3,
  'sh-fallback': IPVS_FLAG.scheduler1,
  'sh-port': IPVS_FLAG.scheduler2,
  'mh-fallback': IPVS_FLAG.scheduler1,
  'mh-port': IPVS_FLAG.scheduler2,
};
const CHECKSUM = { none: 0, full: 1, remote: 2 } as const;
/** The kernel has a service for each address; a group with more is for a plane that knows ranges. */
const MOST_ADDRESSES = 65_536;
const GUE_PORT = 6080;

/** One service of the kernel for each address. */
export function poolsOf(s: WantedService): IpvsPool[] {
  const family = familyOfMatch(s.match);
  const servers = s.servers.map(destination);
  const { persistence } = s;
  const about: Omit<IpvsService, 'identity'> = {
    scheduler: s.scheduler,
    flags:
      (persistence === undefined ? 0 : IPVS_FLAG.persistent) |
      (s.onePacket ? IPVS_FLAG.onePacket : 0) |
      s.flags.reduce((n, f) => n | SCHEDULER_FLAG[f], 0),
    timeout: persistence?.seconds ?? 0,
    netmask: netmask(family, persistence?.granularity ?? hostLength(family)),
    ...(persistence?.engine !== undefined && { engine: persistence.engine }),
  };
  return identities(s.match).map((identity) => ({ service: { identity, ...about }, servers }));
}
export const netmask = (family: Family, length: number): number =>
  family === 6 ? length : length === 0 ? 0 : (0xffff_ffff << (32 - length)) >>> 0;

function identities(m: ServiceMatch): IpvsIdentity[] {
  if (m.by === 'fwmark') return [m];
  const protocol = PROTOCOL[m.protocol];
  return m.ranges.flatMap((r) =>
    [...addresses(r.from, r.to)].map((address) => ({ by: 'address', protocol, address, port: m.port }) as const),
  );
}
const number = (a: IpAddress): bigint => ipBytes(a).reduce((n, b) => (n << 8n) | BigInt(b), 0n);
function* addresses(from: IpAddress, to: IpAddress): Generator<IpAddress> {
  const length = hostLength(familyOf(from)) / 8;
  const last = number(to);
  for (let n = number(from); n <= last; n++)
    yield ipFromBytes(Uint8Array.from({ length }, (_, i) => Number((n >> BigInt((length - 1 - i) * 8)) & 0xffn)));
}

function destination(s: WantedServer): IpvsDestination {
  return {
    address: s.address,
    port: s.port,
    ...forward(s.forwarding),
    weight: s.weight,
    upperThreshold: s.upperThreshold ?? 0,
    lowerThreshold: s.lowerThreshold ?? 0,
  };
}
function forward(f: Forwarding): Pick<IpvsDestination, 'forward' | 'tunnel'> {
  switch (f.method) {
    case 'nat':
    case 'direct-routing':
      return { forward: f.method, tunnel: { type: 'ipip', port: 0, flags: 0 } };
    case 'tunnel':
      return {
        forward: 'tunnel',
        tunnel: {
          type: f.type,
          port: f.type === 'gue' ? (f.port ?? GUE_PORT) : 0,
          flags: f.type === 'ipip' ? 0 : CHECKSUM[f.checksum],
        },
      };
    default:
      return unreachable(f);
  }
}

/** A daemon in the kernel's terms; 0 where the kernel is to choose. */
export const daemonOf = (w: WantedSync): IpvsDaemon => ({
  role: w.role,
  interface: w.interface,
  id: w.id,
  maxLength: w.maxLength ?? 0,
  port: w.port,
  ttl: w.ttl ?? 0,
  group: w.group,
});

const refusal = (code: string, t: Text): Refusal => ({ code, text: t });

/** What no kernel's IPVS carries; undefined: nothing speaks against it. */
export function refusalOf(s: WantedService): Refusal | undefined {
  const { match } = s;
  const family = familyOfMatch(match);
  if (match.by === 'address') {
    const count = match.ranges.reduce((n, r) => n + number(r.to) - number(r.from) + 1n, 0n);
    if (count > MOST_ADDRESSES)
      return refusal(
        'ipvs-many-addresses',
        text(
          `${count} addresses are ${count} services to IPVS, more than ${MOST_ADDRESSES}: mark the packets and use an fwmark service`,
          `${count} 个地址在 IPVS 中即 ${count} 个服务，超过 ${MOST_ADDRESSES}：请标记数据包并使用 fwmark 服务`,
        ),
      );
    if (match.port === 0 && s.persistence === undefined)
      return refusal(
        'ipvs-port-0',
        text(
          'IPVS takes every port (0) only with persistence: set persistence_timeout',
          'IPVS 仅在启用持久性时支持全部端口（0）：请设置 persistence_timeout',
        ),
      );
  }
  const mixed = s.servers.find((x) => familyOf(x.address) !== family && x.forwarding.method !== 'tunnel');
  if (mixed !== undefined)
    return refusal(
      'ipvs-mixed-families',
      text(
        `IPVS reaches ${mixed.key} from a service of the other IP version only through a tunnel`,
        `IPVS 只能通过隧道从另一 IP 版本的服务到达 ${mixed.key}`,
      ),
    );
  return undefined;
}
