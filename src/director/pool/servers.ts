/** Who of a pool is alive: checks, then refusals, damping and the floor. One pass over all servers, since the floor is about all of them. */
import { invariant, type Microseconds, us } from '../../base/index.ts';
import type { CheckReport, Verdict } from '../check.ts';
import type { Checker } from '../config.ts';
import type { Because, CheckState, Decision, FailedCheck, PoolConfig, PoolServer, ServerState } from './types.ts';
import { slowStart, weightOf } from './weights.ts';

/** On what ground things are decided: at the start nothing has changed, on a reload new servers are told of quietly. */
export type Ground = 'start' | 'reload' | 'running';

function initialVerdict(c: Checker): Verdict {
  if (c.kind === 'fixed') return c.up ? 'up' : 'down';
  const alpha = c.kind === 'bfd' ? c.alpha : c.kind === 'file' ? false : c.timing.alpha;
  return alpha ? 'down' : 'up';
}
const failedOf = (x: Pick<ServerState, 'checks'>): FailedCheck[] =>
  x.checks.filter((k) => k.verdict === 'down').map((k) => ({ id: k.id, reason: k.reason }));

export function freshServer(p: PoolServer, now: Microseconds): ServerState {
  const checks = p.checks.map(({ id, checker }): CheckState => {
    return { id, verdict: initialVerdict(checker), since: now, reason: undefined, weight: undefined };
  });
  const healthy = checks.every((k) => k.verdict === 'up');
  return {
    key: p.key,
    checks,
    healthy,
    alive: healthy,
    since: now,
    because: healthy ? { why: 'start' } : waiting({ checks }),
    goodUntil: undefined,
    flaps: 0,
    heldUntil: undefined,
    drained: undefined,
    told: undefined,
    weight: p.server.weight,
    ramp: undefined,
    refused: undefined,
  };
}
/** Down with no report yet: it waits for its first success. */
const waiting = (x: Pick<ServerState, 'checks'>): Because => {
  const checks = failedOf(x);
  return checks.every((k) => k.reason === undefined) ? { why: 'alpha' } : { why: 'failed', checks };
};

/** Its checks pass, and damping alone keeps it out. */
export const heldBack = (x: ServerState): boolean => x.healthy && x.heldUntil !== undefined && x.refused === undefined;

export function decideServers(
  c: PoolConfig,
  before: readonly ServerState[],
  servers: readonly ServerState[],
  now: Microseconds,
  ground: Ground,
): { readonly servers: readonly ServerState[]; readonly decisions: readonly Decision[] } {
  const known = new Map(before.map((x) => [x.key, x]));
  const judged = servers.map((x) => judge(c, known.get(x.key), x, now));
  const kept = keptByFloor(c, judged);
  const decisions: Decision[] = [];
  const out = judged.map((x, i) => {
    const p = c.servers[i] as PoolServer;
    invariant(p.key === x.key, 'servers are in the order of their configuration');
    const sound = x.healthy && x.heldUntil === undefined && x.refused === undefined;
    const alive = sound || kept.has(x.key);
    const weight = weightOf(p, x);
    const weighed = weight === x.weight ? x : { ...x, weight };
    return conclude(c, known.get(x.key), weighed, alive, sound, now, ground, decisions);
  });
  return { servers: out, decisions };
}

/** What its checks say now, and whether it failed so often that it is to stay out for a while. */
function judge(c: PoolConfig, old: ServerState | undefined, x: ServerState, now: Microseconds): ServerState {
  const healthy = x.checks.every((k) => k.verdict === 'up');
  const d = c.service.options?.damping;
  const over = x.heldUntil !== undefined && (d === undefined || now >= x.heldUntil);
  const next = over ? { ...x, heldUntil: undefined } : x;
  if (healthy === (old?.healthy ?? healthy)) return healthy === next.healthy ? next : { ...next, healthy };
  if (healthy) return { ...next, healthy };
  if (!d) return { ...next, healthy, goodUntil: now };
  const flaps = x.goodUntil !== undefined && now - x.goodUntil < d.forget ? x.flaps + 1 : 1;
  const excess = flaps - d.after;
  const hold = excess > 0 ? Math.min(d.most, d.first * 2 ** Math.min(excess - 1, 30)) : 0;
  return { ...next, healthy, goodUntil: now, flaps, heldUntil: hold > 0 ? us(now + hold) : undefined };
}

/** Servers that stay although their checks (or their flapping) speak against them: the last good ones first. */
function keptByFloor(c: PoolConfig, servers: readonly ServerState[]): ReadonlySet<string> {
  const floor = c.service.options?.floor ?? 0;
  if (floor === 0) return new Set();
  const able = servers.filter((x) => x.refused === undefined);
  const sound = able.filter((x) => x.healthy && x.heldUntil === undefined).length;
  // One that never was good is nothing to fall back on.
  const candidates = able.filter((x) => !(x.healthy && x.heldUntil === undefined) && x.goodUntil !== undefined);
  const rank = (x: ServerState): number => (x.healthy ? Infinity : (x.goodUntil ?? 0));
  const order = candidates.map((x, i) => ({ x, i }));
  order.sort((a, b) => (rank(a.x) === rank(b.x) ? a.i - b.i : rank(b.x) - rank(a.x)));
  return new Set(order.slice(0, Math.max(0, floor - sound)).map((o) => o.x.key));
}

function conclude(
  c: PoolConfig,
  old: ServerState | undefined,
  x: ServerState,
  alive: boolean,
  sound: boolean,
  now: Microseconds,
  ground: Ground,
  decisions: Decision[],
): ServerState {
  const because = reasonFor(c, old, x, alive, sound);
  const tell = ground === 'running' || (old !== undefined && ground === 'reload') || c.notifyAtStart;
  if (old === undefined) {
    const why: Because = alive && ground === 'reload' ? { why: 'configured' } : because;
    if (ground === 'reload' || c.notifyAtStart)
      decisions.push({ do: 'server', server: x.key, to: alive ? 'up' : 'down', because: why, weight: x.weight, tell });
    return alive === x.alive && why.why === x.because.why ? x : { ...x, alive, since: now, because: why };
  }
  if (alive !== old.alive) {
    decisions.push({ do: 'server', server: x.key, to: alive ? 'up' : 'down', because, weight: x.weight, tell });
    const ramp = alive && slowStart(c) !== undefined ? { from: now, tenths: 1 } : undefined;
    return { ...x, alive, since: now, because, ramp };
  }
  if (x.weight !== old.weight) decisions.push({ do: 'weight', server: x.key, from: old.weight, to: x.weight });
  if (
    because.why !== old.because.why &&
    (because.why === 'floor' || because.why === 'damped' || old.because.why === 'floor')
  )
    decisions.push({ do: 'held', server: x.key, alive, because });
  return alive === x.alive && because === x.because ? x : { ...x, alive, because };
}

function reasonFor(
  c: PoolConfig,
  old: ServerState | undefined,
  x: ServerState,
  alive: boolean,
  sound: boolean,
): Because {
  if (x.refused) return { why: 'refused', refusal: x.refused };
  if (alive && !sound) return { why: 'floor', floor: c.service.options?.floor ?? 0, checks: failedOf(x) };
  if (!alive) {
    if (!x.healthy) return waiting(x);
    return { why: 'damped', flaps: x.flaps, until: x.heldUntil ?? x.since };
  }
  if (old === undefined) return { why: 'start' };
  if (old.alive && old.because.why !== 'floor') return old.because;
  if (old.because.why === 'refused') return { why: 'no-longer-refused' };
  if (old.healthy && old.heldUntil !== undefined && x.heldUntil === undefined) return { why: 'damping-over' };
  const passed = x.checks.find((k) => old.checks.some((o) => o.id === k.id && o.verdict === 'down'));
  return passed ? { why: 'passed', id: passed.id, reason: passed.reason } : { why: 'configured' };
}

/** Whether a report can change anything: most say again what is known, and need not be decided about. */
export const isNews = (k: CheckState, r: Pick<CheckReport, 'verdict' | 'weight'>): boolean =>
  r.verdict !== k.verdict || (r.weight !== undefined && r.weight.value !== k.weight?.value);
