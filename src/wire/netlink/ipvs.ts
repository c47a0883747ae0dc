/** The IPVS family of generic netlink: services and their servers. `ipvs-settings.ts` has the rest. linux/ip_vs.h. */
import {
  err,
  type Family,
  familyOf,
  hostLength,
  type IpAddress,
  ipBytes,
  ipFromBytes,
  ok,
  type Result,
} from '../../base/index.ts';
import type { Attributes } from './attributes.ts';
import { AF, familyFromAf } from './family.ts';
import { NESTED, readGeneric, writeGenericHead } from './generic.ts';
import type { IpvsDestination, IpvsForward, IpvsIdentity, IpvsService, IpvsStats } from './ipvs-types.ts';
import type { NetlinkError } from './message.ts';
import { NetlinkWriter } from './writer.ts';

/** The family's name at the controller. */
export const IPVS_FAMILY = 'IPVS';
const VERSION = 1;
export const IPVS_CMD = {
  newService: 1,
  setService: 2,
  delService: 3,
  getService: 4,
  newDestination: 5,
  setDestination: 6,
  delDestination: 7,
  getDestination: 8,
  newDaemon: 9,
  delDaemon: 10,
  getDaemon: 11,
  setConfig: 12,
  getConfig: 13,
  setInfo: 14,
  getInfo: 15,
  flush: 17,
} as const;
/** Flags of a service; what 8, 16 and 32 mean is the scheduler's. */
export const IPVS_FLAG = {
  persistent: 1,
  hashed: 2,
  onePacket: 4,
  scheduler1: 8,
  scheduler2: 16,
  scheduler3: 32,
} as const;

const TOP = { service: 1, destination: 2 } as const;
const SVC = {
  af: 1,
  protocol: 2,
  address: 3,
  port: 4,
  fwmark: 5,
  scheduler: 6,
  flags: 7,
  timeout: 8,
  netmask: 9,
  engine: 11,
  stats64: 12,
} as const;
const DEST = {
  address: 1,
  port: 2,
  forward: 3,
  weight: 4,
  upperThreshold: 5,
  lowerThreshold: 6,
  active: 7,
  inactive: 8,
  persistent: 9,
  family: 11,
  stats64: 12,
  tunnelType: 13,
  tunnelPort: 14,
  tunnelFlags: 15,
} as const;
/** In the order of their numbers, from 0. */
const FORWARD: readonly IpvsForward[] = ['nat', 'local', 'tunnel', 'direct-routing', 'bypass'];
const TUNNEL = ['ipip', 'gue', 'gre'] as const;
/** In the order of their numbers, from 1. */
const STATS = [
  'connections',
  'packetsIn',
  'packetsOut',
  'bytesIn',
  'bytesOut',
  'connectionRate',
  'packetRateIn',
  'packetRateOut',
  'byteRateIn',
  'byteRateOut',
] as const satisfies readonly (keyof IpvsStats)[];
/** union nf_inet_addr: IPv4 in the first four. */
const ADDRESS = 16;
const ALL = 0xffff_ffff;

function writeAddressOf(w: NetlinkWriter, type: number, a: IpAddress): void {
  const out = new Uint8Array(ADDRESS);
  out.set(ipBytes(a));
  w.attrBytes(type, out);
}
function readAddressOf(a: Attributes, type: number, family: Family): IpAddress | undefined {
  const b = a.bytes(type);
  if (b === undefined) return undefined;
  return b.length === ADDRESS ? ipFromBytes(family === 4 ? b.subarray(0, 4) : b) : a.reject(type);
}
function readStats(a: Attributes | undefined): IpvsStats | undefined {
  if (a === undefined) return undefined;
  return Object.fromEntries(STATS.map((name, i) => [name, a.u64(i + 1) ?? 0n])) as IpvsStats;
}
function writeStats(w: NetlinkWriter, type: number, s: IpvsStats | undefined): void {
  if (s === undefined) return;
  w.nest(type | NESTED, () => {
    STATS.forEach((name, i) => {
      w.attrU64(i + 1, s[name]);
    });
  });
}

function writeIdentityAttributes(w: NetlinkWriter, i: IpvsIdentity): void {
  w.attrU16(SVC.af, AF[i.by === 'fwmark' ? i.family : familyOf(i.address)]);
  if (i.by === 'fwmark') {
    w.attrU32(SVC.fwmark, i.mark);
    return;
  }
  w.attrU16(SVC.protocol, i.protocol);
  writeAddressOf(w, SVC.address, i.address);
  w.attrBe16(SVC.port, i.port);
}
/** The nest that says which service is meant; enough for removal and for all that concerns its servers. */
export function writeIpvsIdentity(w: NetlinkWriter, i: IpvsIdentity): void {
  w.nest(TOP.service | NESTED, () => writeIdentityAttributes(w, i));
}
/** The nest that describes a service as it shall be. */
export function writeIpvsService(w: NetlinkWriter, s: IpvsService): void {
  const family = s.identity.by === 'fwmark' ? s.identity.family : familyOf(s.identity.address);
  w.nest(TOP.service | NESTED, () => {
    writeIdentityAttributes(w, s.identity);
    w.attrText(SVC.scheduler, s.scheduler);
    if (s.engine !== undefined) w.attrText(SVC.engine, s.engine);
    w.attrU32s(SVC.flags, [s.flags, ALL]); // struct ip_vs_flags: the flags, and which of them are meant
    w.attrU32(SVC.timeout, s.timeout);
    if (family === 4) w.attrBe32(SVC.netmask, s.netmask);
    else w.attrU32(SVC.netmask, s.netmask);
    writeStats(w, SVC.stats64, s.stats);
  });
}
/** The nest that describes a server as it shall be; a change names all of it again. */
export function writeIpvsDestination(w: NetlinkWriter, d: IpvsDestination): void {
  w.nest(TOP.destination | NESTED, () => {
    w.attrU16(DEST.family, AF[familyOf(d.address)]);
    writeAddressOf(w, DEST.address, d.address);
    w.attrBe16(DEST.port, d.port);
    w.attrU32(DEST.forward, FORWARD.indexOf(d.forward));
    w.attrU32(DEST.weight, d.weight);
    w.attrU8(DEST.tunnelType, TUNNEL.indexOf(d.tunnel.type));
    w.attrBe16(DEST.tunnelPort, d.tunnel.port);
    w.attrU16(DEST.tunnelFlags, d.tunnel.flags);
    w.attrU32(DEST.upperThreshold, d.upperThreshold);
    w.attrU32(DEST.lowerThreshold, d.lowerThreshold);
    if (d.counts !== undefined)
      w.attrU32(DEST.active, d.counts.active)
        .attrU32(DEST.inactive, d.counts.inactive)
        .attrU32(DEST.persistent, d.counts.persistent);
    writeStats(w, DEST.stats64, d.stats);
  });
}
/** The head of every message to the family. */
export const writeIpvsHead = (w: NetlinkWriter, command: number): NetlinkWriter =>
  writeGenericHead(w, command, VERSION);

/** Payload of what answers GET_SERVICE. */
export function decodeIpvsService(b: Uint8Array): Result<IpvsService, NetlinkError> {
  const got = readGeneric(b);
  if (!got.ok) return got;
  const top = got.value.attributes;
  const a = top.nested(TOP.service);
  if (a === undefined) return err({ kind: 'missing', type: TOP.service });
  const af = a.u16(SVC.af);
  const family = familyFromAf(af ?? 0);
  const mark = a.u32(SVC.fwmark) ?? 0;
  const [protocol, port] = [a.u16(SVC.protocol), a.be16(SVC.port)];
  const address = family && readAddressOf(a, SVC.address, family);
  const flags = a.u32s(SVC.flags, 2)?.[0] ?? 0;
  const timeout = a.u32(SVC.timeout) ?? 0;
  const netmask = family === 4 ? a.be32(SVC.netmask) : a.u32(SVC.netmask);
  const scheduler = a.text(SVC.scheduler) ?? '';
  const engine = a.text(SVC.engine) ?? '';
  const stats = readStats(a.nested(SVC.stats64));
  if (top.flaw !== undefined) return err({ kind: 'attribute', type: top.flaw });
  if (family === undefined) return err({ kind: 'family', have: af ?? 0 });
  const identity = identityOf({ family, mark, protocol, address, port });
  if (identity === undefined) return err({ kind: 'missing', type: SVC.address });
  return ok({
    identity,
    scheduler,
    flags,
    timeout,
    netmask: netmask ?? (family === 4 ? ALL : hostLength(6)),
    ...(engine !== '' && { engine }),
    ...(stats !== undefined && { stats }),
  });
}
function identityOf(o: {
  readonly family: Family;
  readonly mark: number;
  readonly protocol: number | undefined;
  readonly address: IpAddress | undefined;
  readonly port: number | undefined;
}): IpvsIdentity | undefined {
  if (o.mark !== 0) return { by: 'fwmark', mark: o.mark, family: o.family };
  if (o.protocol === undefined || o.address === undefined || o.port === undefined) return undefined;
  return { by: 'address', protocol: o.protocol, address: o.address, port: o.port };
}
/** As the kernel tells of it. */
export function encodeIpvsService(s: IpvsService): Uint8Array {
  const w = writeIpvsHead(new NetlinkWriter(), IPVS_CMD.newService);
  writeIpvsService(w, s);
  return w.done();
}

/** Payload of what answers GET_DEST. */
export function decodeIpvsDestination(b: Uint8Array): Result<IpvsDestination, NetlinkError> {
  const got = readGeneric(b);
  if (!got.ok) return got;
  const top = got.value.attributes;
  const a = top.nested(TOP.destination);
  if (a === undefined) return err({ kind: 'missing', type: TOP.destination });
  const af = a.u16(DEST.family);
  const family = familyFromAf(af ?? 0);
  const address = family && readAddressOf(a, DEST.address, family);
  const port = a.be16(DEST.port);
  const method = a.u32(DEST.forward) ?? 0;
  const forward = FORWARD[method];
  const [weight, upper, lower] = [
    a.u32(DEST.weight) ?? 0,
    a.u32(DEST.upperThreshold) ?? 0,
    a.u32(DEST.lowerThreshold) ?? 0,
  ];
  const type = a.u8(DEST.tunnelType) ?? 0;
  const tunnel = TUNNEL[type];
  const [tunnelPort, tunnelFlags] = [a.be16(DEST.tunnelPort) ?? 0, a.u16(DEST.tunnelFlags) ?? 0];
  const [active, inactive, persistent] = [a.u32(DEST.active), a.u32(DEST.inactive), a.u32(DEST.persistent)];
  const stats = readStats(a.nested(DEST.stats64));
  if (top.flaw !== undefined) return err({ kind: 'attribute', type: top.flaw });
  if (family === undefined) return err({ kind: 'family', have: af ?? 0 });
  if (address === undefined) return err({ kind: 'missing', type: DEST.address });
  if (port === undefined) return err({ kind: 'missing', type: DEST.port });
  if (forward === undefined) return err({ kind: 'range', field: 'forwarding method', have: method });
  if (tunnel === undefined) return err({ kind: 'range', field: 'tunnel type', have: type });
  return ok({
    address,
    port,
    forward,
    weight,
    upperThreshold: upper,
    lowerThreshold: lower,
    tunnel: { type: tunnel, port: tunnelPort, flags: tunnelFlags },
    ...(active !== undefined && { counts: { active, inactive: inactive ?? 0, persistent: persistent ?? 0 } }),
    ...(stats !== undefined && { stats }),
  });
}
/** As the kernel tells of it. */
export function encodeIpvsDestination(d: IpvsDestination): Uint8Array {
  const w = writeIpvsHead(new NetlinkWriter(), IPVS_CMD.newDestination);
  writeIpvsDestination(w, d);
  return w.done();
}
