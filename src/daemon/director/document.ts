/** What the director tells of itself, as the command line and programs are shown it. Pure. */
import type { LbDocument, LbMatch, LbServer, LbService } from '../../api/index.ts';
import { type Microseconds, type Milliseconds, type Text, text } from '../../base/index.ts';
import {
  type DirectorConfig,
  type DirectorStatus,
  matchesOf,
  type PeerStatus,
  poolConfig,
  type RealServer,
  type ServerStatus,
  type ServiceStatus,
  serverKey,
  type VirtualServer,
} from '../../director/index.ts';
import { failureText } from '../handover/namespace.ts';

export type Facts = {
  readonly pid: number;
  readonly planes: readonly string[];
  readonly config: DirectorConfig;
  readonly peer: PeerStatus | undefined;
  readonly wall: Milliseconds;
};

export function lbDocument(s: DirectorStatus, f: Facts): LbDocument {
  const at = (t: Microseconds): number => Math.round(f.wall - (s.at - t) / 1000);
  const byKey = new Map(f.config.virtualServers.map((v) => [poolConfig(v, f.config).key, v]));
  return {
    schema: 1,
    pid: f.pid,
    at: f.wall,
    planes: f.planes,
    services: s.services.flatMap((x) => {
      const v = byKey.get(x.key);
      return v ? [serviceOf(x, v, f.config, at)] : [];
    }),
    peer: f.peer && {
      address: f.peer.address,
      port: f.peer.port,
      state: f.peer.peer,
      own: f.peer.own,
      acknowledged: f.peer.acknowledged,
      held: f.peer.held,
      leftOut: f.peer.leftOut,
      refused: f.peer.refused,
      late: f.peer.late,
      heardAt: f.peer.heardAt === undefined ? undefined : Math.round(f.wall - (s.at - f.peer.heardAt) / 1000),
    },
    sync: s.sync.map(({ role, interface: link, id }) => ({ role, interface: link, id })),
  };
}

type When = (t: Microseconds) => number;
function serviceOf(s: ServiceStatus, v: VirtualServer, config: DirectorConfig, at: When): LbService {
  const { quorum, hysteresis } = s.quorum;
  const failed = s.places.flatMap((p) => (p.error ? [failureText(p.error)] : []));
  const nowhere = s.places.find((p) => p.plane === undefined);
  const [first] = s.places;
  return {
    key: s.key,
    matches: matchesOf(poolConfig(v, config), config.groups).flatMap((m): LbMatch[] => {
      const { match } = m;
      if (match.by === 'fwmark') return [match];
      return match.ranges.map((r) => ({ by: 'address', protocol: match.protocol, ...r, port: match.port }));
    }),
    scheduler: s.scheduler,
    flags: v.flags,
    onePacket: v.onePacket,
    persistence: v.persistence,
    plane: nowhere ? undefined : first?.plane,
    planeBecause: (nowhere ?? first)?.why ?? text('it has no addresses', '没有地址'),
    refused: failed[0],
    quorum: { up: s.quorum.state === 'up', since: at(s.quorum.since), sum: s.quorum.sum, quorum, hysteresis },
    sorryServes: s.sorryServes,
    suspended: s.suspended,
    servers: s.servers.map((x) => serverOf(x, v, at)),
  };
}
function tunnelOf(s: Pick<RealServer, 'forwarding'> | undefined): Pick<LbServer, 'tunnel'> {
  if (s?.forwarding.method !== 'tunnel') return {};
  const { type, port } = s.forwarding;
  return { tunnel: { type, ...(port === undefined ? {} : { port }) } };
}
function serverOf(x: ServerStatus, v: VirtualServer, at: When): LbServer {
  const { sorryServer } = v;
  const real = x.role === 'real' ? v.realServers.find((r) => serverKey(v, r) === x.key) : sorryServer;
  return {
    key: x.key,
    address: real?.address ?? '',
    port: real?.port ?? (v.service.by === 'address' ? v.service.port : 0),
    forwarding: x.method as LbServer['forwarding'],
    ...tunnelOf(real),
    role: x.role,
    state: x.state,
    since: at(x.since),
    because: x.because,
    weight: x.weight,
    planeWeight: x.planeWeight,
    drained: x.drained && { since: at(x.drained.since), until: x.drained.until && at(x.drained.until) },
    checks: x.checks.map((c) => ({
      name: c.name,
      verdict: c.verdict,
      since: at(c.since),
      unasked: c.last !== undefined && c.last.good === undefined,
      reason: c.last?.reason as Text | undefined,
      latencyMs: c.last?.latency === undefined ? undefined : c.last.latency / 1000,
      lastAt: c.last && at(c.last.at),
    })),
    counters: x.counters,
  };
}
