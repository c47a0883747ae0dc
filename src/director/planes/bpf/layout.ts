/** The bytes of keys and values, as native/bpf/layout.h has them. */
import { familyOf, type IpAddress, ipBytes, ipFromBytes } from '../../../base/index.ts';
import type { Protocol } from '../../config.ts';
import { BLOCK_SLOTS, type Entry, type Hashing, type ServerRow, type ServiceTable, type Way } from './tables.ts';

export const BYTES = {
  serviceKey: 20,
  rangeKey: 24,
  service: 40,
  server: 72,
  ring: BLOCK_SLOTS * 4,
  counters: 32,
} as const;
export const PROTOCOL: Record<Protocol, number> = { tcp: 6, udp: 17, sctp: 132 };
const protocolOf = (n: number): Protocol => (n === 6 ? 'tcp' : n === 17 ? 'udp' : 'sctp');
const FLAG = { source: 1, sourcePort: 2, destination: 4, destinationPort: 8, stateless: 16, inTurn: 32 } as const;
const SEND: Record<Way['send'], number> = { direct: 1, here: 2, ipip: 3, gue: 4, gre: 5 };
const RANGE_HEAD_BITS = 32;

const view = (b: Uint8Array): DataView => new DataView(b.buffer, b.byteOffset, b.length);
const [DOT, ZERO] = [0x2e, 0x30];
/** IPv4 without anything made in between: a hundred thousand rows are written when a director starts. */
function putAddress(b: Uint8Array, at: number, a: IpAddress): void {
  if (familyOf(a) === 6) {
    b.set(ipBytes(a), at);
    return;
  }
  let [to, value] = [at, 0];
  for (let i = 0; i < a.length; i++) {
    const c = a.charCodeAt(i);
    if (c === DOT) {
      b[to++] = value;
      value = 0;
    } else value = value * 10 + c - ZERO;
  }
  b[to] = value;
}
const addressAt = (b: Uint8Array, at: number, family: number): IpAddress =>
  ipFromBytes(b.subarray(at, at + (family === 4 ? 4 : 16)));

export const u32 = (n: number): Uint8Array => {
  const b = new Uint8Array(4);
  view(b).setUint32(0, n, true);
  return b;
};

/** Whether it lies in `services`; else in `ranges`. */
export const isExact = (e: Entry): boolean => e.length === (familyOf(e.address) === 4 ? 32 : 128);

export function serviceKey(e: Entry): Uint8Array {
  const b = new Uint8Array(BYTES.serviceKey);
  putAddress(b, 0, e.address);
  view(b).setUint16(16, e.port);
  b[18] = PROTOCOL[e.protocol];
  b[19] = familyOf(e.address);
  return b;
}
export function readServiceKey(b: Uint8Array): Entry {
  const family = b[19] as number;
  const length = family === 4 ? 32 : 128;
  return {
    address: addressAt(b, 0, family),
    length,
    protocol: protocolOf(b[18] as number),
    port: view(b).getUint16(16),
  };
}
export function rangeKey(e: Entry): Uint8Array {
  const b = new Uint8Array(BYTES.rangeKey);
  const v = view(b);
  v.setUint32(0, RANGE_HEAD_BITS + e.length, true);
  b[4] = PROTOCOL[e.protocol];
  b[5] = familyOf(e.address);
  v.setUint16(6, e.port);
  putAddress(b, 8, e.address);
  return b;
}
export function readRangeKey(b: Uint8Array): Entry {
  const length = view(b).getUint32(0, true) - RANGE_HEAD_BITS;
  const family = b[5] as number;
  return { address: addressAt(b, 8, family), length, protocol: protocolOf(b[4] as number), port: view(b).getUint16(6) };
}

export type ServiceValue = {
  readonly id: number;
  readonly block: number;
  readonly slots: number;
  readonly hashing: Hashing;
  readonly stateless: boolean;
  readonly inTurn: boolean;
};
/** How many leading bits of a mask are set; the mask is of one piece. */
const maskBits = (b: Uint8Array): number => b.reduce((n, x) => n + Math.clz32(x ^ 0xff) - 24, 0);

export function serviceValue(t: ServiceTable): Uint8Array {
  const b = new Uint8Array(BYTES.service);
  const v = view(b);
  const h = t.hashing;
  v.setUint32(0, t.id, true);
  v.setUint32(4, t.block, true);
  v.setUint32(8, t.ring.length, true);
  const flags =
    (h.source ? FLAG.source : 0) |
    (h.sourcePort ? FLAG.sourcePort : 0) |
    (h.destination ? FLAG.destination : 0) |
    (h.destinationPort ? FLAG.destinationPort : 0) |
    (t.stateless ? FLAG.stateless : 0) |
    (t.inTurn ? FLAG.inTurn : 0);
  v.setUint32(12, flags, true);
  for (let bit = 0; bit < h.sourceBits; bit++)
    b[16 + (bit >> 3)] = (b[16 + (bit >> 3)] as number) | (0x80 >> (bit & 7));
  return b;
}
export function readServiceValue(b: Uint8Array): ServiceValue {
  const v = view(b);
  const flags = v.getUint32(12, true);
  const has = (bit: number): boolean => (flags & bit) !== 0;
  return {
    id: v.getUint32(0, true),
    block: v.getUint32(4, true),
    slots: v.getUint32(8, true),
    hashing: {
      source: has(FLAG.source),
      sourcePort: has(FLAG.sourcePort),
      destination: has(FLAG.destination),
      destinationPort: has(FLAG.destinationPort),
      sourceBits: maskBits(b.subarray(16, 32)),
    },
    stateless: has(FLAG.stateless),
    inTurn: has(FLAG.inTurn),
  };
}

export type MacPair = { readonly server: Uint8Array; readonly own: Uint8Array };
/** Into `b` at `at`, which is zero before. `mac`: where both link addresses are known, XDP sends by itself. */
export function writeServer(
  b: Uint8Array,
  v: DataView,
  at: number,
  service: number,
  r: ServerRow,
  mac?: MacPair,
): void {
  v.setUint32(at, r.serial, true);
  v.setUint32(at + 4, service, true);
  v.setUint32(at + 8, r.way.send === 'here' ? 0 : r.way.ifindex, true);
  v.setUint16(at + 12, r.port, true);
  b[at + 14] = SEND[r.way.send];
  b[at + 15] = familyOf(r.address);
  putAddress(b, at + 16, r.address);
  if (r.way.send !== 'here' && r.way.send !== 'direct') {
    putAddress(b, at + 32, r.way.source);
    v.setUint16(at + 48, Math.min(r.way.mtu, 0xffff), true);
    v.setUint16(at + 50, r.way.guePort);
  }
  if (mac) {
    b.set(mac.server, at + 52);
    b.set(mac.own, at + 58);
    b[at + 66] = 1;
  }
  v.setUint16(at + 64, r.weight, true);
}
/** Undefined where there is none. */
export function readServer(
  id: number,
  b: Uint8Array,
): { readonly service: number; readonly row: ServerRow } | undefined {
  const v = view(b);
  const send = (Object.keys(SEND) as Way['send'][]).find((s) => SEND[s] === b[14]);
  if (send === undefined) return undefined;
  const family = b[15] as number;
  const ifindex = v.getUint32(8, true);
  const way: Way =
    send === 'here'
      ? { send }
      : send === 'direct'
        ? { send, ifindex }
        : { send, ifindex, source: addressAt(b, 32, family), mtu: v.getUint16(48, true), guePort: v.getUint16(50) };
  const row = {
    id,
    serial: v.getUint32(0, true),
    address: addressAt(b, 16, family),
    port: v.getUint16(12, true),
    weight: v.getUint16(64, true),
    way,
  };
  return { service: v.getUint32(4, true), row };
}
