/**
 * What must hold of one service on one director, worked out anew from what its checkers said and its operators asked
 * for, and held against what the kernel has. Knows nothing of the pool's state.
 */
import { serverKey, serviceKey, type VirtualServer, type WantedService } from '../../director/index.ts';
import { Broken } from '../outcome.ts';
import type { Node } from './node.ts';
import type { ServiceOptions } from './options.ts';

type Seen = {
  readonly key: string;
  /** A checker of it is down. */
  readonly down: boolean;
  readonly drained: boolean;
  /** A drain whose end is now may or may not have ended. */
  readonly unsure: boolean;
  readonly weight: number;
  readonly inhibit: boolean;
};

/** Of each server: its key and its checkers. A configuration never changes, so it is worked out once. */
type Named = {
  readonly service: string;
  readonly servers: readonly { readonly key: string; readonly ids: ReturnType<typeof idsOf> }[];
};
const known = new WeakMap<VirtualServer, Named>();
function namesOf(v: VirtualServer): Named {
  let names = known.get(v);
  if (!names) {
    const service = serviceKey(v);
    names = {
      service,
      servers: v.realServers.map((s, i) => ({ key: serverKey(v, s), ids: idsOf(service, serverKey(v, s), v, i) })),
    };
    known.set(v, names);
  }
  return names;
}
function idsOf(service: string, server: string, v: VirtualServer, index: number): { id: string; alpha: boolean }[] {
  return (v.realServers[index]?.checkers ?? []).map((c) => ({
    id: `${service} ${server} ${c.kind === 'misc' ? `misc ${c.script.argv.join(' ')}` : `${c.kind} ${server}`}`,
    alpha: 'timing' in c && c.timing.alpha,
  }));
}

/** A checker that is new stands by its own `alpha`, whatever a later configuration says of it. */
export function learnCheckers(n: Node): void {
  for (const v of n.config.virtualServers)
    for (const { ids } of namesOf(v).servers)
      for (const { id, alpha } of ids) if (!n.verdicts.has(id)) n.verdicts.set(id, alpha ? 'down' : 'up');
}

export function seenServers(n: Node, v: VirtualServer, now: number): Seen[] {
  const { service, servers } = namesOf(v);
  return v.realServers.map((s, i) => {
    const { key, ids } = servers[i] as Named['servers'][number];
    const verdicts = ids.map((k) => n.verdicts.get(k.id));
    const drain = n.drained.get(`${service} ${key}`);
    let weight = s.weight;
    for (const { id } of ids) weight += (n.weights.get(id)?.value ?? s.weight) - s.weight;
    return {
      key,
      down: verdicts.includes('down'),
      drained: drain !== undefined && (drain.until === undefined || drain.until > now),
      unsure: drain?.until !== undefined && drain.until <= now,
      weight: n.told.get(`${service} ${key}`) ?? Math.max(0, Math.min(65535, weight)),
      inhibit: s.inhibitOnFailure,
    };
  });
}

/** keepalived's rule; undefined: between the two bounds it stays what it was. */
export function quorumRule(v: VirtualServer, sum: number): boolean | undefined {
  if (sum === 0 || sum < v.quorum - v.hysteresis) return false;
  return sum >= v.quorum + v.hysteresis ? true : undefined;
}

export class Promises {
  /** By director and service: whether the quorum was lost when last looked at. */
  readonly #lost = new Map<string, boolean | undefined>();

  /** After every event. `settled`: nothing is held back any more, and weights are whole. */
  check(n: Node, v: VirtualServer, o: ServiceOptions, now: number, settled: boolean): void {
    const service = serviceKey(v);
    const seen = seenServers(n, v, now);
    const up = seen.filter((s) => !s.down);
    // With the floor one bad server may be kept, and damping keeps good ones out for reasons that only the pool knows.
    const kept = o.extra === 'floor' && up.length === 0 ? 1 : 0;
    const held = o.extra === 'damping' && !settled;
    const sum = up.reduce((total, s) => total + (s.drained ? 0 : s.weight), 0);
    const lost = this.#quorumLost(n, v, sum, kept === 0 && !held && !seen.some((s) => s.unsure));
    // What could not be written is tried again within a second; until then the kernel has what it had.
    if (n.kernel.failing.has(service)) return;

    const plan = n.kernel.services.get(service);
    const broken = (promise: string, detail: string): void => {
      throw new Broken(promise, `${n.host.name} ${service}: ${detail}; the kernel has ${render(plan)}`);
    };
    if (!plan) throw new Broken('every service is in the kernel', `${n.host.name} ${service}`);
    const weights = new Map(plan.servers.map((s) => [s.key, s.weight]));
    const takingBad = seen.filter((s) => s.down && (weights.get(s.key) ?? 0) > 0);
    if (takingBad.length > kept) broken('a server that is down gets nothing', takingBad.map((s) => s.key).join(' '));
    const sorry = v.sorryServer ? weights.get(serverKey(v, v.sorryServer)) : undefined;
    const serves = (sorry ?? 0) > 0;
    if (v.sorryServer && lost !== undefined && lost !== serves)
      broken(
        'the sorry server serves exactly while the quorum is lost',
        `weights sum to ${sum}, quorum ${v.quorum} +- ${v.hysteresis}`,
      );
    if (serves && [...weights.values()].filter((w) => w > 0).length > 1)
      broken('the sorry server serves alone', 'others have weights too');

    for (const s of up) {
      if (held || s.unsure) continue;
      const have = weights.get(s.key);
      if (s.drained && have !== 0)
        broken('a drained server that lives stays in, with weight 0', `${s.key} has ${have}`);
      if (s.drained || serves) continue;
      const scale = o.extra === 'slow-start' ? 10 : 1;
      if (o.extra === 'slow-start' && !settled ? (have ?? 0) > 0 !== s.weight > 0 : have !== s.weight * scale)
        broken('a server that is up is in the plan with its weight', `${s.key} has ${have} of ${s.weight * scale}`);
    }
  }
  /** Between the bounds it is what it was; a pool begins with its quorum. Undefined: only the pool knows. */
  #quorumLost(n: Node, v: VirtualServer, sum: number, sure: boolean): boolean | undefined {
    const at = `${n.host.name} ${serviceKey(v)}`;
    const due = quorumRule(v, sum);
    const before = this.#lost.has(at) ? this.#lost.get(at) : false;
    const lost = sure ? (due === undefined ? before : !due) : undefined;
    this.#lost.set(at, lost);
    return lost;
  }
  /** All services of a host, or one that is gone. */
  forget(n: Node, service = ''): void {
    for (const at of this.#lost.keys()) if (at.startsWith(`${n.host.name} ${service}`)) this.#lost.delete(at);
  }
}
const render = (s: WantedService | undefined): string =>
  s?.servers.map((x) => `${x.key}=${x.weight}`).join(' ') ?? 'nothing';
