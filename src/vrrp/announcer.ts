/** Tells the neighbours where an address is: gratuitous ARP and unsolicited NA, paced, and hears others do the same. */
import { familyOf, type IpAddress, type Microseconds, us } from '../base/index.ts';
import type {
  Cancel,
  Clock,
  FrameSocket,
  HostError,
  IpSocket,
  Link,
  LinkAddress,
  Network,
  Sockets,
  Sysctl,
} from '../host/index.ts';
import {
  arpRequest,
  decodeArp,
  decodeNdp,
  duplicateProbe,
  ETHERTYPE,
  gratuitousArp,
  IP_PROTOCOL,
  type MacAddress,
  unsolicitedAdvertisement,
} from '../wire/index.ts';
import type { VrrpConfig } from './config.ts';
import { idlePace, type Pace, pace } from './pacing.ts';

type Frame = { readonly ifindex: number; readonly family: 4 | 6; readonly bytes: Uint8Array };
export type AnnouncerPorts = {
  readonly clock: Clock;
  readonly sockets: Sockets;
  readonly network: Network;
  readonly sysctl: Sysctl;
};
export type AnnouncerListener = {
  /** A machine with this hardware address says that it has `address`. */
  claimed(ifindex: number, address: IpAddress, mac: string): void;
  refused(ifindex: number, error: HostError): void;
};

const ARPHRD_ETHER = 1;
const NEIGHBOUR_ADVERTISEMENT = 136; // RFC 4861 section 4.4
const ETHERNET_HEADER = 14;
const FORWARDING_CHECKED_EVERY = us(5_000_000);

export class Announcer {
  readonly #ports: AnnouncerPorts;
  readonly #listener: AnnouncerListener;
  #config: Pick<VrrpConfig, 'garpGroups' | 'garpInterval' | 'gnaInterval'>;
  readonly #sockets = new Map<number, FrameSocket>();
  readonly #neighbours = new Map<number, IpSocket>();
  readonly #paces = new Map<string, { pace: Pace<Frame>; cancel: Cancel | undefined }>();
  readonly #forwarding = new Map<string, { readonly on: boolean; readonly at: Microseconds }>();

  constructor(
    ports: AnnouncerPorts,
    config: Pick<VrrpConfig, 'garpGroups' | 'garpInterval' | 'gnaInterval'>,
    listener: AnnouncerListener,
  ) {
    this.#ports = ports;
    this.#config = config;
    this.#listener = listener;
  }
  configure(config: Pick<VrrpConfig, 'garpGroups' | 'garpInterval' | 'gnaInterval'>): void {
    this.#config = config;
  }

  /** Opens what will be needed, so that nothing has to be opened on the way of a failover. */
  prepare(ifindex: number, family: 4 | 6): void {
    this.#socket(ifindex);
    if (family === 6) this.#listen6(ifindex);
  }

  /** `copies` rounds over all addresses. Returns the number of frames. */
  announce(addresses: readonly LinkAddress[], copies: number): number {
    const round: Frame[] = [];
    for (const a of addresses) {
      const link = this.#ports.network.linkByIndex(a.ifindex);
      if (!link || link.hardware !== ARPHRD_ETHER || link.mac === '') continue;
      const address = a.prefix.address;
      const family = familyOf(address);
      const mac = link.mac as MacAddress;
      const bytes =
        family === 4 ? gratuitousArp(mac, address) : unsolicitedAdvertisement(mac, address, this.#forwards(link));
      round.push({ ifindex: a.ifindex, family, bytes });
    }
    const frames: Frame[] = [];
    for (let i = 0; i < copies; i++) frames.push(...round);
    this.#send(frames);
    return frames.length;
  }

  /** Asks whether anybody else has the addresses (RFC 5227 section 2.1.1, RFC 4862 section 5.4.2); who has answers, and is heard. */
  probe(addresses: readonly LinkAddress[]): void {
    const frames: Frame[] = [];
    for (const a of addresses) {
      const link = this.#ports.network.linkByIndex(a.ifindex);
      if (!link || link.hardware !== ARPHRD_ETHER || link.mac === '') continue;
      const address = a.prefix.address;
      const mac = link.mac as MacAddress;
      const family = familyOf(address);
      const bytes = family === 4 ? arpRequest(mac, '0.0.0.0' as IpAddress, address) : duplicateProbe(mac, address);
      frames.push({ ifindex: a.ifindex, family, bytes });
    }
    this.#send(frames);
  }

  close(): void {
    for (const p of this.#paces.values()) p.cancel?.();
    for (const s of [...this.#sockets.values(), ...this.#neighbours.values()]) s.close();
    this.#sockets.clear();
    this.#neighbours.clear();
  }

  #gap(f: Frame): Microseconds {
    const name = this.#ports.network.linkByIndex(f.ifindex)?.name ?? '';
    const limit = this.#config.garpGroups.find((g) => g.interfaces.includes(name)) ?? this.#config;
    return f.family === 4 ? limit.garpInterval : limit.gnaInterval;
  }
  /** Interfaces of one group share a limit. */
  #paceKey(ifindex: number): string {
    const name = this.#ports.network.linkByIndex(ifindex)?.name ?? '';
    const at = this.#config.garpGroups.findIndex((g) => g.interfaces.includes(name));
    return at < 0 ? `if ${ifindex}` : `group ${at}`;
  }

  #send(frames: readonly Frame[]): void {
    const byPace = new Map<string, Frame[]>();
    for (const f of frames) {
      const key = this.#paceKey(f.ifindex);
      const list = byPace.get(key);
      if (list) list.push(f);
      else byPace.set(key, [f]);
    }
    for (const [key, list] of byPace) this.#turn(key, list);
  }
  #turn(key: string, more: readonly Frame[]): void {
    const entry = this.#paces.get(key) ?? { pace: idlePace<Frame>(), cancel: undefined };
    const turn = pace(entry.pace, more, (f) => this.#gap(f), this.#ports.clock.now());
    entry.pace = turn.pace;
    entry.cancel?.();
    entry.cancel =
      turn.pace.queue.length > 0
        ? this.#ports.clock.at(turn.pace.freeAt, () => {
            entry.cancel = undefined;
            this.#turn(key, []);
          })
        : undefined;
    this.#paces.set(key, entry);
    for (const f of turn.send) {
      const sent = this.#socket(f.ifindex)?.send(f.bytes);
      if (sent && !sent.ok) this.#listener.refused(f.ifindex, sent.error);
    }
  }

  #socket(ifindex: number): FrameSocket | undefined {
    const open = this.#sockets.get(ifindex);
    if (open) return open;
    const link = this.#ports.network.linkByIndex(ifindex);
    if (!link || link.hardware !== ARPHRD_ETHER) return undefined;
    const made = this.#ports.sockets.frames({ ifindex, etherType: ETHERTYPE.arp }, (frame) =>
      this.#heard(ifindex, frame),
    );
    if (!made.ok) {
      this.#listener.refused(ifindex, made.error);
      return undefined;
    }
    this.#sockets.set(ifindex, made.value);
    return made.value;
  }
  #heard(ifindex: number, frame: Uint8Array): void {
    const arp = decodeArp(frame.subarray(ETHERNET_HEADER));
    if (!arp.ok || arp.value.senderIp === '0.0.0.0') return;
    this.#listener.claimed(ifindex, arp.value.senderIp, arp.value.senderMac);
  }
  /** Others' neighbour advertisements: over IPv6 they are what gratuitous ARP is over IPv4. */
  #listen6(ifindex: number): void {
    if (this.#neighbours.has(ifindex)) return;
    const made = this.#ports.sockets.raw({ family: 6, protocol: IP_PROTOCOL.icmpv6, ifindex, groups: [] }, (d) => {
      if (d.bytes[0] !== NEIGHBOUR_ADVERTISEMENT) return;
      const na = decodeNdp(d.bytes, { source: d.source, destination: d.destination });
      if (!na.ok || na.value.kind !== 'advertisement') return;
      for (const o of na.value.options)
        if (o.kind === 'target-link-layer') this.#listener.claimed(ifindex, na.value.target, o.mac);
    });
    if (made.ok) this.#neighbours.set(ifindex, made.value);
    else this.#listener.refused(ifindex, made.error);
  }
  #forwards(link: Link): boolean {
    const now = this.#ports.clock.now();
    const known = this.#forwarding.get(link.name);
    if (known && now - known.at < FORWARDING_CHECKED_EVERY) return known.on;
    const on = this.#ports.sysctl.get(`net/ipv6/conf/${link.name}/forwarding`) === '1';
    this.#forwarding.set(link.name, { on, at: now });
    return on;
  }
}
