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
  type NetTables,
  type Network,
  type PlacedRoute,
  type Route,
  type Rule,
  routeIdentities,
  routeIdentity,
  ruleKey,
  sendable,
} from '../host/index.ts';
import type { Instance, ObjectTracking, WantedAddress, WantedHop, WantedRoute, WantedRule } from './config.ts';
import { vmacName } from './vmac.ts';

/** One entry of a kernel table that a master holds. `key` is what makes it the same one there; of all kinds it is unique. */
export type Held = {
  readonly key: string;
  /** For people. */
  readonly name: string;
  readonly tracking: ObjectTracking;
} & HeldObject;
export type HeldObject =
  | { readonly kind: 'address'; readonly address: LinkAddress }
  | { readonly kind: 'route'; readonly route: PlacedRoute }
  | { readonly kind: 'rule'; readonly rule: Rule };
export type Objects = {
  readonly held: readonly Held[];
  /** Interfaces that do not exist now: their objects are left out. */
  readonly missing: readonly string[];
};

/**
 * RTPROT_KEEPALIVED, as in iproute2's rt_protos: routes, rules and (kernel 5.18 and later) addresses that a VRRP daemon
 * put there. By it a process knows what one before it left behind.
 */
export const VRRP_PROTOCOL = 18;
const RT_TABLE_MAIN = 254; // linux/rtnetlink.h
const DEPRECATED_AT_ONCE = 0;

export const keyOf = (o: HeldObject): string =>
  o.kind === 'address'
    ? `address ${addressKey(o.address)}`
    : o.kind === 'route'
      ? `route ${routeIdentity(o.route)}`
      : `rule ${ruleKey(o.rule)}`;
/** The keys of which one is that of the object if it is ours, for one that is there. */
export const keysOfActual = (o: HeldObject): readonly string[] =>
  o.kind === 'route' ? routeIdentities(o.route).map((id) => `route ${id}`) : [keyOf(o)];
/** As the plan of the kernel's tables takes them. */
export const tablesOf = (held: Iterable<HeldObject>): NetTables => {
  const addresses: LinkAddress[] = [];
  const routes: PlacedRoute[] = [];
  const rules: Rule[] = [];
  for (const o of held)
    if (o.kind === 'address') addresses.push(o.address);
    else if (o.kind === 'route') routes.push(o.route);
    else rules.push(o.rule);
  return { addresses, routes, rules };
};

export const objectsIn = (t: NetTables): HeldObject[] => [
  ...t.addresses.map((address): HeldObject => ({ kind: 'address', address })),
  ...t.routes.map((route): HeldObject => ({ kind: 'route', route })),
  ...t.rules.map((rule): HeldObject => ({ kind: 'rule', rule })),
];

function nameOf(o: HeldObject): string {
  if (o.kind === 'address') return formatPrefix(o.address.prefix);
  if (o.kind === 'rule') return `rule ${o.rule.priority}`;
  const { destination, table } = o.route;
  return `route ${destination ? formatPrefix(destination) : 'default'}${table === RT_TABLE_MAIN ? '' : ` table ${table}`}`;
}

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
    protocol: VRRP_PROTOCOL,
  };
}

/** All that a master of this instance holds, on the devices that are there now. */
export const objectsOf = (i: Instance, lease: number | undefined, network: Pick<Network, 'linkByName'>): Objects =>
  resolveObjects(
    { addresses: [...i.addresses, ...i.excluded], routes: i.routes, rules: i.rules },
    lease,
    (name, address) => network.linkByName(vmacName(i, name, address) ?? name),
  );

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
  const held: Held[] = [];
  const add = (o: HeldObject, tracking: ObjectTracking): void => {
    held.push({ ...o, key: keyOf(o), name: nameOf(o), tracking });
  };
  for (const a of want.addresses) {
    const link = linkOf(a.interface, a);
    if (link) add({ kind: 'address', address: linkAddress(a, link.ifindex, lease) }, a.tracking);
    else missing.add(a.interface);
  }
  for (const r of want.routes) {
    const route = resolveRoute(r, linkOf, missing);
    if (route) add({ kind: 'route', route }, r.tracking);
  }
  for (const r of want.rules) add({ kind: 'rule', rule: { protocol: VRRP_PROTOCOL, ...r.rule } }, r.tracking);
  return { held, missing: [...missing] };
}

function resolveRoute(
  r: WantedRoute,
  linkOf: (name: string) => Link | undefined,
  missing: Set<string>,
): PlacedRoute | undefined {
  const hops = r.hops.map((h) => resolveHop(h, linkOf, missing));
  if (hops.some((h) => h === undefined)) return undefined;
  const { how, tracking: _, hops: __, protocol, scope, ...same } = r;
  const route = sendable({
    ...same,
    protocol: protocol ?? VRRP_PROTOCOL,
    scope: scope ?? (r.hops.some((h) => h.via !== undefined) || r.type !== 'unicast' ? 'global' : 'link'),
    hops: hops.filter((h) => h !== undefined),
  });
  return how === 'replace' ? route : { ...route, placement: how };
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
