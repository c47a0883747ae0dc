/**
 * A host of the simulated world: a kernel with links, addresses and sockets, and one process on it. The process sees
 * the same ports as in production. It can be stopped, killed and started; the kernel can be frozen and lose its power.
 */
import { familyOf, type IpAddress, isMulticast, type Microseconds, ms, ok, text } from '../base/index.ts';
import type {
  Clock,
  Datagram,
  Entropy,
  FrameSocket,
  HostError,
  IpSocket,
  Link,
  LinkAddress,
  Log,
  NetChange,
  NetCommand,
  Network,
  Processes,
  RawSocketOptions,
  Sockets,
  Sysctl,
} from '../host/index.ts';
import { decodeIpv6, ETHERTYPE } from '../wire/index.ts';
import { RoutingTables } from './routing.ts';
import type { Carried, Port, Segment } from './segment.ts';
import type { World } from './world.ts';

type KernelSocket = {
  readonly o: RawSocketOptions;
  readonly queue: Datagram[];
  receive: (d: Datagram) => void;
  open: boolean;
};
type KernelFrames = {
  readonly ifindex: number;
  readonly etherType: number;
  receive: ((frame: Uint8Array, at: Microseconds) => void) | undefined;
  readonly queue: Uint8Array[];
};
type Interface = { link: Link; readonly segment: Segment; readonly port: Port };
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
  readonly #interfaces: Interface[] = [];
  readonly #addresses = new Map<string, Kept>();
  /** Its routes and rules. */
  readonly routing = new RoutingTables((c) => this.#tell(c));
  #sockets: KernelSocket[] = [];
  #frames: KernelFrames[] = [];
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
      arrive: (c) => this.#arrive(ifindex, c),
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
    this.#sockets = [];
    this.#frames = [];
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

  #interface(ifindex: number): Interface | undefined {
    return this.#interfaces[ifindex - 2];
  }

  #arrive(ifindex: number, c: Carried): void {
    if (c.kind === 'frame') {
      const type = ((c.bytes[12] as number) << 8) | (c.bytes[13] as number);
      if (type === ETHERTYPE.ipv6) this.#arrive6(ifindex, c.bytes);
      for (const f of this.#frames)
        if (f.ifindex === ifindex && f.etherType === type && f.receive) {
          f.queue.push(c.bytes);
          if (this.running) this.#flushFrames(f);
        }
      return;
    }
    const forMe = isMulticast(c.destination as IpAddress) || this.#hasAddress(c.destination);
    if (!forMe) return;
    for (const s of this.#sockets) {
      if (s.o.protocol !== c.protocol || s.o.family !== c.family) continue;
      if (s.o.ifindex !== undefined && s.o.ifindex !== ifindex) continue;
      if (isMulticast(c.destination as IpAddress) && !s.o.groups.includes(c.destination as IpAddress)) continue;
      s.queue.push({
        bytes: c.payload,
        header: c.header,
        source: c.source as IpAddress,
        destination: c.destination as IpAddress,
        sourcePort: undefined,
        ttl: c.ttl,
        ifindex,
        at: this.#world.now,
      });
      this.delivered(c.payload, ifindex);
      if (this.running) this.#flush(s);
    }
  }
  /** An IPv6 packet that came as a frame: an announcement. */
  #arrive6(ifindex: number, frame: Uint8Array): void {
    const ip = decodeIpv6(frame.subarray(14));
    if (!ip.ok) return;
    for (const s of this.#sockets) {
      if (s.o.family !== 6 || s.o.protocol !== ip.value.protocol || s.o.ifindex !== ifindex) continue;
      const { source, destination, hopLimit: ttl, payload: bytes } = ip.value;
      const at = this.#world.now;
      s.queue.push({ bytes, header: undefined, source, destination, sourcePort: undefined, ttl, ifindex, at });
      if (this.running) this.#flush(s);
    }
  }
  #hasAddress(address: string): boolean {
    return this.holds(address);
  }
  #flush(s: KernelSocket): void {
    while (s.open && s.queue.length > 0) s.receive(s.queue.shift() as Datagram);
  }
  #flushFrames(f: KernelFrames): void {
    while (f.receive && f.queue.length > 0) f.receive(f.queue.shift() as Uint8Array, this.#world.now);
  }
  #deliverAll(): void {
    for (const s of [...this.#sockets]) this.#flush(s);
    for (const f of [...this.#frames]) this.#flushFrames(f);
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
      sockets: this.#openSockets(life),
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

  #openSockets(life: Life): Sockets {
    const refused = (doing: string): { ok: false; error: HostError } => ({
      ok: false,
      error: { code: 'ENODEV', doing: text(doing, doing) },
    });
    return {
      raw: (o, receive) => {
        const socket: KernelSocket = { o, queue: [], receive, open: true };
        this.#sockets.push(socket);
        const handle: IpSocket = {
          localPort: 0,
          drain: () => this.#flush(socket),
          close: () => {
            socket.open = false;
            this.#sockets = this.#sockets.filter((s) => s !== socket);
          },
          send: (bytes, to) => {
            const from = o.ifindex === undefined ? this.#interfaces[0] : this.#interface(o.ifindex);
            if (!life.alive || !from) return refused('send');
            if (!from.link.up) return { ok: false, error: { code: 'ENETDOWN', doing: text('send', '发送') } };
            from.segment.send(from.port, this.#packet(o, from, bytes, to.address));
            return ok(undefined);
          },
        };
        return ok(handle);
      },
      udp: () => refused('UDP'),
      frames: ({ ifindex, etherType }, receive) => {
        const i = this.#interface(ifindex);
        if (!i) return refused('frames');
        const frames: KernelFrames = { ifindex, etherType, receive, queue: [] };
        this.#frames.push(frames);
        const handle: FrameSocket = {
          send: (bytes) => {
            if (life.alive) i.segment.send(i.port, { kind: 'frame', bytes: bytes.slice() });
            return ok(undefined);
          },
          close: () => {
            frames.receive = undefined;
            this.#frames = this.#frames.filter((f) => f !== frames);
          },
        };
        return ok(handle);
      },
    };
  }
  #packet(o: RawSocketOptions, from: Interface, bytes: Uint8Array, to: IpAddress): Carried {
    const copy = bytes.slice();
    if (o.ownHeader) {
      const header = copy.subarray(0, 20);
      return {
        kind: 'ip',
        family: 4,
        protocol: header[9] as number,
        source: header.subarray(12, 16).join('.'),
        destination: header.subarray(16, 20).join('.'),
        ttl: header[8] as number,
        header,
        payload: copy.subarray(20),
      };
    }
    const source =
      o.source ??
      [...this.#addresses.values()].find(
        (k) => k.address.ifindex === from.link.ifindex && familyOf(k.address.prefix.address) === o.family,
      )?.address.prefix.address ??
      '';
    return {
      kind: 'ip',
      family: o.family,
      protocol: o.protocol,
      source,
      destination: to,
      ttl: o.ttl ?? 255,
      header: undefined,
      payload: copy,
    };
  }
}
