/**
 * TCP connections through this process: for kernels and cases where no other plane goes, and only where it was asked
 * for, since servers no longer see the client's address (a PROXY header tells it to those that understand one) and
 * everything ends with this process.
 */
import { ok, type Result, seconds } from '../../../base/index.ts';
import type { HostError } from '../../../host/index.ts';
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
import type { RelaySettings } from './relay.ts';
import { type Admission, ProxyService, type ServiceHost } from './service.ts';

export type ProxyOptions = RelaySettings & {
  /** Connections at the same time; what comes beyond is reset. */
  readonly most: number;
};
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
  readonly #host: ServiceHost;
  readonly #options: ProxyOptions;
  readonly #services = new Map<ServiceKey, { readonly where: string; readonly service: ProxyService }>();
  readonly #admission: Admission;

  constructor(host: ServiceHost, options: ProxyOptions = PROXY_DEFAULTS) {
    this.#host = host;
    this.#options = options;
    let open = 0;
    this.#admission = {
      enter: () => {
        if (open >= options.most) return false;
        open++;
        return true;
      },
      leave: () => {
        open--;
      },
    };
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
    return wanted.services.map((s) => ({ key: s.key, result: this.#one(s) }));
  }
  counters(): Result<readonly ServiceCounters[], HostError> {
    return ok([...this.#services.values()].map(({ service }) => service.counters()));
  }
  tick(): void {
    for (const { service } of this.#services.values()) {
      service.listen(); // what was refused at first may go now
      service.look();
    }
  }
  /** Nothing of it outlives the process: `keep` makes no difference. */
  close(): void {
    for (const { service } of this.#services.values()) service.close();
    this.#services.clear();
  }
  #one(s: WantedService): Result<'kept' | 'changed', HostError> {
    const there = this.#services.get(s.key);
    if (there) return there.service.apply(s);
    const service = new ProxyService(s, this.#host, this.#options, this.#admission);
    this.#services.set(s.key, { where: JSON.stringify(s.match), service });
    return service.apply(s);
  }
}
