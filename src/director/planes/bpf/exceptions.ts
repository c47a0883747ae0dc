/**
 * Flows that stay where they are by the flow map alone: found by asking of each what the ring would say, with the hash of
 * the program (`native/bpf/decide.h`). And those of another director, which lie in the map as never seen until they come by.
 */
import { familyOf, type IpAddress, ipBytes, ipFromBytes, ok, type Result } from '../../../base/index.ts';
import type { BpfMap, HostError } from '../../../host/index.ts';
import type { FlowException } from '../../types.ts';
import { isFlowOf } from '../flow-of.ts';
import { CLOSED, type FlowTimeouts, IDLE, NEVER, UDP, UNIT_SECONDS } from './flows.ts';
import type { Held, HeldServices } from './held.ts';
import { PROTOCOL } from './layout.ts';
import type { Hashing, ServerRow, ServiceTable } from './tables.ts';

/** The services that lie in the maps. */
export type Carried = Pick<HeldServices, 'get' | 'values'>;
/** What the plane has at the time of a call. */
export type FlowsNow = {
  readonly flows4: BpfMap;
  readonly flows6: BpfMap;
  readonly held: Carried;
  readonly nowSeconds: number;
  readonly timeouts: FlowTimeouts;
};
type Owner = { readonly held: Held; readonly row: ServerRow; readonly server: string };
const FLOW_BYTES = 16;

/** The mixing steps of MurmurHash3, 32 bits at a time, as the program has them. */
function mix(h: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  const x = h ^ k;
  return (Math.imul((x << 13) | (x >>> 19), 5) + 0xe6546b64) | 0;
}
/** The leading `bits` of a word that lies in memory in network order and is read the other way round. */
function maskWord(bits: number): number {
  if (bits >= 32) return -1;
  if (bits <= 0) return 0;
  const mask = -1 << (32 - bits);
  return ((mask & 0xff) << 24) | ((mask & 0xff00) << 8) | ((mask >>> 8) & 0xff00) | (mask >>> 24);
}
/** Of a key of `flows4` or `flows6`, as unsigned 32 bits. */
export function flowHash(key: DataView, hashing: Hashing): number {
  const words = key.byteLength === 16 ? 1 : 4;
  let h = 0x484f4c44;
  if (hashing.source)
    for (let i = 0; i < words; i++) h = mix(h, key.getUint32(4 * i, true) & maskWord(hashing.sourceBits - 32 * i));
  if (hashing.destination) for (let i = 0; i < words; i++) h = mix(h, key.getUint32(4 * (words + i), true));
  const ports = key.getUint32(8 * words, true);
  h = mix(h, (hashing.sourcePort ? ports & 0xffff : 0) | (hashing.destinationPort ? ports & 0xffff_0000 : 0));
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
export const slotOf = (hash: number, slots: number): number => Math.floor((hash * slots) / 2 ** 32);

export function flowKey(f: FlowException, protocol: number): Uint8Array {
  const [client, address] = [ipBytes(f.client), ipBytes(f.address)];
  const b = new Uint8Array(2 * client.length + 8);
  b.set(client);
  b.set(address, client.length);
  const v = new DataView(b.buffer);
  v.setUint16(2 * client.length, f.clientPort);
  v.setUint16(2 * client.length + 2, f.port);
  v.setUint32(2 * client.length + 4, protocol, true);
  return b;
}
const addressAt = (key: Uint8Array, at: number, bytes: number): IpAddress => ipFromBytes(key.subarray(at, at + bytes));

export class Exceptions {
  /** A ring changed, or flows of others came, since a whole look found none. */
  #due = true;
  #walk: Walk | undefined;

  /** Rings are not what they were: what was found may be wrong, and there may be more. */
  changed(): void {
    this.#due = true;
    this.#walk = undefined;
  }
  /** `more`: to be called again. */
  look(most: number, o: FlowsNow): Result<readonly FlowException[] | 'more', HostError> {
    if (!this.#due && !this.#walk) return ok([]);
    this.#due = false;
    this.#walk ??= new Walk(most, o);
    const done = this.#walk.step();
    if (done.ok && !done.value) return ok('more');
    const { found } = this.#walk;
    this.#walk = undefined;
    this.#due ||= !done.ok || found.length > 0;
    return done.ok ? ok(found) : done;
  }

  /** What came by here within its time is not touched: of two directors' memories of one pair of ports, ours may be the newer. */
  adopt(flows: readonly FlowException[], o: FlowsNow): void {
    const now = Math.floor(o.nowSeconds / UNIT_SECONDS);
    for (const f of flows) {
      const at = placeOf(f, o.held);
      if (!at) continue;
      this.#due = true; // it may come by
      const map = familyOf(f.client) === 4 ? o.flows4 : o.flows6;
      const key = flowKey(f, at.protocol);
      const there = map.get(key);
      if (there && isAlive(there, at, now, idleOf(at.protocol, o.timeouts))) continue;
      const value = new Uint8Array(FLOW_BYTES);
      const v = new DataView(value.buffer);
      v.setUint32(0, at.row.id, true);
      v.setUint32(4, at.row.serial, true);
      v.setUint32(8, NEVER, true);
      map.set(key, value);
    }
  }
  abandon(flows: readonly FlowException[], o: FlowsNow): void {
    for (const f of flows) {
      const at = placeOf(f, o.held);
      if (!at) continue;
      const map = familyOf(f.client) === 4 ? o.flows4 : o.flows6;
      const key = flowKey(f, at.protocol);
      const there = map.get(key);
      if (there && new DataView(there.buffer, there.byteOffset, there.length).getUint32(8, true) === NEVER)
        map.remove(key);
    }
  }
}

const idleOf = (protocol: number, t: FlowTimeouts): number =>
  protocol === UDP ? (t.udp ?? IDLE.udp) : (t.tcp ?? IDLE.open);

/** Whether a flow in the map is to stay as it is, where another director has it at `at`. */
function isAlive(flow: Uint8Array, at: Place, now: number, idle: number): boolean {
  const v = new DataView(flow.buffer, flow.byteOffset, flow.length);
  const [id, serial, seen] = [v.getUint32(0, true), v.getUint32(4, true), v.getUint32(8, true)];
  if (id === at.row.id && serial === at.row.serial) return true;
  if (seen === NEVER || v.getUint32(12, true) === CLOSED || (now - seen) * UNIT_SECONDS > idle) return false;
  return at.table.servers.some((r) => r.id === id && r.serial === serial);
}

type Place = { readonly row: ServerRow; readonly table: ServiceTable; readonly protocol: number };
/** By its names; undefined: not here, or no flow of that service. */
function placeOf(f: FlowException, held: Carried): Place | undefined {
  const service = held.get(f.service);
  const match = service?.wanted?.match;
  // The program asks the flow map before the services: whatever lies there is sent on.
  if (!service?.wanted || match?.by !== 'address' || !isFlowOf(match, f)) return undefined;
  const row = service.table.servers[service.wanted.servers.findIndex((s) => s.key === f.server)];
  return row && { row, table: service.table, protocol: PROTOCOL[match.protocol] };
}

/** One look through both maps, a piece at a time. */
class Walk {
  readonly found: FlowException[] = [];
  readonly #most: number;
  readonly #owners = new Map<number, Owner>();
  readonly #now: number;
  readonly #timeouts: FlowTimeouts;
  readonly #pieces: (() => Result<boolean, HostError>)[];

  constructor(most: number, o: FlowsNow) {
    this.#most = most;
    this.#now = Math.floor(o.nowSeconds / UNIT_SECONDS);
    this.#timeouts = o.timeouts;
    for (const held of o.held.values()) {
      if (!held.wanted || held.table.stateless || held.table.inTurn) continue;
      held.table.servers.forEach((row, i) => {
        const server = held.wanted?.servers[i]?.key;
        if (server !== undefined) this.#owners.set(row.id, { held, row, server });
      });
    }
    this.#pieces = [o.flows4, o.flows6].map((m) => m.pieces((key, value) => this.#take(key, value)));
  }
  /** True: that was all. */
  step(): Result<boolean, HostError> {
    const next = this.#pieces[0];
    if (!next) return { ok: true, value: true };
    const done = next();
    if (done.ok && done.value) this.#pieces.shift();
    return done.ok ? { ok: true, value: this.#pieces.length === 0 } : done;
  }
  #take(key: Uint8Array, value: Uint8Array): void {
    const v = new DataView(value.buffer, value.byteOffset, value.length);
    const owner = this.#owners.get(v.getUint32(0, true));
    if (!owner || owner.row.serial !== v.getUint32(4, true) || v.getUint32(12, true) === CLOSED) return;
    const k = new DataView(key.buffer, key.byteOffset, key.length);
    const { hashing, ring } = owner.held.table;
    if (ring.length > 0 && ring[slotOf(flowHash(k, hashing), ring.length)] === owner.row.id) return;
    const seen = v.getUint32(8, true);
    if (seen === NEVER || (this.#now - seen) * UNIT_SECONDS > idleOf(k.getUint32(key.length - 4, true), this.#timeouts))
      return;
    if (this.found.length > this.#most) return;
    const bytes = key.length === 16 ? 4 : 16;
    this.found.push({
      service: owner.held.wanted?.key as string,
      server: owner.server,
      client: addressAt(key, 0, bytes),
      clientPort: k.getUint16(2 * bytes),
      address: addressAt(key, bytes, bytes),
      port: k.getUint16(2 * bytes + 2),
    });
  }
}
