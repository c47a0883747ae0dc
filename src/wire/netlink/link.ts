import { err, ok, type Result } from '../../base/index.ts';
import { type MacAddress, macBytes, macFromBytes } from '../mac.ts';
import { Attributes } from './attributes.ts';
import type { NetlinkError } from './message.ts';
import { NativeView } from './native.ts';
import type { Link, LinkSettings, MacvlanMode, MacvlanSpec } from './types.ts';
import { NetlinkWriter } from './writer.ts';

const HEAD = 16; // struct ifinfomsg: u8 family, pad, u16 hardware, s32 index, u32 flags, u32 change
const AF_INET6 = 10;
const IFF = { up: 1, loopback: 8, pointToPoint: 0x10, running: 0x40, multicast: 0x1000 } as const;
const IFLA = {
  address: 1,
  name: 3,
  mtu: 4,
  link: 5,
  master: 10,
  wireless: 11,
  operState: 16,
  linkInfo: 18,
  afSpec: 26,
  group: 27,
  linkNetnsId: 37,
} as const;
const INFO = { kind: 1, data: 2 } as const;
const IFLA_MACVLAN_MODE = 1;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE_NONE = 1;
const OPER = { unknown: 0, down: 2, up: 6 } as const;
const MACVLAN_MODE: Record<MacvlanMode, number> = { private: 1, vepa: 2, bridge: 4, passthru: 8 };

/**
 * Payload of RTM_NEWLINK and RTM_DELLINK. `family` errors are ordinary: a bridge tells of its ports with the same
 * message types and family AF_BRIDGE, and its RTM_DELLINK means only that the port left the bridge. `missing` too:
 * wireless events carry a part of the attributes.
 */
export function decodeLink(b: Uint8Array): Result<Link, NetlinkError> {
  if (b.length < HEAD) return err({ kind: 'length', have: b.length, need: HEAD });
  const v = new NativeView(b);
  if (v.u8(0) !== 0) return err({ kind: 'family', have: v.u8(0) });
  const flags = v.u32(8);
  const a = new Attributes(b.subarray(HEAD));
  const name = a.text(IFLA.name);
  if (name === undefined || a.has(IFLA.wireless)) return err({ kind: 'missing', type: IFLA.name });
  const kind = a.nested(IFLA.linkInfo)?.text(INFO.kind) ?? '';
  const oper = a.u8(IFLA.operState) ?? OPER.unknown;
  const link: Link = {
    ifindex: v.u32(4),
    name,
    mac: macFromBytes(a.bytes(IFLA.address) ?? new Uint8Array(0)),
    mtu: a.u32(IFLA.mtu) ?? 0,
    up: (flags & IFF.up) !== 0 && (flags & IFF.running) !== 0 && (oper === OPER.up || oper === OPER.unknown),
    adminUp: (flags & IFF.up) !== 0,
    loopback: (flags & IFF.loopback) !== 0,
    pointToPoint: (flags & IFF.pointToPoint) !== 0,
    multicast: (flags & IFF.multicast) !== 0,
    hardware: v.u16(2),
    kind,
    // IFLA_LINK of a veth is its other end, which is beside it and not below; an index in another namespace names nothing here.
    lower: kind === 'veth' || a.has(IFLA.linkNetnsId) ? 0 : (a.u32(IFLA.link) ?? 0),
    master: a.u32(IFLA.master) ?? 0,
  };
  return a.flaw === undefined ? ok(link) : err({ kind: 'attribute', type: a.flaw });
}

/** As the kernel tells of it. */
export function encodeLink(l: Link): Uint8Array {
  const flags =
    (l.adminUp ? IFF.up : 0) |
    (l.up ? IFF.running : 0) |
    (l.loopback ? IFF.loopback : 0) |
    (l.pointToPoint ? IFF.pointToPoint : 0) |
    (l.multicast ? IFF.multicast : 0);
  const w = new NetlinkWriter();
  w.u16(0).u16(l.hardware).u32(l.ifindex).u32(flags).u32(0);
  w.attrText(IFLA.name, l.name)
    .attrU32(IFLA.mtu, l.mtu)
    .attrU8(IFLA.operState, l.up ? OPER.up : OPER.down);
  if (l.mac !== '') w.attrBytes(IFLA.address, macBytes(l.mac as MacAddress));
  if (l.lower !== 0) w.attrU32(IFLA.link, l.lower);
  if (l.master !== 0) w.attrU32(IFLA.master, l.master);
  if (l.kind !== '') w.nest(IFLA.linkInfo, () => w.attrText(INFO.kind, l.kind));
  return w.done();
}

/** Payload of a request that names a link by index alone: RTM_DELLINK, and with 0 a dump of all. */
export function writeLinkIndex(w: NetlinkWriter, ifindex: number): void {
  w.u32(0).u32(ifindex).u32(0).u32(0);
}
/** Payload of RTM_SETLINK. */
export function writeLinkSettings(w: NetlinkWriter, s: LinkSettings): void {
  w.u32(0).u32(s.ifindex);
  w.u32(s.up ? IFF.up : 0).u32(s.up === undefined ? 0 : IFF.up);
  if (s.mac !== undefined) w.attrBytes(IFLA.address, macBytes(s.mac as MacAddress));
  if (s.name !== undefined) w.attrText(IFLA.name, s.name);
  if (s.master !== undefined) w.attrU32(IFLA.master, s.master);
  if (s.noAddressGeneration)
    w.nest(IFLA.afSpec, () => w.nest(AF_INET6, () => w.attrU8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE)));
}
/** Payload of RTM_NEWLINK with NLM_F_CREATE. */
export function writeMacvlan(w: NetlinkWriter, m: MacvlanSpec): void {
  writeLinkIndex(w, 0);
  w.attrText(IFLA.name, m.name)
    .attrU32(IFLA.link, m.lower)
    .attrBytes(IFLA.address, macBytes(m.mac as MacAddress));
  if (m.group !== undefined) w.attrU32(IFLA.group, m.group);
  w.nest(IFLA.linkInfo, () => {
    w.attrText(INFO.kind, 'macvlan');
    w.nest(INFO.data, () => w.attrU32(IFLA_MACVLAN_MODE, MACVLAN_MODE[m.mode]));
  });
}
