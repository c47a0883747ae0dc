/** The plane: two tables of services, NAT's and direct routing's, the guard, and the connections that are cut by their mark. */
import { err, familyOf, type IpAddress, ok, type Result, type Text, text } from '../../../base/index.ts';
import type {
  Cancel,
  HostError,
  Link,
  LinkAddress,
  NetChange,
  Netlink,
  NetlinkChannel,
  NetlinkEvents,
  Network,
} from '../../../host/index.ts';
import { CT_MSG, writeConntrackFilter } from '../../../wire/index.ts';
import { emulate, type Load } from '../../ring/index.ts';
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
import { serverMark, UNTOLD_MASK } from '../marks.ts';
import { errnoText, generationOf, type TableSpec } from '../nftables/index.ts';
import { type Changes, fewChanged } from './changes.ts';
import { type ActiveCounts, countActive, countersOf } from './counts.ts';
import { directAdoption, directMode, directTable, FLOW_TIMEOUTS, type FlowTimeouts } from './direct.ts';
import { DirectPeer } from './direct-peer.ts';
import { Fellows } from './fellows.ts';
import { Half } from './half.ts';
import { natAdoption, natMode, natTable, replies } from './nat.ts';
import { NatPeer } from './nat-peer.ts';
import { type Persistence, persistences } from './pick.ts';
import { probe } from './probe.ts';
import { ingressInterfaces, neighbourDevices } from './reach.ts';
import { refusesNft } from './refuse.ts';
import type { SharedSpec } from './shared.ts';
import { isEmulated } from './slots.ts';

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
/** So many services are read at every change of somebody's; more of them after so many ticks. */
const FEW_SERVICES = 500;
const LOOK_AGAIN = 60;

const KEPT: ServiceOutcome['result'] = ok('kept');
const kept = ({ key }: WantedService): ServiceOutcome => ({ key, result: KEPT });

/** More changed services than this are looked for among all. */
const FEW = 100;
/** `whole`: the services are all there shall be, else all but those `gone` stay; `redo`: the kernel's devices may be others. */
export type Extent = { readonly whole: boolean; readonly redo: boolean; readonly gone: readonly ServiceKey[] };

/** This host's addresses, and what follows from them. */
type Here = { readonly list: readonly LinkAddress[]; readonly device: (a: IpAddress) => number | undefined };

const isDirect = (s: WantedService): boolean => s.servers[0]?.forwarding.method === 'direct-routing';
const needsLoads = (s: WantedService): boolean =>
  isEmulated(s.scheduler) || s.servers.some((x) => (x.upperThreshold ?? 0) > 0);

/** Real servers of NAT by TCP: their answers are not to begin an entry. */
const sharedReplies: SharedSpec = {
  sets: [replies[4], replies[6]],
  of: (s) =>
    s.match.by === 'address' && s.match.protocol !== 'tcp'
      ? []
      : s.servers.flatMap((x) => {
          const port = x.port === 0 && s.match.by === 'address' ? s.match.port : x.port;
          return port === 0 ? [] : [{ set: replies[familyOf(x.address)], key: [x.address, port] }];
        }),
};

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
  #natSpec: { readonly key: string; readonly spec: TableSpec } | undefined;
  #directSpec: { readonly key: string; readonly spec: TableSpec } | undefined;
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
  /** By mark, from the last look. */
  #active: ActiveCounts = new Map();
  /** Shares by which slots are filled; which servers are over their limit; connections at the last look. */
  readonly #weights = new Map<ServiceKey, readonly number[]>();
  readonly #overloaded = new Map<ServiceKey, readonly boolean[]>();
  readonly #connections = new Map<ServiceKey, number>();
  #pause = 0;
  /** Of nf_tables, when this plane was last done with it. */
  #generation: number | undefined;
  #suspicious = false;
  /** The guard as a whole was not as it should be when it was last looked at. */
  #guardChanged = false;
  /** Ticks since the tables were read. */
  #sinceRead = 0;
  readonly #persistence = new Map<string, Persistence>();
  /** What is known of each table: somebody needs it, or it is surely not there. */
  readonly #table: Record<'nat' | 'direct', 'unknown' | 'there' | 'gone'> = { nat: 'unknown', direct: 'unknown' };

  private constructor(o: NftPlaneOptions, channel: NetlinkChannel, guard: Guard) {
    this.#o = o;
    this.#channel = channel;
    this.#guard = guard;
    const device = (a: IpAddress): number => this.#device(a) ?? UNKNOWN_DEVICE;
    const nat = { mode: natMode, adoption: natAdoption, device: () => 0, shared: sharedReplies };
    this.#nat = new Half(channel, this.#natTable([]), nat);
    const spec = this.#directTable([]);
    this.#direct = new Half(channel, spec, { mode: directMode, adoption: directAdoption, device });
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
  /** Kinds of persistence that there ever were: their chains stay, since a service may still go through them. */
  #kinds(services: readonly WantedService[]): readonly Persistence[] {
    for (const p of persistences(services)) this.#persistence.set(JSON.stringify(p), p);
    return [...this.#persistence.values()];
  }
  #natTable(services: readonly WantedService[]): TableSpec {
    const o = { masquerade: this.#o.masquerade ?? false, persistence: this.#kinds(services) };
    const key = JSON.stringify(o);
    if (this.#natSpec?.key !== key) this.#natSpec = { key, spec: natTable(o) };
    return this.#natSpec.spec;
  }
  #timeouts(): FlowTimeouts {
    const t = this.#wanted?.timeouts;
    return {
      tcpMs: t?.tcp ? t.tcp * 1000 : FLOW_TIMEOUTS.tcpMs,
      finMs: t?.tcpfin ? t.tcpfin * 1000 : FLOW_TIMEOUTS.finMs,
      udpMs: t?.udp ? t.udp * 1000 : FLOW_TIMEOUTS.udpMs,
    };
  }
  #directTable(services: readonly WantedService[]): TableSpec {
    const interfaces = this.#o.interfaces ?? ingressInterfaces(this.#o.network.links() as readonly Link[]);
    const timeouts = this.#timeouts();
    if (this.#fellows === undefined && services.some((s) => this.#isFellow(s)))
      this.#fellows = new Fellows(this.#direct, this.#o.network, this.#o.netlink);
    const fellows = this.#fellows !== undefined;
    const o = { interfaces, timeouts, persistence: this.#kinds(services), fellows };
    const key = JSON.stringify(o);
    if (this.#directSpec?.key !== key) this.#directSpec = { key, spec: directTable(o) };
    return this.#directSpec.spec;
  }

  /** This host is a real server of it, and not the only one. */
  #isFellow(s: WantedService): boolean {
    return s.servers.length > 1 && s.servers.some((x) => this.#device(x.address) === 0);
  }

  refuses(s: WantedService): Refusal | undefined {
    return refusesNft(s, { lacks: this.#lacks, device: (a) => this.#device(a) });
  }

  apply(wanted: Wanted): readonly ServiceOutcome[] {
    this.#suspect();
    const outcomes = this.#applyOnce(wanted);
    // A refusal that shows that somebody else was at the table: once more, from what is really there.
    const disturbed = outcomes.some((x) => !x.result.ok && DISTURBED.has(x.result.error.code));
    const again = disturbed && this.#heal() ? this.#applyOnce(wanted) : outcomes;
    this.#generation = generationOf(this.#channel);
    return again;
  }
  #applyOnce(wanted: Wanted): readonly ServiceOutcome[] {
    const few = this.#fewChanged(wanted);
    this.#wanted = wanted;
    return few === undefined ? this.#applyAll(wanted) : this.#applyFew(wanted, few);
  }
  #applyAll(wanted: Wanted): readonly ServiceOutcome[] {
    const watched = wanted.services.filter(needsLoads);
    const keys = new Set(watched.map((s) => s.key));
    for (const key of this.#weights.keys()) if (!keys.has(key)) this.#unweigh(key);
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
    for (const s of few.gone) this.#unweigh(s.key);
    for (const s of services)
      if (needsLoads(s)) this.#weigh(s);
      else this.#unweigh(s.key);
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
      () => this.#natTable(nat),
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
    const pending = half.compare(services, (s) => this.#weights.get(s.key), o);
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
    const look = this.#look();
    if (!look.ok) return look;
    const nat = countersOf(this.#nat, true, this.#active);
    if (!nat.ok) return nat;
    const direct = countersOf(this.#direct, false, this.#active);
    return direct.ok ? ok([...nat.value, ...direct.value]) : direct;
  }
  /** Counts what is established now; tells how many entries were read. */
  #look(): Result<number, HostError> {
    const found = countActive(this.#channel, {
      nat: this.#nat.services.length > 0,
      direct: this.#direct.services.length > 0 ? this.#direct : undefined,
      finMs: this.#timeouts().finMs,
    });
    if (!found.ok) return found;
    this.#active = found.value.active;
    return ok(found.value.read);
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
    this.#suspect();
    change();
    this.#generation = generationOf(this.#channel);
  }

  // ------------------------------------------------------------------------------------------ emulation

  #weigh(s: WantedService): void {
    const half = isDirect(s) ? this.#direct : this.#nat;
    const image = half.image(s.key);
    const loads = s.servers.map((x): Load => {
      const number = image?.servers.find((y) => y.address === x.address && (y.port === 0 || y.port === x.port))?.number;
      const now = image && number !== undefined ? this.#active.get(serverMark(image.id, number)) : undefined;
      return {
        weight: x.weight,
        active: now?.active ?? 0,
        inactive: now?.inactive ?? 0,
        ...(x.upperThreshold !== undefined && { upperThreshold: x.upperThreshold }),
        ...(x.lowerThreshold !== undefined && { lowerThreshold: x.lowerThreshold }),
      };
    });
    const total = loads.reduce((n, l) => n + l.active + l.inactive, 0);
    const arrivals = Math.max(loads.length, total - (this.#connections.get(s.key) ?? 0));
    const before = this.#overloaded.get(s.key);
    const { shares, overloaded } = emulate(s.scheduler, loads, {
      arrivals,
      ...(before?.length === loads.length && { overloaded: before }),
    });
    this.#connections.set(s.key, total);
    this.#overloaded.set(s.key, overloaded);
    this.#weights.set(s.key, shares);
  }
  #unweigh(key: ServiceKey): void {
    this.#weights.delete(key);
    this.#overloaded.delete(key);
    this.#connections.delete(key);
  }

  // ------------------------------------------------------------------------------------------ other programs

  /** Something changed in some table of nf_tables, and not by us: whether it was one of ours is to be looked at. */
  #suspect(): void {
    const now = generationOf(this.#channel);
    if (now === this.#generation || this.#generation === undefined) return;
    this.#generation = now;
    this.#suspicious = true;
  }
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
  /** Elements are read at once where they are few, else after a minute: what others do to their own tables is no reason to read a million of ours each second. */
  #inspect(): void {
    const halves = [this.#nat, this.#direct].filter((h) => h.services.length > 0);
    const services = halves.reduce((n, h) => n + h.services.length, 0);
    const broken = halves.some((h) => !h.stands());
    this.#sinceRead++;
    if (!broken && services > FEW_SERVICES && this.#sinceRead < LOOK_AGAIN) return;
    this.#suspicious = false;
    this.#sinceRead = 0;
    this.#guardChanged = false;
    if (!this.#heal()) return;
    const changed = this.#reconcile().filter((x) => x.result.ok && x.result.value === 'changed');
    if (!broken && !this.#guardChanged && changed.length === 0) return;
    const names = changed.slice(0, 3).map((x) => x.key);
    const list = names.join(', ') + (changed.length > names.length ? ', …' : '');
    this.#o.report?.({
      code: 'nft-disturbed',
      doing: text(
        `another program changed table holdfast-lb or holdfast-guard of nf_tables; put back for ${changed.length} services (${list}); \`nft monitor\` shows which program, and \`nft flush ruleset\` in its scripts should name its own tables`,
        `其他程序改动了 nf_tables 的表 holdfast-lb 或 holdfast-guard；已为 ${changed.length} 个服务恢复（${list}）；用 \`nft monitor\` 可查看是哪个程序，其脚本中的 \`nft flush ruleset\` 应改为只清空它自己的表`,
      ),
    });
  }
  tick(): void {
    this.#suspect();
    if (this.#suspicious) this.#inspect();
    this.#tick();
    this.#directPeer.tick();
    if (this.#table.direct === 'there') this.#fellows?.tick();
    this.#natPeer?.tick();
    this.#generation = generationOf(this.#channel);
  }
  #tick(): void {
    const watched = (this.#wanted?.services ?? []).filter(needsLoads);
    if (watched.length > 0 && --this.#pause < 0) {
      const look = this.#look();
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
