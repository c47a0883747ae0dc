/** A wanted service as it shall lie in the maps, with the places that it already has there. */
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
} from '../../../base/index.ts';
import type { Scheduler } from '../../config.ts';
import { maglev, NOBODY, RING_SIZES, wrrSequence } from '../../ring/index.ts';
import type { Refusal, WantedServer, WantedService } from '../../types.ts';
import type { Allocator } from './allocate.ts';
import { blocksFor, type Entry, type Hashing, type ServerRow, type ServiceTable, type Way } from './tables.ts';

/** The blocks of addresses, largest first, that a range consists of. */
export function prefixesOf(from: IpAddress, to: IpAddress): { address: IpAddress; length: number }[] {
  const bytes = ipBytes(from).length;
  const bits = bytes * 8;
  const number = (a: IpAddress): bigint => ipBytes(a).reduce((n, b) => (n << 8n) | BigInt(b), 0n);
  const text = (n: bigint): IpAddress => {
    const b = new Uint8Array(bytes);
    for (let i = bytes - 1, rest = n; i >= 0; i--, rest >>= 8n) b[i] = Number(rest & 255n);
    return ipFromBytes(b);
  };
  const out: { address: IpAddress; length: number }[] = [];
  const last = number(to);
  for (let at = number(from); at <= last; ) {
    let free = 0;
    while (free < bits && (at & ((1n << BigInt(free + 1)) - 1n)) === 0n && at + (1n << BigInt(free + 1)) - 1n <= last)
      free++;
    out.push({ address: text(at), length: bits - free });
    at += 1n << BigInt(free);
  }
  return out;
}

/** Undefined for a service by firewall mark: the programs run before anything could have set one. */
export function entriesOf(s: WantedService): readonly Entry[] | undefined {
  if (s.match.by !== 'address') return undefined;
  const { protocol, port, ranges } = s.match;
  return ranges.flatMap((r) =>
    r.from === r.to
      ? [{ address: r.from, length: hostLength(familyOf(r.from)), protocol, port }]
      : prefixesOf(r.from, r.to).map((p) => ({ ...p, protocol, port })),
  );
}

/**
 * How many slots a ring has: at least a hundred for each server (the Maglev paper, section 5.3), so that none has over
 * one percent more than its share. 65,537 for everybody would be 2.6 GB for 10,000 services, and 20 to 40 ms for every
 * change of a weight; by its own servers, a service of ten has one page, and is rebuilt in a tenth of a millisecond.
 * `have` is kept until it fits badly: a server more or less must not move every client.
 */
export function ringSize(servers: number, have: number): number {
  const { medium, large, full } = RING_SIZES;
  if (have === medium && servers <= 12) return medium;
  if (have === large && servers <= 50 && servers > 5) return large;
  if (have === full && servers > 20) return full;
  return servers <= 10 ? medium : servers <= 40 ? large : full;
}

/** Those that look at nothing but the client's address. */
const BY_SOURCE: readonly Scheduler[] = ['sh', 'mh'];
/** In turn only where no connection could be cut by it: the next director does not know whose turn it was. */
const IN_TURN: readonly Scheduler[] = ['rr', 'wrr'];

export function hashingOf(s: WantedService, family: Family): Hashing {
  const whole = hostLength(family);
  const byAll = { source: true, sourcePort: true, destination: true, destinationPort: true, sourceBits: whole };
  const bySource = { source: true, sourcePort: false, destination: false, destinationPort: false, sourceBits: whole };
  if (s.persistence) return { ...bySource, sourceBits: Math.min(s.persistence.granularity ?? whole, whole) };
  if (s.scheduler === 'dh') return { ...bySource, source: false, destination: true, sourceBits: whole };
  if (BY_SOURCE.includes(s.scheduler)) {
    const port = s.flags.includes('sh-port') || s.flags.includes('mh-port') || s.flags.includes('flag-2');
    return { ...bySource, sourcePort: port };
  }
  return byAll;
}

/**
 * Rings by what they are made from: services with the same servers have the same one. Servers are told apart by their
 * addresses, since ports never change here: a thousand services of the same ten servers share one ring.
 */
export class RingCache {
  readonly #known = new Map<string, Int32Array>();
  get(
    inTurn: boolean,
    size: number,
    servers: readonly { readonly key: string; readonly weight: number }[],
  ): Int32Array {
    let name = `${inTurn} ${size}`;
    for (const s of servers) name += ` ${s.key}*${s.weight}`;
    const known = this.#known.get(name);
    if (known) return known;
    const weights = servers.map((s) => s.weight);
    const made = inTurn ? wrrSequence(weights, size) : maglev(servers, size);
    if (this.#known.size >= 1024) this.#known.delete(this.#known.keys().next().value as string);
    this.#known.set(name, made);
    return made;
  }
}

const sameTarget = (row: ServerRow, s: WantedServer, way: Way): boolean =>
  row.address === s.address &&
  row.port === s.port &&
  (row.way.send === way.send || row.way.send === 'here' || way.send === 'here');

export type Compiler = {
  readonly allocator: Allocator;
  readonly rings: RingCache;
  readonly way: (s: WantedServer) => Result<Way, Refusal>;
  /** In the order of the servers: their own, or what an emulated scheduler gives them now. */
  readonly weights: (service: WantedService, rows: readonly ServerRow[]) => readonly number[];
};

/** Takes places of `c.allocator` for what `actual` does not have; those no longer needed are the caller's to give back. */
export function compile(
  s: WantedService,
  actual: ServiceTable | undefined,
  c: Compiler,
): Result<ServiceTable, Refusal> {
  const entries = entriesOf(s) as readonly Entry[];
  const ways: Way[] = [];
  for (const server of s.servers) {
    const way = c.way(server);
    if (!way.ok) return err(way.error);
    ways.push(way.value);
  }
  const left = [...(actual?.servers ?? [])];
  const servers = s.servers.map((server, i): ServerRow => {
    const way = ways[i] as Way;
    const at = left.findIndex((row) => sameTarget(row, server, way));
    const old = at < 0 ? undefined : left.splice(at, 1)[0];
    const { id, serial } = old ?? { id: c.allocator.servers.take(), serial: c.allocator.serial() };
    return { id, serial, address: server.address, port: server.port, weight: server.weight, way };
  });
  const inTurn = s.onePacket && !s.persistence && IN_TURN.includes(s.scheduler);
  const weights = c.weights(s, servers);
  const weighted = s.servers.map((x, i) => {
    const weight = weights[i] ?? 0;
    return { key: x.address, weight: s.scheduler === 'rr' ? Math.min(1, weight) : weight };
  });
  const size = weighted.some((x) => x.weight > 0) ? ringSize(servers.length, actual?.ring.length ?? 0) : 0;
  const ring = new Uint32Array(size);
  const indices = size === 0 ? undefined : c.rings.get(inTurn, size, weighted);
  for (let slot = 0; indices && slot < size; slot++) {
    const i = indices[slot] as number;
    ring[slot] = i === NOBODY ? 0 : (servers[i] as ServerRow).id;
  }
  const fits = actual !== undefined && blocksFor(actual.ring.length) === blocksFor(size) && size > 0;
  const block = fits ? actual.block : size === 0 ? 0 : c.allocator.blocks.take(blocksFor(size));
  const same = actual && fits && actual.ring.length === size && actual.ring.every((id, i) => id === ring[i]);
  return ok({
    id: actual?.id ?? c.allocator.services.take(),
    entries,
    hashing: hashingOf(s, familyOf((entries[0] as Entry).address)),
    stateless: s.onePacket,
    inTurn,
    block,
    ring: same ? actual.ring : ring,
    servers,
  });
}
