/** What the director tells of itself: one document for `holdfast lb status`, JSON and metrics. Times are of the monotonic clock. */
import type { Microseconds, Text } from '../base/index.ts';
import type { HostError } from '../host/index.ts';
import type { CheckReport, Verdict } from './check.ts';
import type { VirtualServer } from './config.ts';
import type { Place } from './placement.ts';
import {
  type Because,
  checkName,
  describeBecause,
  type PoolConfig,
  type PoolState,
  type ServerState,
  serverKey,
  serversOf,
  sorryServes,
} from './pool/index.ts';
import type { PlaneName, ServerCounters, ServerKey, ServiceKey, WantedServer, WantedSync } from './types.ts';

export type CheckStatus = {
  readonly id: string;
  /** `http 192.168.1.11:80`. */
  readonly name: string;
  readonly verdict: Verdict;
  readonly since: Microseconds;
  /** The last attempt, whatever came of it; undefined: none has ended yet. */
  readonly last: Omit<CheckReport, 'id' | 'verdict' | 'weight'> | undefined;
};
export type ServerStatus = {
  readonly key: ServerKey;
  readonly role: 'real' | 'sorry';
  /** `waiting`: no first success yet. `damped`: good again, but it flapped. `kept`: bad, but too few would be left. */
  readonly state: 'up' | 'down' | 'waiting' | 'damped' | 'kept' | 'refused' | 'standby';
  readonly drained: { readonly since: Microseconds; readonly until: Microseconds | undefined } | undefined;
  readonly since: Microseconds;
  readonly because: Text;
  /** Configured or given from outside, with what the checks found. */
  readonly weight: number;
  /** What the plane was told; undefined: it is not there. */
  readonly planeWeight: number | undefined;
  readonly method: string;
  readonly checks: readonly CheckStatus[];
  /** Over all services of the pool; undefined where no plane could tell. */
  readonly counters: Omit<ServerCounters, 'key'> | undefined;
};
export type ServiceStatus = {
  readonly key: ServiceKey;
  readonly scheduler: string;
  readonly persistenceSeconds: number | undefined;
  /** One, or one for each part of a group. */
  readonly places: readonly {
    readonly key: ServiceKey;
    readonly plane: PlaneName | undefined;
    readonly why: Text;
    readonly error: HostError | undefined;
  }[];
  readonly quorum: {
    readonly state: Verdict;
    readonly since: Microseconds;
    readonly sum: number;
    readonly quorum: number;
    readonly hysteresis: number;
  };
  readonly sorryServes: boolean;
  readonly suspended: boolean;
  readonly servers: readonly ServerStatus[];
};
export type DirectorStatus = {
  readonly at: Microseconds;
  readonly services: readonly ServiceStatus[];
  readonly sync: readonly WantedSync[];
};

type Counters = ReadonlyMap<ServiceKey, ReadonlyMap<ServerKey, ServerCounters>>;

export function serviceStatus(
  c: PoolConfig,
  s: PoolState,
  places: readonly Place[],
  last: ReadonlyMap<string, CheckReport>,
  counters: Counters,
  now: Microseconds,
): ServiceStatus {
  const plan = new Map(serversOf(c, s).map((w) => [w.key, w]));
  const counted = (key: ServerKey): ServerStatus['counters'] =>
    total(places.flatMap((p) => counters.get(p.key)?.get(key) ?? []));
  const servers = s.servers.map((x, i) => realStatus(c, x, i, plan, last, counted(x.key), now));
  const v = c.service;
  return {
    key: c.key,
    scheduler: v.scheduler,
    persistenceSeconds: v.persistence?.seconds,
    places,
    quorum: {
      state: s.quorum.up ? 'up' : 'down',
      since: s.quorum.since,
      sum: s.quorum.sum,
      quorum: v.quorum,
      hysteresis: v.hysteresis,
    },
    sorryServes: sorryServes(c, s),
    suspended: s.suspended,
    servers: [...servers, ...sorryStatus(v, c, s, plan, counted)],
  };
}

type Reports = ReadonlyMap<string, CheckReport>;
/**
 * A pool decides by what turns. Of a server that never turned the attempts since the start tell more: it passes, or it
 * fails still and is dead rather than awaited.
 */
function becauseOf(x: ServerState, last: Reports): Because {
  const { because } = x;
  if (because.why === 'alpha') {
    const failed = x.checks.filter((k) => last.get(k.id)?.good === false);
    return failed.length === 0
      ? because
      : { why: 'failed', checks: failed.map((k) => ({ id: k.id, reason: last.get(k.id)?.reason })) };
  }
  const [first] = x.checks;
  if (because.why !== 'start' || !first || !x.checks.every((k) => last.get(k.id)?.good)) return because;
  return { why: 'passed', id: first.id, reason: last.get(first.id)?.reason };
}
function stateOf(x: ServerState, because: Because): ServerStatus['state'] {
  if (x.refused) return 'refused';
  if (x.alive) return x.because.why === 'floor' ? 'kept' : 'up';
  if (x.healthy) return x.because.why === 'stop' ? 'down' : 'damped';
  return because.why === 'alpha' ? 'waiting' : 'down';
}
function realStatus(
  c: PoolConfig,
  x: ServerState,
  index: number,
  plan: ReadonlyMap<ServerKey, WantedServer>,
  last: ReadonlyMap<string, CheckReport>,
  counters: ServerStatus['counters'],
  now: Microseconds,
): ServerStatus {
  const p = c.servers[index];
  const because = becauseOf(x, last);
  return {
    key: x.key,
    role: 'real',
    state: stateOf(x, because),
    drained: x.drained,
    since: x.since,
    because: describeBecause(c, because, now),
    weight: x.weight,
    planeWeight: plan.get(x.key)?.weight,
    method: p?.server.forwarding.method ?? '',
    checks: x.checks.map((k, i) => {
      const r = last.get(k.id);
      const checker = p?.checks[i]?.checker;
      return {
        id: k.id,
        name: checker ? checkName(checker) : k.id,
        verdict: k.verdict,
        since: k.since,
        last: r && { at: r.at, good: r.good, failures: r.failures, latency: r.latency, reason: r.reason },
      };
    }),
    counters,
  };
}
function sorryStatus(
  v: VirtualServer,
  c: PoolConfig,
  s: PoolState,
  plan: ReadonlyMap<ServerKey, WantedServer>,
  counted: (key: ServerKey) => ServerStatus['counters'],
): ServerStatus[] {
  if (!v.sorryServer) return [];
  const key = serverKey(v, v.sorryServer);
  const serves = sorryServes(c, s);
  return [
    {
      key,
      role: 'sorry',
      state: s.sorryRefused ? 'refused' : serves ? 'up' : 'standby',
      drained: undefined,
      since: s.quorum.since,
      because: s.sorryRefused
        ? s.sorryRefused
        : serves
          ? { en: 'the quorum is lost', zh: '已失去法定数' }
          : { en: 'it stands in when the quorum is lost', zh: '失去法定数时由其服务' },
      weight: 1,
      planeWeight: plan.get(key)?.weight,
      method: v.sorryServer.forwarding.method,
      checks: [],
      counters: counted(key),
    },
  ];
}
function total(all: readonly ServerCounters[]): ServerStatus['counters'] {
  if (all.length === 0) return undefined;
  const sum = { connections: 0, packetsIn: 0, bytesIn: 0, packetsOut: 0, bytesOut: 0, active: 0, inactive: 0 };
  for (const x of all) for (const k of Object.keys(sum) as (keyof typeof sum)[]) sum[k] += x[k];
  return sum;
}
