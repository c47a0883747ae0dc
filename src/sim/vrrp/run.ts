/**
 * One world of virtual routers: times of trouble, then a healed network in which things must settle. The real driver
 * and machine run on simulated hosts; after every event the promises are checked.
 */
import { type IpAddress, us } from '../../base/index.ts';
import { leaseSeconds, masterDownTime, skewTime, Vrrp } from '../../vrrp/index.ts';
import { gratuitousArp, type MacAddress, unsolicitedAdvertisement } from '../../wire/index.ts';
import { SimHost, type SimPorts } from '../host.ts';
import { Broken, type Outcome, outcomeOf } from '../outcome.ts';
import { type Port, Segment } from '../segment.ts';
import { World } from '../world.ts';
import { Client } from './client.ts';
import {
  configFor,
  describeOptions,
  drawOptions,
  hostAddress,
  instanceName,
  type VrrpOptions,
  virtualAddress,
} from './options.ts';

type Node = {
  readonly host: SimHost;
  readonly index: number;
  vrrp: Vrrp | undefined;
  /** By VRID: when the kernel last got an advert of a living master, and how long this host has slept since. */
  readonly lastDelivered: number[];
  readonly asleepSince: number[];
  sleepFrom: number | undefined;
  killedAt: number | undefined;
};

/** Half an interval of lateness is not made good by the driver. */
const SLACK = 1000;

class VrrpWorld {
  readonly world: World;
  readonly options: VrrpOptions;
  readonly #segments: Segment[] = [];
  readonly #nodes: Node[] = [];
  readonly #client = new Client();
  readonly #strangerPort: Port = { name: 'stranger', carrier: () => true, arrive: () => {} };
  /** Since when two hosts have held an address while nothing was wrong. */
  readonly #doubleSince: (number | undefined)[] = [];
  #dirty = false;
  #calmFrom: number | undefined;

  constructor(seed: number, options?: VrrpOptions) {
    this.world = new World(seed);
    this.options = options ?? drawOptions(this.world.random);
    const o = this.options;
    for (let l = 0; l < o.links; l++) {
      const segment = new Segment(`net${l}`, this.world);
      segment.mostDelay = o.mostDelay;
      this.#segments.push(segment);
    }
    (this.#segments[0] as Segment).attach(this.#client);
    o.hosts.forEach((_, index) => {
      const host = new SimHost(`host${index + 1}`, this.world);
      host.jitter = o.jitter;
      for (let l = 0; l < o.links; l++)
        host.connect(`eth${l}`, this.#segments[l] as Segment, `02:00:00:00:0${l}:0${index + 1}`, {
          address: hostAddress(o, l, index),
          length: o.family === 4 ? 24 : 64,
        });
      const node: Node = {
        host,
        index,
        vrrp: undefined,
        lastDelivered: [],
        asleepSince: [],
        sleepFrom: undefined,
        killedAt: undefined,
      };
      host.changed = () => {
        this.#dirty = true;
      };
      host.delivered = (bytes) => this.#heard(node, bytes);
      this.#nodes.push(node);
    });
    this.world.afterEvent = () => this.#check();
  }

  /** The whole life of a world. Throws `Broken`. */
  run(): void {
    for (const n of this.#nodes) this.#boot(n);
    this.world.runUntil(this.world.now + this.#settleTime());
    this.#expectSettled('after the start');
    for (let round = 0; round < this.options.rounds; round++) {
      this.#trouble();
      this.#heal();
    }
    for (const n of this.#nodes) n.vrrp?.stop();
    this.#dirty = true;
    this.world.runUntil(this.world.now + 1000);
    for (const n of this.#nodes)
      if (this.#heldBy(n).length > 0)
        throw new Broken('stopped hosts hold nothing', `${n.host.name} still holds ${this.#heldBy(n).join(' ')}`);
  }

  // ------------------------------------------------------------------------------------------ times

  #addresses(): string[] {
    return Array.from({ length: this.options.routers }, (_, r) => virtualAddress(this.options.family, r));
  }
  #heldBy(n: Node): string[] {
    return this.#addresses().filter((a) => n.host.holds(a));
  }
  #downTime(priority: number): number {
    return masterDownTime(this.options.version, priority, this.options.interval, 3);
  }
  /** The slowest router takes over, a better one preempts it after its delay. */
  #settleTime(): number {
    const lowest = Math.min(...this.options.hosts.map((h) => h.priority));
    return 2 * this.#downTime(lowest) + this.options.preemptDelay + 3 * this.options.interval + 4 * this.#slop();
  }
  #slop(): number {
    return this.options.mostDelay + this.options.jitter + SLACK;
  }

  // ------------------------------------------------------------------------------------------ what happens

  #boot(n: Node): void {
    const config = configFor(this.options, n.index);
    n.killedAt = undefined;
    n.lastDelivered.length = 0;
    n.asleepSince.length = 0;
    n.host.boot((ports: SimPorts) => {
      const vrrp = new Vrrp(config, ports, {
        leaseAddresses: true,
        adopt: new Set(),
        uptime: us(1_000_000_000),
        notify: (x) => {
          this.#dirty = true;
          if (x.of === 'INSTANCE' && x.word === 'MASTER') this.#tookOver(n, x.name, x.because?.why ?? '');
        },
        willChanged: () => {},
      });
      n.vrrp = vrrp;
      vrrp.start();
    });
    this.world.note(n.host.name, 'process started');
  }
  #kill(n: Node): void {
    if (!n.host.alive) return;
    this.world.note(n.host.name, 'process killed');
    n.host.kill();
    n.vrrp = undefined;
    n.killedAt = this.world.now;
    this.#woke(n);
  }

  #trouble(): void {
    const { random: r } = this.world;
    const o = this.options;
    this.#calmFrom = undefined;
    this.world.note('world', 'trouble begins');
    for (const s of this.#segments) {
      s.loss = o.loss;
      s.duplicates = o.duplicates;
    }
    const until = this.world.now + r.between(5, 25) * o.interval;
    while (this.world.now < until) {
      this.#mishap(this.#nodes[r.between(0, this.#nodes.length - 1)] as Node);
      this.world.runUntil(this.world.now + Math.floor(r.unit() * 5 * o.interval));
    }
  }
  #mishap(n: Node): void {
    const { random: r } = this.world;
    const { host } = n;
    const others = this.#nodes.filter((x) => x !== n);
    const segment = r.pick(this.#segments);
    switch (r.between(0, 10)) {
      case 0: {
        const other = r.pick(others).host.name;
        this.world.note('world', `${segment.name}: ${host.name} no longer reaches ${other}`);
        segment.cut(host.name, other);
        return;
      }
      case 1:
      case 2: {
        const everywhere = r.chance(0.6);
        const withClient = r.chance(0.5);
        for (const s of everywhere ? this.#segments : [segment]) {
          this.world.note('world', `${s.name}: ${host.name} is cut off${withClient ? ' with the client' : ''}`);
          for (const other of others)
            for (const [a, b] of [
              [host.name, other.host.name],
              [other.host.name, host.name],
            ] as const)
              s.cut(a, b);
          for (const alone of withClient ? others.map((x) => x.host.name) : [host.name])
            s.cut(alone, this.#client.name);
        }
        return;
      }
      case 3:
        if (!host.running) return;
        this.world.note(host.name, 'process stopped');
        this.#sleep(n);
        host.stop();
        return;
      case 4:
        if (!host.running) return;
        this.world.note(host.name, 'machine frozen');
        this.#sleep(n);
        host.freeze();
        return;
      case 5:
        if (host.running) return;
        this.#resume(n);
        return;
      case 6:
        this.#kill(n);
        return;
      case 7:
        this.world.note(host.name, 'power lost');
        host.powerOff((a) => !this.#addresses().includes(a));
        n.vrrp = undefined;
        n.killedAt = undefined;
        this.#woke(n);
        return;
      case 8:
        if (!host.alive && !host.frozen) this.#boot(n);
        return;
      case 9: {
        const up = r.chance(0.5);
        this.world.note(host.name, `eth0 ${up ? 'up' : 'down'}`);
        host.setCarrier('eth0', up);
        return;
      }
      default: {
        const address = r.pick(this.#addresses());
        if (!host.holds(address)) return;
        this.world.note(host.name, `somebody removes ${address}`);
        host.removeAddress(address);
      }
    }
  }
  #resume(n: Node): void {
    this.world.note(n.host.name, 'goes on');
    this.#woke(n);
    n.host.resume();
  }

  #heal(): void {
    for (const s of this.#segments) s.heal();
    for (const n of this.#nodes) {
      n.host.setCarrier('eth0', true);
      if (n.host.frozen || n.host.stopped) this.#resume(n);
      if (!n.host.alive) this.#boot(n);
    }
    this.world.note('world', 'healed');
    const rivals = this.#addresses().map((_, r) => this.#masters(r).length > 1);
    this.#calmFrom = this.world.now;
    this.#doubleSince.length = 0;
    this.#dirty = true;
    // An interval for the winner's advert; by then its clients must have been told as well.
    this.world.runUntil(this.world.now + this.options.interval + 6 * this.#slop());
    rivals.forEach((wereTwo, r) => {
      if (wereTwo) this.#expectClient(r, 'one interval after two masters met');
    });
    this.world.runUntil(this.world.now + this.#settleTime());
    this.#expectSettled('after the network healed');
    this.#stranger();
    this.#handOver();
  }
  /** Somebody announces an address that is not his: the master must have the last word. */
  #stranger(): void {
    const { family } = this.options;
    const mac = '02:00:00:00:00:99' as MacAddress;
    this.world.note('stranger', 'announces all virtual addresses as its own');
    for (const address of this.#addresses()) {
      const ip = address as IpAddress;
      const bytes = family === 4 ? gratuitousArp(mac, ip) : unsolicitedAdvertisement(mac, ip, false);
      (this.#segments[0] as Segment).send(this.#strangerPort, { kind: 'frame', bytes });
    }
    this.world.runUntil(this.world.now + this.options.interval / 4 + 4 * this.#slop());
    this.#addresses().forEach((_, r) => {
      this.#expectClient(r, 'after a stranger announced it');
    });
  }
  /** The master is stopped in order: the best of the others follows after its skew, and is announced. */
  #handOver(): void {
    const { version, interval } = this.options;
    const master = this.#masters(0)[0] as Node;
    const others = this.#nodes.filter((n) => n !== master);
    const best = Math.max(...others.map((n) => this.options.hosts[n.index]?.priority ?? 0));
    this.world.note(master.host.name, 'is stopped in order');
    this.#calmFrom = undefined;
    master.vrrp?.stop();
    master.host.kill();
    master.vrrp = undefined;
    this.world.runUntil(this.world.now + skewTime(version, best, interval) + 4 * this.#slop());
    const holdersOf = (address: string): Node[] => others.filter((n) => n.host.holds(address));
    for (const address of this.#addresses())
      if (holdersOf(address).length === 0)
        throw new Broken('a resigned master is followed after the skew', `nobody holds ${address}`);
    // Of two with the same priority one gives way again, and the other has the last word.
    this.world.runUntil(this.world.now + interval / 4 + 2 * this.#slop());
    for (const address of this.#addresses()) {
      const believed = this.#client.believes(address);
      if (!holdersOf(address).some((n) => n.host.mac(2) === believed))
        throw new Broken('clients follow every takeover', `the client sends packets for ${address} to ${believed}`);
    }
    this.#boot(master);
    this.world.runUntil(this.world.now + this.#settleTime());
    this.#expectSettled('after a hand-over');
  }

  // ------------------------------------------------------------------------------------------ promises

  #masters(router: number): Node[] {
    const name = instanceName(router);
    return this.#nodes.filter(
      (n) => n.host.running && n.vrrp?.status().instances.find((i) => i.name === name)?.state === 'MASTER',
    );
  }

  #check(): void {
    if (!this.#dirty) return;
    this.#dirty = false;
    for (const n of this.#nodes) this.#checkHost(n);
    for (const [r, address] of this.#addresses().entries()) this.#checkHolders(address, r);
  }
  #checkHost(n: Node): void {
    if (!n.host.running || !n.vrrp) return;
    const { instances, groups } = n.vrrp.status();
    instances.forEach((i, r) => {
      const address = virtualAddress(this.options.family, r);
      if (i.state !== 'MASTER' && n.host.holds(address))
        throw new Broken(
          'no address on a host that is not master',
          `${n.host.name} is ${i.state} and holds ${address}`,
        );
    });
    if (groups.length > 0) {
      const masters = instances.filter((i) => i.state === 'MASTER').length;
      if (masters !== 0 && masters !== instances.length)
        throw new Broken(
          'a sync group is not torn apart',
          `${n.host.name} is master of ${masters} of ${instances.length}`,
        );
    }
  }
  #checkHolders(address: string, r: number): void {
    const holders = this.#nodes.filter((n) => !n.host.frozen && n.host.holds(address));
    for (const n of holders) {
      if (n.host.alive || n.killedAt === undefined) continue;
      const lease = leaseSeconds(this.#instance()) * 1_000_000 + SLACK;
      if (this.world.now - n.killedAt > lease)
        throw new Broken('a dead process leaves no address', `${n.host.name} holds ${address} since it was killed`);
    }
    if (this.#calmFrom === undefined || holders.length < 2) {
      this.#doubleSince[r] = undefined;
      return;
    }
    if (this.#doubleSince[r] !== undefined) return;
    const since = this.world.now;
    this.#doubleSince[r] = since;
    // The winner's next advert ends it. Answers and the parting advert are quicker.
    this.world.at(since + this.options.interval + 2 * this.#slop(), () => {
      if (this.#doubleSince[r] === since && this.#calmFrom !== undefined)
        throw new Broken('two masters do not last', `${holders.map((h) => h.host.name).join(' and ')} hold ${address}`);
    });
  }
  #instance(): ReturnType<typeof configFor>['instances'][number] {
    return configFor(this.options, 0).instances[0] as ReturnType<typeof configFor>['instances'][number];
  }

  #expectSettled(when: string): void {
    for (const address of this.#addresses()) {
      const holders = this.#nodes.filter((n) => n.host.holds(address));
      if (holders.length !== 1)
        throw new Broken(
          'exactly one master once the network heals',
          `${when}: ${holders.length} hosts hold ${address}`,
        );
      const best = Math.max(...this.options.hosts.map((h) => h.priority));
      const holder = holders[0] as Node;
      if (this.options.hosts[0]?.preempt && (this.options.hosts[holder.index]?.priority ?? 0) < best)
        throw new Broken('the highest priority is master in the end', `${when}: ${holder.host.name} holds ${address}`);
    }
  }
  #expectClient(r: number, when: string): void {
    const address = virtualAddress(this.options.family, r);
    const masters = this.#masters(r);
    if (masters.length !== 1) return; // judged by the other promises
    const mac = (masters[0] as Node).host.mac(2);
    const believed = this.#client.believes(address);
    if (believed !== mac)
      throw new Broken('clients follow the winner', `${when} ${address} is on ${mac}, the client sends to ${believed}`);
  }

  #heard(n: Node, bytes: Uint8Array): void {
    const at = this.options.authentication === 'ah' ? 24 : 0;
    const vrid = bytes[at + 1] as number;
    n.lastDelivered[vrid - 51] = (bytes[at + 2] as number) === 0 ? Number.NEGATIVE_INFINITY : this.world.now;
    n.asleepSince[vrid - 51] = 0;
  }
  #sleep(n: Node): void {
    n.sleepFrom = this.world.now;
  }
  #woke(n: Node): void {
    if (n.sleepFrom === undefined) return;
    for (let r = 0; r < this.options.routers; r++) {
      const from = Math.max(n.sleepFrom, n.lastDelivered[r] ?? 0);
      n.asleepSince[r] = (n.asleepSince[r] ?? 0) + this.world.now - from;
    }
    n.sleepFrom = undefined;
  }
  /** The other masters must have been silent, as far as this host could hear, and while it was awake. */
  #tookOver(n: Node, name: string, why: string): void {
    if (why !== 'silence') return;
    const r = Number(name.slice(3)) - 1;
    const heard = n.lastDelivered[r];
    if (heard === undefined || heard === Number.NEGATIVE_INFINITY) return;
    const own = this.options.hosts[n.index]?.priority ?? 0;
    const needed = 3 * this.options.interval + skewTime(this.options.version, own, this.options.interval);
    const silent = this.world.now - heard;
    const awake = silent - (n.asleepSince[r] ?? 0);
    if (silent < needed - this.#slop())
      throw new Broken(
        'no takeover while the master is heard on any link',
        `${n.host.name} heard an advert ${silent} us ago`,
      );
    if (awake < needed - this.options.interval)
      throw new Broken(
        'own pauses are not silence of the peer',
        `${n.host.name} listened for ${awake} us of ${silent} us only`,
      );
  }
}

export function runVrrp(seed: number, options?: VrrpOptions): Outcome {
  const w = new VrrpWorld(seed, options);
  return outcomeOf(seed, describeOptions(w.options), w.world, () => w.run());
}
