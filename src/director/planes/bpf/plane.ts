/** The bpf plane: what is wanted, through the plan, into the maps; the programs on the devices; and what they counted. */
import { err, ok, type Result, type Text, text } from '../../../base/index.ts';
import type { Bpf, Clock, HostError, Log, Netlink, Network } from '../../../host/index.ts';
import type {
  FlowException,
  Plane,
  Refusal,
  ServiceCounters,
  ServiceOutcome,
  Wanted,
  WantedService,
} from '../../types.ts';
import type { Guard } from '../guard/index.ts';
import { Allocator } from './allocate.ts';
import { Attachments, carriesClients, type XdpMode } from './attachments.ts';
import { compile } from './compile.ts';
import { Directors, directorKey, fellows } from './directors.ts';
import { Exceptions, type FlowsNow } from './exceptions.ts';
import type { FlowTimeouts } from './flows.ts';
import { type Compared, HeldServices } from './held.ts';
import { isExact, u32 } from './layout.ts';
import { countersOf, Loads, needsLoads, sumCounters } from './loads.ts';
import { Maps, roomFor } from './maps.ts';
import { Neighbours } from './neighbours.ts';
import { type Change, planService } from './plan.ts';
import { GuardPost } from './post.ts';
import { refusalOf } from './refuse.ts';
import { RingCache, RingRoom } from './rings.ts';
import { writeSettings } from './settings.ts';
import { blocksFor, type ServerRow, type ServiceTable } from './tables.ts';
import { type Facts, Ways } from './ways.ts';

export type BpfPlaneOptions = {
  readonly bpf: Bpf;
  readonly network: Network;
  readonly netlink: Netlink;
  readonly clock: Clock;
  readonly log: Log;
  /** The guard that all planes of this process share; undefined: one of its own. */
  readonly guard?: Guard;
  /** Where maps and links are pinned, of this network namespace alone: `/run/holdfast/bpf`. */
  readonly folder: string;
  /** Names of the devices that clients' packets come in by; undefined: every Ethernet device that is up and not enslaved. */
  readonly interfaces?: readonly string[];
  /** Send early, in the driver or just behind it. Native needs a driver that can; veth is left to tc, and that is said. */
  readonly xdp?: XdpMode;
  /** How many flows are remembered; the oldest unused is forgotten for a new one. */
  readonly flows?: { readonly ip4: number; readonly ip6: number };
};

const MAIN_TABLE = 254;

/** A service on its way into the maps. */
type Coming = {
  /** Its place among the outcomes. */
  readonly at: number;
  readonly service: WantedService;
  readonly old: WantedService | undefined;
  readonly before: ServiceTable | undefined;
  readonly table: ServiceTable;
  readonly changes: readonly Change[];
};

export class BpfPlane implements Plane {
  readonly name = 'bpf';
  readonly #o: BpfPlaneOptions;
  readonly #missing: HostError | undefined;
  readonly #attachments: Attachments;
  readonly #neighbours: Neighbours;
  readonly #unwatch: () => void;
  readonly #rings = new RingCache();
  readonly #room = new RingRoom();
  readonly #ways: Ways;
  #maps: Maps | undefined;
  #allocator = new Allocator([], 0);
  readonly #held = new HeldServices();
  /** What each server's row was written with, for XDP. */
  readonly #written = new Map<number, string>();
  #programsChanged = true;
  readonly #post: GuardPost;
  #timeouts: FlowTimeouts = {};
  readonly #loads = new Loads();
  readonly #exceptions = new Exceptions();
  #directors = new Directors();
  /** How many lie in `services` and in `ranges`. */
  readonly #entries = { exact: 0, ranges: 0 };

  constructor(o: BpfPlaneOptions) {
    this.#o = o;
    this.#missing = o.bpf.missing();
    this.#attachments = new Attachments(o.bpf, o.folder, o.xdp ?? 'no', o.log);
    this.#neighbours = new Neighbours(o.network, o.netlink);
    this.#post = new GuardPost(o.netlink, o.guard);
    this.#ways = new Ways(() => this.#facts());
    this.#unwatch = o.network.watch(() => this.#ways.forget());
  }

  refuses(s: WantedService): Refusal | undefined {
    if (this.#missing) return { code: 'bpf-missing', text: this.#missing.doing };
    const fingerprint = this.#o.bpf.fingerprint('director');
    if (!fingerprint.ok) return { code: 'bpf-object', text: fingerprint.error.doing };
    const plain = refusalOf(s);
    if (plain) return plain;
    for (const server of s.servers) {
      const way = this.#ways.to(server);
      if (!way.ok) return way.error;
    }
    return undefined;
  }
  #facts(): Facts {
    const { network } = this.#o;
    const routes = ([4, 6] as const).flatMap((family) => {
      const found = network.routes({ family, table: MAIN_TABLE });
      return found.ok ? [...found.value] : [];
    });
    return { links: network.links(), addresses: network.addresses(), routes };
  }

  #open(wanted: Wanted): Result<Maps, HostError> {
    if (this.#maps) return ok(this.#maps);
    if (this.#missing) return err(this.#missing);
    const flows = this.#o.flows ?? { ip4: 262_144, ip6: 65_536 };
    const xdp = (this.#o.xdp ?? 'no') !== 'no';
    const maps = Maps.open(this.#o.bpf, this.#o.folder, {
      flows4: flows.ip4,
      flows6: flows.ip6,
      need: roomFor(wanted.services),
      programs: xdp ? ['tc_director', 'xdp_director'] : ['tc_director'],
    });
    if (!maps.ok) return maps;
    const tables = maps.value.read();
    if (!tables.ok) return tables;
    this.#allocator = new Allocator(tables.value, maps.value.lastSerial());
    for (const t of tables.value) this.#tally(t, 1);
    this.#held.found(tables.value);
    this.#maps = maps.value;
    return maps;
  }

  /** Whether an earlier process left something. */
  #left(): boolean {
    const found = this.#o.bpf.openMap(`${this.#o.folder}/config`);
    if (found.ok) found.value.close();
    return found.ok;
  }
  /** Nothing is wanted any more: programs and maps go. */
  #leave(): void {
    this.#attachments.close({ keep: false });
    this.#maps?.close({ keep: false });
    this.#maps = undefined;
    this.#directors = new Directors();
    this.#programsChanged = true;
  }

  apply(wanted: Wanted): readonly ServiceOutcome[] {
    // A plane that nobody needs loads nothing, and takes nobody's time for each packet.
    if (wanted.services.length === 0 && !this.#maps && !this.#left()) return [];
    const maps = this.#open(wanted);
    if (!maps.ok) return wanted.services.map((s) => ({ key: s.key, result: maps }));
    this.#timeouts = wanted.timeouts;
    const compared = this.#held.compare(wanted.services);
    const { outcomes } = compared;
    const coming = this.#coming(compared);
    const gone = [...compared.gone, ...this.#held.unclaimed()];
    const guarded = this.#post.stand(
      wanted.services,
      coming,
      gone.flatMap((g) => g.wanted ?? []),
    );
    if (!guarded.ok) this.#o.log.write({ level: 'warning', code: 'lb.bpf-guard', text: this.#words(guarded.error) });
    const removals = gone.flatMap((g) => planService(undefined, g.table));
    const all: Change[] = [];
    for (const c of coming) for (const change of c.changes) all.push(change);
    for (const change of removals) all.push(change);
    if (all.length > 0) this.#configure(); // the serials that are given out now are never given again
    const done = this.#write(all, coming);
    for (const c of coming) {
      // Where the whole did not go through, each alone: one service's fault is not another's.
      const own = done.ok ? done : maps.value.write(c.changes, (r) => this.#neighbours.macs(r));
      this.#keep(c, own.ok);
      if (!own.ok) outcomes[c.at] = { key: c.service.key, result: own };
    }
    for (const g of gone) this.#release(g.table, undefined);
    this.#held.settle(wanted.services, compared);
    if (!done.ok) maps.value.write(removals, () => undefined);
    this.#configure();
    const attached = this.#attach();
    if (wanted.services.length === 0) this.#leave();
    if (attached.ok) return outcomes;
    this.#o.log.write({ level: 'error', code: 'lb.bpf-attach', text: this.#words(attached.error) });
    return outcomes.map((o) => (o.result.ok ? { key: o.key, result: attached } : o));
  }
  /** What must be written for what is new or other; refusals go among the outcomes. */
  #coming(c: Compared): Coming[] {
    const coming: Coming[] = [];
    this.#room.expect(c.fresh.length);
    for (const { at, service, held } of c.fresh) {
      const before = held?.table ?? this.#held.adopt(service);
      const table = this.#compile(service, before);
      if (!table.ok) c.outcomes[at] = { key: service.key, result: err({ code: 'EINVAL', doing: table.error.text }) };
      else {
        const changes = planService(table.value, before);
        coming.push({ at, service, old: held?.wanted, before, table: table.value, changes });
        if (changes.length === 0) c.outcomes[at] = { key: service.key, result: ok('kept') };
      }
    }
    return coming;
  }
  #words(e: HostError): Text {
    return text(`${e.doing.en}: ${e.code}`, `${e.doing.zh}：${e.code}`);
  }
  #compile(s: WantedService, before: ServiceTable | undefined): Result<ServiceTable, Refusal> {
    const refused = refusalOf(s);
    if (refused) return err(refused);
    return compile(s, before, {
      allocator: this.#allocator,
      rings: this.#rings,
      room: this.#room,
      way: (server) => this.#ways.to(server),
      weights: (service, rows) => this.#loads.weights(service, rows),
    });
  }
  /** Schedulers with eyes on the connections: their rings follow what the flow maps hold. */
  #rebalance(): void {
    const maps = this.#maps as Maps;
    const eager = [...this.#held.values()].filter((h) => h.wanted && needsLoads(h.wanted));
    if (eager.length === 0) return;
    this.#loads.count([maps.map('flows4'), maps.map('flows6')], this.#o.clock.now() / 1e6, this.#timeouts);
    for (const h of eager) {
      const service = h.wanted as WantedService;
      const table = this.#compile(service, h.table);
      if (!table.ok) continue;
      const c = {
        at: 0,
        service,
        old: service,
        before: h.table,
        table: table.value,
        changes: planService(table.value, h.table),
      };
      if (c.changes.length > 0) this.#keep(c, this.#write(c.changes, [c]).ok);
    }
  }
  #keep(c: Coming, written: boolean): void {
    if (c.before) this.#release(c.before, c.table);
    this.#tally(c.table, 1);
    this.#held.hold(c.service, c.table, written);
  }
  /** Gives back the places of `old` that `now` does not have. */
  #release(old: ServiceTable, now: ServiceTable | undefined): void {
    this.#tally(old, -1);
    const kept = new Set(now?.servers.map((r) => r.id));
    for (const r of old.servers) {
      if (kept.has(r.id)) continue;
      this.#allocator.servers.give(r.id);
      this.#written.delete(r.id);
    }
    if (!now) this.#allocator.services.give(old.id);
    const moved = !now || now.block !== old.block || blocksFor(now.ring.length) !== blocksFor(old.ring.length);
    if (moved && old.ring.length > 0) this.#allocator.blocks.give(old.block, blocksFor(old.ring.length));
  }

  #write(changes: readonly Change[], coming: readonly Coming[]): Result<void, HostError> {
    const maps = this.#maps as Maps;
    if (changes.length === 0) return ok(undefined);
    this.#exceptions.changed();
    const xdp = (this.#o.xdp ?? 'no') !== 'no';
    if (xdp) this.#neighbours.look([...this.#rows(), ...coming.flatMap((c) => c.table.servers)]);
    const macs = (r: ServerRow) => this.#neighbours.macs(r);
    if (xdp)
      for (const c of changes) if (c.do === 'server-set') this.#written.set(c.row.id, this.#neighbours.textOf(c.row));
    const need = this.#need(changes);
    if (!maps.tooSmall(need)) return maps.write(changes, macs);
    const held = [...this.#held.values()].map((h) => h.table);
    const swap = maps.grow(need, held, macs);
    if (!swap.ok) return swap;
    const swapped = swap.value();
    if (!swapped.ok) return swapped;
    this.#programsChanged = true;
    const written = maps.write(changes, macs);
    return written.ok ? this.#attach() : written;
  }
  #rows(): ServerRow[] {
    return [...this.#held.values()].flatMap((h) => h.table.servers);
  }
  /** Entries that are replaced count twice: a little too much room. */
  #need(changes: readonly Change[]) {
    let [services, ranges] = [this.#entries.exact, this.#entries.ranges];
    for (const c of changes) if (c.do === 'service-set') isExact(c.entry) ? services++ : ranges++;
    return { services, ranges, rings: this.#allocator.blocks.end, servers: this.#allocator.servers.end };
  }
  #tally(t: ServiceTable, sign: 1 | -1): void {
    for (const e of t.entries) {
      if (isExact(e)) this.#entries.exact += sign;
      else this.#entries.ranges += sign;
    }
  }
  #configure(): void {
    const directors = this.#directors.any;
    const { lastSerial } = this.#allocator;
    writeSettings(this.#maps as Maps, { ranges: this.#entries.ranges > 0, directors, lastSerial });
  }
  #attach(): Result<void, HostError> {
    const { interfaces, network } = this.#o;
    const all = network.links();
    const links = all.filter((l) => (interfaces ? interfaces.includes(l.name) : carriesClients(l)));
    const done = this.#attachments.set((this.#maps as Maps).object, links, all, this.#programsChanged);
    if (done.ok) this.#programsChanged = false;
    return done;
  }

  counters(): Result<readonly ServiceCounters[], HostError> {
    const map = this.#maps?.map('counters');
    if (!map) return ok([]);
    const read = (row: ServerRow): Uint8Array | undefined => map.get(u32(row.id));
    return ok(
      [...this.#held.entries()].map(([key, h]) => ({
        key,
        servers: h.table.servers.map((row, i) => {
          const name = h.wanted?.servers[i]?.key ?? `${row.address}:${row.port}`;
          return countersOf(name, sumCounters(read(row)), this.#loads.of(row));
        }),
      })),
    );
  }

  exceptions(most: number): Result<readonly FlowException[] | 'more', HostError> {
    const flows = this.#flowsNow();
    return flows ? this.#exceptions.look(most, flows) : ok([]);
  }
  adopt(flows: readonly FlowException[]): void {
    const now = this.#flowsNow();
    if (now) this.#exceptions.adopt(flows, now);
  }
  abandon(flows: readonly FlowException[]): void {
    const now = this.#flowsNow();
    if (now) this.#exceptions.abandon(flows, now);
  }
  #flowsNow(): FlowsNow | undefined {
    if (!this.#maps) return undefined;
    return {
      flows4: this.#maps.map('flows4'),
      flows6: this.#maps.map('flows6'),
      held: this.#held,
      timeouts: this.#timeouts,
      nowSeconds: this.#o.clock.now() / 1e6,
    };
  }

  /** New devices get their programs; link addresses of servers are followed. */
  tick(): void {
    if (!this.#maps) return;
    const attached = this.#attach();
    if (!attached.ok) this.#o.log.write({ level: 'warning', code: 'lb.bpf-attach', text: this.#words(attached.error) });
    this.#rebalance();
    const xdp = (this.#o.xdp ?? 'no') !== 'no';
    const numbered = (of: (t: ServiceTable) => readonly ServerRow[]) =>
      [...this.#held.values()].flatMap(({ table }) => of(table).map((row) => ({ service: table.id, row })));
    const others = numbered(fellows);
    const rows = xdp ? numbered((t) => t.servers) : others;
    this.#neighbours.look(rows.map((r) => r.row));
    this.#followDirectors(others);
    if (!xdp) return;
    const stale = rows.filter(({ row }) => this.#written.get(row.id) !== this.#neighbours.textOf(row));
    for (const { row } of stale) this.#written.set(row.id, this.#neighbours.textOf(row));
    this.#maps.write(
      stale.map(({ service, row }): Change => ({ do: 'server-set', service, row })),
      (r) => this.#neighbours.macs(r),
    );
  }

  /** What the neighbours are known by now. */
  #followDirectors(others: readonly { readonly service: number; readonly row: ServerRow }[]): void {
    const keys = others.flatMap(({ service, row }) => {
      const macs = this.#neighbours.macs(row);
      return macs === undefined ? [] : [directorKey(macs.server, service)];
    });
    if (this.#directors.set((this.#maps as Maps).map('directors'), keys)) this.#configure();
  }

  close(o: { readonly keep: boolean }): void {
    this.#unwatch();
    this.#attachments.close(o);
    this.#maps?.close(o);
    this.#post.close(o);
  }
}
