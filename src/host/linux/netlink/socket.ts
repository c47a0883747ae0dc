import { err, ok, type Result, text } from '../../../base/index.ts';
import type { HostError } from '../../index.ts';
import { type Addon, hostError, type SocketHandle } from '../addon.ts';
import { Batch } from '../batch.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
/** linux/netlink.h */
export const NETLINK = { route: 0, netfilter: 12, generic: 16 } as const;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const MSG_TRUNC = 0x20;
/** Options of a netlink socket that a kernel may be too old for; each then simply stays off. */
export const NETLINK_OPTION = { shortAcks: 10, extendedAcks: 11, strictChecking: 12 } as const;

/** A netlink socket as the driver needs it; a test has its own. Received datagrams are views until the next `receive`. */
export interface NetlinkSocket {
  /** The number by which the kernel calls this socket in what it caused. */
  readonly port: number;
  /** Bytes sent, or a negative errno. */
  send(bytes: Uint8Array): number;
  /** How many datagrams are now to be read, 0 when none is queued, a negative errno (-ENOBUFS: some were lost). */
  receive(): number;
  datagram(i: number): { readonly bytes: Uint8Array; readonly cut: boolean };
  /** Calls back after each batch that arrived, with what `receive` would say. Does not keep the process running. */
  watch(ready: (n: number) => void): number;
  close(): void;
}

export type NetlinkSocketOptions = {
  /** NETLINK_*; rtnetlink unless said. */
  readonly protocol?: number;
  /** Bytes of one request; the system's own limit unless said. */
  readonly sendBuffer?: number;
  /** RTMGRP_* mask; 0 = none. */
  readonly groups: number;
  readonly options: readonly number[];
  /** Bytes that may wait, of which the kernel counts about 1 KiB for each message. Beyond rmem_max only with CAP_NET_ADMIN. */
  readonly receiveBuffer: number;
  /** Datagrams in one system call, and the longest. */
  readonly slots: number;
  readonly slotBytes: number;
};

const native32 = (n: number): Uint8Array => new Uint8Array(Uint32Array.of(n).buffer);
function sockaddr(groups: number): Uint8Array {
  const b = new Uint8Array(12); // struct sockaddr_nl: u16 family, pad, u32 port, u32 groups
  b.set(new Uint8Array(Uint16Array.of(AF_NETLINK).buffer));
  b.set(native32(groups), 8);
  return b;
}

export function openNetlinkSocket(addon: Addon, o: NetlinkSocketOptions): Result<NetlinkSocket, HostError> {
  const doing = text('open a netlink socket', '打开 netlink 套接字');
  const s = addon.open(AF_NETLINK, SOCK_RAW, o.protocol ?? NETLINK.route);
  if (typeof s === 'number') return err(hostError(s, doing));
  if (addon.setOption(s, SOL_SOCKET, SO_RCVBUFFORCE, native32(o.receiveBuffer)) < 0)
    addon.setOption(s, SOL_SOCKET, SO_RCVBUF, native32(o.receiveBuffer));
  if (o.sendBuffer !== undefined && addon.setOption(s, SOL_SOCKET, SO_SNDBUFFORCE, native32(o.sendBuffer)) < 0)
    addon.setOption(s, SOL_SOCKET, SO_SNDBUF, native32(o.sendBuffer));
  for (const option of o.options) addon.setOption(s, SOL_NETLINK, option, native32(1));
  const bound = addon.bind(s, sockaddr(o.groups));
  if (bound < 0) {
    addon.close(s);
    return err(hostError(bound, doing));
  }
  const name = new Uint8Array(12);
  addon.localName(s, name);
  return ok(wrap(addon, s, new DataView(name.buffer).getUint32(4, native32(1)[0] === 1), o));
}

function wrap(addon: Addon, s: SocketHandle, port: number, o: NetlinkSocketOptions): NetlinkSocket {
  const batch = new Batch(addon, s, o.slots, o.slotBytes, 0);
  return {
    port,
    send: (bytes) => addon.send(s, bytes, undefined, undefined, 0),
    receive: () => addon.receive(s),
    datagram: (i) => ({ bytes: batch.payload(i), cut: (batch.flags(i) & MSG_TRUNC) !== 0 }),
    watch: (ready) => {
      const r = addon.watch(s, ready);
      if (r >= 0) addon.keepAlive(s, false);
      return r;
    },
    close: () => addon.close(s),
  };
}
