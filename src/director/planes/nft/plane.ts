/** The plane: two tables of services, NAT's and direct routing's, the guard, and the connections that are cut by their mark. */
import { err, type IpAddress, ok, type Result, type Text, text } from '../../../base/index.ts';
import type {
  Cancel,
  HostError,
  LinkAddress,
  NetChange,
  Netlink,
  NetlinkChannel,
  NetlinkEvents,
  Network,
} from '../../../host/index.ts';
import { CT_MSG, writeConntrackFilter } from '../../../wire/index.ts';
import type {
  ExceptionChanges,
  FlowException,
  Plane,
  Refusal,
  ServiceCounters,
  ServiceKey,
  ServiceOutcome,
  Wanted,
  WantedService,
} from '../../types.ts';
import { Guard, type GuardEntry, guardEntries } from '../guard/index.ts';
import { UNTOLD_MASK } from '../marks.ts';
import { errnoText, type TableSpec } from '../nftables/index.ts';
import { type Changes, fewChanged } from './changes.ts';
import { directAdoption, directMode, FLOW_TIMEOUTS } from './direct.ts';
import { DirectPeer } from './direct-peer.ts';
import { Fellows } from './fellows.ts';
import { Half } from './half.ts';
import { Loads, needsLoads } from './loads.ts';
import { natAdoption, natMode, natShared } from './nat.ts';
import { NatPeer } from './nat-peer.ts';
import { disturbed, Others } from './others.ts';
import { probe } from './probe.ts';
import { neighbourDevices } from './reach.ts';
import { refusesNft } from './refuse.ts';
import { flowTimeouts, Tables } from './tables.ts';

export type NftPlaneOptions = {
  readonly netlink: Netlink & NetlinkEvents;
  /** The guard that all planes of this process share, and whoever opened it closes; undefined: one of its own. */
  readonly guard?: Guard;
  readonly network: Pick<Network, 'links' | 'addresses' | 'neighbours' | 'watch'>;
  /** Where clients' packets of direct routing come in; every Ethernet interface that is up, unless said. */
  readonly interfaces?: readonly string[];
  /** NAT also hides the client behind the director. */
  readonly masquerade?: boolean;
  /** Reads a sysctl; undefined: none can be read. */
  readonly sysctl?: (name: string) => string | undefined;
  /** Hears of what failed beside a service's own change: connections that could not be cut. */
  readonly report?: (e: HostError) => void;
};
/** Entries of conntrack or of the flow map that may be read in one tick; a longer table is read less often. */
const READ_IN_TICK = 50_000;
const ENOENT = 2;
const UNKNOWN_DEVICE = 0;

/** What the kernel answers when the table is not as this plane believes. */
const DISTURBED: ReadonlySet<string> = new Set(['ENOENT', 'EEXIST', 'EBUSY']);

const KEPT: ServiceOutcome['result'] = ok('kept');
const kept = ({ key }: WantedService): ServiceOutcome => ({ key, result: KEPT });

/** More changed services than this are looked for among all. */
const FEW = 100;
/** `whole`: the services are all there shall be, else all but those `gone` stay; `redo`: the kernel's devices may be others. */
export type Extent = { readonly whole: boolean; readonly redo: boolean; readonly gone: readonly ServiceKey[] };

/** This host's addresses, and what follows from them. */
type Here = { readonly list: readonly LinkAddress[]; readonly device: (a: IpAddress) => number | undefined };

const isDirect = (s: WantedService): boolean => s.servers[0]?.forwarding.method === 'direct-routing';
export class NftPlane implements Plane {
  readonly name = 'nft';
  readonly #o: NftPlaneOptions;
  readonly #channel: NetlinkChannel;
  readonly #guard: Guard;
  readonly #nat: Half;
  readonly #direct: Half;
  readonly #directPeer: DirectPeer;
  /** Undefined: this host was never one of several real servers of a service. */
  #fellows: Fellows | undefined;
  /** Undefined: there is no other director, or no connection tracking. */
  #natPeer: NatPeer | undefined;
  readonly #tables: Tables;
  readonly #loads: Loads;
  readonly #others: Others;
  readonly #lacks: { readonly nat: HostError | undefined; readonly direct: HostError | undefined };
  readonly #unwatch: Cancel;
  #addresses: Here | undefined;
  /** Links or addresses are others than when direct routing was last told. */
  #moved = false;
  #wanted: Wanted | undefined;
  /** The last `apply` failed nowhere. */
  #settled = false;
  /** Outcomes of an `apply` that changes nothing. */
  #kept: readonly ServiceOutcome[] = [];
  #pause = 0;
  /** The guard as a whole was not as it should be when it was last looked at. */
  #guardChanged = false;
  /** What is known of each table: somebody needs it, or it is surely not there. */
  readonly #table: Record<'nat' | 'direct', 'unknown' | 'there' | 'gone'> = { nat: 'unknown', direct: 'unknown' };

  private constructor(o: NftPlaneOptions, channel: NetlinkChannel, guard: Guard) {
    this.#o = o;
    this.#channel = channel;
    this.#guard = guard;
    const device = (a: IpAddress): number => this.#device(a) ?? UNKNOWN_DEVICE;
    this.#tables = new Tables(o);
    this.#others = new Others(channel);
    const nat = { mode: natMode, adoption: natAdoption, device: () => 0, shared: natShared };
    this.#nat = new Half(channel, this.#tables.nat([]), nat);
    const direct = { mode: directMode, adoption: directAdoption, device };
    this.#direct = new Half(channel, this.#tables.direct([], { timeouts: FLOW_TIMEOUTS, fellows: false }), direct);
    const finMs = (): number => flowTimeouts(this.#wanted?.timeouts).finMs;
    this.#loads = new Loads({ channel, nat: this.#nat, direct: this.#direct, finMs });
    this.#directPeer = new DirectPeer(o.netlink, this.#direct);
    const [n, d] = [probe(channel, 'nat'), probe(channel, 'direct')];
    this.#lacks = { nat: n.ok ? undefined : n.error, direct: d.ok ? undefined : d.error };
    this.#unwatch = o.network.watch((c: NetChange) => {
      if (c.kind.startsWith('route') || c.kind.startsWith('rule')) return;
      this.#addresses = undefined;
      this.#moved = true;
    });
  }
  /** Fails where the kernel has no nfnetlink at all. What it lacks for one mode is a refusal of each service that needs it. */
  static open(o: NftPlaneOptions): Result<NftPlane, HostError> {
    const channel = o.netlink.open('netfilter');
    if (!channel.ok) return channel;
    const guard = o.guard ? ok(o.guard) : Guard.open(o.netlink);
    if (!guard.ok) {
      channel.value.close();
      return guard;
    }
    return ok(new NftPlane(o, channel.value, guard.value));
  }

  #here(): Here {
    if (this.#addresses === undefined) {
      const list = this.#o.network.addresses();
      this.#addresses = { list, device: neighbourDevices(list) };
    }
    return this.#addresses;
  }
  #device(a: IpAddress): number | undefined {
    return this.#here().device(a);
  }
  #directTable(services: readonly WantedService[]): TableSpec {
    if (this.#fellows === undefined && services.some((s) => this.#isFellow(s)))
      this.#fellows = new Fellows(this.#direct, this.#o.network, this.#o.netlink);
    const timeouts = flowTimeouts(this.#wanted?.timeouts);
    return this.#tables.direct(services, { timeouts, fellows: this.#fellows !== undefined });
  }

  /** This host is a real server of it, and not the only one. */
  #isFellow(s: WantedService): boolean {
    return s.servers.length > 1 && s.servers.some((x) => this.#device(x.address) === 0);
  }

  refuses(s: WantedService): Refusal | undefined {
    return refusesNft(s, { lacks: this.#lacks, device: (a) => this.#device(a) });
  }

  apply(wanted: Wanted): readonly ServiceOutcome[] {
    this.#others.suspect();
    const outcomes = this.#applyOnce(wanted);
    // A refusal that shows that somebody else was at the table: once more, from what is really there.
    const disturbed = !this.#settled && outcomes.some((x) => !x.result.ok && DISTURBED.has(x.result.error.code));
    const again = disturbed && this.#heal() ? this.#applyOnce(wanted) : outcomes;
    this.#others.done();
    return again;
  }
  #applyOnce(wanted: Wanted): readonly ServiceOutcome[] {
    const few = this.#fewChanged(wanted);
    this.#wanted = wanted;
    return few === undefined ? this.#applyAll(wanted) : this.#applyFew(wanted, few);
  }
  #applyAll(wanted: Wanted): readonly ServiceOutcome[] {
    const watched = wanted.services.filter(needsLoads);
    this.#loads.only(watched);
    for (const s of watched) this.#weigh(s);
    return this.#reconcile();
  }
  /** Undefined: everything must be looked at. */
  #fewChanged(wanted: Wanted): Changes | undefined {
    const before = this.#wanted;
    if (before === undefined || !this.#settled || this.#moved) return undefined;
    if (JSON.stringify(wanted.timeouts) !== JSON.stringify(before.timeouts)) return undefined;
    const few = fewChanged(before.services, wanted.services, FEW);
    if (few === undefined) return undefined;
    const otherMode = few.places.some((i) => {
      const s = wanted.services[i] as WantedService;
      return (isDirect(s) ? this.#nat : this.#direct).service(s.key) !== undefined;
    });
    // A table that comes or goes is more than its services.
    const last = [this.#nat, this.#direct].some((h) => h.size > 0 && h.size <= few.gone.length);
    return otherMode || last ? undefined : few;
  }
  #applyFew(wanted: Wanted, few: Changes): readonly ServiceOutcome[] {
    const services = few.places.map((i) => wanted.services[i] as WantedService);
    for (const s of few.gone) this.#loads.forget(s.key);
    for (const s of services) this.#weigh(s);
    const results = this.#tell(services, { whole: false, gone: few.gone });
    this.#settled = [...results.values()].every((r) => r.ok);
    const { from, before, now } = few.part;
    if (before !== now || few.gone.length > 0)
      this.#kept = this.#kept.toSpliced(from, before - from, ...wanted.services.slice(from, now).map(kept));
    const outcomes = this.#kept.slice();
    for (const i of few.places) {
      const { key } = wanted.services[i] as WantedService;
      outcomes[i] = { key, result: results.get(key) ?? KEPT };
    }
    return outcomes;
  }
  #reconcile(): ServiceOutcome[] {
    const wanted = this.#wanted?.services ?? [];
    const results = this.#tell(wanted, { whole: true, gone: [] });
    this.#settled = [...results.values()].every((r) => r.ok);
    this.#kept = wanted.map(kept);
    if (results.size === 0) return this.#kept.slice();
    return wanted.map(({ key }) => ({ key, result: results.get(key) ?? KEPT }));
  }
  /** What came of those that are not as they were. */
  #tell(
    services: readonly WantedService[],
    o: Pick<Extent, 'whole'> & { readonly gone: readonly WantedService[] },
  ): Map<ServiceKey, ServiceOutcome['result']> {
    const direct: WantedService[] = [];
    const nat: WantedService[] = [];
    for (const s of services) (isDirect(s) ? direct : nat).push(s);
    const redo = o.whole && this.#moved;
    if (o.whole) this.#moved = false;
    const gone = (direct: boolean): ServiceKey[] => o.gone.filter((s) => isDirect(s) === direct).map((s) => s.key);
    const results = new Map<ServiceKey, ServiceOutcome['result']>();
    this.#run(
      this.#nat,
      'nat',
      () => this.#tables.nat(nat),
      nat,
      { whole: o.whole, redo: false, gone: gone(false) },
      results,
    );
    this.#run(
      this.#direct,
      'direct',
      () => this.#directTable(direct),
      direct,
      { whole: o.whole, redo, gone: gone(true) },
      results,
    );
    return results;
  }
  #run(
    half: Half,
    mode: 'nat' | 'direct',
    spec: () => TableSpec,
    services: readonly WantedService[],
    o: Extent,
    results: Map<ServiceKey, ServiceOutcome['result']>,
  ): void {
    if (services.length + o.gone.length === 0 && !o.whole) return;
    const failed = this.#carry(half, mode, spec, services, o, results);
    if (failed !== undefined) for (const s of services) results.set(s.key, err(failed));
  }
  /** An error here is of all services. */
  #carry(
    half: Half,
    mode: 'nat' | 'direct',
    spec: () => TableSpec,
    services: readonly WantedService[],
    o: Extent,
    results: Map<ServiceKey, ServiceOutcome['result']>,
  ): HostError | undefined {
    const lacks = this.#lacks[mode];
    if (lacks !== undefined) return lacks;
    // A table that nobody needs is not made; one that was left, or is no longer needed, goes.
    if (services.length === 0 && o.whole) {
      if (this.#table[mode] === 'gone') return undefined;
      half.remove();
      if (mode === 'direct') this.#guard.set('nft', []);
      this.#table[mode] = 'gone';
      return undefined;
    }
    const first = this.#table[mode] !== 'there';
    const ready = half.prepare(spec());
    if (!ready.ok) return ready.error;
    this.#table[mode] = 'there';
    const pending = half.compare(services, (s) => this.#loads.weights(s), o);
    // The guard stands before the first packet, and until after the last.
    const guarded = (list: readonly (WantedService | undefined)[]): GuardEntry[] =>
      mode === 'nat' ? [] : guardEntries(list.filter((s) => s !== undefined));
    const add = guarded(first ? services : pending.changes.map((c) => c.service));
    const remove = guarded(pending.changes.map((c) => c.before));
    if (mode === 'nat') this.#natPeer?.changed(pending.changes);
    if (mode === 'direct' && (first || add.length > 0)) {
      const done = first ? this.#guard.set('nft', add) : this.#guard.adjust('nft', { add, remove: [] });
      if (!done.ok) return done.error;
      if (first && done.value === 'changed') this.#guardChanged = true;
    }
    const { outcomes, cut } = half.apply(pending);
    half.sweep();
    if (remove.length > 0) this.#guard.adjust('nft', { add, remove });
    for (const [key, r] of outcomes) results.set(key, r);
    if (mode === 'nat' && cut.length > 0) this.#cut(cut);
    if (mode === 'nat') this.#natPeer?.changed(pending.changes);
    if (mode === 'direct' && (first || pending.changes.length > 0)) this.#directPeer.changed(cut);
    return undefined;
  }
  /** Connections with these marks are forgotten: their next packet finds no server of theirs. */
  #cut(marks: readonly number[]): void {
    const outcomes = this.#channel.transact(
      marks.map((mark) => ({
        type: CT_MSG.delete,
        flags: 0,
        write: (w) => writeConntrackFilter(w, { mark, mask: UNTOLD_MASK }),
      })),
    );
    const bad = outcomes.find((o) => o.errno !== 0 && o.errno !== ENOENT);
    if (bad !== undefined)
      this.#o.report?.({
        code: errnoText(bad.errno),
        doing: text('cut connections of a removed server', '切断已移除服务器的连接'),
      });
  }

  // ------------------------------------------------------------------------------------------ counters

  counters(): Result<readonly ServiceCounters[], HostError> {
    return this.#loads.counters();
  }

  // ------------------------------------------------------------------------------------------ another director

  follow(news: () => void): void {
    const { netlink } = this.#o;
    const sysctl = this.#o.sysctl ?? (() => undefined);
    const opened = NatPeer.open({ netlink, half: this.#nat, addresses: () => this.#here().list, sysctl, news });
    if (opened.ok) this.#natPeer = opened.value;
    else this.#o.report?.(opened.error);
  }
  late(): Text | undefined {
    return this.#natPeer?.late;
  }
  takeChanges(): ExceptionChanges {
    return this.#natPeer?.takeChanges() ?? { set: [], gone: [] };
  }
  exceptions(most: number): Result<readonly FlowException[] | 'more', HostError> {
    const read = this.#natPeer?.read() ?? ok(true);
    if (!read.ok) return read;
    if (!read.value) return ok('more');
    const direct = this.#directPeer.exceptions(most);
    if (!direct.ok || direct.value === 'more' || this.#natPeer === undefined) return direct;
    return ok([...direct.value, ...this.#natPeer.list(most)]);
  }
  adopt(flows: readonly FlowException[]): void {
    this.#natPeer?.adopt(flows);
    this.#ourselves(() => this.#directPeer.adopt(flows));
  }
  abandon(flows: readonly FlowException[]): void {
    this.#natPeer?.abandon(flows);
    this.#ourselves(() => this.#directPeer.abandon(flows));
  }
  /** What this changes is no sign that somebody else is at the tables. */
  #ourselves(change: () => void): void {
    this.#others.suspect();
    change();
    this.#others.done();
  }

  #weigh(s: WantedService): void {
    this.#loads.weigh(s, (isDirect(s) ? this.#direct : this.#nat).image(s.key));
  }

  // ------------------------------------------------------------------------------------------ other programs

  /** Forgets what it believes of its tables; false where it has none. */
  #heal(): boolean {
    let any = false;
    for (const [half, mode] of [
      [this.#nat, 'nat'],
      [this.#direct, 'direct'],
    ] as const) {
      if (this.#table[mode] !== 'there') continue;
      half.distrust();
      this.#table[mode] = 'unknown';
      any = true;
    }
    this.#settled = false;
    return any;
  }
  #inspect(): void {
    const halves = [this.#nat, this.#direct].filter((h) => h.size > 0);
    const services = halves.reduce((n, h) => n + h.size, 0);
    const broken = halves.some((h) => !h.stands());
    if (!this.#others.mayRead({ services, broken })) return;
    this.#guardChanged = false;
    if (!this.#heal()) return;
    const changed = this.#reconcile().filter((x) => x.result.ok && x.result.value === 'changed');
    if (!broken && !this.#guardChanged && changed.length === 0) return;
    this.#o.report?.({ code: 'nft-disturbed', doing: disturbed(changed) });
  }
  tick(): void {
    this.#others.suspect();
    if (this.#others.suspicious) this.#inspect();
    this.#tick();
    this.#directPeer.tick();
    if (this.#table.direct === 'there') this.#fellows?.tick();
    this.#natPeer?.tick();
    this.#others.done();
  }
  #tick(): void {
    const watched = (this.#wanted?.services ?? []).filter(needsLoads);
    if (watched.length > 0 && --this.#pause < 0) {
      const look = this.#loads.look();
      this.#pause = look.ok ? Math.floor(look.value / READ_IN_TICK) : 10;
      for (const s of watched) this.#weigh(s);
      this.#reconcile();
    } else if (this.#moved && this.#wanted !== undefined) this.#reconcile();
  }

  close(o: { readonly keep: boolean }): void {
    this.#unwatch();
    if (!o.keep) {
      this.#nat.remove();
      this.#direct.remove();
    }
    if (!this.#o.guard) this.#guard.close(o);
    this.#directPeer.close();
    this.#natPeer?.close();
    this.#channel.close();
  }
}
