/**
 * Which service is on which plane, and what each plane was last told. Planes are told only of what changed: a service
 * that did not is given to them as the very same object.
 */
import { type Text, text } from '../base/index.ts';
import type { HostError, Log } from '../host/index.ts';
import { type Choice, choosePlane, describePassedOver } from './select.ts';
import type { Plane, PlaneName, ServerCounters, ServiceKey, Wanted, WantedService } from './types.ts';

export type PoolPlan = {
  readonly key: ServiceKey;
  /** With all the servers that may ever be wanted. */
  readonly widest: readonly WantedService[];
  readonly asked: PlaneName | undefined;
};
type Placed = {
  readonly key: ServiceKey;
  readonly choice: Choice;
  /** What is wanted now; undefined before the pool has said so. */
  service: WantedService | undefined;
  /** Its plane has heard of it. */
  told: boolean;
  error: HostError | undefined;
};
/** Where one service of a pool is. `why` it is there, or nowhere. */
export type Place = {
  readonly key: ServiceKey;
  readonly plane: PlaneName | undefined;
  readonly why: Text;
  readonly error: HostError | undefined;
};

export class Placement {
  readonly #planes: readonly Plane[];
  readonly #log: Log;
  /** In the order of the configuration. */
  #pools = new Map<ServiceKey, Placed[]>();
  readonly #stale = new Set<PlaneName>();
  #shared: Pick<Wanted, 'timeouts' | 'sync'> = { timeouts: {}, sync: [] };

  constructor(planes: readonly Plane[], log: Log) {
    this.#planes = planes;
    this.#log = log;
    for (const p of planes) this.#stale.add(p.name); // what an earlier process left is adopted or swept
  }

  /** All the pools that there are now. A service that can stay where it is stays there. */
  arrange(pools: readonly PoolPlan[]): void {
    const before = this.#pools;
    this.#pools = new Map();
    for (const pool of pools) {
      const old = before.get(pool.key) ?? [];
      const placed = pool.widest.map((service) => this.#place(pool, service, old));
      this.#pools.set(pool.key, placed);
      for (const was of old) if (!placed.some((p) => p.key === was.key)) this.#markStale(was);
    }
    for (const [key, old] of before) if (!this.#pools.has(key)) for (const was of old) this.#markStale(was);
  }
  #place(pool: PoolPlan, service: WantedService, old: readonly Placed[]): Placed {
    const was = old.find((p) => p.key === service.key);
    const present = was?.choice.ok ? was.choice.plane : undefined;
    const choice = choosePlane(service, this.#planes, { asked: pool.asked, present });
    const plane = choice.ok ? choice.plane : undefined;
    if (was && plane === present) {
      // Where it stays, the reason of old still holds.
      return {
        key: service.key,
        choice: choice.ok ? was.choice : choice,
        service: was.service,
        told: was.told,
        error: was.error,
      };
    }
    if (was) this.#markStale(was);
    this.#say(service.key, choice);
    return { key: service.key, choice, service: undefined, told: false, error: undefined };
  }
  #say(key: ServiceKey, choice: Choice): void {
    if (choice.ok) {
      const { plane, why } = choice;
      const words = text(`${key} is carried by ${plane}: ${why.en}`, `${key} 由 ${plane} 承载：${why.zh}`);
      this.#log.write({ level: 'info', code: 'lb.plane', text: words, fields: { service: key, plane } });
      return;
    }
    const why = describePassedOver(choice.passedOver);
    const words = text(`${key} cannot be carried: ${why.en}`, `${key} 无法承载：${why.zh}`);
    this.#log.write({ level: 'error', code: 'lb.refused', text: words, fields: { service: key } });
  }
  #markStale(p: Placed): void {
    if (p.choice.ok) this.#stale.add(p.choice.plane);
  }

  share(shared: Pick<Wanted, 'timeouts' | 'sync'>): void {
    if (JSON.stringify(shared) === JSON.stringify(this.#shared)) return;
    this.#shared = shared;
    this.#stale.add('ipvs');
  }
  /** What a pool wants now. */
  want(pool: ServiceKey, services: readonly WantedService[]): void {
    for (const placed of this.#pools.get(pool) ?? []) {
      const next = services.find((s) => s.key === placed.key);
      if (!next || (placed.service && JSON.stringify(placed.service) === JSON.stringify(next))) continue;
      placed.service = next;
      this.#markStale(placed);
    }
  }
  /** Tells the planes that do not know yet; nothing happens when all do. A plane that takes a service on comes before the one that gives it up. */
  apply(): void {
    if (this.#stale.size === 0) return;
    const stale = this.#planes
      .filter((p) => this.#stale.has(p.name))
      .map((plane) => ({ plane, placed: this.#on(plane) }));
    this.#stale.clear();
    const news = (s: { readonly placed: readonly Placed[] }): number => (s.placed.some((p) => !p.told) ? 1 : 0);
    stale.sort((a, b) => news(b) - news(a));
    for (const { plane, placed } of stale) this.#tell(plane, placed);
  }
  #on(plane: Plane): Placed[] {
    const out: Placed[] = [];
    for (const pool of this.#pools.values())
      for (const p of pool) if (p.service && p.choice.ok && p.choice.plane === plane.name) out.push(p);
    return out;
  }
  #tell(plane: Plane, placed: readonly Placed[]): void {
    const services = placed.flatMap((p) => p.service ?? []);
    const { timeouts, sync } = this.#shared;
    const outcomes = plane.apply({ services, timeouts, sync: plane.name === 'ipvs' ? sync : [] });
    const failed = new Map(outcomes.flatMap((o) => (o.result.ok ? [] : [[o.key, o.result.error] as const])));
    for (const p of placed) {
      p.told = true;
      this.#outcome(plane, p, failed.get(p.key));
    }
  }
  /** A failure is told once, and once more when it is over; meanwhile it is tried again. */
  #outcome(plane: Plane, p: Placed, error: HostError | undefined): void {
    const was = p.error;
    p.error = error;
    if (error?.code === was?.code && error?.doing.en === was?.doing.en) return;
    const words = error
      ? text(
          `${plane.name} could not be told of ${p.key}: ${error.doing.en}: ${error.code}`,
          `无法向 ${plane.name} 下发 ${p.key}：${error.doing.zh}：${error.code}`,
        )
      : text(`${plane.name} holds ${p.key} again as it should be`, `${plane.name} 中的 ${p.key} 已恢复一致`);
    this.#log.write({
      level: error ? 'error' : 'notice',
      code: error ? 'lb.plane-failed' : 'lb.plane-recovered',
      text: words,
      fields: { service: p.key, plane: plane.name },
    });
  }

  /** About once a second: what failed is tried again, and planes look after themselves. */
  tick(): void {
    for (const pool of this.#pools.values()) for (const p of pool) if (p.error) this.#markStale(p);
    this.apply();
    for (const plane of this.#planes) plane.tick?.();
  }

  places(pool: ServiceKey): Place[] {
    return (this.#pools.get(pool) ?? []).map(({ key, choice, error }) => ({
      key,
      plane: choice.ok ? choice.plane : undefined,
      why: choice.ok ? choice.why : describePassedOver(choice.passedOver),
      error,
    }));
  }
  /** By the key of the service, then of the server; planes that cannot tell are left out. */
  counters(): Map<ServiceKey, Map<string, ServerCounters>> {
    const out = new Map<ServiceKey, Map<string, ServerCounters>>();
    for (const plane of this.#planes) {
      if (this.#on(plane).length === 0) continue;
      const read = plane.counters();
      if (!read.ok) continue;
      for (const s of read.value) out.set(s.key, new Map(s.servers.map((x) => [x.key, x])));
    }
    return out;
  }
  close(o: { readonly keep: boolean }): void {
    for (const plane of this.#planes) plane.close(o);
  }
}
