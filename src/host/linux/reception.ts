import { type Microseconds, us } from '../../base/index.ts';
import type { Addon, SocketHandle } from './addon.ts';
import type { Batch } from './batch.ts';
import { LITTLE } from './sockaddr.ts';

export const SOL_IP = 0;
export const SOL_SOCKET = 1;
export const SOL_IPV6 = 41;
export const IP_PKTINFO = 8;
export const IP_TTL = 2;
export const IPV6_PKTINFO = 50;
const IPV6_HOPLIMIT = 52;
export const SO_TIMESTAMPNS = 35;
/** Room for packet info, TTL or hop limit, and a timestamp: at most 96 bytes. */
export const CONTROL_BYTES = 128;

const MSG_TRUNC = 0x20;
/** More than clock discipline moves the wall clock between two wakes of a socket in use: somebody set it. */
const STEP = 10_000;

/** What the control messages of one packet said. One object for each socket, filled anew for each packet. */
export type Control = { ifindex: number; ttl: number | undefined; destinationAt: number; at: Microseconds };

/**
 * Takes batches from a socket and hands out the packets one by one, whether the event loop woke up or somebody drains
 * the socket: packets are delivered once and in order also when `drain()` is called by the receiver of one.
 */
export class Reception {
  readonly #addon: Addon;
  readonly #socket: SocketHandle;
  readonly #batch: Batch;
  readonly #deliver: (slot: number) => void;
  readonly #views: (Uint8Array | undefined)[];
  readonly #control: Control = { ifindex: 0, ttl: undefined, destinationAt: -1, at: us(0) };
  #next = 0;
  #count = 0;
  #offset: number;
  #now = 0;
  #stepped = false;
  #closed = false;

  constructor(addon: Addon, socket: SocketHandle, batch: Batch, deliver: (slot: number) => void) {
    this.#addon = addon;
    this.#socket = socket;
    this.#batch = batch;
    this.#deliver = deliver;
    this.#views = Array(batch.slots).fill(undefined);
    this.#offset = addon.wallOffset();
  }
  /** 0, or the negative errno. */
  start(): number {
    return this.#addon.watch(this.#socket, (n) => this.#received(n));
  }
  drain(): void {
    this.#deliverAll();
    while (!this.#closed) {
      const n = this.#addon.receive(this.#socket);
      if (n === 0) return;
      this.#received(n);
    }
  }
  close(): void {
    this.#closed = true;
    this.#addon.close(this.#socket);
  }
  /** A view of `length` bytes at `at`; the same object again where the slot's last packet had the same shape. */
  bytes(slot: number, at: number, length: number): Uint8Array {
    const last = this.#views[slot];
    if (last && last.byteOffset === at && last.length === length) return last;
    const fresh = this.#batch.bytes.subarray(at, at + length);
    this.#views[slot] = fresh;
    return fresh;
  }
  /** The control messages of a slot. The result is overwritten by the next call. */
  control(slot: number): Control {
    const c = this.#control;
    const v = this.#batch.view;
    c.ifindex = 0;
    c.ttl = undefined;
    c.destinationAt = -1;
    c.at = us(this.#now);
    let at = this.#batch.controlAt(slot);
    const end = at + this.#batch.controlLength(slot);
    while (at + 16 <= end) {
      const length = v.getUint32(LITTLE ? at : at + 4, LITTLE);
      if (length < 16 || at + length > end) break;
      const level = v.getInt32(at + 8, LITTLE);
      const type = v.getInt32(at + 12, LITTLE);
      const data = at + 16;
      if (level === SOL_IP && type === IP_PKTINFO) {
        c.ifindex = v.getInt32(data, LITTLE); // struct in_pktinfo: ifindex, local address, destination
        c.destinationAt = data + 8;
      } else if (level === SOL_IPV6 && type === IPV6_PKTINFO) {
        c.ifindex = v.getInt32(data + 16, LITTLE); // struct in6_pktinfo: destination, ifindex
        c.destinationAt = data;
      } else if ((level === SOL_IP && type === IP_TTL) || (level === SOL_IPV6 && type === IPV6_HOPLIMIT)) {
        c.ttl = v.getInt32(data, LITTLE);
      } else if (level === SOL_SOCKET && type === SO_TIMESTAMPNS) {
        c.at = this.#monotonic(v, data);
      }
      at += (length + 7) & ~7;
    }
    return c;
  }
  /** A kernel stamp (struct timespec, wall clock) on the monotonic clock. Never in the future. */
  #monotonic(v: DataView, at: number): Microseconds {
    if (this.#stepped) return us(this.#now);
    const low = v.getUint32(LITTLE ? at : at + 4, LITTLE);
    const high = v.getUint32(LITTLE ? at + 4 : at, LITTLE);
    const nanoseconds = v.getUint32(LITTLE ? at + 8 : at + 12, LITTLE);
    const wall = (high * 0x1_0000_0000 + low) * 1_000_000 + Math.floor(nanoseconds / 1000);
    return us(Math.min(this.#now, wall - this.#offset));
  }
  #received(n: number): void {
    // A pending error (a link went down, an ICMP answer) has no packet, and the kernel tables tell of its cause.
    if (n <= 0) return;
    const offset = this.#addon.wallOffset();
    // Once the wall clock was set, it is not known whether a stamp is from before or after: then arrival is now.
    this.#stepped = Math.abs(offset - this.#offset) > STEP;
    this.#offset = offset;
    this.#now = this.#addon.now();
    this.#next = 0;
    this.#count = n;
    this.#deliverAll();
  }
  #deliverAll(): void {
    while (this.#next < this.#count && !this.#closed) {
      const slot = this.#next++;
      if (this.#batch.flags(slot) & MSG_TRUNC) continue; // longer than anything this socket's protocol sends
      this.#deliver(slot);
    }
  }
}
