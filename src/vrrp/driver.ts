/**
 * Virtual routers at work on one host: feeds the machines with adverts, time and health, and does what they say. The
 * only place of this part that touches the world, and that through the host's ports.
 */
import { familyOf, type Microseconds, unreachable, us } from '../base/index.ts';
import type { Cancel, LinkAddress, NetChange } from '../host/index.ts';
import { Announcer } from './announcer.ts';
import type { Instance, SyncGroup, VrrpConfig } from './config.ts';
import type { LastWill, VrrpOptions, VrrpPorts, VrrpStatus } from './contract.ts';
import { duplicateFaults } from './duplicates.ts';
import { follow, type GroupStateName, groupHealth, groupState } from './group.ts';
import { Holdings, type Loss } from './holdings.ts';
import { SocketHub } from './hub.ts';
import { Interfaces } from './interfaces.ts';
import { deadline, type RouterState, step } from './machine.ts';
import { groupNotification, instanceNotification } from './notify.ts';
import { resolveObjects } from './objects.ts';
import { planReload } from './reload.ts';
import { Reporter } from './reporter.ts';
import { VirtualRouter } from './router.ts';
import { SleepWatch } from './sleep.ts';
import { Surroundings } from './surroundings.ts';
import { masterDownTime } from './timers.ts';
import { healthOf, type TrackerValue } from './tracking.ts';
import type { Because, Effect, Event, Fault, Health, NotifyWord, TrackerKind } from './types.ts';
import { vmacName } from './vmac.ts';

/** Who holds `static_ipaddress`, `static_routes` and `static_rules`; no instance can have this name. */
const STATIC = '(static objects)';

type Group = { config: SyncGroup; told: GroupStateName };

export class Vrrp {
  readonly #ports: VrrpPorts;
  readonly #options: VrrpOptions;
  readonly #hub: SocketHub;
  readonly #announcer: Announcer;
  readonly #holdings: Holdings;
  readonly #surroundings: Surroundings;
  #config: VrrpConfig;
  readonly #routers = new Map<string, VirtualRouter>();
  readonly #groups = new Map<string, Group>();
  readonly #groupOf = new Map<string, Group>();
  readonly #trackers = new Map<string, TrackerValue>();
  readonly #interfaces: Interfaces;
  readonly #sleep: SleepWatch;
  readonly #reporter: Reporter;
  #virtual = new Set<string>();
  #duplicates: ReadonlyMap<string, Fault> = new Map();
  /** Static objects that somebody removed, with their track group. */
  #lostStatics: ReadonlyMap<string, string> = new Map();
  #cancelRenewal: Cancel | undefined;
  #cancelWill: Cancel | undefined;
  #cancelJudgement: Cancel | undefined;
  #unwatch: Cancel | undefined;
  #stopped = false;

  constructor(config: VrrpConfig, ports: VrrpPorts, options: VrrpOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#config = config;
    this.#reporter = new Reporter(ports.log);
    this.#sleep = new SleepWatch(ports.clock, (late) => this.#wokeUp(late));
    this.#interfaces = new Interfaces(ports.clock, ports.network, (name) => this.#interfaceSettled(name));
    this.#hub = new SocketHub(
      ports.sockets,
      () => this.#enter(),
      (vrid, d) => {
        if (this.#config.logUnknownVrids) this.#reporter.unknownVrid(d.source, vrid);
      },
    );
    this.#announcer = new Announcer(ports, config, {
      claimed: (ifindex, address, mac) => this.#claimed(ifindex, address, mac),
      refused: (_, error) => this.#reporter.refused('vrrp.announce', error),
    });
    this.#holdings = new Holdings(ports.network);
    this.#surroundings = new Surroundings(ports, this.#reporter);
  }

  /** Removes what a dead process left, opens the sockets and begins. */
  start(): void {
    const residue = this.#surroundings.residue(this.#config.instances);
    for (const a of residue.native) this.#holdings.native(a);
    this.#unwatch = this.#ports.network.watch((c) => this.#changed(c));
    this.#install(this.#config);
    this.#clearResidue(residue.suspect);
    const boot = Math.max(0, this.#config.delayAfterBoot - this.#options.uptime);
    const notBefore = us(this.#now() + Math.max(this.#config.startupDelay, boot));
    for (const r of this.#routers.values())
      this.#begin(r, this.#options.adopt.has(r.name) ? 'MASTER' : 'BACKUP', notBefore);
  }

  /** Nobody may answer for an address that is not ours now. What an adopted instance holds stays. */
  #clearResidue(suspect: (a: LinkAddress) => boolean): void {
    const adopted = [...this.#routers.values()].filter((r) => this.#options.adopt.has(r.name));
    const keep = adopted.flatMap((r) => this.#objects(r).held);
    const { removed, refused } = this.#holdings.clearResidue(suspect, keep);
    if (removed > 0) this.#reporter.residue(removed);
    for (const x of refused) this.#reporter.refused('vrrp.object-refused', x.error);
  }

  /** Resigns everywhere, gives everything up, and closes. Scripts are still told. */
  stop(): void {
    if (this.#stopped) return;
    for (const r of this.#routers.values()) this.#feed(r, { kind: 'stop', deleted: false });
    this.#stopped = true;
    for (const r of this.#routers.values()) {
      r.close();
      this.#surroundings.leave(r.instance);
    }
    this.#holdings.set(STATIC, undefined);
    this.#surroundings.restore();
    this.#announcer.close();
    this.#sleep.stop();
    this.#cancelRenewal?.();
    this.#cancelJudgement?.();
    this.#unwatch?.();
    this.#interfaces.stop();
    this.#publishWill();
  }

  /** The last result of a tracker; interfaces are followed by this part itself. */
  setTracker(kind: Exclude<TrackerKind, 'interface'>, name: string, value: TrackerValue): void {
    this.#enter();
    this.#trackers.set(`${kind} ${name}`, value);
    for (const r of this.#routers.values()) if (this.#tracks(r.instance, kind, name)) this.#checkHealth(r);
  }

  /** Takes another configuration. What did not change is not touched; what is added is added before anything goes. */
  reload(config: VrrpConfig): void {
    this.#enter();
    const plan = planReload(this.#config, config);
    this.#holdings.defer();
    for (const name of plan.removed) this.#retire(name, true);
    for (const name of plan.replaced) this.#retire(name, false);
    this.#install(config);
    for (const name of plan.changed) this.#reconfigured(this.#router(name));
    for (const name of [...plan.added, ...plan.replaced]) this.#begin(this.#router(name), 'BACKUP', this.#now());
    this.#checkStatics();
    for (const x of this.#holdings.settle()) this.#reporter.refused('vrrp.object-refused', x.error);
    if (config.fifoStatesOnReload)
      for (const name of plan.kept) {
        const r = this.#router(name);
        const word = r.state.is;
        if (word === 'MASTER' || word === 'BACKUP' || word === 'FAULT')
          this.#options.notify({
            ...instanceNotification(r.instance, word, r.state.priority, r.state.because, config),
            scripts: [],
            mail: undefined,
          });
      }
    this.#publishWill();
  }

  status(): VrrpStatus {
    return {
      instances: [...this.#routers.values()].map((r) => ({
        name: r.name,
        state: r.state.is,
        since: r.state.since,
        because: r.state.because,
        priority: r.state.priority,
        faults: r.state.faults,
        master: r.state.is === 'BACKUP' ? r.state.master : undefined,
        links: r.links.map((l) => ({ interface: l.name, heardAt: l.heardAt })),
        stats: r.stats,
      })),
      groups: [...this.#groups.values()].map((g) => ({
        name: g.config.name,
        state: groupState(this.#members(g)),
        members: g.config.members,
      })),
    };
  }

  // ---------------------------------------------------------------------------------------------- time

  #now(): Microseconds {
    return this.#ports.clock.now();
  }

  /** First thing in whatever wakes us: did we sleep? */
  #enter(): void {
    this.#sleep.look();
  }
  #wokeUp(late: Microseconds): void {
    const now = this.#now();
    this.#ports.network.drain();
    this.#lost(this.#holdings.lostAddresses()); // before an advert says that we are master: the leases may have ended
    this.#hub.drain();
    const touched = [...this.#routers.values()].filter((r) => late > r.instance.advertInterval / 2);
    for (const r of touched) {
      r.stats.stalls++;
      r.stats.longestStall = us(Math.max(r.stats.longestStall, late));
      this.#feed(r, { kind: 'stalled', late }, now);
    }
    if (touched.length > 0) this.#reporter.stalled(late);
  }

  #arm(r: VirtualRouter): void {
    const due = deadline(r.state);
    // Moved with every advert, which costs the clock no system call: a timer left behind would cost a wake.
    if (due === r.armedFor) return;
    r.cancel?.();
    r.armedFor = due;
    r.due ??= () => this.#due(r);
    r.cancel = due === Infinity ? undefined : this.#ports.clock.at(due, r.due);
  }
  #due(r: VirtualRouter): void {
    r.cancel = undefined;
    r.armedFor = Infinity;
    this.#enter();
    const now = this.#now();
    if (r.state.is === 'BACKUP' && now >= deadline(r.state)) this.#hub.drain(); // what has arrived is not silence
    if (now >= deadline(r.state)) this.#feed(r, { kind: 'tick' }, now);
    else this.#arm(r);
  }

  // ---------------------------------------------------------------------------------------------- events and effects

  #feed(r: VirtualRouter, e: Event, now: Microseconds = this.#now()): void {
    if (this.#stopped) return;
    const before = r.state.is;
    const { state, effects } = step(r.config, r.state, e, now);
    r.state = state;
    if (effects.length > 0) {
      for (const effect of effects) this.#do(r, effect);
      if (before !== state.is) {
        r.logged.clear();
        this.#willLater();
      }
      const group = this.#groupOf.get(r.name);
      if (group) this.#follow(group, r, effects, state.because);
    }
    this.#arm(r);
  }
  #follow(g: Group, r: VirtualRouter, effects: readonly Effect[], because: Because): void {
    for (const next of follow(g.config.name, this.#members(g), r.name, effects))
      this.#feed(this.#router(next.member), next.event);
    const is = groupState(this.#members(g));
    if (is === g.told) return;
    g.told = is;
    const word: NotifyWord | undefined = is === 'STOPPED' ? 'STOP' : is === 'INIT' ? undefined : is;
    if (word) this.#options.notify(groupNotification(g.config, word, because, this.#config));
  }

  #do(r: VirtualRouter, e: Effect): void {
    switch (e.do) {
      case 'advertise':
        r.advertise(e.priority);
        break;
      case 'hold':
        this.#hold(r);
        break;
      case 'release':
        r.stats.releasedMaster++;
        this.#reporter.refusals(r, this.#holdings.set(r.name, undefined));
        break;
      case 'announce':
        r.stats.announcementsSent += this.#announcer.announce(this.#holdings.addresses(r.name), e.copies);
        if (e.reason === 'master-again') this.#announcer.probe(this.#holdings.addresses(r.name));
        break;
      case 'announce-extra':
        this.#announcer.announce(
          this.#holdings.addresses(r.name).filter((a) => a.ifindex !== (r.vmac?.ifindex ?? r.links[0]?.ifindex)),
          1,
        );
        break;
      case 'transition':
        if (e.to === 'MASTER') r.stats.becameMaster++;
        this.#reporter.transition(r, e);
        break;
      case 'notify':
        this.#options.notify(instanceNotification(r.instance, e.word, r.state.priority, r.state.because, this.#config));
        break;
      case 'warn':
        this.#reporter.warning(r, e.warning);
        break;
      case 'met-rival':
        this.#reporter.metRival(r, e.rival);
        break;
      case 'wants-master':
        break;
    }
  }

  #hold(r: VirtualRouter): void {
    const objects = this.#objects(r);
    for (const name of objects.missing) this.#reporter.missingInterface(r, name);
    this.#reporter.refusals(r, this.#holdings.set(r.name, objects.held));
    this.#armRenewal();
  }
  #objects(r: VirtualRouter): ReturnType<typeof resolveObjects> {
    const i = r.instance;
    return resolveObjects(
      { addresses: [...i.addresses, ...i.excluded], routes: i.routes, rules: i.rules },
      this.#options.leaseAddresses ? leaseSeconds(i) : undefined,
      (name, address) => this.#ports.network.linkByName(vmacName(i, name, address) ?? name),
    );
  }
  #armRenewal(): void {
    if (!this.#options.leaseAddresses || this.#cancelRenewal) return;
    const masters = [...this.#routers.values()].filter((r) => r.state.is === 'MASTER');
    if (masters.length === 0) return;
    const every = Math.min(...masters.map((r) => leaseSeconds(r.instance))) * (1_000_000 / 3);
    this.#cancelRenewal = this.#ports.clock.at(us(this.#now() + every), () => {
      this.#cancelRenewal = undefined;
      this.#enter();
      this.#ports.network.drain();
      const { refused, lost } = this.#holdings.renew();
      for (const x of refused) this.#reporter.refused('vrrp.lease', x.error);
      this.#lost(lost);
      this.#armRenewal();
    });
  }

  /** Once a turn: many routers may move together, and none of them may wait for it. */
  #willLater(): void {
    this.#cancelWill ??= this.#ports.clock.at(this.#now(), () => this.#publishWill());
  }
  #publishWill(): void {
    this.#cancelWill?.();
    this.#cancelWill = undefined;
    const adverts: LastWill['adverts'][number][] = [];
    for (const r of this.#routers.values()) {
      if (r.state.is !== 'MASTER') continue;
      for (const p of r.lastPackets())
        adverts.push({
          family: r.instance.family,
          protocol: r.instance.authentication.type === 'ah' ? 51 : 112,
          ifindex: p.link.ifindex,
          source: p.link.source,
          destination: p.destination,
          bytes: p.bytes,
        });
    }
    this.#options.willChanged({ adverts, commands: this.#holdings.removals() });
  }

  // ---------------------------------------------------------------------------------------------- health

  #members(g: Group): { name: string; state: RouterState }[] {
    return g.config.members.flatMap((name) => {
      const r = this.#routers.get(name);
      return r ? [{ name, state: r.state }] : [];
    });
  }
  #ownHealth(r: VirtualRouter): Health {
    const duplicate = this.#duplicates.get(r.name);
    const statics: Fault[] = [];
    for (const [object, group] of this.#lostStatics)
      if (this.#config.trackGroups.some((g) => g.name === group && g.instances.includes(r.name)))
        statics.push({ kind: 'static-object', group, object });
    return healthOf(
      r.instance,
      this.#groupOf.get(r.name)?.config,
      [...(duplicate ? [duplicate] : []), ...r.ownFaults, ...statics],
      (kind, name) => this.#read(kind, name),
    );
  }
  #healthWithGroup(r: VirtualRouter): readonly { readonly router: VirtualRouter; readonly health: Health }[] {
    const group = this.#groupOf.get(r.name);
    if (!group) return [{ router: r, health: this.#ownHealth(r) }];
    const members = group.config.members.flatMap((n) => this.#routers.get(n) ?? []);
    const all = groupHealth(
      group.config.name,
      members.map((m) => ({ name: m.name, health: this.#ownHealth(m) })),
    );
    return members.map((router, at) => ({ router, health: all[at] as Health }));
  }
  #checkHealth(r: VirtualRouter): void {
    for (const { router, health } of this.#healthWithGroup(r)) this.#feed(router, { kind: 'health', health });
  }
  #read(kind: TrackerKind, name: string): TrackerValue {
    if (kind === 'interface') return this.#interfaces.isUp(name) ? 'up' : 'down';
    const known = this.#trackers.get(`${kind} ${name}`);
    if (known !== undefined) return known;
    if (kind === 'bfd') return 'down';
    return kind === 'script' && this.#config.scripts.find((s) => s.name === name)?.initFail ? 'down' : 'waiting';
  }
  #tracks(i: Instance, kind: TrackerKind, name: string): boolean {
    const list = (
      { interface: 'interfaces', script: 'scripts', process: 'processes', file: 'files', bfd: 'bfds' } as const
    )[kind];
    const group = this.#groupOf.get(i.name);
    return (
      i.tracks[list].some((t) => t.name === name) || (group?.config.tracks[list].some((t) => t.name === name) ?? false)
    );
  }

  // ---------------------------------------------------------------------------------------------- the kernel's news

  #changed(c: NetChange): void {
    if ('own' in c && c.own) return; // what we did ourselves is no news
    this.#enter();
    this.#holdings.notice(c);
    switch (c.kind) {
      case 'link':
        this.#interfaces.changed(c.link.name, c.link.up);
        break;
      case 'link-gone':
        this.#interfaces.changed(c.link.name, false);
        break;
      case 'address':
      case 'address-gone':
        if (this.#holdings.holdsAddress(c.address)) this.#judgeLater();
        else this.#addressesChanged(c.address.ifindex);
        break;
      case 'route':
      case 'route-gone':
      case 'rule':
      case 'rule-gone':
        this.#judgeLater();
        break;
      case 'resync':
        this.#holdings.lookAgain();
        this.#judgeLater();
        for (const r of this.#routers.values()) this.#reopen(r);
        break;
      default:
        unreachable(c);
    }
  }
  /** Once, after the notifications that are queued now: what went may be back by then. */
  #judgeLater(): void {
    if (!this.#holdings.hasGone && this.#lostStatics.size === 0) return;
    this.#cancelJudgement ??= this.#ports.clock.at(this.#now(), () => {
      this.#cancelJudgement = undefined;
      this.#ports.network.drain();
      this.#lost(this.#holdings.losses());
    });
  }
  #lost(losses: readonly Loss[]): void {
    this.#checkStatics();
    for (const l of losses) {
      const r = this.#routers.get(l.owner);
      if (r) this.#feed(r, { kind: 'object-lost', object: l.object });
    }
  }
  #checkStatics(): void {
    const lost = this.#holdings.missing(STATIC);
    if (lost.size === this.#lostStatics.size && [...lost.keys()].every((k) => this.#lostStatics.has(k))) return;
    this.#lostStatics = lost;
    for (const r of this.#routers.values())
      if (this.#config.trackGroups.some((g) => g.instances.includes(r.name))) this.#checkHealth(r);
  }
  #interfaceSettled(name: string): void {
    for (const r of this.#routers.values()) {
      if (r.links.some((l) => l.name === name)) this.#reopen(r);
      else if (this.#tracks(r.instance, 'interface', name)) this.#checkHealth(r);
    }
  }
  #addressesChanged(ifindex: number): void {
    for (const r of this.#routers.values()) {
      const onIt = r.links.some((l) => l.ifindex === ifindex);
      if (onIt || r.instance.interface === undefined) this.#reopen(r);
    }
  }
  #reopen(r: VirtualRouter): void {
    this.#open(r);
    this.#checkHealth(r);
  }
  #isVirtual(a: LinkAddress): boolean {
    return this.#virtual.has(a.prefix.address) && !this.#holdings.isNative(a);
  }

  #claimed(ifindex: number, address: string, mac: string): void {
    if (!this.#virtual.has(address)) return;
    const own = this.#ports.network.links().some((l) => l.mac === mac);
    if (own) return;
    this.#enter();
    // A better master sends its advert before its frames, but on another socket: whoever has to give way does it first,
    // and does not call the clients back.
    this.#hub.drain();
    for (const r of this.#routers.values()) {
      if (r.state.is !== 'MASTER') continue;
      if (!this.#holdings.addresses(r.name).some((a) => a.prefix.address === address && a.ifindex === ifindex))
        continue;
      this.#feed(r, { kind: 'rival-announced' });
      this.#complainLater(r, address, mac);
    }
  }

  /** A router that gives way says its last while it goes; who stays is a stranger, and a person must hear of it. */
  #complainLater(r: VirtualRouter, address: string, mac: string): void {
    const { since, is } = r.state;
    this.#ports.clock.at(us(this.#now() + 2 * r.instance.advertInterval), () => {
      if (r.state.is !== is || r.state.since !== since || this.#routers.get(r.name) !== r) return;
      const heard = Math.max(...r.links.map((l) => l.heardAt ?? -Infinity));
      if (this.#now() - heard < 4 * r.instance.advertInterval) return; // a rival that VRRP deals with
      this.#reporter.addressConflict(r, address, mac);
    });
  }

  // ---------------------------------------------------------------------------------------------- coming and going

  #router(name: string): VirtualRouter {
    const r = this.#routers.get(name);
    if (!r) throw new Error(`bug: there is no instance ${name}`);
    return r;
  }

  /** Makes routers and groups as the configuration says; those that exist stay. */
  #install(config: VrrpConfig): void {
    this.#config = config;
    this.#announcer.configure(config);
    this.#duplicates = duplicateFaults(config.instances);
    this.#virtual = new Set(
      config.instances.flatMap((i) => [...i.addresses, ...i.excluded].map((a) => a.prefix.address)),
    );
    const told = new Map([...this.#groups].map(([name, g]) => [name, g.told]));
    this.#groups.clear();
    this.#groupOf.clear();
    for (const g of config.groups) {
      const group: Group = { config: g, told: told.get(g.name) ?? 'INIT' };
      this.#groups.set(g.name, group);
      for (const m of g.members) this.#groupOf.set(m, group);
    }
    for (const instance of config.instances) {
      const routerConfig = { instance, grouped: this.#groupOf.has(instance.name), minimalGarp: config.minGarp };
      const existing = this.#routers.get(instance.name);
      if (existing) existing.reconfigure(routerConfig);
      else this.#routers.set(instance.name, this.#make(routerConfig));
    }
    const shortest = Math.min(...config.instances.map((i) => i.advertInterval));
    this.#surroundings.filter(config.instances);
    const { statics } = config;
    const objects = resolveObjects(statics, undefined, (name) => this.#ports.network.linkByName(name));
    for (const x of this.#holdings.set(STATIC, objects.held)) this.#reporter.refused('vrrp.static', x.error);
    this.#sleep.watch(config.instances.length === 0 ? Infinity : shortest);
    this.#interfaces.delays = config.interfaceDelays;
  }
  #make(config: VirtualRouter['config']): VirtualRouter {
    return new VirtualRouter(
      config,
      { hub: this.#hub, network: this.#ports.network, wall: () => this.#ports.clock.wall() },
      {
        event: (r, e) => this.#feed(r, e),
        dropped: (r, link, source, d) => this.#reporter.dropped(r, link.name ?? '*', source, d),
        odd: (r, source, o) => this.#reporter.odd(r, source, o, r.instance.family),
        sendFailed: (r, link, error) => this.#reporter.sendFailed(r, link.name ?? '*', error),
      },
      this.#ports.entropy.u32(),
      this.#now(),
    );
  }
  #begin(r: VirtualRouter, as: 'BACKUP' | 'MASTER', notBefore: Microseconds): void {
    this.#open(r);
    const mine = this.#healthWithGroup(r).find((x) => x.router === r);
    this.#feed(r, { kind: 'start', health: (mine as { health: Health }).health, as, notBefore });
  }
  /** Links, sockets, macvlans and what announcing will need: opened now, so that a takeover opens nothing. */
  #open(r: VirtualRouter): void {
    const i = r.instance;
    const { network } = this.#ports;
    const { vmac, faults } = this.#surroundings.prepare(i);
    r.vmac = vmac;
    r.open((a) => this.#isVirtual(a));
    r.ownFaults = [...r.ownFaults, ...faults];
    for (const a of [...i.addresses, ...i.excluded]) {
      const link = network.linkByName(vmacName(i, a.interface, a) ?? a.interface);
      if (link) this.#announcer.prepare(link.ifindex, familyOf(a.prefix.address));
    }
  }
  #retire(name: string, deleted: boolean): void {
    const r = this.#router(name);
    this.#feed(r, { kind: 'stop', deleted });
    r.close();
    this.#surroundings.leave(r.instance);
    this.#routers.delete(name);
  }
  #reconfigured(r: VirtualRouter): void {
    this.#open(r);
    this.#checkHealth(r);
    if (r.state.is !== 'MASTER') return;
    const had = new Set(this.#holdings.addresses(r.name).map((a) => a.prefix.address));
    r.advertise(r.state.priority);
    this.#hold(r);
    const added = this.#holdings.addresses(r.name).filter((a) => !had.has(a.prefix.address));
    this.#announcer.announce(added, r.instance.garp.masterRepeat);
  }
}

/** Whole seconds, as the kernel counts them: a living master renews three times within it, a dead one loses it about when the others take over. */
export function leaseSeconds(i: Instance): number {
  const down = masterDownTime(i.version, 1, i.advertInterval, i.downTimerAdverts);
  return Math.max(2, Math.ceil(down / 1_000_000) + 1);
}
