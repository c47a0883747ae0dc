/** The sockets of a simulated kernel: what arrives waits in them until the process can read it. */
import { familyOf, type IpAddress, isMulticast, type Microseconds, ok, text } from '../base/index.ts';
import type {
  Datagram,
  FrameSocket,
  HostError,
  IpSocket,
  Link,
  LinkAddress,
  RawSocketOptions,
  Sockets,
} from '../host/index.ts';
import { decodeIpv6, ETHERTYPE } from '../wire/index.ts';
import type { Carried, Port, Segment } from './segment.ts';

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
export type SimInterface = { link: Link; readonly segment: Segment; readonly port: Port };

/** What they know of their host. */
export type SocketsOf = {
  readonly now: () => Microseconds;
  /** Its process reads. */
  readonly running: () => boolean;
  readonly interfaces: readonly SimInterface[];
  readonly interface: (ifindex: number) => SimInterface | undefined;
  readonly addresses: () => readonly LinkAddress[];
  readonly holds: (address: string) => boolean;
  readonly delivered: (bytes: Uint8Array, ifindex: number) => void;
};

export class SocketTable {
  readonly #of: SocketsOf;
  #sockets: KernelSocket[] = [];
  #frames: KernelFrames[] = [];

  constructor(of: SocketsOf) {
    this.#of = of;
  }
  /** The process is gone. */
  clear(): void {
    this.#sockets = [];
    this.#frames = [];
  }
  arrive(ifindex: number, c: Carried): void {
    if (c.kind === 'frame') {
      const type = ((c.bytes[12] as number) << 8) | (c.bytes[13] as number);
      if (type === ETHERTYPE.ipv6) this.#arrive6(ifindex, c.bytes);
      for (const f of this.#frames)
        if (f.ifindex === ifindex && f.etherType === type && f.receive) {
          f.queue.push(c.bytes);
          if (this.#of.running()) this.#flushFrames(f);
        }
      return;
    }
    const forMe = isMulticast(c.destination as IpAddress) || this.#of.holds(c.destination);
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
        at: this.#of.now(),
      });
      this.#of.delivered(c.payload, ifindex);
      if (this.#of.running()) this.#flush(s);
    }
  }
  /** An IPv6 packet that came as a frame: an announcement. */
  #arrive6(ifindex: number, frame: Uint8Array): void {
    const ip = decodeIpv6(frame.subarray(14));
    if (!ip.ok) return;
    for (const s of this.#sockets) {
      if (s.o.family !== 6 || s.o.protocol !== ip.value.protocol || s.o.ifindex !== ifindex) continue;
      const { source, destination, hopLimit: ttl, payload: bytes } = ip.value;
      const at = this.#of.now();
      s.queue.push({ bytes, header: undefined, source, destination, sourcePort: undefined, ttl, ifindex, at });
      if (this.#of.running()) this.#flush(s);
    }
  }
  deliverAll(): void {
    for (const s of [...this.#sockets]) this.#flush(s);
    for (const f of [...this.#frames]) this.#flushFrames(f);
  }
  #flush(s: KernelSocket): void {
    while (s.open && s.queue.length > 0) s.receive(s.queue.shift() as Datagram);
  }
  #flushFrames(f: KernelFrames): void {
    while (f.receive && f.queue.length > 0) f.receive(f.queue.shift() as Uint8Array, this.#of.now());
  }

  /** As a process that lives sees them. */
  ports(life: { readonly alive: boolean }): Sockets {
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
            const from = o.ifindex === undefined ? this.#of.interfaces[0] : this.#of.interface(o.ifindex);
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
        const i = this.#of.interface(ifindex);
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
  #packet(o: RawSocketOptions, from: SimInterface, bytes: Uint8Array, to: IpAddress): Carried {
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
      this.#of.addresses().find((a) => a.ifindex === from.link.ifindex && familyOf(a.prefix.address) === o.family)
        ?.prefix.address ??
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
