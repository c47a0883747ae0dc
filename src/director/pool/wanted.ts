/** What a plane shall hold for one pool: from its state alone, so that nothing that was decided can be forgotten on the way. */
import { type Family, familyOf, unreachable } from '../../base/index.ts';
import type { SorryServer, SyncDaemon, VirtualServerGroup } from '../config.ts';
import type { ServiceMatch, WantedServer, WantedService, WantedSync } from '../types.ts';
import { serverKey, serverPort } from './names.ts';
import type { PoolConfig, PoolServer, PoolState, ServerState } from './types.ts';
import { planWeight } from './weights.ts';

/** The sorry server stands in: the quorum is lost, and there is one that can be reached. */
export const sorryServes = (c: PoolConfig, s: PoolState): boolean =>
  !s.quorum.up && c.service.sorryServer !== undefined && s.sorryRefused === undefined;

/**
 * keepalived: a server that is down is taken out, or has weight 0 with inhibit_on_failure; while the sorry server
 * serves, the others are taken out as well, also the living. A drained server that lives is never taken out: what is
 * established there goes on, whoever takes the new connections.
 */
function weightInPlan(c: PoolConfig, s: PoolState, p: PoolServer, x: ServerState): number | undefined {
  if (x.refused) return undefined;
  const quiet = p.server.inhibitOnFailure ? 0 : undefined;
  if (!x.alive) return quiet;
  if (sorryServes(c, s)) return x.drained ? 0 : quiet;
  return planWeight(c, x);
}

function real(c: PoolConfig, p: PoolServer, weight: number): WantedServer {
  const { server } = p;
  return {
    key: p.key,
    address: server.address,
    port: serverPort(c.service, server),
    weight,
    forwarding: server.forwarding,
    ...(server.upperThreshold === undefined ? {} : { upperThreshold: server.upperThreshold }),
    ...(server.lowerThreshold === undefined ? {} : { lowerThreshold: server.lowerThreshold }),
  };
}
const sorry = (c: PoolConfig, x: SorryServer, weight: number): WantedServer => ({
  key: serverKey(c.service, x),
  address: x.address,
  port: serverPort(c.service, x),
  weight,
  forwarding: x.forwarding,
});

export function serversOf(c: PoolConfig, s: PoolState): WantedServer[] {
  const out: WantedServer[] = [];
  c.servers.forEach((p, i) => {
    const weight = weightInPlan(c, s, p, s.servers[i] as ServerState);
    if (weight !== undefined) out.push(real(c, p, weight));
  });
  const { sorryServer } = c.service;
  if (!sorryServer || s.sorryRefused) return out;
  const serves = sorryServes(c, s);
  if (!serves && !sorryServer.inhibitOnFailure) return out;
  const stands = sorry(c, sorryServer, serves ? 1 : 0);
  const listed = out.findIndex((x) => x.key === stands.key);
  // It may be one of the real servers as well: then it is there once, and serves if either says so.
  if (listed < 0) out.push(stands);
  else if (serves) out[listed] = stands;
  return out;
}

/** Servers that get nothing new, down, drained or behind the sorry server, and would have a weight. The operator's file decides it: two directors agree. */
function awayOf(c: PoolConfig, s: PoolState): NonNullable<WantedService['away']> {
  return c.servers.flatMap((p, i) => {
    const takes = weightInPlan(c, s, p, s.servers[i] as ServerState) ?? 0;
    const { address, weight } = p.server;
    return takes > 0 || weight === 0 ? [] : [{ key: p.key, address, weight }];
  });
}

/** Every server that can be reached, as if all served: what a plane must be able to carry. */
export const widest = (c: PoolConfig, s: PoolState, groups: readonly VirtualServerGroup[]): WantedService[] => {
  const able = c.servers.filter((_, i) => s.servers[i]?.refused === undefined);
  const servers = able.map((p) => real(c, p, p.server.weight));
  const x = s.sorryRefused ? undefined : c.service.sorryServer;
  if (x && !servers.some((w) => w.key === serverKey(c.service, x))) servers.push(sorry(c, x, 1));
  return servicesWith(c, groups, servers);
};

export const servicesOf = (c: PoolConfig, s: PoolState, groups: readonly VirtualServerGroup[]): WantedService[] =>
  servicesWith(c, groups, serversOf(c, s), awayOf(c, s));

function servicesWith(
  c: PoolConfig,
  groups: readonly VirtualServerGroup[],
  servers: readonly WantedServer[],
  away: NonNullable<WantedService['away']> = [],
): WantedService[] {
  const v = c.service;
  return matchesOf(c, groups).map(({ key, match, family }) => ({
    key,
    match,
    scheduler: v.scheduler,
    flags: v.flags,
    onePacket: v.onePacket,
    ...(v.persistence ? { persistence: v.persistence } : {}),
    servers: servers.filter((x) => crosses(x, family)).map((x) => arriving(x, match)),
    ...(away.length > 0 ? { away } : {}),
  }));
}
/** DR and TUN change no port: of a group with several, packets come in at each server as they came in here. */
function arriving(x: WantedServer, match: ServiceMatch): WantedServer {
  if (x.forwarding.method === 'nat' || match.by === 'fwmark' || match.port === 0 || x.port === match.port) return x;
  return { ...x, port: match.port };
}
/** Only a tunnel takes packets of one family to a server of the other. */
export const crosses = (x: Pick<WantedServer, 'address' | 'forwarding'>, family: Family): boolean =>
  familyOf(x.address) === family || x.forwarding.method === 'tunnel';

type Match = { readonly key: string; readonly match: ServiceMatch; readonly family: Family };

/** A group becomes one service for each of its ports and families, and one for each of its marks. */
export function matchesOf(c: PoolConfig, groups: readonly VirtualServerGroup[]): Match[] {
  const s = c.service.service;
  switch (s.by) {
    case 'address': {
      const ranges = [{ from: s.address, to: s.address }];
      const match = { by: 'address', protocol: s.protocol, ranges, port: s.port } as const;
      return [{ key: c.key, match, family: familyOf(s.address) }];
    }
    case 'fwmark':
      return [{ key: c.key, match: { by: 'fwmark', mark: s.mark, family: s.family }, family: s.family }];
    case 'group':
      return groupMatches(c, groups.find((g) => g.name === s.group)?.members ?? [], s.protocol);
    default:
      return unreachable(s);
  }
}
function groupMatches(
  c: PoolConfig,
  members: VirtualServerGroup['members'],
  protocol: 'tcp' | 'udp' | 'sctp',
): Match[] {
  const out = new Map<string, Match>();
  const families = familiesOf(c);
  for (const m of members) {
    if (m.by === 'fwmark') {
      for (const family of m.family ? [m.family] : families) {
        const key = `${c.key} fwmark ${m.mark} ipv${family}`;
        out.set(key, { key, match: { by: 'fwmark', mark: m.mark, family }, family });
      }
      continue;
    }
    const family = familyOf(m.from);
    const key = `${c.key} port ${m.port} ipv${family}`;
    const old = out.get(key);
    const before = old?.match.by === 'address' ? old.match.ranges : [];
    if (before.some((r) => r.from === m.from && r.to === m.to)) continue;
    const ranges = [...before, { from: m.from, to: m.to }];
    out.set(key, { key, match: { by: 'address', protocol, ranges, port: m.port }, family });
  }
  return [...out.values()];
}
/** A mark that says no family is one of its servers' families: of each, if they have both. */
function familiesOf(c: PoolConfig): Family[] {
  const found = new Set(c.service.realServers.map((r) => familyOf(r.address)));
  return found.size === 0 ? [4] : [...found].sort();
}

export type InstanceView = { readonly master: boolean; readonly virtualRouterId: number };

/**
 * The daemons follow the instance as keepalived's do: master where it is master, else backup; without an instance both run.
 * None before the instance has spoken where its VRID is to be the id: with id 0 a daemon believes every other one.
 */
export function syncOf(s: SyncDaemon | undefined, instance: InstanceView | undefined): WantedSync[] {
  if (!s) return [];
  const one = (role: 'master' | 'backup'): WantedSync => ({
    role,
    interface: s.interface,
    id: s.id ?? instance?.virtualRouterId ?? 0,
    port: s.port,
    group: s.group,
    ...(s.maxLength === undefined ? {} : { maxLength: s.maxLength }),
    ...(s.ttl === undefined ? {} : { ttl: s.ttl }),
  });
  if (s.instance === undefined) return [one('master'), one('backup')];
  if (s.id === undefined && instance === undefined) return [];
  return [one(instance?.master ? 'master' : 'backup')];
}
