/** From what the configuration wants a master to hold to the kernel's own terms: names become numbers. Pure. */
import {
  familyOf,
  formatPrefix,
  hostLength,
  type IpAddress,
  ipBytes,
  ipFromBytes,
  isLinkLocal,
} from '../base/index.ts';
import {
  addressKey,
  type Link,
  type LinkAddress,
  type Route,
  type Rule,
  routeKey,
  ruleKey,
  sendable,
} from '../host/index.ts';
import type { Instance, ObjectTracking, WantedAddress, WantedHop, WantedRoute, WantedRule } from './config.ts';

export type Held<T> = {
  /** What makes it the same object in the kernel. */
  readonly key: string;
  /** For people. */
  readonly name: string;
  readonly object: T;
  readonly tracking: ObjectTracking;
  /** A route beside others of the same key. */
  readonly placement?: 'append' | 'prepend';
};
export type Objects = {
  readonly addresses: readonly Held<LinkAddress>[];
  readonly routes: readonly Held<Route>[];
  readonly rules: readonly Held<Rule>[];
  /** Interfaces that do not exist now: their objects are left out. */
  readonly missing: readonly string[];
};

const RTPROT_KEEPALIVED = 18; // as in iproute2's rt_protos: routes that a VRRP daemon put there
const DEPRECATED_AT_ONCE = 0;

const RT_TABLE_MAIN = 254; // linux/rtnetlink.h

/** Routes of one kernel key that stand beside each other (`append`) are told apart by where they lead. */
export const placedRouteKey = (r: Route): string =>
  `${routeKey(r)} ${r.type} ${r.hops.map((h) => h.via ?? h.ifindex ?? '').join(' ')}`;

/** Interfaces whose loss takes away something that this instance must hold; `no_track` objects do not count. */
export function trackedInterfaces(
  i: Pick<Instance, 'addresses' | 'excluded' | 'routes' | 'rules'>,
): ReadonlySet<string> {
  const names = new Set<string>();
  const follow = (tracking: ObjectTracking, ...of: readonly (string | undefined)[]): void => {
    if (tracking.kind === 'follow') for (const name of of) if (name !== undefined) names.add(name);
  };
  for (const a of [...i.addresses, ...i.excluded]) follow(a.tracking, a.interface);
  for (const r of i.routes) follow(r.tracking, ...r.hops.map((h) => h.interface));
  for (const r of i.rules) follow(r.tracking, r.rule.iif, r.rule.oif);
  return names;
}

function broadcastOf(a: WantedAddress): IpAddress | undefined {
  if (a.broadcast === undefined || a.broadcast === 'none') return undefined;
  if (a.broadcast !== 'derive') return a.broadcast;
  const b = ipBytes(a.prefix.address);
  if (b.length !== 4) return undefined;
  for (let bit = a.prefix.length; bit < 32; bit++) b[bit >> 3] = (b[bit >> 3] as number) | (0x80 >> (bit & 7));
  return ipFromBytes(b);
}

/** `lease`: seconds after which the kernel takes the address away by itself unless it is renewed; undefined = never. */
export function linkAddress(a: WantedAddress, ifindex: number, lease: number | undefined): LinkAddress {
  const family = familyOf(a.prefix.address);
  const broadcast = broadcastOf(a);
  const whole = a.prefix.length === hostLength(family);
  // An IPv6 host address would be chosen as a source for anything: keepalived deprecates it from the start.
  const preferred = a.preferredSeconds ?? (family === 6 && whole ? DEPRECATED_AT_ONCE : 'forever');
  const preferredSeconds =
    preferred === 'forever' ? lease : lease === undefined ? preferred : Math.min(preferred, lease);
  return {
    ifindex,
    prefix: a.prefix,
    scope: a.scope ?? (family === 6 && isLinkLocal(a.prefix.address) ? 'link' : 'global'),
    ...(a.peer ? { peer: a.peer } : {}),
    ...(broadcast ? { broadcast } : {}),
    ...(a.label === undefined ? {} : { label: a.label }),
    ...(lease === undefined ? {} : { validSeconds: lease }),
    ...(preferredSeconds === undefined ? {} : { preferredSeconds }),
    ...(family === 6 && !a.detectDuplicates ? { noDad: true } : {}),
    ...(a.home ? { home: true } : {}),
    ...(a.manageTempAddr ? { manageTempAddr: true } : {}),
    ...(a.noPrefixRoute ? { noPrefixRoute: true } : {}),
    ...(a.autoJoin ? { autoJoin: true } : {}),
  };
}

/** `linkOf` knows which device stands for a name: itself, or the macvlan on it. Undefined: there is none now. */
export function resolveObjects(
  want: {
    readonly addresses: readonly WantedAddress[];
    readonly routes: readonly WantedRoute[];
    readonly rules: readonly WantedRule[];
  },
  lease: number | undefined,
  linkOf: (name: string, address?: WantedAddress) => Link | undefined,
): Objects {
  const missing = new Set<string>();
  const addresses: Held<LinkAddress>[] = [];
  for (const a of want.addresses) {
    const link = linkOf(a.interface, a);
    if (!link) missing.add(a.interface);
    else {
      const object = linkAddress(a, link.ifindex, lease);
      addresses.push({ key: addressKey(object), name: formatPrefix(a.prefix), object, tracking: a.tracking });
    }
  }
  const routes: Held<Route>[] = [];
  for (const r of want.routes) {
    const object = resolveRoute(r, linkOf, missing);
    if (!object) continue;
    const to = object.destination ? formatPrefix(object.destination) : 'default';
    const name = `route ${to}${object.table === RT_TABLE_MAIN ? '' : ` table ${object.table}`}`;
    const placed = r.how !== 'replace';
    const key = placed ? placedRouteKey(object) : routeKey(object);
    routes.push({
      key,
      name,
      object,
      tracking: r.tracking,
      ...(placed ? { placement: r.how as 'append' | 'prepend' } : {}),
    });
  }
  const rules = want.rules.map((r) => {
    const object: Rule = { ...r.rule, protocol: r.rule.protocol ?? RTPROT_KEEPALIVED };
    return { key: ruleKey(object), name: `rule ${object.priority}`, object, tracking: r.tracking };
  });
  return { addresses, routes, rules, missing: [...missing] };
}

function resolveRoute(
  r: WantedRoute,
  linkOf: (name: string) => Link | undefined,
  missing: Set<string>,
): Route | undefined {
  const hops = r.hops.map((h) => resolveHop(h, linkOf, missing));
  if (hops.some((h) => h === undefined)) return undefined;
  const { how: _, tracking: __, hops: ___, protocol, scope, ...same } = r;
  return sendable({
    ...same,
    protocol: protocol ?? RTPROT_KEEPALIVED,
    scope: scope ?? (r.hops.some((h) => h.via !== undefined) || r.type !== 'unicast' ? 'global' : 'link'),
    hops: hops.filter((h) => h !== undefined),
  });
}
function resolveHop(
  h: WantedHop,
  linkOf: (name: string) => Link | undefined,
  missing: Set<string>,
): Route['hops'][number] | undefined {
  const { interface: name, ...same } = h;
  if (name === undefined) return same;
  const link = linkOf(name);
  if (!link) {
    missing.add(name);
    return undefined;
  }
  return { ...same, ifindex: link.ifindex };
}
