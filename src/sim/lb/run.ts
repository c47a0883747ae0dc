/**
 * One world of directors: servers die and come back, checks lose packets, planes refuse, processes are killed, reloaded
 * and handed over, addresses move, operators drain; then all is well and things must settle. The real director, pools
 * and checkers run in it; after every event the promises are checked.
 */
import { us } from '../../base/index.ts';
import { serverKey, serviceKey, type VirtualServer } from '../../director/index.ts';
import { Broken, type Outcome, outcomeOf } from '../outcome.ts';
import { Segment } from '../segment.ts';
import { World } from '../world.ts';
import { Farm } from './farm.ts';
import { Node } from './node.ts';
import {
  configFor,
  describeOptions,
  drawOptions,
  drawService,
  type LbOptions,
  realAddress,
  type ServiceOptions,
  virtualAddress,
} from './options.ts';
import { learnCheckers, Promises, quorumRule, seenServers } from './promises.ts';
import { PeerWire } from './wire.ts';

/** What a plane is given beyond the checks' own time: the issue's 50 ms. */
const GRACE = 50_000;
const SECOND = 1_000_000;
const CLIENTS = 200;
/** No checker begins later than this and its warm-up after it was started. */
const FIRST_CHECK = SECOND;

class LbWorld {
  readonly world: World;
  readonly options: LbOptions;
  readonly #farm: Farm;
  readonly #wire: PeerWire;
  readonly #nodes: Node[] = [];
  readonly #promises = new Promises();
  /** By the number of their address; a reload may change or remove one. */
  readonly #services: (ServiceOptions | undefined)[];
  /** By director: what its kernel's version was when all was looked at. */
  readonly #looked: number[] = [];
  #active = 0;

  constructor(seed: number, options?: LbOptions) {
    this.world = new World(seed);
    this.#wire = new PeerWire(this.world, seed ^ 0x11_4b);
    this.options = options ?? drawOptions(this.world.random, this.#wire.random);
    this.#services = [...this.options.services];
    this.#farm = new Farm(this.world);
    const segment = new Segment('net', this.world);
    const wire = this.options.directors > 1 && this.options.linked ? this.#wire : undefined;
    const around = { world: this.world, farm: this.#farm, segment, wire };
    for (let i = 0; i < this.options.directors; i++) {
      const node = new Node(`lb${i + 1}`, i, configFor(this.#services), around);
      node.kernel.cut = (f) => this.#onCut(node, f.service, f.server);
      this.#nodes.push(node);
    }
    this.world.afterEvent = () => this.#check();
  }

  /** The whole life of a world. Throws `Broken`. */
  run(): void {
    for (const n of this.#nodes) this.#boot(n);
    this.#moveAddresses(0);
    this.#settle();
    for (let round = 0; round < this.options.rounds; round++) {
      this.#trouble();
      this.#heal();
      this.#settle();
      this.#failOver();
    }
    for (const n of this.#nodes) {
      n.leave({ keep: false });
      if (n.kernel.services.size > 0) throw new Broken('a director that stops takes its services down', n.host.name);
    }
  }

  // ------------------------------------------------------------------------------------------ what happens

  #boot(n: Node): void {
    const before = JSON.stringify([...n.kernel.services]);
    const same = n.config;
    n.config = configFor(this.#services);
    const unchanged = JSON.stringify(same) === JSON.stringify(n.config);
    n.kernel.writes = [];
    for (const i of this.#services.keys()) this.#reconcile(n, i);
    learnCheckers(n);
    this.world.note(n.host.name, 'process started');
    const quiet = unchanged && before !== '[]' && n.kernel.faults === 0 && n.kernel.failing.size === 0;
    n.boot();
    // What a clock alone may change while nobody ran: the end of a damping.
    const timeless = !this.#services.some((s) => s?.extra === 'damping');
    if (quiet && timeless && n.kernel.writes.length > 0)
      throw new Broken('a restart touches nothing', `${n.host.name} wrote ${n.kernel.writes.join(', ')}`);
  }
  #trouble(): void {
    const { random: r } = this.world;
    this.#farm.loss = this.options.loss;
    this.#wire.loss = this.options.loss;
    for (const n of this.#nodes) n.kernel.faults = this.options.planeFaults;
    this.world.note('world', 'trouble begins');
    const until = this.world.now + r.between(5, 40) * SECOND;
    while (this.world.now < until) {
      this.#mishap();
      this.#check();
      this.#traffic(20);
      this.world.runUntil(this.world.now + Math.floor(r.unit() ** 3 * 6 * SECOND));
    }
  }
  #mishap(): void {
    const { random: r } = this.world;
    const n = r.pick(this.#nodes);
    const [service, options] = this.#anyService();
    const server = r.between(0, options.servers.length - 1);
    switch (r.between(0, 15)) {
      case 0:
      case 1:
      case 2:
      case 3:
        this.#farm.set(realAddress(service, server), r.pick(['refuses', 'silent'] as const));
        return;
      case 4:
      case 5:
      case 6:
        this.#farm.set(realAddress(service, server), 'good');
        return;
      case 7:
        this.#farm.at(realAddress(service, server)).status = r.pick([0, 2, 3, 7, 100]);
        return;
      case 8:
        if (!n.alive) return;
        this.world.note(n.host.name, 'process killed');
        n.kill();
        return;
      case 9:
        if (!n.alive) return;
        this.world.note(n.host.name, 'process hands over');
        n.leave({ keep: true });
        this.#boot(n);
        return;
      case 10:
        if (!n.alive) this.#boot(n);
        return;
      case 11:
        if (!r.chance(0.3)) return;
        this.world.note(n.host.name, 'power lost');
        n.powerOff((a) => a.startsWith('10.0.0.') && !this.#virtual().includes(a));
        this.#forget(n);
        return;
      case 12:
        this.#moveAddresses(r.between(0, this.#nodes.length - 1));
        return;
      case 13:
        this.#reload(service);
        return;
      default:
        this.#operator(n, service, server);
    }
  }
  #operator(n: Node, service: number, server: number): void {
    const { random: r } = this.world;
    const v = n.config.virtualServers.find((x) => serviceKey(x) === `tcp ${virtualAddress(service)}:80`);
    const real = v?.realServers[server];
    if (!v || !real || !n.director) return;
    const [key, name] = [serviceKey(v), serverKey(v, real)];
    const at = `${key} ${name}`;
    const force = r.chance(0.7);
    this.world.note(n.host.name, `an operator comes to ${at}`);
    switch (r.between(0, 3)) {
      case 0: {
        const time = r.chance(0.5) ? us(r.between(1, 10) * SECOND) : undefined;
        const done = n.director.drain(key, name, time === undefined ? { force } : { for: time, force });
        if (done.ok) n.drained.set(at, { until: time === undefined ? undefined : this.world.now + time });
        return;
      }
      case 1:
      case 2:
        n.drained.delete(at);
        n.director.undrain(key, name);
        return;
      default: {
        const weight = r.pick([undefined, 0, 1, 4]);
        if (!n.director.setWeight(key, name, weight, { force }).ok) return;
        if (weight === undefined) n.told.delete(at);
        else n.told.set(at, weight);
      }
    }
  }
  /** One service is changed, taken away or brought back; nothing else may be touched. */
  #reload(service: number): void {
    const { random: r } = this.world;
    const there = this.#services.filter((s) => s !== undefined).length;
    const old = this.#services[service];
    this.#services[service] = old && there > 1 && r.chance(0.3) ? undefined : drawService(r);
    this.world.note('world', `reload: service ${service} ${this.#services[service] ? 'changes' : 'goes'}`);
    const key = `tcp ${virtualAddress(service)}:80`;
    for (const n of this.#nodes) {
      if (!n.director) continue;
      n.config = configFor(this.#services);
      this.#reconcile(n, service);
      learnCheckers(n);
      n.kernel.writes = [];
      const failing = new Set(n.kernel.failing);
      n.director.reload(n.config);
      n.checkedSince.set(key, this.world.now);
      const others = n.kernel.writes.filter((w) => w !== key && !failing.has(w));
      if (others.length > 0)
        throw new Broken('a reload touches only what changed', `${n.host.name}: ${others.join(', ')}`);
    }
  }
  /** What was known of servers that are gone is forgotten with them. */
  #reconcile(n: Node, service: number): void {
    const key = `tcp ${virtualAddress(service)}:80 `;
    if (!this.#services[service]) this.#promises.forget(n, key.trim());
    const left = (this.#services[service]?.servers ?? []).map((_, i) => `${key}${realAddress(service, i)}:80`);
    const misc = (this.#services[service]?.servers ?? []).map((s) => s.misc);
    for (const m of [n.verdicts, n.weights, n.drained, n.told])
      for (const id of m.keys()) {
        if (!id.startsWith(key)) continue;
        const at = left.findIndex((l) => id === l || id.startsWith(`${l} `));
        if (at < 0 || (id.includes(' misc ') && !misc[at])) m.delete(id);
      }
  }
  #forget(n: Node): void {
    this.#promises.forget(n);
  }

  #anyService(): [number, ServiceOptions] {
    const { random: r } = this.world;
    // One that was taken away may be reloaded back in.
    const number = r.between(0, this.#services.length - 1);
    return [number, this.#services[number] ?? (this.options.services[number] as ServiceOptions)];
  }
  #virtual(): string[] {
    return this.#services.map((_, i) => virtualAddress(i));
  }
  #moveAddresses(to: number): void {
    const here = this.#nodes[to];
    if (!here?.alive) return;
    this.world.note('world', `the addresses move to ${here.host.name}`);
    for (const a of this.#virtual()) for (const n of this.#nodes) n.setAddress(a, n === here);
    for (const v of here.config.virtualServers) if (v.haSuspend) here.checkedSince.set(serviceKey(v), this.world.now);
    this.#active = to;
  }
  #traffic(packets: number): void {
    const { random: r } = this.world;
    const kernel = this.#nodes[this.#active]?.kernel;
    for (let i = 0; i < packets; i++)
      kernel?.packet(`tcp ${virtualAddress(r.between(0, this.#services.length - 1))}:80`, r.between(0, CLIENTS - 1));
  }

  #heal(): void {
    this.#farm.heal();
    this.#wire.loss = 0;
    for (const n of this.#nodes) {
      n.kernel.faults = 0;
      if (!n.alive) this.#boot(n);
    }
    this.#endDrains();
    if (!this.#nodes[this.#active]?.host.holds(virtualAddress(0))) this.#moveAddresses(this.#active);
    this.world.note('world', 'healed');
  }
  /** Operators take back all that they asked for. */
  #endDrains(): void {
    for (const n of this.#nodes) {
      n.drained.clear();
      for (const v of n.config.virtualServers)
        for (const s of v.realServers) {
          n.director?.undrain(serviceKey(v), serverKey(v, s));
          n.director?.setWeight(serviceKey(v), serverKey(v, s), undefined, { force: true });
        }
      n.told.clear();
    }
  }
  #settle(): void {
    let longest = 0;
    for (const s of this.#services)
      if (s) longest = Math.max(longest, FIRST_CHECK + s.warmup + 2 * (s.interval + s.retryDelay + s.timeout));
    // The longest damping, a slow start behind it, and a second in which a plane is told again.
    this.world.runUntil(this.world.now + longest + 13 * SECOND);
    this.#check();
    for (const n of this.#nodes)
      for (const [v, o] of this.#present(n)) {
        if (this.#suspended(n, v)) continue;
        const down = seenServers(n, v, this.world.now).filter((s) => s.down);
        if (down.length > 0)
          throw new Broken('good servers come back', `${n.host.name}: ${down.map((s) => s.key).join(' ')}`);
        this.#promises.check(n, v, o, this.world.now, true);
      }
    this.#expectEqual();
  }
  /** Where history does not matter, two directors hold the same: so the ring of one is the ring of the other. */
  #expectEqual(): void {
    const [a, b] = this.#nodes;
    if (!a || !b) return;
    for (const [v] of this.#present(a)) {
      if (v.haSuspend) continue;
      const sum = seenServers(a, v, this.world.now).reduce((n, s) => n + s.weight, 0);
      const misc = v.realServers.some((s) => s.checkers.length > 1);
      if (misc || (v.sorryServer && quorumRule(v, sum) === undefined)) continue;
      const key = serviceKey(v);
      for (let c = 0; c < CLIENTS; c++)
        if (a.kernel.byRing(key, c) !== b.kernel.byRing(key, c))
          throw new Broken('two directors with the same servers compute the same ring', `${key}, client ${c}`);
    }
  }
  /**
   * The addresses move, in order or by a power cut: connections go on where they were. Without a link only those that the
   * ring alone placed; with one also those of drained servers, and what began while they were drained.
   */
  #failOver(): void {
    const [from, to] = [this.#nodes[this.#active], this.#nodes[1 - this.#active]];
    if (!from || !to) return;
    to.kernel.flows.clear(); // nothing came by there for long
    this.#traffic(200);
    this.#drainAlike(from, to);
    // A look each second, and a message.
    this.world.runUntil(this.world.now + 3 * SECOND);
    this.#traffic(100);
    const here = [...from.kernel.flows.values()].filter((f) => !f.foreign);
    const open = this.options.linked ? here : here.filter((f) => from.kernel.byRing(f.service, f.client) === f.server);
    const held = new Map([...from.kernel.services].map(([key, s]) => [key, JSON.stringify(s)]));
    const cut = this.#wire.random.chance(0.5);
    if (cut) {
      this.world.note(from.host.name, 'power lost');
      from.powerOff((a) => a.startsWith('10.0.0.') && !this.#virtual().includes(a));
      this.#forget(from);
    }
    this.#moveAddresses(1 - this.#active);
    for (const f of open) {
      if (held.get(f.service) !== JSON.stringify(to.kernel.services.get(f.service))) continue;
      const server = to.kernel.packet(f.service, f.client);
      if (server !== f.server)
        throw new Broken(
          'connections survive a change of director',
          `${f.service}: client ${f.client} went from ${f.server} to ${server}`,
        );
    }
    if (cut) this.#boot(from);
    this.#endDrains();
    this.world.runUntil(this.world.now + SECOND);
    this.#settle();
  }
  /** One server of each service is drained on both directors, as operators of a pair do. */
  #drainAlike(...nodes: readonly Node[]): void {
    for (const [v] of this.#present(nodes[0] as Node)) {
      const server = v.realServers[this.#wire.random.between(0, v.realServers.length - 1)];
      if (!server) continue;
      const [key, name] = [serviceKey(v), serverKey(v, server)];
      this.world.note('world', `${key} ${name} is drained on both`);
      for (const n of nodes)
        if (n.director?.drain(key, name, { force: true }).ok) n.drained.set(`${key} ${name}`, { until: undefined });
    }
  }

  // ------------------------------------------------------------------------------------------ promises

  #present(n: Node): [VirtualServer, ServiceOptions][] {
    return n.config.virtualServers.flatMap((v) => {
      const number = this.#services.findIndex((_, i) => serviceKey(v) === `tcp ${virtualAddress(i)}:80`);
      const o = this.#services[number];
      return o ? [[v, o] as [VirtualServer, ServiceOptions]] : [];
    });
  }
  #suspended(n: Node, v: VirtualServer): boolean {
    return v.haSuspend && v.service.by === 'address' && !n.host.holds(v.service.address);
  }
  #check(): void {
    const { now } = this.world;
    for (const [i, n] of this.#nodes.entries()) {
      if (!n.director) continue;
      const news = this.#looked[i] !== n.kernel.version;
      this.#looked[i] = n.kernel.version;
      if (!news && !this.#farm.sick) continue;
      for (const [v, o] of this.#present(n)) {
        if (news) this.#promises.check(n, v, o, now, false);
        if (this.#farm.sick && !n.kernel.failing.has(serviceKey(v))) this.#checkDeaths(n, v, o);
      }
    }
  }
  /** From a server's death to its last packet: its checks' time, and 50 ms. */
  #checkDeaths(n: Node, v: VirtualServer, o: ServiceOptions): void {
    if (this.#suspended(n, v) || o.extra === 'floor') return;
    const plan = n.kernel.services.get(serviceKey(v));
    const running = (n.checkedSince.get(serviceKey(v)) ?? 0) + FIRST_CHECK + o.warmup;
    for (const s of v.realServers) {
      const { health, since } = this.#farm.at(s.address);
      const weight = plan?.servers.find((x) => x.address === s.address)?.weight ?? 0;
      if (health === 'good' || weight === 0) continue;
      const allowed = o.interval + (o.retry + 1) * o.timeout + o.retry * o.retryDelay + GRACE;
      const late = this.world.now - Math.max(since, running) - allowed;
      if (late > 0)
        throw new Broken(
          'a dead server is out within its checks and 50 ms',
          `${n.host.name}: ${s.address} is ${late} us late`,
        );
    }
  }
  #onCut(n: Node, service: string, server: string): void {
    const v = n.config.virtualServers.find((x) => serviceKey(x) === service);
    const seen = v && seenServers(n, v, this.world.now).find((s) => s.key === server);
    if (seen?.drained && !seen.unsure && !seen.down && n.alive)
      throw new Broken('connections of a drained server are never cut', `${n.host.name} ${service}: ${server}`);
  }
}

export function runLb(seed: number, options?: LbOptions): Outcome {
  const w = new LbWorld(seed, options);
  return outcomeOf(seed, describeOptions(w.options), w.world, () => w.run());
}
