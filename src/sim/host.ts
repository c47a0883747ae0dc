/**
 * A host of the simulated world: a kernel with links, addresses and sockets, and one process on it. The process sees
 * the same ports as in production. It can be stopped, killed and started; the kernel can be frozen and lose its power.
 */
import { ms, ok, text } from '../base/index.ts';
import type {
  Clock,
  Entropy,
  HostError,
  Link,
  LinkAddress,
  Log,
  NetChange,
  NetCommand,
  Network,
  Processes,
  Sockets,
  Sysctl,
} from '../host/index.ts';
import { RoutingTables } from './routing.ts';
import type { Port, Segment } from './segment.ts';
import { type SimInterface, SocketTable } from './sockets.ts';
import type { World } from './world.ts';

type Kept = { readonly address: LinkAddress; cancel: (() => void) | undefined };

/** Of one process: what it opened and planned dies with it. */
type Life = { readonly id: number; readonly late: (() => void)[]; alive: boolean };

/** Between a change of the kernel's tables and its notification. */
const NOTIFICATION_DELAY = 20;
const SECOND = 1_000_000;

export type SimPorts = {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  readonly sockets: Sockets;
  readonly network: Network;
  readonly sysctl: Sysctl;
  readonly processes: Processes;
};

export class SimHost {
  readonly name: string;
  readonly #world: World;
  readonly #interfaces: SimInterface[] = [];
  readonly #addresses = new Map<string, Kept>();
  /** Its routes and rules. */
  readonly routing = new RoutingTables((c) => this.#tell(c));
  readonly #sockets: SocketTable;
  #watchers: ((c: NetChange) => void)[] = [];
  #changes: NetChange[] = [];
  #life: Life | undefined;
  #lives = 0;
  /** The process is stopped; the kernel goes on. */
  #stopped = false;
  /** The whole machine stands still, network included. */
  #frozen = false;
  /** Timers of the process are this late at most, as on a loaded machine. */
  jitter = 0;
  /** Told of every change of addresses. */
  changed: () => void = () => {};
  /** Told of every datagram that a socket of the living process got, when the kernel got it. */
  delivered: (bytes: Uint8Array, ifindex: number) => void = () => {};

  constructor(name: string, world: World) {
    this.#world = world;
    this.name = name;
    this.#sockets = new SocketTable({
      now: () => world.now,
      running: () => this.running,
      interfaces: this.#interfaces,
      interface: (ifindex) => this.#interface(ifindex),
      addresses: () => [...this.#addresses.values()].map((k) => k.address),
      holds: (address) => this.holds(address),
      delivered: (bytes, ifindex) => this.delivered(bytes, ifindex),
    });
  }

  connect(
    name: string,
    segment: Segment,
    mac: string,
    address: LinkAddress['prefix'],
    also: readonly LinkAddress['prefix'][] = [],
  ): void {
    const ifindex = this.#interfaces.length + 2;
    const link: Link = {
      ifindex,
      name,
      mac,
      mtu: 1500,
      up: true,
      adminUp: true,
      loopback: false,
      pointToPoint: false,
      multicast: true,
      hardware: 1,
      kind: '',
      lower: 0,
      master: 0,
    };
    const port: Port = {
      name: this.name,
      carrier: () => this.#interface(ifindex)?.link.up === true && !this.#frozen,
      arrive: (c) => this.#sockets.arrive(ifindex, c),
    };
    this.#interfaces.push({ link, segment, port });
    segment.attach(port);
    for (const prefix of [address, ...also])
      this.#addresses.set(`${ifindex} ${prefix.address}`, {
        address: { ifindex, prefix, scope: 'global' },
        cancel: undefined,
      });
  }

  // ------------------------------------------------------------------------------------------ what happens to it

  get running(): boolean {
    return this.#life !== undefined && !this.#stopped && !this.#frozen;
  }
  get alive(): boolean {
    return this.#life !== undefined;
  }
  get frozen(): boolean {
    return this.#frozen;
  }
  get stopped(): boolean {
    return this.#stopped;
  }
  mac(ifindex: number): string {
    return this.#interface(ifindex)?.link.mac ?? '';
  }
  holds(address: string): boolean {
    for (const k of this.#addresses.values()) if (k.address.prefix.address === address) return true;
    return false;
  }

  /** A new process; `main` is its program and gets its ports. */
  boot(main: (ports: SimPorts) => void): void {
    if (this.#life) throw new Error('bug: a second process on a simulated host');
    const life: Life = { id: ++this.#lives, late: [], alive: true };
    this.#life = life;
    main(this.#ports(life));
  }
  /** SIGKILL: what is in the kernel stays there. */
  kill(): void {
    if (!this.#life) return;
    this.#life.alive = false;
    this.#life = undefined;
    this.#stopped = false;
    this.#sockets.clear();
    this.#watchers = [];
    this.#changes = [];
  }
  /** The power goes: so do addresses, routes and rules. */
  powerOff(own: (a: string) => boolean): void {
    this.kill();
    this.#frozen = false;
    this.routing.clear();
    for (const [key, k] of this.#addresses)
      if (!own(k.address.prefix.address)) {
        k.cancel?.();
        this.#addresses.delete(key);
      }
    this.changed();
  }
  /** SIGSTOP. */
  stop(): void {
    if (this.#life) this.#stopped = true;
  }
  freeze(): void {
    this.#frozen = true;
    this.changed();
  }
  /** SIGCONT, or the machine moves again: due timers run first, then what is in the sockets, as in libuv. */
  resume(): void {
    if (this.#frozen) {
      this.#frozen = false;
      for (const [key, k] of [...this.#addresses])
        if (k.cancel === undefined && k.address.validSeconds !== undefined) this.#expire(key);
    }
    this.#stopped = false;
    this.changed();
    const life = this.#life;
    if (!life) return;
    for (const run of life.late.splice(0)) if (life.alive) run();
    if (life.alive) this.#deliverAll();
  }
  setCarrier(name: string, up: boolean): void {
    const i = this.#interfaces.find((x) => x.link.name === name);
    if (!i || i.link.up === up) return;
    i.link = { ...i.link, up };
    this.#tell({ kind: 'link', link: i.link });
  }
  /** Somebody at the keyboard. */
  removeAddress(address: string): void {
    for (const [key, k] of [...this.#addresses]) if (k.address.prefix.address === address) this.#drop(key);
  }

  // ------------------------------------------------------------------------------------------ kernel

  #interface(ifindex: number): SimInterface | undefined {
    return this.#interfaces[ifindex - 2];
  }

  #deliverAll(): void {
    this.#sockets.deliverAll();
    this.#deliverChanges();
  }

  #tell(c: NetChange): void {
    if (!this.#life) return;
    this.#changes.push(c);
    const life = this.#life;
    this.#world.at(this.#world.now + NOTIFICATION_DELAY, () => {
      if (life.alive && this.running) this.#deliverChanges();
    });
  }
  #deliverChanges(): void {
    while (this.#changes.length > 0) {
      const c = this.#changes.shift() as NetChange;
      for (const w of [...this.#watchers]) w(c);
    }
  }

  #put(a: LinkAddress): void {
    const key = `${a.ifindex} ${a.prefix.address}`;
    const before = this.#addresses.get(key);
    before?.cancel?.();
    const kept: Kept = { address: a, cancel: undefined };
    if (a.validSeconds !== undefined)
      kept.cancel = this.#world.at(this.#world.now + a.validSeconds * SECOND, () => {
        kept.cancel = undefined;
        if (!this.#frozen) this.#expire(key);
      });
    this.#addresses.set(key, kept);
    if (!before) this.changed();
    this.#tell({ kind: 'address', address: a });
  }
  #expire(key: string): void {
    this.#world.note(this.name, `kernel: the lifetime of ${key} ended`);
    this.#drop(key);
  }
  #drop(key: string, own = false): void {
    const kept = this.#addresses.get(key);
    if (!kept) return;
    kept.cancel?.();
    this.#addresses.delete(key);
    this.changed();
    this.#tell({ kind: 'address-gone', address: kept.address, ...(own && { own }) });
  }

  // ------------------------------------------------------------------------------------------ ports

  #ports(life: Life): SimPorts {
    const world = this.#world;
    const clock: Clock = {
      now: () => world.now,
      wall: () => ms(1_700_000_000_000 + world.now / 1000),
      at: (due, run) => {
        let wanted = true;
        const late = this.jitter > 0 ? world.random.between(0, this.jitter) : 0;
        const cancel = world.at(due + late, () => {
          if (!wanted || !life.alive) return;
          if (this.running) run();
          else life.late.push(() => wanted && run());
        });
        return () => {
          wanted = false;
          cancel();
        };
      },
    };
    return {
      clock,
      entropy: { u32: () => world.random.u32() },
      log: { write: (e) => world.note(this.name, `${e.code}: ${e.text.en}`) },
      sysctl: { get: () => undefined, set: () => ok(undefined) },
      // No world has programs to run yet.
      processes: { run: () => ({ pid: undefined, signal: () => {} }), list: () => [], watch: () => ok(() => {}) },
      network: this.#network(life),
      sockets: this.#sockets.ports(life),
    };
  }

  #network(life: Life): Network {
    const refuse = (code: string): { ok: false; error: HostError } => ({
      ok: false,
      error: { code, doing: text('change the network', '修改网络') },
    });
    return {
      links: () => this.#interfaces.map((i) => i.link),
      linkByName: (name) => this.#interfaces.find((i) => i.link.name === name)?.link,
      linkByIndex: (ifindex) => this.#interface(ifindex)?.link,
      addresses: () => [...this.#addresses.values()].map((k) => k.address),
      routes: (o) => ok(this.routing.find(o)),
      rules: (family) => ok(this.routing.rules.filter((r) => r.family === family)),
      neighbours: () => ok([]),
      apply: (commands: readonly NetCommand[]) =>
        commands.map((c) => {
          if (!life.alive) return refuse('EBADF');
          if (c.do === 'address-replace') this.#put(c.address);
          else if (c.do === 'address-remove') this.#drop(`${c.address.ifindex} ${c.address.prefix.address}`, true);
          else this.routing.apply(c);
          return ok(undefined);
        }),
      watch: (changed) => {
        this.#watchers.push(changed);
        return () => {
          this.#watchers = this.#watchers.filter((w) => w !== changed);
        };
      },
      drain: () => this.#deliverChanges(),
    };
  }
}
