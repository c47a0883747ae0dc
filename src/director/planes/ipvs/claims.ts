import { text } from '../../../base/index.ts';
import type { HostError } from '../../../host/index.ts';
import type { ServiceKey, WantedService } from '../../types.ts';
import { type IpvsKey, type IpvsPool, ipvsKey } from './actual.ts';
import { poolsOf } from './wanted.ts';

/** A wanted service as it was last given, and what it is to the kernel. */
export type Held = {
  readonly service: WantedService;
  readonly pools: readonly { readonly key: IpvsKey; readonly pool: IpvsPool }[];
};
export type Comparison = {
  /** Services that are new, or other than last time. */
  readonly changed: readonly Held[];
  /** What services had in the kernel that are now other, or gone: to be removed unless it is still wanted. */
  readonly released: ReadonlySet<IpvsKey>;
  /** Two services for the same packets: the first has them. */
  readonly clashes: ReadonlyMap<ServiceKey, HostError>;
};

/** Which service of the configuration has which of the kernel's. What did not change costs one look each time. */
export class Claims {
  readonly #held = new Map<ServiceKey, Held>();
  readonly #owner = new Map<IpvsKey, ServiceKey>();

  held(): Iterable<Held> {
    return this.#held.values();
  }
  owner(key: IpvsKey): ServiceKey | undefined {
    return this.#owner.get(key);
  }
  has(key: IpvsKey): boolean {
    return this.#owner.has(key);
  }
  /** Everything is new again. */
  forgetAll(): void {
    this.#held.clear();
    this.#owner.clear();
  }
  /** It is looked at again next time; what it has in the kernel stays its own. */
  doubt(key: ServiceKey): void {
    const h = this.#held.get(key);
    if (h !== undefined) this.#held.set(key, { ...h, service: { ...h.service } });
  }

  /** A service that is the very same object as last time did not change. */
  compare(services: readonly WantedService[]): Comparison {
    const other = services.filter((s) => this.#held.get(s.key)?.service !== s);
    const released = new Set<IpvsKey>();
    const release = (key: ServiceKey): void => {
      for (const p of this.#held.get(key)?.pools ?? []) {
        released.add(p.key);
        this.#owner.delete(p.key);
      }
      this.#held.delete(key);
    };
    for (const s of other) release(s.key);
    if (this.#held.size + other.length > services.length) {
      const wanted = new Set(services.map((s) => s.key));
      for (const key of [...this.#held.keys()]) if (!wanted.has(key)) release(key);
    }
    const changed: Held[] = [];
    const clashes = new Map<ServiceKey, HostError>();
    for (const service of other) {
      const pools = poolsOf(service).map((pool) => ({ key: ipvsKey(pool.service.identity), pool }));
      const rival = pools.map((p) => this.#owner.get(p.key)).find((k) => k !== undefined);
      if (rival !== undefined) {
        const doing = text(
          `${service.key}: ${rival} takes the same packets`,
          `${service.key}：${rival} 已接收相同的数据包`,
        );
        clashes.set(service.key, { code: 'EEXIST', doing });
        continue;
      }
      for (const p of pools) this.#owner.set(p.key, service.key);
      const held = { service, pools };
      this.#held.set(service.key, held);
      changed.push(held);
    }
    return { changed, released, clashes };
  }
}
