/** Sends the probe's packets and collects what comes back. Decides nothing: see judge.ts. */
import {
  familyOf,
  hostLength,
  type IpAddress,
  type IpPrefix,
  ipBytes,
  ipFromBytes,
  type Microseconds,
  us,
} from '../../base/index.ts';
import type { Clock, Entropy, FrameSocket, Link, LinkAddress, Network, Sockets } from '../../host/index.ts';
import { ARP_HARDWARE, type MacAddress } from '../../wire/index.ts';
import { covers, isLinkLocal, wayTo } from '../reach.ts';
import {
  emptyDatagram,
  type Flow,
  ipFrame,
  neighbourRequest,
  readFrame,
  replyTo,
  resetPacket,
  type Seen,
  synPacket,
  tunnelled,
} from './packets.ts';
import type { Evidence, ProbeServer, ProbeTarget, Reply, ServerEvidence } from './types.ts';

export type ProbePorts = {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly network: Network;
  readonly sockets: Sockets;
};

/** Neighbours are asked twice, then SYNs are sent up to three times. */
const ARP_ROUND = us(150_000);
const SYN_ROUND = us(300_000);
const [ARP_ROUNDS, SYN_ROUNDS] = [2, 3];
const EVERY_FRAME = 0x0003;
const MAIN_TABLE = 254;
/** RFC 7600 and 6666: sources that belong to nobody, so that answers to them go by the default route. */
const NOBODY = { 4: '192.0.0.8' as IpAddress, 6: '100::8' as IpAddress } as const;
const PORT_UNREACHABLE = 3;
const FIRST_PORT = 40_000;
const PORTS = 20_000;
/** Addresses that are tried for one that nobody has. */
const CANDIDATES = 4;

type Pair = { readonly flow: Flow; reply: Reply };
type Work = {
  readonly server: ProbeServer;
  readonly link: Link | undefined;
  readonly source: IpAddress | undefined;
  /** Where packets for the virtual address come from: of its family, which in a tunnel may be another than the server's. */
  readonly inner: IpAddress | undefined;
  readonly nextHop: IpAddress;
  readonly gateway: IpAddress | undefined;
  readonly local: boolean;
  mac: MacAddress | undefined;
  announcesVip: boolean;
  direct: Pair | undefined;
  path: Pair | undefined;
  datagram: Pair | undefined;
  /** From an address that nobody has: the server must ask for it, and shows as whom it asks. */
  stranger: Flow | undefined;
};

/** Takes about 1.2 s. `done` is called once. Links other than Ethernet are not probed. */
export function probe(t: ProbeTarget, ports: ProbePorts, done: (e: Evidence) => void): void {
  new Prober(t, ports, done).start();
}

class Prober {
  readonly #t: ProbeTarget;
  readonly #ports: ProbePorts;
  readonly #done: (e: Evidence) => void;
  readonly #works: readonly Work[];
  readonly #sockets = new Map<number, FrameSocket>();
  readonly #holders = new Set<MacAddress>();
  readonly #own: ReadonlySet<string>;
  /** Addresses of our subnets, by link, that may be nobody's; those that answer are taken out. */
  readonly #free = new Map<number, Set<IpAddress>>();

  constructor(t: ProbeTarget, ports: ProbePorts, done: (e: Evidence) => void) {
    this.#t = t;
    this.#ports = ports;
    this.#done = done;
    this.#works = t.servers.map((server) => this.#plan(server));
    this.#own = new Set(ports.network.links().map((l) => l.mac));
  }
  start(): void {
    for (const link of this.#links()) {
      const opened = this.#ports.sockets.frames({ ifindex: link.ifindex, etherType: EVERY_FRAME }, (bytes) => {
        const seen = readFrame(bytes);
        if (seen) this.#see(seen);
      });
      if (opened.ok) this.#sockets.set(link.ifindex, opened.value);
    }
    this.#rounds(
      ARP_ROUNDS,
      ARP_ROUND,
      () => this.#ask(),
      () => {
        this.#prepare();
        this.#rounds(
          SYN_ROUNDS,
          SYN_ROUND,
          () => this.#knock(),
          () => this.#finish(),
        );
      },
    );
  }

  /** Servers' links, and the link whose subnet has the virtual address. */
  #links(): readonly Link[] {
    const { network } = this.#ports;
    const links = new Map(this.#works.flatMap((w) => (w.link ? [[w.link.ifindex, w.link] as const] : [])));
    const home = network.addresses().find((a) => a.prefix.address !== this.#t.vip && covers(a.prefix, this.#t.vip));
    const at = home && network.linkByIndex(home.ifindex);
    if (at && isEthernet(at)) links.set(at.ifindex, at);
    return [...links.values()];
  }
  #plan(server: ProbeServer): Work {
    const { network } = this.#ports;
    const addresses = network.addresses();
    const family = familyOf(server.address);
    const routes = network.routes({ family, table: MAIN_TABLE });
    const way = wayTo(server.address, routes.ok ? routes.value : [], addresses);
    const nextHop = way.is === 'routed' ? way.via : server.address;
    // The longest prefix; the virtual address is no source, since an answer to it would tell nothing.
    const usable = (a: LinkAddress): boolean =>
      a.prefix.address !== this.#t.vip &&
      a.prefix.length < hostLength(familyOf(a.prefix.address)) &&
      !isLinkLocal(a.prefix.address);
    const at = way.is === 'routed' ? way.ifindex : undefined;
    const near = addresses
      .filter((a) => usable(a) && familyOf(a.prefix.address) === family)
      .filter((a) => (at === undefined ? covers(a.prefix, nextHop) : a.ifindex === at))
      .sort((a, b) => b.prefix.length - a.prefix.length)[0];
    const link = near && network.linkByIndex(near.ifindex);
    const alike = addresses.filter((a) => usable(a) && familyOf(a.prefix.address) === familyOf(this.#t.vip));
    const inner =
      family === familyOf(this.#t.vip) ? near : (alike.find((a) => a.ifindex === near?.ifindex) ?? alike[0]);
    return {
      server,
      link: way.is !== 'unknown' && link && isEthernet(link) ? link : undefined,
      source: near?.prefix.address,
      inner: inner?.prefix.address,
      nextHop,
      gateway: way.is === 'routed' ? way.via : undefined,
      local: way.is === 'local',
      mac: undefined,
      announcesVip: false,
      direct: undefined,
      path: undefined,
      datagram: undefined,
      stranger: undefined,
    };
  }
  #rounds(count: number, wait: Microseconds, act: () => void, then: () => void): void {
    if (count === 0) {
      then();
      return;
    }
    act();
    const { clock } = this.#ports;
    clock.at(us(clock.now() + wait), () => this.#rounds(count - 1, wait, act, then));
  }

  // ------------------------------------------------------------------------------------------ neighbours

  #ask(): void {
    const asked = new Set<string>();
    const ask = (link: Link, source: IpAddress, target: IpAddress): void => {
      const key = `${link.ifindex} ${target}`;
      if (asked.has(key)) return;
      asked.add(key);
      this.#sockets.get(link.ifindex)?.send(neighbourRequest(link.mac as MacAddress, source, target));
    };
    for (const { link, source, nextHop, local, server } of this.#works) {
      if (!link || !source || local) continue;
      ask(link, source, nextHop);
      // Who asks as the virtual address does so over IPv4 alone: over IPv6 it would have to be on the link itself.
      if (server.method !== 'direct-routing' || familyOf(source) === 6) continue;
      for (const candidate of this.#candidates(link.ifindex, source)) ask(link, source, candidate);
    }
    for (const a of this.#ports.network.addresses()) {
      const link = this.#ports.network.linkByIndex(a.ifindex);
      if (link && this.#sockets.has(a.ifindex) && a.prefix.address !== this.#t.vip && covers(a.prefix, this.#t.vip))
        ask(link, a.prefix.address, this.#t.vip);
    }
  }

  #candidates(ifindex: number, source: IpAddress): ReadonlySet<IpAddress> {
    let free = this.#free.get(ifindex);
    if (free === undefined) {
      const own = this.#ports.network.addresses();
      const prefix = own.find((a) => a.ifindex === ifindex && a.prefix.address === source)?.prefix;
      const last = prefix ? lastAddresses(prefix, CANDIDATES) : [];
      free = new Set(last.filter((c) => c !== this.#t.vip && !own.some((a) => a.prefix.address === c)));
      this.#free.set(ifindex, free);
    }
    return free;
  }

  // ------------------------------------------------------------------------------------------ connections

  #prepare(): void {
    const random = (n: number): number => (this.#ports.entropy.u32() >>> 0) % n;
    const flow = (source: IpAddress, destination: IpAddress, port: number): Pair => ({
      flow: {
        source,
        sourcePort: FIRST_PORT + random(PORTS),
        destination,
        port,
        sequence: this.#ports.entropy.u32() >>> 0,
      },
      reply: { is: 'silence' },
    });
    for (const w of this.#works) {
      if (w.mac === undefined || w.source === undefined) continue;
      const { server } = w;
      const port = server.port === 0 ? this.#t.port : server.port;
      w.direct = flow(w.source, server.address, port);
      const onPath = (): Pair | undefined => {
        if (server.method === 'nat') return flow(NOBODY[familyOf(server.address)], server.address, port);
        return w.inner && flow(w.inner, this.#t.vip, this.#t.port);
      };
      w.path = onPath();
      if (this.#t.protocol === 'udp') w.datagram = onPath();
      const [nobody] = server.method === 'direct-routing' && w.link ? (this.#free.get(w.link.ifindex) ?? []) : [];
      if (nobody) w.stranger = flow(nobody, this.#t.vip, this.#t.port).flow;
    }
  }
  #knock(): void {
    for (const w of this.#works) {
      if (w.stranger) this.#send(w, synPacket(w.stranger), false);
      for (const pair of [w.direct, w.path])
        if (pair?.reply.is === 'silence') this.#send(w, synPacket(pair.flow), pair === w.path);
      if (w.datagram?.reply.is === 'silence') this.#send(w, emptyDatagram(w.datagram.flow), true);
    }
  }
  #send(w: Work, packet: Uint8Array, onPath: boolean): void {
    const { link, mac, source, server } = w;
    if (!link || !mac || !source) return;
    const whole =
      onPath && server.method === 'tunnel' ? tunnelled(packet, source, server.address, server.tunnel) : packet;
    this.#sockets.get(link.ifindex)?.send(ipFrame(whole, link.mac as MacAddress, mac));
  }
  #see(seen: Seen): void {
    if (this.#own.has(seen.mac)) return; // what this host sent
    if (seen.kind === 'neighbour') {
      if (seen.operation === 'request') {
        if (seen.address === this.#t.vip) for (const w of this.#works) if (w.mac === seen.mac) w.announcesVip = true;
        return;
      }
      if (seen.address === this.#t.vip) this.#holders.add(seen.mac);
      for (const free of this.#free.values()) free.delete(seen.address);
      for (const w of this.#works) if (w.nextHop === seen.address) w.mac ??= seen.mac;
      return;
    }
    for (const w of this.#works)
      for (const pair of [w.direct, w.path, w.datagram]) {
        const reply = pair && replyTo(pair.flow, seen.packet);
        // Where servers share an address the first answer of the right one counts.
        if (!pair || !reply || pair.reply.is !== 'silence' || (w.gateway === undefined && seen.mac !== w.mac)) continue;
        pair.reply = reply;
        if (reply.is === 'syn-ack') this.#send(w, resetPacket(pair.flow), pair === w.path);
      }
  }

  // ------------------------------------------------------------------------------------------ the end

  #finish(): void {
    for (const s of this.#sockets.values()) s.close();
    const { network } = this.#ports;
    const here = network.addresses().filter((a) => a.prefix.address === this.#t.vip);
    const onLoopback = here.filter((a) => network.linkByIndex(a.ifindex)?.loopback);
    const servers = new Map(this.#works.map((w) => [w.server.key, evidenceOf(w)]));
    const sameSubnet = network
      .addresses()
      .some(
        (a) =>
          a.prefix.length < hostLength(familyOf(a.prefix.address)) &&
          covers(a.prefix, this.#t.vip) &&
          this.#works.some((w) => !w.local && covers(a.prefix, w.server.address)),
      );
    this.#done({
      vipHere: here.length > onLoopback.length,
      vipOnLoopback: onLoopback.length > 0,
      sameSubnet,
      holders: [...this.#holders],
      servers,
    });
  }
}

/** Host addresses from the end of a subnet, backwards; none of one too small to have spare ones. */
function lastAddresses(p: IpPrefix, count: number): readonly IpAddress[] {
  if (p.length > 28) return [];
  const bytes = ipBytes(p.address).map((b, i) => b | (0xff >> Math.max(0, Math.min(8, p.length - i * 8))));
  return Array.from({ length: count }, (_, i) => ipFromBytes(bytes.with(3, (bytes[3] as number) - 1 - i)));
}
const isEthernet = (l: Link): boolean => l.hardware === ARP_HARDWARE.ethernet && !l.loopback;
const evidenceOf = (w: Work): ServerEvidence => ({
  local: w.local,
  way: w.link && { mtu: w.link.mtu, gateway: w.gateway },
  mac: w.mac,
  direct: w.direct?.reply ?? { is: 'silence' },
  path: w.path?.reply ?? { is: w.mac === undefined ? 'silence' : 'unsent' },
  refusesDatagrams: w.datagram?.reply.is === 'unreachable' && w.datagram.reply.code === PORT_UNREACHABLE,
  announcesVip: w.announcesVip,
});
