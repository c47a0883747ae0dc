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
import type { Refusal, WantedServer, WantedService } from '../../types.ts';
import type { Allocator } from './allocate.ts';
import { needsLoads } from './loads.ts';
import { fillRing, type RingCache, type RingRoom, ringSize, sameSlots } from './rings.ts';
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

/** Those that look at nothing but the client's address. */
const BY_SOURCE: readonly Scheduler[] = ['sh', 'mh'];
/** In turn only where no connection could be cut by it: the next director does not know whose turn it was. */
const IN_TURN: readonly Scheduler[] = ['rr', 'wrr'];

function hashingOf(s: WantedService, family: Family): Hashing {
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

const sameTarget = (row: ServerRow, s: WantedServer, way: Way): boolean =>
  row.address === s.address &&
  row.port === s.port &&
  (row.way.send === way.send || row.way.send === 'here' || way.send === 'here');

export type Compiler = {
  readonly allocator: Allocator;
  readonly rings: RingCache;
  readonly room: RingRoom;
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
  const left = actual ? [...actual.servers] : [];
  const servers = s.servers.map((server, i): ServerRow => {
    const way = ways[i] as Way;
    const at = left.length === 0 ? -1 : left.findIndex((row) => sameTarget(row, server, way));
    const old = at < 0 ? undefined : left.splice(at, 1)[0];
    const id = old?.id ?? c.allocator.servers.take();
    const serial = old?.serial ?? c.allocator.serial();
    return { id, serial, address: server.address, port: server.port, weight: server.weight, way };
  });
  const inTurn = s.onePacket && !s.persistence && IN_TURN.includes(s.scheduler);
  const weights = c.weights(s, servers);
  const weighted = s.servers.map((x, i) => {
    const weight = weights[i] ?? 0;
    return { key: x.address, weight: s.scheduler === 'rr' ? Math.min(1, weight) : weight };
  });
  // What load makes of weights compares with no weight of a file.
  const away = needsLoads(s)
    ? []
    : (s.away ?? []).map((x) => ({ key: x.address, weight: s.scheduler === 'rr' ? 1 : x.weight }));
  const serving = weighted.filter((x) => x.weight > 0).length;
  const size = serving > 0 ? ringSize(serving + away.length, actual?.ring.length ?? 0) : 0;
  const ring = c.room.take(size);
  if (size > 0) fillRing(ring, c.rings.get(inTurn, size, weighted, away), servers);
  const fits = actual !== undefined && blocksFor(actual.ring.length) === blocksFor(size) && size > 0;
  const block = fits ? actual.block : size === 0 ? 0 : c.allocator.blocks.take(blocksFor(size));
  const same = actual && fits && sameSlots(actual.ring, ring);
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
