import { err, type Family, familyOf, type IpAddress, ipBytes, ipFromBytes, ok, type Result } from '../../base/index.ts';
import { Attributes } from './attributes.ts';
import { readEncap, writeEncap } from './encap.ts';
import { AF, familyFromAf, fits, scopeFromNumber, scopeNumber } from './family.ts';
import type { NetlinkError } from './message.ts';
import { readMetrics, writeMetrics } from './metrics.ts';
import { align4, NativeView } from './native.ts';
import type { NextHop, Route, RouteType } from './types.ts';
import { NetlinkWriter } from './writer.ts';

const HEAD = 12; // struct rtmsg: u8 family, destination length, source length, tos, table, protocol, scope, type; u32 flags
const HOP_HEAD = 8; // struct rtnexthop: u16 length, u8 flags, u8 weight less one, s32 index
const RTA = {
  destination: 1,
  from: 2,
  oif: 4,
  gateway: 5,
  priority: 6,
  source: 7,
  metrics: 8,
  multipath: 9,
  flow: 11,
  cacheInfo: 12,
  table: 15,
  via: 18,
  preference: 20,
  encapType: 21,
  encap: 22,
  expires: 23,
  ttlPropagate: 26,
} as const;
const ENCAP = { type: RTA.encapType, encap: RTA.encap } as const;
const RTNH_F_ONLINK = 4;
const RTM_F_CLONED = 0x200;
/** Ticks in which the kernel tells of times to programs (USER_HZ), the same on every Linux. */
const USER_HZ = 100;
const TYPES: readonly RouteType[] = [
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
  'throw',
  'nat',
];
/** RFC 4191 section 2.1, as two's complement of two bits. */
const PREFERENCE = { medium: 0, high: 1, low: 3 } as const;

/** An entry of the route cache (a path MTU that was learnt), told in the same dump as the table; not a route that anyone set. */
export const isCachedRoute = (b: Uint8Array): boolean =>
  b.length >= HEAD && (new NativeView(b).u32(8) & RTM_F_CLONED) !== 0;

const readVia = (a: Attributes): IpAddress | undefined => {
  const b = a.bytes(RTA.via);
  if (b === undefined) return undefined;
  const family = b.length < 2 ? undefined : familyFromAf(new NativeView(b).u16(0));
  return family !== undefined && b.length === 2 + (family === 4 ? 4 : 16)
    ? ipFromBytes(b.subarray(2))
    : a.reject(RTA.via);
};
/** What a next hop has in common with a route that has only one. */
function readHop(a: Attributes, family: Family, ifindex: number, flags: number): NextHop {
  const via = a.ip(RTA.gateway, family) ?? readVia(a);
  const realms = a.u32(RTA.flow);
  const encap = readEncap(a, ENCAP);
  return {
    ...(via !== undefined && { via }),
    ...(ifindex !== 0 && { ifindex }),
    ...((flags & RTNH_F_ONLINK) !== 0 && { onlink: true }),
    ...(encap !== undefined && { encap }),
    ...(realms !== undefined && { realms }),
  };
}
function readMultipath(outer: Attributes, b: Uint8Array, family: Family): NextHop[] {
  const hops: NextHop[] = [];
  for (let at = 0; at < b.length; ) {
    const rest = b.subarray(at);
    const v = new NativeView(rest);
    const length = rest.length < HOP_HEAD ? 0 : v.u16(0);
    if (length < HOP_HEAD || length > rest.length) {
      outer.reject(RTA.multipath);
      return hops;
    }
    const hop = readHop(outer.within(rest.subarray(HOP_HEAD, length)), family, v.u32(4), v.u8(2));
    hops.push(v.u8(3) === 0 ? hop : { ...hop, weight: v.u8(3) + 1 });
    at += align4(length);
  }
  return hops;
}

/** Payload of RTM_NEWROUTE and RTM_DELROUTE. Attributes of no meaning here (cache information, nexthop objects) are passed over. */
export function decodeRoute(b: Uint8Array): Result<Route, NetlinkError> {
  if (b.length < HEAD) return err({ kind: 'length', have: b.length, need: HEAD });
  const v = new NativeView(b);
  const family = familyFromAf(v.u8(0));
  if (family === undefined) return err({ kind: 'family', have: v.u8(0) });
  const [destinationLength, fromLength, tos] = [v.u8(1), v.u8(2), v.u8(3)];
  for (const have of [destinationLength, fromLength])
    if (!fits(have, family)) return err({ kind: 'range', field: 'prefix length', have });
  const type = TYPES[v.u8(7) - 1];
  if (type === undefined) return err({ kind: 'range', field: 'route type', have: v.u8(7) });

  const a = new Attributes(b.subarray(HEAD));
  const destination = a.ip(RTA.destination, family);
  const from = a.ip(RTA.from, family);
  const metric = a.u32(RTA.priority);
  const source = a.ip(RTA.source, family);
  const nested = a.nested(RTA.metrics);
  const metrics = nested && readMetrics(nested);
  const multipath = a.bytes(RTA.multipath);
  const single = readHop(a, family, a.u32(RTA.oif) ?? 0, v.u32(8));
  const hops =
    multipath !== undefined ? readMultipath(a, multipath, family) : Object.keys(single).length > 0 ? [single] : [];
  const left = a.u32s(RTA.cacheInfo, 3)?.[2] ?? 0; // struct rta_cacheinfo: clntref, lastuse, expires
  const expiresSeconds = a.u32(RTA.expires) ?? (left === 0 ? undefined : Math.ceil(left / USER_HZ));
  const preferenceNumber = a.u8(RTA.preference);
  const preference = (['low', 'medium', 'high'] as const).find((p) => PREFERENCE[p] === preferenceNumber);
  const ttlPropagate = a.u8(RTA.ttlPropagate);
  const table = a.u32(RTA.table) ?? v.u8(4);
  if (a.flaw !== undefined) return err({ kind: 'attribute', type: a.flaw });
  return ok({
    family,
    ...(destination !== undefined && { destination: { address: destination, length: destinationLength } }),
    ...(from !== undefined && { from: { address: from, length: fromLength } }),
    type,
    table,
    protocol: v.u8(5),
    scope: scopeFromNumber(v.u8(6)),
    ...(tos !== 0 && { tos }),
    ...(metric !== undefined && { metric }),
    ...(source !== undefined && { source }),
    hops,
    ...(metrics !== undefined && Object.keys(metrics).length > 0 && { metrics }),
    ...(expiresSeconds !== undefined && { expiresSeconds }),
    ...(preference !== undefined && { preference }),
    ...(ttlPropagate !== undefined && { ttlPropagate: ttlPropagate !== 0 }),
  });
}

function writeHop(w: NetlinkWriter, h: NextHop, family: Family): void {
  if (h.via !== undefined) {
    const viaFamily = familyOf(h.via);
    if (viaFamily === family) w.attrIp(RTA.gateway, h.via);
    else {
      const via = new NetlinkWriter(18);
      via.u16(AF[viaFamily]).put(ipBytes(h.via));
      w.attrBytes(RTA.via, via.done());
    }
  }
  if (h.realms !== undefined) w.attrU32(RTA.flow, h.realms);
  if (h.encap !== undefined) writeEncap(w, h.encap, ENCAP);
}

/** Payload of RTM_NEWROUTE and RTM_DELROUTE. Encapsulations must have passed `encapFault`. */
export function writeRoute(w: NetlinkWriter, r: Route): void {
  const [only, second] = r.hops;
  const onlink = second === undefined && only?.onlink === true;
  w.u8(AF[r.family])
    .u8(r.destination?.length ?? 0)
    .u8(r.from?.length ?? 0)
    .u8(r.tos ?? 0);
  w.u8(r.table <= 255 ? r.table : 0)
    .u8(r.protocol)
    .u8(scopeNumber(r.scope))
    .u8(TYPES.indexOf(r.type) + 1);
  w.u32(onlink ? RTNH_F_ONLINK : 0);
  w.attrU32(RTA.table, r.table);
  if (r.destination !== undefined) w.attrIp(RTA.destination, r.destination.address);
  if (r.from !== undefined) w.attrIp(RTA.from, r.from.address);
  if (r.metric !== undefined) w.attrU32(RTA.priority, r.metric);
  if (r.source !== undefined) w.attrIp(RTA.source, r.source);
  if (second !== undefined) {
    w.nest(RTA.multipath, () => {
      for (const h of r.hops) {
        const start = w.length;
        w.u16(0)
          .u8(h.onlink ? RTNH_F_ONLINK : 0)
          .u8((h.weight ?? 1) - 1)
          .u32(h.ifindex ?? 0);
        writeHop(w, h, r.family);
        w.patchU16(start, w.length - start);
      }
    });
  } else if (only !== undefined) {
    if (only.ifindex !== undefined) w.attrU32(RTA.oif, only.ifindex);
    writeHop(w, only, r.family);
  }
  const { metrics } = r;
  if (metrics !== undefined) w.nest(RTA.metrics, () => writeMetrics(w, metrics));
  if (r.expiresSeconds !== undefined) w.attrU32(RTA.expires, r.expiresSeconds);
  if (r.preference !== undefined) w.attrU8(RTA.preference, PREFERENCE[r.preference]);
  if (r.ttlPropagate !== undefined) w.attrU8(RTA.ttlPropagate, r.ttlPropagate ? 1 : 0);
}
export function encodeRoute(r: Route): Uint8Array {
  const w = new NetlinkWriter();
  writeRoute(w, r);
  return w.done();
}
/** Payload of a dump request. Kernels with strict checking (4.20 and later) filter by what is given; older ones tell of all tables. */
export function writeRouteDump(
  w: NetlinkWriter,
  o: { readonly family: Family; readonly table?: number; readonly protocol?: number },
): void {
  const { table } = o;
  w.u8(AF[o.family]).u8(0).u8(0).u8(0);
  w.u8(table === undefined || table > 255 ? 0 : table)
    .u8(o.protocol ?? 0)
    .u8(0)
    .u8(0);
  w.u32(0);
  if (table !== undefined) w.attrU32(RTA.table, table);
}
