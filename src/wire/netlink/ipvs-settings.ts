/** The IPVS family of generic netlink: synchronisation daemons, timeouts, what the module says of itself. linux/ip_vs.h. */
import { err, familyOf, ok, type Result } from '../../base/index.ts';
import { NESTED, readGeneric } from './generic.ts';
import { IPVS_CMD, writeIpvsHead } from './ipvs.ts';
import type { IpvsDaemon, IpvsInfo, IpvsTimeouts } from './ipvs-types.ts';
import type { NetlinkError } from './message.ts';
import { NetlinkWriter } from './writer.ts';

const TOP = { daemon: 3, tcp: 4, tcpfin: 5, udp: 6 } as const;
const DAEMON = { role: 1, interface: 2, id: 3, maxLength: 4, group: 5, group6: 6, port: 7, ttl: 8 } as const;
const ROLE = { master: 1, backup: 2 } as const;
const INFO = { version: 1, tableSize: 2 } as const;

/** The nest that NEW_DAEMON wants. The port is in native order, unlike those of services. */
export function writeIpvsDaemon(w: NetlinkWriter, d: IpvsDaemon): void {
  w.nest(TOP.daemon | NESTED, () => {
    w.attrU32(DAEMON.role, ROLE[d.role]).attrText(DAEMON.interface, d.interface).attrU32(DAEMON.id, d.id);
    if (d.maxLength !== 0) w.attrU16(DAEMON.maxLength, d.maxLength);
    if (d.group !== undefined) w.attrIp(familyOf(d.group) === 4 ? DAEMON.group : DAEMON.group6, d.group);
    if (d.port !== 0) w.attrU16(DAEMON.port, d.port);
    if (d.ttl !== 0) w.attrU8(DAEMON.ttl, d.ttl);
  });
}
/** The nest that DEL_DAEMON wants: there is at most one of each role. */
export function writeIpvsDaemonRole(w: NetlinkWriter, role: IpvsDaemon['role']): void {
  w.nest(TOP.daemon | NESTED, () => w.attrU32(DAEMON.role, ROLE[role]));
}
/** Payload of what answers GET_DAEMON. */
export function decodeIpvsDaemon(b: Uint8Array): Result<IpvsDaemon, NetlinkError> {
  const got = readGeneric(b);
  if (!got.ok) return got;
  const top = got.value.attributes;
  const a = top.nested(TOP.daemon);
  if (a === undefined) return err({ kind: 'missing', type: TOP.daemon });
  const [state, name, id] = [a.u32(DAEMON.role), a.text(DAEMON.interface) ?? '', a.u32(DAEMON.id) ?? 0];
  const [maxLength, port, ttl] = [a.u16(DAEMON.maxLength) ?? 0, a.u16(DAEMON.port) ?? 0, a.u8(DAEMON.ttl) ?? 0];
  const group = a.ip(DAEMON.group, 4) ?? a.ip(DAEMON.group6, 6);
  if (top.flaw !== undefined) return err({ kind: 'attribute', type: top.flaw });
  const role = state === ROLE.master ? 'master' : state === ROLE.backup ? 'backup' : undefined;
  if (role === undefined) return err({ kind: 'range', field: 'daemon state', have: state ?? 0 });
  return ok({ role, interface: name, id, maxLength, port, ttl, ...(group !== undefined && { group }) });
}
/** As the kernel tells of it. */
export function encodeIpvsDaemon(d: IpvsDaemon): Uint8Array {
  const w = writeIpvsHead(new NetlinkWriter(), IPVS_CMD.newDaemon);
  writeIpvsDaemon(w, d);
  return w.done();
}

/** What SET_CONFIG wants. */
export function writeIpvsTimeouts(w: NetlinkWriter, t: IpvsTimeouts): void {
  w.attrU32(TOP.tcp, t.tcp).attrU32(TOP.tcpfin, t.tcpfin).attrU32(TOP.udp, t.udp);
}
/** Payload of what answers GET_CONFIG. A kernel without one of the protocols says nothing of it. */
export function decodeIpvsTimeouts(b: Uint8Array): Result<IpvsTimeouts, NetlinkError> {
  const got = readGeneric(b);
  if (!got.ok) return got;
  const a = got.value.attributes;
  const timeouts = { tcp: a.u32(TOP.tcp) ?? 0, tcpfin: a.u32(TOP.tcpfin) ?? 0, udp: a.u32(TOP.udp) ?? 0 };
  return a.flaw === undefined ? ok(timeouts) : err({ kind: 'attribute', type: a.flaw });
}
/** As the kernel tells of them. */
export function encodeIpvsTimeouts(t: IpvsTimeouts): Uint8Array {
  const w = writeIpvsHead(new NetlinkWriter(), IPVS_CMD.setConfig);
  writeIpvsTimeouts(w, t);
  return w.done();
}

/** Payload of what answers GET_INFO. */
export function decodeIpvsInfo(b: Uint8Array): Result<IpvsInfo, NetlinkError> {
  const got = readGeneric(b);
  if (!got.ok) return got;
  const a = got.value.attributes;
  const [version, connectionTableSize] = [a.u32(INFO.version), a.u32(INFO.tableSize)];
  if (a.flaw !== undefined) return err({ kind: 'attribute', type: a.flaw });
  if (version === undefined) return err({ kind: 'missing', type: INFO.version });
  return ok({ version, connectionTableSize: connectionTableSize ?? 0 });
}
/** As the kernel tells of itself. */
export function encodeIpvsInfo(i: IpvsInfo): Uint8Array {
  const w = writeIpvsHead(new NetlinkWriter(), IPVS_CMD.setInfo);
  return w.attrU32(INFO.version, i.version).attrU32(INFO.tableSize, i.connectionTableSize).done();
}
