/**
 * Virtual routers at work on one host: feeds the machines with adverts, time and health, and does what they say. The
 * only place of this part that touches the world, and that through the host's ports.
 */
import { familyOf, type Microseconds, us } from '../base/index.ts';
import type { LinkAddress } from '../host/index.ts';
import { Announcer } from './announcer.ts';
import type { Instance, VrrpConfig } from './config.ts';
import type { VrrpOptions, VrrpPorts, VrrpStatus } from './contract.ts';
import { follow } from './group.ts';
import { type Group, Groups } from './groups.ts';
import { HealthBook } from './health.ts';
import { Holdings, type Loss } from './holdings.ts';
import { SocketHub } from './hub.ts';
import { Interfaces } from './interfaces.ts';
import { LeaseTimer, leaseSeconds } from './leases.ts';
import { step } from './machine.ts';
import { KernelNews } from './news.ts';
import { groupNotification, instanceNotification } from './notify.ts';
import { type Objects, objectsOf } from './objects.ts';
import { planReload } from './reload.ts';
import { Reporter } from './reporter.ts';
import { VirtualRouter } from './router.ts';
import { SleepWatch } from './sleep.ts';
import { deadline } from './state.ts';
import { Statics } from './statics.ts';
import { statusOf } from './status.ts';
import { complainLater } from './strangers.ts';
import { Surroundings } from './surroundings.ts';
import type { TrackerValue } from './tracking.ts';
import type { Because, Effect, Event, Health, NotifyWord, TrackerKind } from './types.ts';
import { vmacName, vmacsOf } from './vmac.ts';
import { Wills } from './will.ts';

export class Vrrp {
  readonly #ports: VrrpPorts;
  readonly #options: VrrpOptions;
  readonly #hub: SocketHub;
  readonly #announcer: Announcer;
  readonly #holdings: Holdings;
  readonly #surroundings: Surroundings;
  #config: VrrpConfig;
  readonly #routers = new Map<string, VirtualRouter>();
  readonly #groups = new Groups((name) => this.#routers.get(name));
  readonly #interfaces: Interfaces;
  readonly #sleep: SleepWatch;
  readonly #reporter: Reporter;
  #virtual = new Set<string>();
  readonly #unknownVrids = new Set<number>();
  readonly #statics: Statics;
  readonly #health: HealthBook;
  readonly #leases: LeaseTimer;
  readonly #wills: Wills;
  readonly #news: KernelNews;
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
        if (!this.#config.logUnknownVrids || this.#unknownVrids.has(vrid)) return;
        this.#unknownVrids.add(vrid); // once each: anybody on the network can send them
        this.#reporter.unknownVrid(d.source, vrid);
      },
    );
    this.#announcer = new Announcer(ports, config, {
      claimed: (ifindex, address, mac) => this.#claimed(ifindex, address, mac),
      refused: (_, error) => this.#reporter.refused('vrrp.announce', error),
    });
    this.#holdings = new Holdings(ports.network);
    this.#surroundings = new Surroundings(ports, this.#reporter);
    this.#news = new KernelNews(ports.clock, ports.network, this.#holdings, {
      woken: () => this.#enter(),
      link: (name, up) => this.#interfaces.changed(name, up),
      lostLink: (name) => this.#vmacLost(name),
      addresses: (ifindex) => this.#addressesChanged(ifindex),
      holdings: () => this.#lost(this.#holdings.losses()),
      resync: () => {
        for (const r of this.#routers.values()) this.#reopen(r);
      },
    });
    this.#statics = new Statics(ports, this.#holdings, this.#reporter, (names) => {
      for (const r of names.flatMap((name) => this.#routers.get(name) ?? [])) this.#checkHealth(r);
    });
    this.#health = new HealthBook(config, {
      isUp: (name) => this.#interfaces.isUp(name),
      exists: (name) => ports.network.linkByName(name) !== undefined,
      statics: (instance) => this.#statics.faults(instance),
    });
    this.#leases = new LeaseTimer(
      ports.clock,
      () => this.#masters(),
      () => this.#renewLeases(),
    );
    this.#wills = new Wills(ports.clock, this.#holdings, this.#routers, options.willChanged);
  }

  /** Removes what a dead process left, opens the sockets and begins. */
  start(): void {
    const residue = this.#surroundings.residue(this.#config.instances);
    for (const a of residue.native) this.#holdings.native(a);
    this.#news.follow();
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
    this.#statics.stop();
    this.#surroundings.restore();
    this.#announcer.close();
    this.#sleep.stop();
    this.#leases.stop();
    this.#news.stop();
    this.#interfaces.stop();
    this.#wills.publish();
  }

  /** The last result of a tracker; interfaces are followed by this part itself. */
  setTracker(kind: Exclude<TrackerKind, 'interface'>, name: string, value: TrackerValue): void {
    this.#enter();
    this.#health.record(kind, name, value);
    for (const r of this.#routers.values()) if (this.#health.tracks(r.instance, kind, name)) this.#checkHealth(r);
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
    this.#wills.publish();
  }

  status(): VrrpStatus {
    return statusOf(this.#routers.values(), this.#groups);
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
        this.#wills.soon();
      }
      const group = this.#groups.of(r.name);
      if (group) this.#follow(group, r, effects, state.because);
    }
    this.#arm(r);
  }
  #follow(g: Group, r: VirtualRouter, effects: readonly Effect[], because: Because): void {
    for (const next of follow(g.config.name, this.#groups.members(g), r.name, effects))
      this.#feed(this.#router(next.member), next.event);
    const is = this.#groups.state(g);
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
          this.#holdings
            .addresses(r.name)
            .filter((a) => a.ifindex !== (r.vmac?.ifindex ?? r.links[0]?.ifindex))
            // Of an ordinary interface, its other traffic reminds the switches; nothing else bears a macvlan's address.
            .filter((a) => r.instance.garp.extraInterface?.all || this.#isMacvlan(a.ifindex)),
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
    if (this.#options.leaseAddresses) this.#leases.arm();
  }
  #objects(r: VirtualRouter): Objects {
    const lease = this.#options.leaseAddresses ? leaseSeconds(r.instance) : undefined;
    return objectsOf(r.instance, lease, this.#ports.network);
  }
  #masters(): readonly Instance[] {
    return [...this.#routers.values()].flatMap((r) => (r.state.is === 'MASTER' ? r.instance : []));
  }
  #renewLeases(): void {
    this.#enter();
    this.#ports.network.drain();
    const { refused, lost } = this.#holdings.renew();
    for (const x of refused) this.#reporter.refused('vrrp.lease', x.error);
    this.#lost(lost);
  }

  // ---------------------------------------------------------------------------------------------- health

  #checkHealth(r: VirtualRouter): void {
    for (const { of, health } of this.#health.withGroup(r, (name) => this.#routers.get(name)))
      this.#feed(of, { kind: 'health', health });
  }
  // ---------------------------------------------------------------------------------------------- the kernel's news

  #lost(losses: readonly Loss[]): void {
    this.#statics.look();
    for (const l of losses) {
      const r = this.#routers.get(l.owner);
      if (r) this.#feed(r, { kind: 'object-lost', object: l.object });
    }
  }
  #interfaceSettled(name: string): void {
    for (const r of this.#routers.values()) {
      if (r.links.some((l) => l.name === name) || r.instance.vrf === name) this.#reopen(r);
      else if (this.#health.tracks(r.instance, 'interface', name) || this.#health.dependsOn(r.instance, name))
        this.#checkHealth(r);
    }
    this.#later(() => {
      if (this.#interfaces.isUp(name)) this.#restore(name);
      this.#holdings.lookAgain();
      this.#lost(this.#holdings.losses());
    });
  }
  /** The kernel takes routes and IPv6 addresses away from a link that goes down, and gives none of them back. */
  #restore(name: string): void {
    this.#statics.put();
    for (const r of this.#routers.values()) {
      const { addresses, excluded, routes } = r.instance;
      const here = [...addresses, ...excluded, ...routes.flatMap((x) => x.hops)].some((x) => x.interface === name);
      if (here && r.state.is === 'MASTER') this.#hold(r);
    }
  }
  /** Somebody removed or stopped a macvlan of ours: what sits on it has nothing to sit on. */
  #vmacLost(name: string): void {
    for (const r of this.#routers.values())
      if (vmacsOf(r.instance).some((v) => v.name === name)) this.#later(() => this.#reopen(r));
  }
  #later(run: () => void): void {
    this.#ports.clock.at(this.#now(), () => {
      if (this.#stopped) return;
      this.#ports.network.drain();
      run();
    });
  }
  #isMacvlan(ifindex: number): boolean {
    return this.#ports.network.linkByIndex(ifindex)?.kind === 'macvlan';
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
      complainLater(this.#ports.clock, r, () => this.#reporter.addressConflict(r, address, mac));
    }
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
    this.#health.configure(config);
    this.#virtual = new Set(
      config.instances.flatMap((i) => [...i.addresses, ...i.excluded].map((a) => a.prefix.address)),
    );
    this.#groups.configure(config.groups);
    for (const instance of config.instances) {
      const routerConfig = {
        instance,
        grouped: this.#groups.of(instance.name) !== undefined,
        minimalGarp: config.minGarp,
      };
      const existing = this.#routers.get(instance.name);
      if (existing) existing.reconfigure(routerConfig);
      else this.#routers.set(instance.name, this.#make(routerConfig));
    }
    const shortest = Math.min(...config.instances.map((i) => i.advertInterval));
    this.#surroundings.use(config);
    this.#unknownVrids.clear();
    this.#statics.use(config);
    this.#sleep.watch(config.instances.length === 0 ? Infinity : shortest);
    this.#interfaces.use(config.interfaceDelays);
  }
  #make(config: VirtualRouter['config']): VirtualRouter {
    return new VirtualRouter(
      config,
      {
        hub: this.#hub,
        network: this.#ports.network,
        wall: () => this.#ports.clock.wall(),
        isUp: (name) => this.#interfaces.isUp(name),
      },
      {
        event: (r, e) => this.#feed(r, e),
        dropped: (r, link, source, d) => this.#reporter.dropped(r, link.name ?? '*', source, d),
        odd: (r, source, o) => this.#reporter.odd(r, source, o, r.instance.family),
        cut: (r, told) => this.#reporter.cut(r, told, r.instance.addresses.length),
        sendFailed: (r, link, error) => this.#reporter.sendFailed(r, link.name ?? '*', error),
      },
      this.#ports.entropy.u32(),
      this.#now(),
    );
  }
  #begin(r: VirtualRouter, as: 'BACKUP' | 'MASTER', notBefore: Microseconds): void {
    this.#open(r);
    const all = this.#health.withGroup(r, (name) => this.#routers.get(name));
    const { health } = all.find((x) => x.of === r) as { health: Health };
    this.#feed(r, { kind: 'start', health, as, notBefore });
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
