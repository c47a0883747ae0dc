/** One form for each entry of a kernel table, so that what was asked for and what the kernel tells of it compare equal. */
import { familyOf, formatPrefix, type IpPrefix, ipBytes, ipFromBytes } from '../../base/index.ts';
import type { LinkAddress, Route, Rule } from '../ports.ts';

/** IP6_RT_PRIO_USER: what the kernel makes of an IPv6 route without a metric. */
const DEFAULT_METRIC_6 = 1024;
const ALL_BITS = 0xffff_ffff;
/** Types that lead nowhere: the kernel hangs IPv6 ones on the loopback device by itself. */
const REJECTING: readonly Route['type'][] = ['blackhole', 'unreachable', 'prohibit', 'throw'];

/** The prefix with its host bits cleared; undefined for one of length 0, which says nothing. */
export function network(p: IpPrefix | undefined): IpPrefix | undefined {
  if (p === undefined || p.length === 0) return undefined;
  const b = ipBytes(p.address);
  for (let i = 0; i < b.length; i++) {
    const bits = Math.min(8, Math.max(0, p.length - i * 8));
    b[i] = (b[i] as number) & (0xff00 >> bits);
  }
  return { address: ipFromBytes(b), length: p.length };
}
const prefixKey = (p: IpPrefix | undefined): string => (p === undefined ? '-' : formatPrefix(p));

/** The kernel's key: two addresses of one key cannot be on a link at once. */
export const addressKey = (a: LinkAddress): string =>
  a.peer === undefined
    ? `${a.ifindex} ${formatPrefix(a.prefix)}`
    : `${a.ifindex} ${a.prefix.address} peer ${formatPrefix(a.peer)}`;
/** Which IPv4 addresses are primary and secondary of each other: link, length and network. */
export const subnetKey = (a: LinkAddress): string => `${a.ifindex} ${prefixKey(network(a.peer ?? a.prefix))}`;

/** What of an address can be changed only by taking it away, and what the kernel does not keep is left out. */
export function fixedParts(a: LinkAddress, linkName: string | undefined): string {
  const v6 = familyOf(a.prefix.address) === 6;
  return JSON.stringify([
    v6 ? undefined : a.scope, // IPv6 derives the scope from the address
    v6 ? undefined : a.broadcast,
    v6 || a.label === linkName ? undefined : a.label,
    a.noPrefixRoute ?? false,
    a.autoJoin ?? false,
    v6 && (a.home ?? false),
    v6 && (a.manageTempAddr ?? false),
  ]);
}

const metricOf = (r: Route): number => (r.family === 6 ? r.metric || DEFAULT_METRIC_6 : (r.metric ?? 0));
/** The kernel's key of a route: what `replace` overwrites. */
export const routeKey = (r: Route): string =>
  [
    r.family,
    r.table,
    prefixKey(network(r.destination)),
    prefixKey(network(r.from)),
    r.family === 4 ? (r.tos ?? 0) : 0,
    metricOf(r),
  ].join(' ');

/**
 * What tells routes apart for who holds them: the key, and for those with a placement, of which there may be several
 * with one key, the hops.
 */
export function routeIdentity(r: Route & { readonly placement?: string }): string {
  return r.placement === undefined ? routeKey(r) : byHops(r, true);
}
/** The identities that a wanted route may have if the one that is there is its like: a device beside a gateway need not be named. */
export const routeIdentities = (there: Route): readonly string[] => [
  routeKey(there),
  byHops(there, true),
  byHops(there, false),
];
function byHops(r: Route, withDevices: boolean): string {
  const hops = r.hops.map((h) => `${h.via ?? ''}@${withDevices || h.via === undefined ? (h.ifindex ?? '') : ''}`);
  return `${routeKey(r)} ${r.type} ${hops.sort().join(' ')}`;
}

/** What is sent for a wanted route: prefixes without host bits, which IPv4 refuses, and no prefix for the default. */
export function sendable(r: Route): Route {
  const { destination, from, ...rest } = r;
  const [to, source] = [network(destination), network(from)];
  return { ...rest, ...(to !== undefined && { destination: to }), ...(source !== undefined && { from: source }) };
}

/** Whether the route that is there does what the wanted one says. What is not wanted explicitly, the kernel may have chosen. */
export function routeFits(wanted: Route, there: Route): boolean {
  const v4 = wanted.family === 4;
  const open = wanted.hops.length > 0 && !REJECTING.includes(wanted.type);
  return (
    wanted.type === there.type &&
    wanted.protocol === there.protocol &&
    (!v4 || wanted.scope === there.scope) &&
    wanted.source === there.source &&
    metricsText(wanted) === metricsText(there) &&
    (v4 || (wanted.preference ?? 'medium') === (there.preference ?? 'medium')) &&
    (wanted.ttlPropagate === undefined || wanted.ttlPropagate === there.ttlPropagate) &&
    (!open || hopsFit(wanted, there))
  );
}
function metricsText(r: Route): string {
  const { locked, ...values } = r.metrics ?? {};
  return JSON.stringify([Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1)), [...(locked ?? [])].sort()]);
}
function hopsFit(wanted: Route, there: Route): boolean {
  if (wanted.hops.length !== there.hops.length) return false;
  const left = [...there.hops];
  // IPv6 keeps its hops in no promised order, and for IPv4 the order means nothing.
  return wanted.hops.every((w) => {
    const at = left.findIndex(
      (h) =>
        w.via === h.via &&
        (w.ifindex === undefined || w.ifindex === h.ifindex) &&
        (wanted.hops.length === 1 || (w.weight ?? 1) === (h.weight ?? 1)) &&
        (w.onlink ?? false) === (h.onlink ?? false) &&
        (w.realms ?? 0) === (h.realms ?? 0) &&
        w.encap?.kind === h.encap?.kind &&
        Object.entries(w.encap?.options ?? {}).every(([name, value]) => h.encap?.options[name] === value),
    );
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  });
}

const rulePrefix = (p: IpPrefix | undefined): string => prefixKey(p?.length === 0 ? undefined : p);
const actionText = (a: Rule['action']): string =>
  a.do === 'table' ? `table ${a.table}` : a.do === 'goto' ? `goto ${a.priority}` : a.do;
/** A rule is its own key: everything in it, with the kernel's defaults filled in. */
export const ruleKey = (r: Rule): string =>
  JSON.stringify([
    r.family,
    r.priority,
    r.l3mdev ? 'l3mdev' : actionText(r.action),
    r.invert ?? false,
    rulePrefix(r.from),
    rulePrefix(r.to),
    r.tos ?? 0,
    r.fwmark,
    r.fwmark === undefined ? undefined : (r.fwmask ?? ALL_BITS),
    r.iif,
    r.oif,
    r.realms ?? 0,
    r.suppressPrefixLength,
    r.suppressGroup,
    (r.tunnelId ?? 0).toString(),
    r.uidRange && [r.uidRange.from, r.uidRange.to],
    r.ipProtocol ?? 0,
    r.sourcePorts && [r.sourcePorts.from, r.sourcePorts.to],
    r.destinationPorts && [r.destinationPorts.from, r.destinationPorts.to],
    r.protocol ?? 0,
  ]);
