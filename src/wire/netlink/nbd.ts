/** Generic netlink family `nbd`: the kernel's NBD client. linux/nbd-netlink.h, drivers/block/nbd.c. Payloads from the generic head on. */
import { err, ok, type Result } from '../../base/index.ts';
import type { Attributes } from './attributes.ts';
import { NESTED, readGeneric, writeGenericHead } from './generic.ts';
import type { NetlinkError } from './message.ts';
import { NetlinkWriter } from './writer.ts';

export const NBD_GENL_FAMILY = 'nbd';
const VERSION = 1;
export const NBD_GENL_CMD = { connect: 1, disconnect: 2, reconfigure: 3, linkDead: 4, status: 5 } as const;
const ATTR = {
  index: 1,
  size: 2,
  blockSize: 3,
  timeout: 4,
  serverFlags: 5,
  clientFlags: 6,
  sockets: 7,
  deadConnTimeout: 8,
  deviceList: 9,
  backend: 10,
} as const;
const DEVICE = { item: 1, index: 1, connected: 2 } as const;
const SOCKET = { item: 1, descriptor: 1 } as const;

/** What CONNECT and RECONFIGURE say of a device; what is undefined is not said. Times are in seconds, sizes in bytes. */
export type NbdSetup = {
  /** Undefined in CONNECT: the kernel chooses, and answers with its choice. */
  readonly index: number | undefined;
  readonly size: bigint | undefined;
  readonly blockSize: bigint | undefined;
  /** How long a request may take; 0: for ever. */
  readonly timeout: bigint | undefined;
  /** The transmission flags of the handshake. */
  readonly serverFlags: bigint | undefined;
  /** NBD_CFLAG_*: 1 the device goes away when it is disconnected, 2 it is disconnected when its last user closes it. */
  readonly clientFlags: bigint | undefined;
  /** How long requests wait for a new socket when all are dead. */
  readonly deadConnTimeout: bigint | undefined;
  /** Read at /sys/block/nbdN/backend, and must be the same in RECONFIGURE. Linux 5.14. */
  readonly backend: string | undefined;
  /** Descriptors of the calling process. */
  readonly sockets: readonly number[];
};
export type NbdSetupCommand = { readonly command: number; readonly setup: NbdSetup };
export function decodeNbdSetup(b: Uint8Array): Result<NbdSetupCommand, NetlinkError> {
  const got = readGeneric(b);
  if (!got.ok) return got;
  const a = got.value.attributes;
  const items = a.nested(ATTR.sockets)?.list(SOCKET.item) ?? [];
  const sockets = items.map((item) => a.within(item).u32(SOCKET.descriptor));
  const setup = {
    index: a.u32(ATTR.index),
    size: a.u64(ATTR.size),
    blockSize: a.u64(ATTR.blockSize),
    timeout: a.u64(ATTR.timeout),
    serverFlags: a.u64(ATTR.serverFlags),
    clientFlags: a.u64(ATTR.clientFlags),
    deadConnTimeout: a.u64(ATTR.deadConnTimeout),
    backend: a.text(ATTR.backend),
  };
  if (a.flaw !== undefined) return err({ kind: 'attribute', type: a.flaw });
  if (sockets.includes(undefined)) return err({ kind: 'missing', type: ATTR.sockets });
  return ok({ command: got.value.command, setup: { ...setup, sockets: sockets as number[] } });
}
export function writeNbdSetup(w: NetlinkWriter, c: NbdSetupCommand): void {
  const s = c.setup;
  writeGenericHead(w, c.command, VERSION);
  const wide = (type: number, v: bigint | undefined): void => {
    if (v !== undefined) w.attrU64(type, v);
  };
  if (s.index !== undefined) w.attrU32(ATTR.index, s.index);
  wide(ATTR.size, s.size);
  wide(ATTR.blockSize, s.blockSize);
  wide(ATTR.timeout, s.timeout);
  wide(ATTR.serverFlags, s.serverFlags);
  wide(ATTR.clientFlags, s.clientFlags);
  if (s.sockets.length > 0)
    w.nest(ATTR.sockets | NESTED, () => {
      for (const fd of s.sockets) w.nest(SOCKET.item | NESTED, () => void w.attrU32(SOCKET.descriptor, fd));
    });
  wide(ATTR.deadConnTimeout, s.deadConnTimeout);
  if (s.backend !== undefined) w.attrText(ATTR.backend, s.backend);
}
export function encodeNbdSetup(c: NbdSetupCommand): Uint8Array {
  const w = new NetlinkWriter();
  writeNbdSetup(w, c);
  return w.done();
}

/** A command that names a device and no more: DISCONNECT, the answer to CONNECT, the news of LINK_DEAD. STATUS without one: all. */
export type NbdDevice = { readonly command: number; readonly index: number | undefined };
export function decodeNbdDevice(b: Uint8Array): Result<NbdDevice, NetlinkError> {
  const got = readGeneric(b);
  if (!got.ok) return got;
  const index = got.value.attributes.u32(ATTR.index);
  const { flaw } = got.value.attributes;
  return flaw === undefined ? ok({ command: got.value.command, index }) : err({ kind: 'attribute', type: flaw });
}
export function writeNbdDevice(w: NetlinkWriter, d: NbdDevice): void {
  writeGenericHead(w, d.command, VERSION);
  if (d.index !== undefined) w.attrU32(ATTR.index, d.index);
}
export function encodeNbdDevice(d: NbdDevice): Uint8Array {
  const w = new NetlinkWriter();
  writeNbdDevice(w, d);
  return w.done();
}

/** The answer to STATUS. */
export type NbdDeviceState = { readonly index: number; readonly connected: boolean };
export function decodeNbdStatus(b: Uint8Array): Result<readonly NbdDeviceState[], NetlinkError> {
  const got = readGeneric(b);
  if (!got.ok) return got;
  const a = got.value.attributes;
  const found: NbdDeviceState[] = [];
  for (const item of a.nested(ATTR.deviceList)?.list(DEVICE.item) ?? []) {
    const d: Attributes = a.within(item);
    const index = d.u32(DEVICE.index);
    const connected = d.u8(DEVICE.connected);
    if (a.flaw !== undefined) break;
    if (index === undefined) return err({ kind: 'missing', type: DEVICE.index });
    found.push({ index, connected: connected !== undefined && connected !== 0 });
  }
  return a.flaw === undefined ? ok(found) : err({ kind: 'attribute', type: a.flaw });
}
export function encodeNbdStatus(devices: readonly NbdDeviceState[]): Uint8Array {
  const w = writeGenericHead(new NetlinkWriter(), NBD_GENL_CMD.status, VERSION);
  w.nest(ATTR.deviceList, () => {
    for (const d of devices)
      w.nest(DEVICE.item, () => void w.attrU32(DEVICE.index, d.index).attrU8(DEVICE.connected, d.connected ? 1 : 0));
  });
  return w.done();
}
