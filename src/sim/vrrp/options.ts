/** What a world of virtual routers looks like: drawn from its seed, or set by a test. */
import { type Family, type IpAddress, type Microseconds, type Random, us } from '../../base/index.ts';
import {
  exampleAddress,
  exampleConfig,
  exampleGroup,
  exampleInstance,
  type Instance,
  type VrrpConfig,
} from '../../vrrp/index.ts';

export type HostOptions = { readonly priority: number; readonly preempt: boolean };
export type VrrpOptions = {
  readonly hosts: readonly HostOptions[];
  /** Virtual routers; more than one are in a sync group. */
  readonly routers: number;
  /** Links between the hosts; the second and further only carry adverts. */
  readonly links: number;
  /** On the second and further links the hosts' addresses are in the opposite order: ties look different there. */
  readonly crossed: boolean;
  readonly version: 2 | 3;
  readonly family: Family;
  readonly interval: Microseconds;
  readonly unicast: boolean;
  readonly authentication: 'none' | 'pass' | 'ah';
  readonly preemptDelay: Microseconds;
  /** One way. */
  readonly mostDelay: number;
  readonly jitter: number;
  /** In the times of trouble. */
  readonly loss: number;
  readonly duplicates: number;
  readonly rounds: number;
};

export function drawOptions(r: Random): VrrpOptions {
  const version = r.chance(0.3) ? 2 : 3;
  const interval = us(version === 2 ? 1_000_000 : r.pick([10_000, 100_000, 100_000, 1_000_000, 1_000_000]));
  const count = r.chance(0.75) ? 2 : 3;
  const equal = r.chance(0.2);
  const preempt = r.chance(0.75);
  const highest = r.between(30, 254);
  return {
    hosts: Array.from({ length: count }, (_, i) => ({
      priority: equal ? highest : Math.max(1, highest - i * r.between(1, 12)),
      preempt,
    })),
    routers: r.chance(0.6) ? 1 : r.between(2, 3),
    links: r.chance(0.7) ? 1 : 2,
    version,
    family: version === 3 && r.chance(0.3) ? 6 : 4,
    interval,
    unicast: r.chance(0.25),
    authentication: version === 3 || r.chance(0.5) ? 'none' : r.pick(['pass', 'ah'] as const),
    preemptDelay: us(preempt && r.chance(0.15) ? interval * r.between(1, 8) : 0),
    mostDelay: r.between(60, Math.floor(interval / 25)),
    jitter: r.chance(0.5) ? 0 : r.between(0, Math.floor(interval / 50)),
    loss: r.pick([0, 0, 0.02, 0.1, 0.3]),
    duplicates: r.pick([0, 0, 0.05]),
    rounds: r.between(1, 3),
    crossed: r.chance(0.5), // the last one, so that older seeds draw the same world
  };
}

export const describeOptions = (o: VrrpOptions): string =>
  Object.entries(o)
    .map(([k, v]) => `${k}=${typeof v === 'object' ? JSON.stringify(v) : String(v)}`)
    .join(' ');

/** The host's own address on a link; both are counted from 0. */
export function hostAddress(o: VrrpOptions, link: number, host: number): IpAddress {
  const n = o.crossed && link > 0 ? o.hosts.length - host : host + 1;
  return (o.family === 4 ? `10.${link}.0.${n}` : `fe80::${link + 1}:${n}`) as IpAddress;
}
export const virtualAddress = (family: Family, router: number): IpAddress =>
  (family === 4 ? `10.0.0.${100 + router}` : `fe80::100:${router + 1}`) as IpAddress;
export const instanceName = (router: number): string => `VI_${router + 1}`;

function instance(o: VrrpOptions, host: number, router: number): Instance {
  const me = o.hosts[host] as HostOptions;
  const peers = (link: number): { address: IpAddress }[] =>
    o.hosts.flatMap((_, h) => (h === host ? [] : [{ address: hostAddress(o, link, h) }]));
  return exampleInstance({
    name: instanceName(router),
    virtualRouterId: 51 + router,
    version: o.version,
    family: o.family,
    priority: me.priority,
    advertInterval: o.interval,
    preempt: me.preempt,
    preemptDelay: o.preemptDelay,
    authentication: o.authentication === 'none' ? { type: 'none' } : { type: o.authentication, password: 'sim' },
    addresses: [exampleAddress(virtualAddress(o.family, router), o.family === 4 ? 24 : 64)],
    unicastPeers: o.unicast ? peers(0) : undefined,
    multicastGroup: (o.family === 4 ? '224.0.0.18' : 'ff02::12') as IpAddress,
    links: Array.from({ length: o.links - 1 }, (_, i) => ({
      interface: `eth${i + 1}`,
      peers: o.unicast ? peers(i + 1) : [],
    })),
  });
}

export function configFor(o: VrrpOptions, host: number): VrrpConfig {
  const instances = Array.from({ length: o.routers }, (_, r) => instance(o, host, r));
  return exampleConfig(instances, {
    routerId: `host${host + 1}`,
    groups: o.routers > 1 ? [exampleGroup(instances.map((i) => i.name))] : [],
  });
}
