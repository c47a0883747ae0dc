/**
 * Which servers of one virtual server take part, with which weight, and whether the sorry server stands in. Pure: what
 * happened goes in with the time; the next state and what was decided come out; timers are deadlines in the state.
 *
 * The rules are keepalived's: a server is up while none of its checkers is down; quorum with hysteresis over the
 * weights of those that are up; the first state is optimistic but for `alpha`. Ours, and off unless configured: slow
 * start, damping, the floor; and drains, which an operator asks for.
 */
import { type Microseconds, unreachable, us } from '../../base/index.ts';
import { decideServers, freshServer, type Ground, heldBack } from './servers.ts';
import type {
  Decision,
  PoolConfig,
  PoolEvent,
  PoolServer,
  PoolState,
  PoolStep,
  QuorumState,
  ServerState,
} from './types.ts';
import { nextTenths, rampDue, TENTHS } from './weights.ts';

const NONE: readonly Decision[] = [];

/**
 * The state at the start, and what is to be told of it. `memory`: the last state of a process before this one, which is
 * gone on from as after a reload: dead servers are not believed in again, drains and ramps go on.
 */
export function begin(c: PoolConfig, now: Microseconds, memory?: PoolState): PoolStep {
  if (memory) return reload(c, memory, now);
  const servers = c.servers.map((s) => freshServer(s, now));
  // Optimistic: a pool that starts with too little loses its quorum at once, one that starts with enough never gained it.
  const quorum: QuorumState = { up: true, since: now, sum: 0, changedAt: 0 };
  return settle(c, { servers, quorum, suspended: false }, servers, now, 'start');
}

/** Never mutates `s`; returns it as it is when nothing changed. */
export function step(c: PoolConfig, s: PoolState, e: PoolEvent, now: Microseconds): PoolStep {
  switch (e.kind) {
    case 'check': {
      if (s.suspended) return { state: s, decisions: NONE };
      const server = s.servers.find((x) => x.checks.some((k) => k.id === e.id));
      const check = server?.checks.find((k) => k.id === e.id);
      if (!server || !check) return { state: s, decisions: NONE };
      const turned = check.verdict !== e.verdict;
      const found = e.weight !== undefined && e.weight.value !== check.weight?.value;
      if (!turned && !found) return { state: s, decisions: NONE };
      const next = {
        ...check,
        verdict: e.verdict,
        since: turned ? now : check.since,
        reason: turned ? e.reason : check.reason,
        weight: e.weight ?? check.weight,
      };
      const checks = server.checks.map((k) => (k === check ? next : k));
      const told: Decision[] = turned ? [{ do: 'check', server: server.key, check: next }] : [];
      return settle(c, s, replace(s, { ...server, checks }), now, 'running', told);
    }
    case 'drain':
      return change(c, s, e.server, now, (x) =>
        x.drained && x.drained.until === e.until
          ? undefined
          : {
              server: { ...x, drained: { since: x.drained?.since ?? now, until: e.until } },
              told: { do: 'drain', server: x.key, on: true, until: e.until, expired: false },
            },
      );
    case 'undrain':
      return change(c, s, e.server, now, (x) =>
        x.drained
          ? {
              server: { ...x, drained: undefined },
              told: { do: 'drain', server: x.key, on: false, until: undefined, expired: false },
            }
          : undefined,
      );
    case 'weight':
      return change(c, s, e.server, now, (x) =>
        x.told === e.weight ? undefined : { server: { ...x, told: e.weight } },
      );
    case 'suspend':
      if (s.suspended === e.on) return { state: s, decisions: NONE };
      return { state: { ...s, suspended: e.on }, decisions: [{ do: 'suspend', on: e.on }] };
    case 'refused': {
      const same = s.servers.every((x) => x.refused?.en === e.servers.get(x.key)?.en);
      if (same) return { state: s, decisions: NONE };
      return settle(
        c,
        s,
        s.servers.map((x) => ({ ...x, refused: e.servers.get(x.key) })),
        now,
        'running',
      );
    }
    case 'reload':
      return reload(c, s, now);
    case 'stop':
      return stop(c, s, now);
    case 'tick':
      return tick(c, s, now);
    default:
      return unreachable(e);
  }
}

/** When the next `tick` is due; Infinity: never. */
export function deadline(c: PoolConfig, s: PoolState): Microseconds {
  let due = Infinity;
  for (const x of s.servers) {
    if (heldBack(x)) due = Math.min(due, x.heldUntil ?? Infinity);
    due = Math.min(due, x.drained?.until ?? Infinity);
    if (x.ramp) due = Math.min(due, rampDue(c, x.ramp));
  }
  return us(due);
}

// ------------------------------------------------------------------------------------------ inside

const replace = (s: PoolState, next: ServerState): ServerState[] =>
  s.servers.map((x) => (x.key === next.key ? next : x));

function change(
  c: PoolConfig,
  s: PoolState,
  key: string,
  now: Microseconds,
  by: (x: ServerState) => { readonly server: ServerState; readonly told?: Decision } | undefined,
): PoolStep {
  const server = s.servers.find((x) => x.key === key);
  const done = server && by(server);
  if (!done) return { state: s, decisions: NONE };
  return settle(c, s, replace(s, done.server), now, 'running', done.told ? [done.told] : []);
}

function tick(c: PoolConfig, s: PoolState, now: Microseconds): PoolStep {
  if (now < deadline(c, s)) return { state: s, decisions: NONE };
  const told: Decision[] = [];
  const servers = s.servers.map((x) => {
    let next = x;
    if (x.drained?.until !== undefined && now >= x.drained.until) {
      told.push({ do: 'drain', server: x.key, on: false, until: undefined, expired: true });
      next = { ...next, drained: undefined };
    }
    if (x.ramp && now >= rampDue(c, x.ramp)) {
      const tenths = nextTenths(c, x.ramp, now);
      next = { ...next, ramp: tenths >= TENTHS ? undefined : { from: x.ramp.from, tenths } };
    }
    return next;
  });
  return settle(c, s, servers, now, 'running', told);
}

function reload(c: PoolConfig, s: PoolState, now: Microseconds): PoolStep {
  const before = new Map(s.servers.map((x) => [x.key, x]));
  const servers = c.servers.map((p) => carryOver(before.get(p.key), p, now));
  const wanted = new Set(c.servers.map((p) => p.key));
  const gone: Decision[] = [];
  for (const x of s.servers) {
    if (wanted.has(x.key)) continue;
    gone.push({ do: 'gone', server: x.key, tell: c.service.omega && x.alive });
  }
  return settle(c, s, servers, now, 'reload', gone);
}
/** A checker that was there keeps where it stands, also when it changed: it begins afresh from there, and nothing stirs. */
function carryOver(old: ServerState | undefined, p: PoolServer, now: Microseconds): ServerState {
  const fresh = freshServer(p, now);
  if (!old) return fresh;
  const known = new Map(old.checks.map((k) => [k.id, k]));
  return { ...old, checks: fresh.checks.map((k) => known.get(k.id) ?? k) };
}

function stop(c: PoolConfig, s: PoolState, now: Microseconds): PoolStep {
  const decisions: Decision[] = [];
  const because = { why: 'stop' } as const;
  const servers = s.servers.map((x) => {
    if (!x.alive) return x;
    decisions.push({ do: 'server', server: x.key, to: 'down', because, weight: x.weight, tell: c.service.omega });
    return { ...x, alive: false, since: now, because };
  });
  if (s.quorum.up) decisions.push({ do: 'quorum', to: 'down', sum: 0, sorry: undefined, tell: c.service.omega });
  const quorum = { up: false, since: now, sum: 0, changedAt: 0 };
  return { state: { ...s, servers, quorum }, decisions };
}

/** What follows from servers and their checks: who is alive, with which weight; then the quorum. */
function settle(
  c: PoolConfig,
  before: PoolState,
  servers: readonly ServerState[],
  now: Microseconds,
  ground: Ground,
  told: readonly Decision[] = NONE,
): PoolStep {
  const known = ground === 'start' ? [] : before.servers;
  const decided = decideServers(c, known, servers, now, ground);
  const decisions: Decision[] = [...told, ...decided.decisions];
  const quorum = decideQuorum(c, before.quorum, decided.servers, now, ground, decisions);
  return { state: { servers: decided.servers, quorum, suspended: before.suspended }, decisions };
}

/**
 * keepalived: lost when the sum is 0 or below quorum - hysteresis, gained at quorum + hysteresis. A drained server counts
 * for nothing: it takes no new work.
 */
function decideQuorum(
  c: PoolConfig,
  q: QuorumState,
  servers: readonly ServerState[],
  now: Microseconds,
  ground: Ground,
  decisions: Decision[],
): QuorumState {
  const sum = servers.reduce((n, x) => n + (x.alive && !x.drained ? x.weight : 0), 0);
  const { quorum, hysteresis, sorryServer } = c.service;
  const up = q.up ? sum > 0 && sum >= quorum - hysteresis : sum >= quorum + hysteresis;
  if (up === q.up) return sum === q.sum ? q : { ...q, sum };
  const sorry = sorryServer === undefined ? undefined : up ? 'out' : 'in';
  const tell = ground !== 'start' || c.notifyAtStart;
  decisions.push({ do: 'quorum', to: up ? 'up' : 'down', sum, sorry, tell });
  return { up, since: now, sum, changedAt: sum };
}
