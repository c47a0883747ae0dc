/** What a world of directors is drawn from, and the configuration that comes of it. Readable in a failure, repeatable in a test. */
import { type IpAddress, type Random, us } from '../../base/index.ts';
import {
  type Checker,
  type DirectorConfig,
  exampleCheck,
  exampleDirector,
  exampleServer,
  exampleService,
  exampleTiming,
  type PoolOptions,
  type VirtualServer,
} from '../../director/index.ts';

export type ServerOptions = {
  readonly weight: number;
  readonly inhibit: boolean;
  readonly alpha: boolean;
  /** Also a MISC_CHECK that finds its weight. */
  readonly misc: boolean;
};
export type ServiceOptions = {
  readonly servers: readonly ServerOptions[];
  readonly quorum: number;
  readonly hysteresis: number;
  readonly sorry: boolean;
  readonly haSuspend: boolean;
  readonly interval: number;
  readonly retry: number;
  readonly retryDelay: number;
  readonly timeout: number;
  readonly warmup: number;
  readonly extra: 'none' | 'slow-start' | 'damping' | 'floor';
};
export type LbOptions = {
  readonly directors: number;
  readonly services: readonly ServiceOptions[];
  /** In the times of trouble: a plane refuses a service, a check's packet is lost. */
  readonly planeFaults: number;
  readonly loss: number;
  readonly rounds: number;
  /** Two directors tell each other of the connections that no ring would find. */
  readonly linked: boolean;
};

const MS = 1000;
/** `link`: for what has to do with the link only. */
export function drawOptions(r: Random, link: Random): LbOptions {
  return {
    directors: r.chance(0.6) ? 2 : 1,
    services: Array.from({ length: r.between(1, 3) }, () => drawService(r)),
    planeFaults: r.pick([0, 0, 0.1, 0.4]),
    loss: r.pick([0, 0, 0.05, 0.3]),
    rounds: r.between(1, 3),
    linked: link.chance(0.7),
  };
}
export const drawService = (r: Random): ServiceOptions => ({
  servers: Array.from({ length: r.between(1, 5) }, () => ({
    weight: r.pick([0, 1, 1, 1, 2, 5]),
    inhibit: r.chance(0.2),
    alpha: r.chance(0.2),
    misc: r.chance(0.2),
  })),
  quorum: r.pick([1, 1, 1, 2, 3, 6]),
  hysteresis: r.pick([0, 0, 1, 2]),
  sorry: r.chance(0.6),
  haSuspend: r.chance(0.2),
  interval: r.pick([100, 500, 1000, 1000]) * MS,
  retry: r.between(0, 3),
  retryDelay: r.pick([50, 200, 1000]) * MS,
  timeout: r.pick([100, 1000]) * MS,
  warmup: r.pick([0, 500]) * MS,
  extra: r.pick(['none', 'none', 'none', 'slow-start', 'damping', 'floor'] as const),
});
export const describeOptions = (o: LbOptions): string => JSON.stringify(o);

export const virtualAddress = (service: number): IpAddress => `10.0.0.${100 + service}` as IpAddress;
export const realAddress = (service: number, server: number): IpAddress =>
  `10.0.${service + 1}.${server + 1}` as IpAddress;
const sorryAddress = '127.0.0.1' as IpAddress;

const EXTRAS: Readonly<Record<ServiceOptions['extra'], PoolOptions>> = {
  none: {},
  'slow-start': { slowStart: us(3_000_000) },
  damping: { damping: { after: 2, first: us(2_000_000), most: us(8_000_000), forget: us(20_000_000) } },
  floor: { floor: 1 },
};

function serviceFor(o: ServiceOptions, n: number): VirtualServer {
  const timing = (alpha: boolean) =>
    exampleTiming({
      interval: us(o.interval),
      retry: o.retry,
      retryDelay: us(o.retryDelay),
      warmup: us(o.warmup),
      alpha,
    });
  const servers = o.servers.map((s, i) => {
    const address = realAddress(n, i);
    const connects: Checker = {
      ...exampleCheck(address),
      kind: 'tcp',
      timing: timing(s.alpha),
      connection: { address, port: 80, timeout: us(o.timeout) },
    };
    const misc: Checker = {
      kind: 'misc',
      timing: timing(s.alpha),
      script: { argv: ['/bin/check', address] },
      timeout: us(o.timeout),
      dynamic: true,
    };
    return exampleServer(address, {
      weight: s.weight,
      inhibitOnFailure: s.inhibit,
      alpha: s.alpha,
      checkers: s.misc ? [connects, misc] : [connects],
    });
  });
  const sorryServer = {
    address: sorryAddress,
    port: 80,
    forwarding: { method: 'direct-routing' },
    inhibitOnFailure: false,
  } as const;
  return exampleService(servers, {
    service: { by: 'address', address: virtualAddress(n), port: 80, protocol: 'tcp' },
    quorum: o.quorum,
    hysteresis: o.hysteresis,
    haSuspend: o.haSuspend,
    options: EXTRAS[o.extra],
    ...(o.sorry ? { sorryServer } : {}),
  });
}
export const configFor = (services: readonly (ServiceOptions | undefined)[]): DirectorConfig =>
  exampleDirector(services.flatMap((s, n) => (s ? [serviceFor(s, n)] : [])));
