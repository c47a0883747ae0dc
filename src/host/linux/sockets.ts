import { err, familyOf, type IpAddress, invariant, ipBytes, ok, type Result, text } from '../../base/index.ts';
import type {
  Datagram,
  FrameSocket,
  HostError,
  IpSocket,
  RawSocketOptions,
  Sockets,
  UdpSocketOptions,
} from '../index.ts';
import { type Addon, hostError, type SocketHandle } from './addon.ts';
import { Batch } from './batch.ts';
import {
  CONTROL_BYTES,
  IP_PKTINFO,
  IP_TTL,
  IPV6_PKTINFO,
  Reception,
  SO_TIMESTAMPNS,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
} from './reception.ts';
import {
  AddressCache,
  AF_INET,
  AF_INET6,
  AF_PACKET,
  anyAddress,
  controlMessage,
  int32,
  LITTLE,
  SOCK_DGRAM,
  SOCK_RAW,
  sockaddrIp,
  sockaddrLink,
} from './sockaddr.ts';

// Option numbers of Linux: include/uapi/linux/{in,in6,if_packet}.h and asm-generic/socket.h.
const SO_RCVBUF = 8;
const SO_PRIORITY = 12;
const SO_RCVBUFFORCE = 33;
const SO_BINDTOIFINDEX = 62;
const IP_TOS = 1;
const IP_HDRINCL = 3;
const IP_RECVTTL = 12;
const IP_MULTICAST_IF = 32;
const IP_MULTICAST_TTL = 33;
const IP_MULTICAST_LOOP = 34;
const IP_ADD_MEMBERSHIP = 35;
const IP_MULTICAST_ALL = 49;
const IPV6_CHECKSUM = 7;
const IPV6_UNICAST_HOPS = 16;
const IPV6_MULTICAST_IF = 17;
const IPV6_MULTICAST_HOPS = 18;
const IPV6_MULTICAST_LOOP = 19;
const IPV6_JOIN_GROUP = 20;
const IPV6_V6ONLY = 26;
const IPV6_MULTICAST_ALL = 29;
const IPV6_RECVPKTINFO = 49;
const IPV6_RECVHOPLIMIT = 51;
const IPV6_TCLASS = 67;
const IPV6_FREEBIND = 78;
const SOL_PACKET = 263;
const PACKET_IGNORE_OUTGOING = 23;

const SIOCGIFNAME = 0x8910;

const SLOTS = 64;
/** An advertisement of 255 IPv6 addresses behind AH and the longest IPv4 header is 4180 bytes. Untouched pages cost nothing. */
const RAW_BYTES = 4352;
const UDP_BYTES = 9216;
/** A jumbo frame. */
const FRAME_BYTES = 9216;
/** CS6, internetwork control (RFC 4594 section 3.2), and the queueing discipline's highest ordinary band. */
const CONTROL_CLASS = 0xc0;
const TC_PRIO_CONTROL = 7;

/** Options in order; the first refusal closes the socket and is the result. `try` may fail: an old kernel goes without. */
class Setup {
  readonly #addon: Addon;
  readonly #socket: SocketHandle;
  failed = 0;

  constructor(addon: Addon, socket: SocketHandle) {
    this.#addon = addon;
    this.#socket = socket;
  }
  set(level: number, option: number, value: Uint8Array): void {
    this.check(() => this.#addon.setOption(this.#socket, level, option, value));
  }
  /** Binds to an interface, and to none that does not exist, which SO_BINDTOIFINDEX alone would take. */
  bindToInterface(ifindex: number): void {
    const request = new Uint8Array(40); // struct ifreq
    request.set(int32(ifindex), 16);
    this.check(() => this.#addon.ioctl(this.#socket, SIOCGIFNAME, request));
    this.set(SOL_SOCKET, SO_BINDTOIFINDEX, int32(ifindex));
  }
  try(level: number, option: number, value: Uint8Array): boolean {
    return this.#addon.setOption(this.#socket, level, option, value) >= 0;
  }
  check(call: () => number): void {
    if (this.failed < 0) return;
    const r = call();
    if (r < 0) this.failed = r;
  }
}

const ON = int32(1);
const OFF = int32(0);

/** struct ip_mreqn: group, local address, ifindex; or struct ipv6_mreq: group, ifindex. */
function membership(group: IpAddress, ifindex: number): Uint8Array {
  const address = ipBytes(group);
  const b = new Uint8Array(address.length === 4 ? 12 : 20);
  b.set(address);
  new DataView(b.buffer).setInt32(address.length === 4 ? 8 : 16, ifindex, LITTLE);
  return b;
}

/** What tells the kernel the source address of each datagram, without a bind that would narrow what is received. */
function sourceControl(source: IpAddress, ifindex: number): Uint8Array {
  const address = ipBytes(source);
  const v6 = address.length === 16;
  const data = new Uint8Array(v6 ? 20 : 12);
  data.set(address, v6 ? 0 : 4);
  new DataView(data.buffer).setInt32(v6 ? 16 : 0, ifindex, LITTLE);
  return v6 ? controlMessage(SOL_IPV6, IPV6_PKTINFO, data) : controlMessage(SOL_IP, IP_PKTINFO, data);
}

/** Settings that raw and UDP sockets share. */
function setCommon(s: Setup, v6: boolean, ifindex: number | undefined, ttl: number | undefined): void {
  if (ifindex !== undefined) s.bindToInterface(ifindex);
  s.try(SOL_SOCKET, SO_TIMESTAMPNS, ON);
  if (v6) {
    s.set(SOL_IPV6, IPV6_RECVPKTINFO, ON);
    s.set(SOL_IPV6, IPV6_RECVHOPLIMIT, ON);
    s.set(SOL_IPV6, IPV6_MULTICAST_LOOP, OFF);
    s.try(SOL_IPV6, IPV6_MULTICAST_ALL, OFF);
    if (ifindex !== undefined) s.set(SOL_IPV6, IPV6_MULTICAST_IF, int32(ifindex));
    if (ttl !== undefined) {
      s.set(SOL_IPV6, IPV6_UNICAST_HOPS, int32(ttl));
      s.set(SOL_IPV6, IPV6_MULTICAST_HOPS, int32(ttl));
    }
    return;
  }
  s.set(SOL_IP, IP_PKTINFO, ON);
  s.set(SOL_IP, IP_RECVTTL, ON);
  s.set(SOL_IP, IP_MULTICAST_LOOP, OFF);
  s.try(SOL_IP, IP_MULTICAST_ALL, OFF);
  if (ifindex !== undefined) s.set(SOL_IP, IP_MULTICAST_IF, membership(anyAddress(4), ifindex));
  if (ttl !== undefined) {
    s.set(SOL_IP, IP_TTL, int32(ttl));
    s.set(SOL_IP, IP_MULTICAST_TTL, int32(ttl));
  }
}

/** Sockets of the calling thread's network namespace. */
export function linuxSockets(addon: Addon): Sockets {
  const addresses = new AddressCache();

  /** The sending half, and what raw and UDP sockets have in common. */
  function ipSocket(
    socket: SocketHandle,
    reception: Reception,
    ifindex: number,
    localPort: number,
    control: Uint8Array | undefined,
  ): IpSocket {
    const names = new Map<IpAddress, Uint8Array>();
    let closed = false;
    return {
      localPort,
      send(bytes, to) {
        if (closed) return err({ code: 'EBADF', doing: text('send on a closed socket', '在已关闭的套接字上发送') });
        let name = names.get(to.address);
        if (!name) {
          if (names.size >= 4096) names.clear();
          name = sockaddrIp(to.address, 0, ifindex);
          names.set(to.address, name);
        }
        const port = to.port ?? 0;
        name[2] = port >> 8;
        name[3] = port & 255;
        const r = addon.send(socket, bytes, name, control, 0);
        if (r >= 0) return SENT;
        return err(
          hostError(
            r,
            text(`send ${bytes.length} bytes to ${to.address}`, `向 ${to.address} 发送 ${bytes.length} 字节`),
          ),
        );
      },
      drain: () => {
        if (!closed) reception.drain();
      },
      close() {
        closed = true;
        reception.close();
      },
    };
  }

  function raw(o: RawSocketOptions, receive: (d: Datagram) => void): Result<IpSocket, HostError> {
    const v6 = o.family === 6;
    invariant(!(v6 && o.ownHeader), 'own headers are for IPv4 sockets');
    const where = o.ifindex === undefined ? '' : ` on interface ${o.ifindex}`;
    const doing = text(
      `open a raw IPv${o.family} socket of protocol ${o.protocol}${where}`,
      `打开 IPv${o.family} 原始套接字，协议 ${o.protocol}${o.ifindex === undefined ? '' : `，接口 ${o.ifindex}`}`,
    );
    const socket = addon.open(v6 ? AF_INET6 : AF_INET, SOCK_RAW, o.protocol);
    if (typeof socket === 'number') return err(hostError(socket, doing));
    const s = new Setup(addon, socket);
    setCommon(s, v6, o.ifindex, o.ttl ?? 255);
    if (v6) s.set(SOL_IPV6, IPV6_TCLASS, int32(CONTROL_CLASS));
    else s.set(SOL_IP, IP_TOS, int32(CONTROL_CLASS));
    s.try(SOL_SOCKET, SO_PRIORITY, int32(TC_PRIO_CONTROL));
    if (o.ownHeader) s.set(SOL_IP, IP_HDRINCL, ON);
    // A macvlan sends from the address of the interface below it, which is not its own.
    if (v6 && o.source !== undefined) s.set(SOL_IPV6, IPV6_FREEBIND, ON);
    if (v6 && o.checksumOffset !== undefined) s.set(SOL_IPV6, IPV6_CHECKSUM, int32(o.checksumOffset));
    if (o.receiveBuffer !== undefined && !s.try(SOL_SOCKET, SO_RCVBUFFORCE, int32(o.receiveBuffer)))
      s.set(SOL_SOCKET, SO_RCVBUF, int32(o.receiveBuffer));
    for (const g of o.groups) {
      invariant(familyOf(g) === o.family, `${g} is of the socket's family`);
      s.set(v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_JOIN_GROUP : IP_ADD_MEMBERSHIP, membership(g, o.ifindex ?? 0));
    }
    const batch = new Batch(addon, socket, SLOTS, RAW_BYTES, CONTROL_BYTES);
    const view = batch.view;
    const headers: (Uint8Array | undefined)[] = Array(SLOTS).fill(undefined);
    const reception: Reception = new Reception(addon, socket, batch, (slot) => {
      const at = batch.payloadAt(slot);
      const length = batch.length(slot);
      const c = reception.control(slot);
      if (v6) {
        if (c.destinationAt < 0) return;
        receive({
          bytes: reception.bytes(slot, at, length),
          header: undefined,
          source: addresses.v6(view, batch.nameAt(slot) + 8),
          destination: addresses.v6(view, c.destinationAt),
          sourcePort: undefined,
          ttl: c.ttl,
          ifindex: c.ifindex,
          at: c.at,
        });
        return;
      }
      const headerLength = (view.getUint8(at) & 15) * 4;
      if (headerLength < 20 || headerLength > length) return; // the kernel never delivers one
      let header = headers[slot];
      if (!header || header.length !== headerLength) {
        header = batch.bytes.subarray(at, at + headerLength);
        headers[slot] = header;
      }
      receive({
        bytes: reception.bytes(slot, at + headerLength, length - headerLength),
        header,
        source: addresses.v4(view, at + 12),
        destination: addresses.v4(view, at + 16),
        sourcePort: undefined,
        ttl: view.getUint8(at + 8),
        ifindex: c.ifindex,
        at: c.at,
      });
    });
    s.check(() => reception.start());
    if (s.failed < 0) {
      addon.close(socket);
      return err(hostError(s.failed, doing));
    }
    const control = o.source && !o.ownHeader ? sourceControl(o.source, o.ifindex ?? 0) : undefined;
    return ok(ipSocket(socket, reception, o.ifindex ?? 0, 0, control));
  }

  function udp(o: UdpSocketOptions, receive: (d: Datagram) => void): Result<IpSocket, HostError> {
    const v6 = o.family === 6;
    const address = o.address ?? anyAddress(o.family);
    const doing = text(`open UDP port ${o.port} on ${address}`, `在 ${address} 上打开 UDP 端口 ${o.port}`);
    const socket = addon.open(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
    if (typeof socket === 'number') return err(hostError(socket, doing));
    const s = new Setup(addon, socket);
    if (v6) s.set(SOL_IPV6, IPV6_V6ONLY, ON);
    setCommon(s, v6, o.ifindex, o.ttl);
    s.check(() => addon.bind(socket, sockaddrIp(address, o.port, o.ifindex ?? 0)));
    const local = new Uint8Array(28);
    s.check(() => addon.localName(socket, local));
    const batch = new Batch(addon, socket, SLOTS, UDP_BYTES, CONTROL_BYTES);
    const view = batch.view;
    const reception: Reception = new Reception(addon, socket, batch, (slot) => {
      const c = reception.control(slot);
      if (c.destinationAt < 0) return;
      const name = batch.nameAt(slot);
      receive({
        bytes: reception.bytes(slot, batch.payloadAt(slot), batch.length(slot)),
        header: undefined,
        source: v6 ? addresses.v6(view, name + 8) : addresses.v4(view, name + 4),
        destination: v6 ? addresses.v6(view, c.destinationAt) : addresses.v4(view, c.destinationAt),
        sourcePort: view.getUint16(name + 2),
        ttl: c.ttl,
        ifindex: c.ifindex,
        at: c.at,
      });
    });
    s.check(() => reception.start());
    if (s.failed < 0) {
      addon.close(socket);
      return err(hostError(s.failed, doing));
    }
    return ok(
      ipSocket(socket, reception, o.ifindex ?? 0, ((local[2] as number) << 8) | (local[3] as number), undefined),
    );
  }

  const frames: Sockets['frames'] = (o, receive) => {
    const type = `0x${o.etherType.toString(16).padStart(4, '0')}`;
    const doing = text(
      `open a packet socket of type ${type} on interface ${o.ifindex}`,
      `在接口 ${o.ifindex} 上打开类型 ${type} 的链路层套接字`,
    );
    // Protocol 0 until bound: between open and bind it would hear every interface.
    const socket = addon.open(AF_PACKET, SOCK_RAW, 0);
    if (typeof socket === 'number') return err(hostError(socket, doing));
    const s = new Setup(addon, socket);
    s.try(SOL_SOCKET, SO_PRIORITY, int32(TC_PRIO_CONTROL));
    let reception: Reception | undefined;
    if (receive) {
      s.try(SOL_SOCKET, SO_TIMESTAMPNS, ON);
      s.try(SOL_PACKET, PACKET_IGNORE_OUTGOING, ON);
      const batch = new Batch(addon, socket, SLOTS, FRAME_BYTES, CONTROL_BYTES);
      const r: Reception = new Reception(addon, socket, batch, (slot) =>
        receive(r.bytes(slot, batch.payloadAt(slot), batch.length(slot)), r.control(slot).at),
      );
      reception = r;
    }
    s.check(() => addon.bind(socket, sockaddrLink(o.ifindex, receive ? o.etherType : 0)));
    if (reception) s.check(() => (reception as Reception).start());
    if (s.failed < 0) {
      addon.close(socket);
      return err(hostError(s.failed, doing));
    }
    let closed = false;
    const out: FrameSocket = {
      send(frame) {
        if (closed) return err({ code: 'EBADF', doing: text('send on a closed socket', '在已关闭的套接字上发送') });
        const r = addon.send(socket, frame, undefined, undefined, 0);
        if (r >= 0) return SENT;
        return err(hostError(r, text(`send a frame on interface ${o.ifindex}`, `在接口 ${o.ifindex} 上发送链路层帧`)));
      },
      close() {
        closed = true;
        if (reception) reception.close();
        else addon.close(socket);
      },
    };
    return ok(out);
  };

  return { raw, udp, frames };
}

const SENT = ok(undefined);
