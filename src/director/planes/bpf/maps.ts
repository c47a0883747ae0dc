/** The maps in the kernel: made or adopted, read, written by the changes of a plan, made larger. */
import { ok, type Result } from '../../../base/index.ts';
import type { Bpf, BpfMap, BpfObject, HostError } from '../../../host/index.ts';
import {
  BYTES,
  isExact,
  type MacPair,
  rangeKey,
  readRangeKey,
  readServer,
  readServiceKey,
  readServiceValue,
  type ServiceValue,
  serviceKey,
  serviceValue,
  u32,
  writeServer,
} from './layout.ts';
import { type Change, PHASES } from './plan.ts';
import { BLOCK_SLOTS, blocksFor, type Entry, type ServerRow, type ServiceTable } from './tables.ts';

export const NAMES = [
  'config',
  'services',
  'ranges',
  'rings',
  'servers',
  'counters',
  'events',
  'flows4',
  'flows6',
  'fragments',
  'directors',
] as const;
export type MapName = (typeof NAMES)[number];
/** How many entries each of the growing maps must have. */
export type Need = {
  readonly services: number;
  readonly ranges: number;
  readonly rings: number;
  readonly servers: number;
};
const LEAST: Need = { services: 1024, ranges: 1024, rings: 64, servers: 1024 };

const PROGRAMS = ['tc_director', 'xdp_director', 'xdp_pass'] as const;
export type FlowSizes = { readonly flows4: number; readonly flows6: number };

/** A quarter more than is needed now, to the next power of two: growing copies everything. */
const sizeFor = (need: number, least: number): number =>
  Math.max(least, 2 ** Math.ceil(Math.log2(Math.max(1, need * 1.25))));

export class Maps {
  readonly #bpf: Bpf;
  readonly #folder: string;
  #object: BpfObject;
  #maps: Map<MapName, BpfMap>;

  private constructor(bpf: Bpf, folder: string, object: BpfObject) {
    this.#bpf = bpf;
    this.#folder = folder;
    this.#object = object;
    this.#maps = new Map(NAMES.map((n) => [n, object.maps.get(n) as BpfMap]));
  }

  /** What is pinned in `folder` is used, the rest is made and pinned. */
  static open(bpf: Bpf, folder: string, flows: FlowSizes): Result<Maps, HostError> {
    const mounted = bpf.mount(folder);
    if (!mounted.ok) return mounted;
    const use = new Map<string, BpfMap>();
    for (const name of NAMES) {
      const found = bpf.openMap(`${folder}/${name}`);
      if (found.ok) use.set(name, found.value);
      else if (found.error.code !== 'ENOENT') return found;
    }
    const entries = { ...LEAST, counters: use.get('servers')?.shape.entries ?? LEAST.servers, ...flows };
    const object = bpf.load('director', { programs: PROGRAMS, use, entries });
    if (!object.ok) {
      for (const m of use.values()) m.close();
      return object;
    }
    const maps = new Maps(bpf, folder, object.value);
    for (const name of NAMES) {
      if (use.has(name)) continue;
      const pinned = maps.map(name).pin(`${folder}/${name}`);
      if (!pinned.ok) return pinned;
    }
    return ok(maps);
  }

  map(name: MapName): BpfMap {
    return this.#maps.get(name) as BpfMap;
  }
  get object(): BpfObject {
    return this.#object;
  }

  /** What an earlier process left, by service. Slots of servers that are not there read as they are. */
  read(): Result<ServiceTable[], HostError> {
    const found = new Map<number, { value: ServiceValue; entries: Entry[]; servers: ServerRow[] }>();
    const take = (entry: Entry, value: ServiceValue): void => {
      const known = found.get(value.id);
      if (known) known.entries.push(entry);
      else found.set(value.id, { value, entries: [entry], servers: [] });
    };
    const exact = this.map('services').each((k, v) => take(readServiceKey(k), readServiceValue(v)));
    if (!exact.ok) return exact;
    const ranges = this.map('ranges').each((k, v) => take(readRangeKey(k), readServiceValue(v)));
    if (!ranges.ok) return ranges;
    const servers = this.map('servers').each((k, v) => {
      const got = readServer(new DataView(k.buffer, k.byteOffset, 4).getUint32(0, true), v);
      if (got) found.get(got.service)?.servers.push(got.row);
    });
    if (!servers.ok) return servers;
    return ok(
      [...found.values()].map(({ value, entries, servers }) => {
        const { id, block, slots, hashing, stateless, inTurn } = value;
        return { id, entries, hashing, stateless, inTurn, block, ring: this.#readRing(block, slots), servers };
      }),
    );
  }
  lastSerial(): number {
    const value = this.map('config').get(u32(0));
    return value ? new DataView(value.buffer, value.byteOffset).getUint32(8, true) : 0;
  }
  #readRing(block: number, slots: number): Uint32Array {
    const bytes = new Uint8Array(blocksFor(slots) * BYTES.ring);
    for (let i = 0; i < blocksFor(slots); i++) {
      const value = this.map('rings').get(u32(block + i));
      if (value) bytes.set(value, i * BYTES.ring);
    }
    return new Uint32Array(bytes.buffer, 0, slots);
  }

  /** In the order of the phases. At the first failure it stops. */
  write(changes: readonly Change[], mac: (row: ServerRow) => MacPair | undefined): Result<void, HostError> {
    for (const phase of PHASES) {
      const of = changes.filter((c) => c.do === phase);
      if (of.length === 0) continue;
      const done = this.#writePhase(of, mac);
      if (!done.ok) return done;
    }
    return ok(undefined);
  }
  /** All changes are of one kind. */
  #writePhase(changes: readonly Change[], mac: (row: ServerRow) => MacPair | undefined): Result<void, HostError> {
    const n = changes.length;
    const servers = new Rows(BYTES.server, n);
    const rings = new Rows(BYTES.ring, n);
    const counters = new Rows(this.map('counters').storedBytes, n);
    const services = { exact: [] as Uint8Array[][], ranges: [] as Uint8Array[][] };
    for (const c of changes) {
      switch (c.do) {
        case 'server-set':
          servers.add(c.row.id, (b, v, at) => writeServer(b, v, at, c.service, c.row, mac(c.row)));
          break;
        case 'server-clear':
          servers.add(c.id);
          counters.add(c.id);
          break;
        case 'ring-set':
          rings.add(c.block, (b, _, at) =>
            b.set(new Uint8Array(c.slots.buffer, c.slots.byteOffset, c.slots.byteLength), at),
          );
          break;
        case 'service-set':
          if (isExact(c.entry)) services.exact.push([serviceKey(c.entry), serviceValue(c.table)]);
          else services.ranges.push([rangeKey(c.entry), serviceValue(c.table)]);
          break;
        case 'service-remove': {
          const done = isExact(c.entry)
            ? this.map('services').remove(serviceKey(c.entry))
            : this.map('ranges').remove(rangeKey(c.entry));
          if (!done.ok) return done;
        }
      }
    }
    return (
      [
        servers.write(this.map('servers')),
        rings.write(this.map('rings')),
        counters.write(this.map('counters')),
        setAll(this.map('services'), services.exact),
        setAll(this.map('ranges'), services.ranges),
      ].find((r) => !r.ok) ?? ok(undefined)
    );
  }

  /** Undefined: they are large enough. */
  tooSmall(need: Need): boolean {
    return (Object.keys(LEAST) as (keyof Need)[]).some((n) => need[n] > this.map(n).shape.entries);
  }
  /**
   * Larger maps with the same content, and the programs for them; flows, fragments and events stay. The caller puts the
   * programs in place of the old ones, which go on with the old maps until then, and calls the result.
   */
  grow(
    need: Need,
    tables: readonly ServiceTable[],
    mac: (row: ServerRow) => MacPair | undefined,
  ): Result<() => Result<void, HostError>, HostError> {
    const use = new Map<string, BpfMap>(this.#maps);
    const entries: Record<string, number> = {};
    for (const name of Object.keys(LEAST) as (keyof Need)[]) {
      if (need[name] <= this.map(name).shape.entries) continue;
      entries[name] = sizeFor(need[name], LEAST[name]);
      use.delete(name);
    }
    if (entries.servers !== undefined) {
      entries.counters = entries.servers;
      use.delete('counters');
    }
    const object = this.#bpf.load('director', { programs: PROGRAMS, use, entries });
    if (!object.ok) return object;
    const grown = new Maps(this.#bpf, this.#folder, object.value);
    const filled = grown.#fill(tables, mac, entries.counters === undefined ? undefined : this.map('counters'));
    if (!filled.ok) {
      object.value.close();
      return filled;
    }
    return ok(() => {
      for (const name of NAMES) {
        if (use.has(name)) continue;
        const path = `${this.#folder}/${name}`;
        const gone = this.#bpf.unpin(path);
        const pinned = gone.ok ? grown.map(name).pin(path) : gone;
        if (!pinned.ok) return pinned;
        this.map(name).close();
      }
      for (const p of this.#object.programs.values()) p.close();
      this.#object = grown.#object;
      this.#maps = grown.#maps;
      return ok(undefined);
    });
  }
  #fill(
    tables: readonly ServiceTable[],
    mac: (row: ServerRow) => MacPair | undefined,
    counters: BpfMap | undefined,
  ): Result<void, HostError> {
    const changes: Change[] = tables.flatMap((t): Change[] => [
      ...t.servers.map((row): Change => ({ do: 'server-set', service: t.id, row })),
      ...Array.from({ length: blocksFor(t.ring.length) }, (_, i): Change => {
        const slots = t.ring.subarray(i * BLOCK_SLOTS, (i + 1) * BLOCK_SLOTS);
        return { do: 'ring-set', block: t.block + i, slots, of: t.id };
      }),
      ...t.entries.map((entry): Change => ({ do: 'service-set', entry, table: t })),
    ]);
    const written = this.write(changes, mac);
    if (!written.ok || !counters) return written;
    for (const row of tables.flatMap((t) => t.servers)) {
      const value = counters.get(u32(row.id));
      const done = value ? this.map('counters').set(u32(row.id), value) : ok(undefined);
      if (!done.ok) return done;
    }
    return ok(undefined);
  }

  /** `keep`: what is pinned stays. */
  close(o: { readonly keep: boolean }): void {
    for (const p of this.#object.programs.values()) p.close();
    for (const [name, m] of this.#maps) {
      m.close();
      if (!o.keep) this.#bpf.unpin(`${this.#folder}/${name}`);
    }
  }
}

function setAll(map: BpfMap, pairs: readonly (readonly Uint8Array[])[]): Result<void, HostError> {
  if (pairs.length === 0) return ok(undefined);
  const { keyBytes, valueBytes } = map.shape;
  const [k, v] = [new Uint8Array(keyBytes * pairs.length), new Uint8Array(valueBytes * pairs.length)];
  for (const [i, [key, value]] of pairs.entries()) {
    k.set(key as Uint8Array, i * keyBytes);
    v.set(value as Uint8Array, i * valueBytes);
  }
  return map.setMany(k, v, pairs.length);
}

/** Rows of an array map, end to end in two buffers of which nothing is made before the first row. */
class Rows {
  readonly #bytes: number;
  readonly #most: number;
  #keys: Uint32Array | undefined;
  #values = new Uint8Array(0);
  #view = new DataView(this.#values.buffer);
  #n = 0;
  constructor(bytes: number, most: number) {
    this.#bytes = bytes;
    this.#most = most;
  }
  add(key: number, write?: (b: Uint8Array, v: DataView, at: number) => void): void {
    if (!this.#keys) {
      this.#keys = new Uint32Array(this.#most);
      this.#values = new Uint8Array(this.#bytes * this.#most);
      this.#view = new DataView(this.#values.buffer);
    }
    this.#keys[this.#n] = key;
    write?.(this.#values, this.#view, this.#n * this.#bytes);
    this.#n++;
  }
  write(map: BpfMap): Result<void, HostError> {
    if (!this.#keys) return ok(undefined);
    return map.setMany(new Uint8Array(this.#keys.buffer, 0, this.#n * 4), this.#values, this.#n);
  }
}
