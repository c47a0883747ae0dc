/** The maps in the kernel: made or adopted, read, written by the changes of a plan, made larger. */
import { ok, type Result } from '../../../base/index.ts';
import type { Bpf, BpfMap, BpfObject, HostError } from '../../../host/index.ts';
import type { WantedService } from '../../types.ts';
import { entriesOf } from './compile.ts';
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
import { ringSize } from './rings.ts';
import { Rows } from './rows.ts';
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
const GROWING = Object.keys(LEAST) as (keyof Need)[];

export type ProgramName = 'tc_director' | 'xdp_director';
export type MapsOptions = {
  readonly flows4: number;
  readonly flows6: number;
  /** As large from the first: making maps larger copies everything. */
  readonly need: Need;
  /** Each takes the kernel some fifty milliseconds to verify. */
  readonly programs: readonly ProgramName[];
};

/** A quarter more than is needed now. */
const sizeFor = (need: number, least: number): number => Math.max(least, Math.ceil(need * 1.25));

/** Places that a list takes, if nothing is there yet. */
export function roomFor(services: readonly WantedService[]): Need {
  const need = { services: 0, ranges: 0, rings: 0, servers: 0 };
  for (const s of services) {
    for (const e of entriesOf(s) ?? []) isExact(e) ? need.services++ : need.ranges++;
    need.rings += blocksFor(ringSize(s.servers.length + (s.away?.length ?? 0), 0));
    need.servers += s.servers.length;
  }
  return need;
}

export class Maps {
  readonly #bpf: Bpf;
  readonly #folder: string;
  readonly #programs: readonly ProgramName[];
  #object: BpfObject;
  #maps: Map<MapName, BpfMap>;
  /** An earlier process's maps are among them. */
  #left = false;

  private constructor(bpf: Bpf, folder: string, programs: readonly ProgramName[], object: BpfObject) {
    this.#bpf = bpf;
    this.#folder = folder;
    this.#programs = programs;
    this.#object = object;
    this.#maps = new Map(NAMES.map((n) => [n, object.maps.get(n) as BpfMap]));
  }

  /** What is pinned in `folder` is used, the rest is made and pinned. */
  static open(bpf: Bpf, folder: string, o: MapsOptions): Result<Maps, HostError> {
    const mounted = bpf.mount(folder);
    if (!mounted.ok) return mounted;
    const use = new Map<string, BpfMap>();
    for (const name of NAMES) {
      const found = bpf.openMap(`${folder}/${name}`);
      if (found.ok) use.set(name, found.value);
      else if (found.error.code !== 'ENOENT') return found;
    }
    const entries: Record<string, number> = { flows4: o.flows4, flows6: o.flows6 };
    for (const name of GROWING) entries[name] = use.get(name)?.shape.entries ?? sizeFor(o.need[name], LEAST[name]);
    entries['counters'] = entries['servers'] as number;
    const object = bpf.load('director', { programs: o.programs, use, entries });
    if (!object.ok) {
      for (const m of use.values()) m.close();
      return object;
    }
    const maps = new Maps(bpf, folder, o.programs, object.value);
    maps.#left = use.size > 0;
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
    if (!this.#left) return ok([]);
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
    const blocks = [...found.values()].reduce((n, f) => Math.max(n, f.value.block + blocksFor(f.value.slots)), 0);
    const rings = this.#readRings(blocks);
    if (!rings.ok) return rings;
    return ok(
      [...found.values()].map(({ value, entries, servers }) => {
        const { id, block, slots, hashing, stateless, inTurn } = value;
        const ring = rings.value.subarray(block * BLOCK_SLOTS, block * BLOCK_SLOTS + slots);
        return { id, entries, hashing, stateless, inTurn, block, ring, servers };
      }),
    );
  }
  lastSerial(): number {
    const value = this.map('config').get(u32(0));
    return value ? new DataView(value.buffer, value.byteOffset).getUint32(8, true) : 0;
  }
  /** The first `blocks` of them, in one piece. */
  #readRings(blocks: number): Result<Uint32Array, HostError> {
    const slots = new Uint32Array(blocks * BLOCK_SLOTS);
    const bytes = new Uint8Array(slots.buffer);
    const read = this.map('rings').each((k, value) => {
      const block = new DataView(k.buffer, k.byteOffset, 4).getUint32(0, true);
      if (block < blocks) bytes.set(value, block * BYTES.ring);
    }, blocks);
    return read.ok ? ok(slots) : read;
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
    const servers = new Rows(this.map('servers'), n);
    const rings = new Rows(this.map('rings'), n);
    const counters = new Rows(this.map('counters'), n);
    const exact = new Rows(this.map('services'), n);
    const ranges = new Rows(this.map('ranges'), n);
    for (const c of changes) {
      switch (c.do) {
        case 'server-set':
          writeServer(servers.value(c.row.id), servers.view, servers.at, c.service, c.row, mac(c.row));
          break;
        case 'server-clear':
          servers.value(c.id);
          counters.value(c.id);
          break;
        case 'ring-set':
          rings.value(c.block).set(new Uint8Array(c.slots.buffer, c.slots.byteOffset, c.slots.byteLength), rings.at);
          break;
        case 'service-set':
          if (isExact(c.entry)) exact.add(serviceKey(c.entry), serviceValue(c.table));
          else ranges.add(rangeKey(c.entry), serviceValue(c.table));
          break;
        case 'service-remove': {
          const done = isExact(c.entry)
            ? this.map('services').remove(serviceKey(c.entry))
            : this.map('ranges').remove(rangeKey(c.entry));
          if (!done.ok) return done;
        }
      }
    }
    return [servers, rings, counters, exact, ranges].map((r) => r.end()).find((r) => !r.ok) ?? ok(undefined);
  }

  /** Undefined: they are large enough. */
  tooSmall(need: Need): boolean {
    return GROWING.some((n) => need[n] > this.map(n).shape.entries);
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
    for (const name of GROWING) {
      if (need[name] <= this.map(name).shape.entries) continue;
      entries[name] = sizeFor(need[name], LEAST[name]);
      use.delete(name);
    }
    if (entries.servers !== undefined) {
      entries.counters = entries.servers;
      use.delete('counters');
    }
    const object = this.#bpf.load('director', { programs: this.#programs, use, entries });
    if (!object.ok) return object;
    const grown = new Maps(this.#bpf, this.#folder, this.#programs, object.value);
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
