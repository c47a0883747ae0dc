/**
 * TCP connections through this process: for kernels and cases where no other plane goes, and only where it was asked
 * for, since servers no longer see the client's address (a PROXY header tells it to those that understand one) and
 * everything ends with this process.
 */
import { ok, type Result, seconds } from '../../../base/index.ts';
import type { HostError, RelayHub, RelayLimits, Relays } from '../../../host/index.ts';
import type {
  Plane,
  Refusal,
  ServiceCounters,
  ServiceKey,
  ServiceOutcome,
  Wanted,
  WantedService,
} from '../../types.ts';
import { proxyRefuses } from './refusals.ts';
import { ProxyService, type ServiceHost, type ServiceSettings } from './service.ts';

/** `most` is for all services together: each connection takes two file descriptors. */
export type ProxyOptions = ServiceSettings & RelayLimits;
export const PROXY_DEFAULTS: ProxyOptions = {
  header: 'none',
  source: undefined,
  connectTimeout: seconds(3),
  /** The kernel's planes have IPVS's 900 s for an established connection. */
  idleTimeout: seconds(900),
  most: 10_000,
};

export class ProxyPlane implements Plane {
  readonly name = 'proxy';
  readonly #host: ServiceHost & { readonly relays: Relays };
  readonly #options: ProxyOptions;
  readonly #services = new Map<ServiceKey, { readonly where: string; readonly service: ProxyService }>();
  /** While there are services. */
  #hub: RelayHub | undefined;

  constructor(host: ServiceHost & { readonly relays: Relays }, options: ProxyOptions = PROXY_DEFAULTS) {
    this.#host = host;
    this.#options = options;
  }
  refuses(service: WantedService): Refusal | undefined {
    return proxyRefuses(service);
  }
  apply(wanted: Wanted): readonly ServiceOutcome[] {
    const kept = new Map(wanted.services.map((s) => [s.key, JSON.stringify(s.match)]));
    // What goes is closed first: what comes may want its address and port.
    for (const [key, { where, service }] of this.#services)
      if (kept.get(key) !== where) {
        service.close();
        this.#services.delete(key);
      }
    const outcomes = wanted.services.map((s) => ({ key: s.key, result: this.#one(s) }));
    if (this.#services.size === 0) this.#closeHub();
    return outcomes;
  }
  counters(): Result<readonly ServiceCounters[], HostError> {
    return ok([...this.#services.values()].map(({ service }) => service.counters()));
  }
  tick(): void {
    for (const { service } of this.#services.values()) service.listen(); // what was refused at first may go now
  }
  /** Nothing of it outlives the process: `keep` makes no difference. */
  close(): void {
    this.#services.clear();
    this.#closeHub();
  }
  #closeHub(): void {
    this.#hub?.close();
    this.#hub = undefined;
  }
  #one(s: WantedService): Result<'kept' | 'changed', HostError> {
    const there = this.#services.get(s.key);
    if (there) return there.service.apply(s);
    const hub = this.#hub === undefined ? this.#host.relays.open(this.#options) : ok(this.#hub);
    if (!hub.ok) return hub;
    this.#hub = hub.value;
    const service = ProxyService.open(s, this.#host, this.#options, hub.value);
    if (!service.ok) return service;
    this.#services.set(s.key, { where: JSON.stringify(s.match), service: service.value });
    return service.value.apply(s);
  }
}
