/** Connections that servers have now, and what follows from them: the shares of services whose slots depend on it. */
import { ok, type Result } from '../../../base/index.ts';
import type { HostError, NetlinkChannel } from '../../../host/index.ts';
import { emulate, type Load } from '../../ring/index.ts';
import type { ServiceCounters, ServiceKey, WantedService } from '../../types.ts';
import { serverMark } from '../marks.ts';
import { type ActiveCounts, countActive, countersOf } from './counts.ts';
import type { Half } from './half.ts';
import type { ServiceImage } from './image.ts';
import { isEmulated } from './slots.ts';

export const needsLoads = (s: WantedService): boolean =>
  isEmulated(s.scheduler) || s.servers.some((x) => (x.upperThreshold ?? 0) > 0);

export type LoadsPorts = {
  readonly channel: NetlinkChannel;
  readonly nat: Half;
  readonly direct: Half;
  /** How long a flow of direct routing that was closed is remembered. */
  readonly finMs: () => number;
};

export class Loads {
  readonly #o: LoadsPorts;
  /** By mark, from the last look. */
  #active: ActiveCounts = new Map();
  /** Shares by which slots are filled; which servers are over their limit; connections at the last look. */
  readonly #weights = new Map<ServiceKey, readonly number[]>();
  readonly #overloaded = new Map<ServiceKey, readonly boolean[]>();
  readonly #connections = new Map<ServiceKey, number>();

  constructor(o: LoadsPorts) {
    this.#o = o;
  }
  /** Counts what is established now; tells how many entries were read. */
  look(): Result<number, HostError> {
    const { channel, nat, direct, finMs } = this.#o;
    const found = countActive(channel, {
      nat: nat.size > 0,
      direct: direct.size > 0 ? direct : undefined,
      finMs: finMs(),
    });
    if (!found.ok) return found;
    this.#active = found.value.active;
    return ok(found.value.read);
  }
  counters(): Result<readonly ServiceCounters[], HostError> {
    const look = this.look();
    if (!look.ok) return look;
    const nat = countersOf(this.#o.nat, true, this.#active);
    if (!nat.ok) return nat;
    const direct = countersOf(this.#o.direct, false, this.#active);
    return direct.ok ? ok([...nat.value, ...direct.value]) : direct;
  }

  /** Undefined: those that are configured. */
  weights(s: WantedService): readonly number[] | undefined {
    return this.#weights.get(s.key);
  }
  /** From what the last look found; nothing where a service's slots do not depend on it. */
  weigh(s: WantedService, image: ServiceImage | undefined): void {
    if (!needsLoads(s)) {
      this.forget(s.key);
      return;
    }
    const loads = s.servers.map((x): Load => {
      const number = image?.servers.find((y) => y.address === x.address && (y.port === 0 || y.port === x.port))?.number;
      const now = image && number !== undefined ? this.#active.get(serverMark(image.id, number)) : undefined;
      return {
        weight: x.weight,
        active: now?.active ?? 0,
        inactive: now?.inactive ?? 0,
        ...(x.upperThreshold !== undefined && { upperThreshold: x.upperThreshold }),
        ...(x.lowerThreshold !== undefined && { lowerThreshold: x.lowerThreshold }),
      };
    });
    const total = loads.reduce((n, l) => n + l.active + l.inactive, 0);
    const arrivals = Math.max(loads.length, total - (this.#connections.get(s.key) ?? 0));
    const before = this.#overloaded.get(s.key);
    const { shares, overloaded } = emulate(s.scheduler, loads, {
      arrivals,
      ...(before?.length === loads.length && { overloaded: before }),
    });
    this.#connections.set(s.key, total);
    this.#overloaded.set(s.key, overloaded);
    this.#weights.set(s.key, shares);
  }
  forget(key: ServiceKey): void {
    this.#weights.delete(key);
    this.#overloaded.delete(key);
    this.#connections.delete(key);
  }
  /** All others are forgotten. */
  only(services: readonly WantedService[]): void {
    if (this.#weights.size === 0) return;
    const keys = new Set(services.map((s) => s.key));
    for (const key of this.#weights.keys()) if (!keys.has(key)) this.forget(key);
  }
}
