/** A plane of the simulated kernel: services that outlive the process, flows that stick to their servers, and a ring for the rest. */
import { type IpAddress, ok, type Result, text } from '../../base/index.ts';
import {
  type FlowException,
  maglev,
  NOBODY,
  type Plane,
  RING_SIZES,
  type ServiceCounters,
  type ServiceOutcome,
  type Wanted,
  type WantedService,
} from '../../director/index.ts';
import type { World } from '../world.ts';

export type Flow = {
  readonly service: string;
  readonly client: number;
  readonly server: string;
  /** Another director told of it, and it has not come by here. */
  readonly foreign?: boolean;
};
const CLIENTS_NET = '203.0.113.';

export class Kernel {
  readonly services = new Map<string, WantedService>();
  /** By service and client. */
  readonly flows = new Map<string, Flow>();
  readonly #world: World;
  readonly #rings = new Map<string, { readonly of: WantedService; readonly table: Int32Array }>();
  /** Changes of a service since it was last asked. */
  writes: string[] = [];
  faults = 0;
  /** Services that could not be written, and are not as they should be. */
  readonly failing = new Set<string>();
  /** Counts whatever may have changed a plan. */
  version = 0;
  /** Told of each flow whose server is taken out. */
  cut: (f: Flow) => void = () => {};

  constructor(world: World) {
    this.#world = world;
  }
  /** The power goes. */
  clear(): void {
    this.services.clear();
    this.failing.clear();
    this.flows.clear();
    this.#rings.clear();
  }
  plane(): Plane {
    return {
      name: 'bpf',
      refuses: () => undefined,
      apply: (w) => this.#apply(w),
      counters: () => this.#counters(),
      exceptions: (most) => ok(this.#exceptions().slice(0, most)),
      adopt: (flows) => this.#adopt(flows),
      abandon: (flows) => this.#abandon(flows),
      close: ({ keep }) => {
        if (!keep) this.clear();
      },
    };
  }
  #apply(w: Wanted): ServiceOutcome[] {
    for (const key of this.services.keys())
      if (!w.services.some((s) => s.key === key)) {
        this.#cut(key, new Set());
        this.services.delete(key);
        this.failing.delete(key);
        this.writes.push(key);
      }
    this.version++;
    return w.services.map((s): ServiceOutcome => {
      this.failing.delete(s.key);
      if (JSON.stringify(this.services.get(s.key)) === JSON.stringify(s))
        return { key: s.key, result: { ok: true, value: 'kept' } };
      if (this.#world.random.chance(this.faults)) {
        this.failing.add(s.key);
        this.#world.note('kernel', `${s.key}: EBUSY`);
        return {
          key: s.key,
          result: { ok: false, error: { code: 'EBUSY', doing: text('write the service', '写入服务') } },
        };
      }
      this.#cut(s.key, new Set(s.servers.map((x) => x.key)));
      this.services.set(s.key, s);
      this.writes.push(s.key);
      return { key: s.key, result: { ok: true, value: 'changed' } };
    });
  }
  #cut(service: string, left: ReadonlySet<string>): void {
    for (const [id, f] of this.flows)
      if (f.service === service && !left.has(f.server)) {
        this.flows.delete(id);
        this.cut(f);
      }
  }
  /** What the ring alone says: what another director with the same services says as well. */
  byRing(service: string, client: number): string | undefined {
    const s = this.services.get(service);
    if (!s) return undefined;
    let ring = this.#rings.get(service);
    if (ring?.of !== s) {
      ring = { of: s, table: maglev(s.servers, RING_SIZES.small, { away: s.away ?? [] }) };
      this.#rings.set(service, ring);
    }
    const slot = ring.table[client % RING_SIZES.small] ?? NOBODY;
    return s.servers[slot]?.key;
  }
  /** A packet: an open flow goes on, another begins. */
  packet(service: string, client: number): string | undefined {
    const id = `${service} ${client}`;
    const known = this.flows.get(id);
    if (known) {
      if (known.foreign) this.flows.set(id, { service, client, server: known.server });
      return known.server;
    }
    const server = this.byRing(service, client);
    if (server !== undefined) this.flows.set(id, { service, client, server });
    return server;
  }
  #exceptions(): FlowException[] {
    const odd = [...this.flows.values()].filter((f) => !f.foreign && this.byRing(f.service, f.client) !== f.server);
    return odd.map(({ service, server, client }) => ({
      service,
      server,
      client: `${CLIENTS_NET}${client}` as IpAddress,
      clientPort: 40_000,
      address: service.replace(/^tcp |:80$/g, '') as IpAddress,
      port: 80,
    }));
  }
  /** What came by here is left as it is. */
  #adopt(flows: readonly FlowException[]): void {
    for (const { service, server, client: address } of flows) {
      const client = Number(address.slice(CLIENTS_NET.length));
      const id = `${service} ${client}`;
      const known = this.flows.get(id);
      if ((known && !known.foreign) || !this.services.get(service)?.servers.some((x) => x.key === server)) continue;
      this.flows.set(id, { service, client, server, foreign: true });
    }
  }
  #abandon(flows: readonly FlowException[]): void {
    for (const { service, client } of flows) {
      const id = `${service} ${client.slice(CLIENTS_NET.length)}`;
      if (this.flows.get(id)?.foreign) this.flows.delete(id);
    }
  }
  #counters(): Result<readonly ServiceCounters[], never> {
    const zero = { connections: 0, packetsIn: 0, bytesIn: 0, packetsOut: 0, bytesOut: 0, inactive: 0 };
    const value = [...this.services.values()].map((s) => ({
      key: s.key,
      servers: s.servers.map((x) => ({
        ...zero,
        key: x.key,
        active: [...this.flows.values()].filter((f) => f.service === s.key && f.server === x.key).length,
      })),
    }));
    return { ok: true, value };
  }
}
