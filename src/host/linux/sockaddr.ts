import { endianness } from 'node:os';
import { type Family, familyOf, type IpAddress, ipBytes, ipFromBytes } from '../../base/index.ts';

/** The kernel's structures are in the processor's own byte order where the protocols do not say otherwise. */
export const LITTLE = endianness() === 'LE';
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;

const viewOf = (b: Uint8Array): DataView => new DataView(b.buffer, b.byteOffset, b.length);

/** An int or unsigned int in the processor's order: what most socket options take. */
export function int32(n: number): Uint8Array {
  const b = new Uint8Array(4);
  viewOf(b).setInt32(0, n, LITTLE);
  return b;
}

/** struct sockaddr_in or sockaddr_in6. `ifindex` is the scope, which link-local destinations need. */
export function sockaddrIp(address: IpAddress, port: number, ifindex: number): Uint8Array {
  const v6 = familyOf(address) === 6;
  const b = new Uint8Array(v6 ? 28 : 16);
  const v = viewOf(b);
  v.setUint16(0, v6 ? AF_INET6 : AF_INET, LITTLE);
  v.setUint16(2, port);
  b.set(ipBytes(address), v6 ? 8 : 4);
  if (v6) v.setUint32(24, ifindex, LITTLE);
  return b;
}
/** The unspecified address of a family. */
export const anyAddress = (f: Family): IpAddress => (f === 4 ? '0.0.0.0' : '::') as IpAddress;

/** struct sockaddr_ll with a protocol and an interface: what bind takes. */
export function sockaddrLink(ifindex: number, etherType: number): Uint8Array {
  const b = new Uint8Array(20);
  const v = viewOf(b);
  v.setUint16(0, AF_PACKET, LITTLE);
  v.setUint16(2, etherType);
  v.setInt32(4, ifindex, LITTLE);
  return b;
}
/** struct sockaddr_nl. Port 0 lets the kernel choose; `groups` is the mask of the first 32 multicast groups. */
export function sockaddrNetlink(port: number, groups: number): Uint8Array {
  const b = new Uint8Array(12);
  const v = viewOf(b);
  v.setUint16(0, AF_NETLINK, LITTLE);
  v.setUint32(4, port, LITTLE);
  v.setUint32(8, groups, LITTLE);
  return b;
}
/** struct sockaddr_un. At most 107 bytes of path. */
export function sockaddrUnix(path: string): Uint8Array {
  const text = new TextEncoder().encode(path);
  const b = new Uint8Array(2 + text.length + 1);
  viewOf(b).setUint16(0, AF_UNIX, LITTLE);
  b.set(text, 2);
  return b;
}

/** struct sockaddr_un of an abstract name, which is as long as it is: nothing ends it. At most 107 bytes. */
export function sockaddrAbstract(name: string): Uint8Array {
  const text = new TextEncoder().encode(name);
  const b = new Uint8Array(3 + text.length);
  viewOf(b).setUint16(0, AF_UNIX, LITTLE);
  b.set(text, 3);
  return b;
}

/** The port of a sockaddr_in or sockaddr_in6. */
export const sockaddrPort = (b: Uint8Array): number => viewOf(b).getUint16(2);
/** `192.0.2.1:50311`, `[2001:db8::1]:50311`; the family's number where it is neither. */
export function sockaddrText(b: Uint8Array): string {
  const family = viewOf(b).getUint16(0, LITTLE);
  if (family === AF_INET && b.length >= 8) return `${ipFromBytes(b.slice(4, 8))}:${sockaddrPort(b)}`;
  if (family === AF_INET6 && b.length >= 24) return `[${ipFromBytes(b.slice(8, 24))}]:${sockaddrPort(b)}`;
  return `family ${family}`;
}

/** One control message, padded as CMSG_SPACE does (64-bit kernels). */
export function controlMessage(level: number, type: number, data: Uint8Array): Uint8Array {
  const b = new Uint8Array(16 + ((data.length + 7) & ~7));
  const v = viewOf(b);
  v.setUint32(LITTLE ? 0 : 4, 16 + data.length, LITTLE);
  v.setInt32(8, level, LITTLE);
  v.setInt32(12, type, LITTLE);
  b.set(data, 16);
  return b;
}

/** Strings of the addresses that talk to us, so that a packet builds none. Bounded: senders are free to invent addresses. */
export class AddressCache {
  readonly #v4 = new Map<number, IpAddress>();
  readonly #v6 = new Map<number, { readonly words: Int32Array; readonly address: IpAddress }>();
  readonly #limit: number;

  constructor(limit = 4096) {
    this.#limit = limit;
  }
  v4(v: DataView, at: number): IpAddress {
    const key = v.getInt32(at);
    let known = this.#v4.get(key);
    if (known === undefined) {
      if (this.#v4.size >= this.#limit) this.#v4.clear();
      known = ipFromBytes(new Uint8Array(v.buffer, v.byteOffset + at, 4));
      this.#v4.set(key, known);
    }
    return known;
  }
  v6(v: DataView, at: number): IpAddress {
    const a = v.getInt32(at);
    const b = v.getInt32(at + 4);
    const c = v.getInt32(at + 8);
    const d = v.getInt32(at + 12);
    const key = a ^ Math.imul(b, 3) ^ Math.imul(c, 5) ^ Math.imul(d, 0x9e3779b1);
    const known = this.#v6.get(key);
    if (known) {
      const w = known.words;
      if (w[0] === a && w[1] === b && w[2] === c && w[3] === d) return known.address;
    }
    if (this.#v6.size >= this.#limit) this.#v6.clear();
    const address = ipFromBytes(new Uint8Array(v.buffer, v.byteOffset + at, 16));
    this.#v6.set(key, { words: Int32Array.of(a, b, c, d), address });
    return address;
  }
}
