/** One virtual router at work: its links, sockets and packets. Decides nothing; the machine does. */
import { type IpAddress, isLinkLocal, type Microseconds, type Milliseconds, ms, us } from '../base/index.ts';
import type { Datagram, HostError, LinkAddress, Network } from '../host/index.ts';
import { IP_PROTOCOL, packAddresses, type VrrpChecksum } from '../wire/index.ts';
import type { Instance, UnicastPeer } from './config.ts';
import type { Attachment, SocketHub } from './hub.ts';
import { addressesThatFit, advertPacket, type Counters, ownChecksum, repeatable, repeatPacket } from './packets.ts';
import { type Drop, type DropKind, type Oddity, passwordBytes, receive, sameBytes } from './receive.ts';
import { initialState, type RouterConfig, type RouterState } from './state.ts';
import { decidesTies, heardFirst } from './ties.ts';
import type { Event, Fault } from './types.ts';

export type RouterStats = {
  advertsReceived: number;
  advertsSent: number;
  becameMaster: number;
  releasedMaster: number;
  priorityZeroReceived: number;
  priorityZeroSent: number;
  announcementsSent: number;
  /** Adverts that could not be sent. */
  sendErrors: number;
  /** Times that this process did not run for more than half an interval. */
  stalls: number;
  longestStall: Microseconds;
  /** By kind; kinds that never came are absent. */
  readonly dropped: Partial<Record<DropKind, number>>;
  readonly oddities: Partial<Record<Oddity['kind'], number>>;
};

/** One way to the peers. */
export type RouterLink = {
  /** Undefined: unicast without an interface. */
  readonly name: string | undefined;
  ifindex: number | undefined;
  /** What adverts travel by: the interface itself, or the macvlan on it. */
  readonly out: number | undefined;
  source: IpAddress | undefined;
  /** What its sockets were opened with. */
  readonly path: string;
  /** Undefined: multicast. */
  peers: readonly UnicastPeer[] | undefined;
  checksum: VrrpChecksum;
  heardAt: Microseconds | undefined;
  /** Since when it has been heard while no link before it was. */
  firstSince: Microseconds | undefined;
  receiving: Attachment | undefined;
  sending: Attachment | undefined;
  /** The last packet that was accepted here: the same bytes from the same source need no second look. */
  accepted:
    | {
        readonly source: IpAddress;
        readonly destination: IpAddress;
        readonly ttl: number | undefined;
        readonly bytes: Uint8Array;
        readonly priority: number;
        readonly interval: Microseconds;
      }
    | undefined;
};

export type RouterListener = {
  event(r: VirtualRouter, e: Event): void;
  dropped(r: VirtualRouter, link: RouterLink, source: IpAddress, d: Drop): void;
  odd(r: VirtualRouter, source: IpAddress, o: Oddity): void;
  /** An advert has room for `told` addresses only; the others are held all the same. */
  cut(r: VirtualRouter, told: number): void;
  sendFailed(r: VirtualRouter, link: RouterLink, error: HostError): void;
};
export type RouterPorts = {
  readonly hub: SocketHub;
  readonly network: Network;
  wall(): Milliseconds;
  /** As it counts, after the delays of the configuration. */
  isUp(name: string): boolean;
};

/** One packet of an advert. */
export type Outgoing = {
  readonly link: RouterLink;
  readonly destination: IpAddress;
  readonly bytes: Uint8Array;
};

function disconnect(l: RouterLink): void {
  l.receiving?.close();
  l.sending?.close();
  l.receiving = undefined;
  l.sending = undefined;
}

const TTL = 255;
const UNSPECIFIED = '0.0.0.0' as IpAddress;

export class VirtualRouter {
  config: RouterConfig;
  state: RouterState;
  /** Faults that no tracker knows: links, sources, sockets. */
  ownFaults: readonly Fault[] = [];
  links: RouterLink[] = [];
  /** The device that adverts leave by and addresses sit on instead of the interface: a macvlan. */
  vmac: { readonly ifindex: number } | undefined;
  readonly stats: RouterStats = {
    advertsReceived: 0,
    advertsSent: 0,
    becameMaster: 0,
    releasedMaster: 0,
    priorityZeroReceived: 0,
    priorityZeroSent: 0,
    announcementsSent: 0,
    sendErrors: 0,
    stalls: 0,
    longestStall: us(0),
    dropped: {},
    oddities: {},
  };
  /** Kinds that were logged already and stay quiet until the state changes. */
  readonly logged = new Set<string>();
  /** The timer that is armed, for when, and what it calls: made once, since it is set anew for every advert heard. */
  armedFor = Infinity;
  cancel: (() => void) | undefined;
  due: (() => void) | undefined;

  readonly #ports: RouterPorts;
  readonly #listener: RouterListener;
  readonly #counters: Counters;
  /** The last advert, for the next one. */
  #last: { readonly priority: number; readonly packets: readonly Outgoing[] } | undefined;
  #addresses: Uint8Array;
  #told: number;
  #key: Uint8Array;
  readonly #sequences = new Map<IpAddress, number>();
  readonly #stamps = new Map<IpAddress, bigint>();

  constructor(config: RouterConfig, ports: RouterPorts, listener: RouterListener, firstId: number, now: Microseconds) {
    this.config = config;
    this.#ports = ports;
    this.#listener = listener;
    this.#counters = { ipId: firstId & 0xffff, ahSequence: firstSequence(ports.wall()), hmacCounter: 0 };
    this.state = initialState(config, now);
    this.#addresses = packAddresses(config.instance.addresses.map((a) => a.prefix.address));
    this.#told = config.instance.addresses.length;
    this.#key = keyOf(config.instance);
  }
  get name(): string {
    return this.config.instance.name;
  }
  get instance(): Instance {
    return this.config.instance;
  }

  /** A reload changed what does not make it another router: addresses, priority, interval, scripts. */
  reconfigure(config: RouterConfig): void {
    this.config = config;
    this.#addresses = packAddresses(config.instance.addresses.map((a) => a.prefix.address));
    this.#told = config.instance.addresses.length;
    this.#key = keyOf(config.instance);
    for (const l of this.links) l.accepted = undefined;
    this.#last = undefined;
  }

  /** Opens its links as they are now, or again after one changed. Sets `ownFaults`. */
  open(virtualAddresses: (a: LinkAddress) => boolean): void {
    const i = this.instance;
    const faults: Fault[] = [];
    const wanted = [
      { name: i.interface, source: i.source, peers: i.unicastPeers },
      ...i.links.map((l) => ({ name: l.interface, source: l.source, peers: l.peers.length > 0 ? l.peers : undefined })),
    ];
    if (i.faultWithoutPeer && i.unicastPeers?.length === 0) faults.push({ kind: 'no-unicast-peer' });
    const old = [...this.links];
    this.links = wanted.map((w, at): RouterLink => {
      const found = this.#find(w.name, w.source, virtualAddresses);
      // The first link carries the addresses: without it there is nothing to be master of. The others only help.
      if (at === 0) faults.push(...found.faults);
      // Adverts of a macvlan leave by it, so that switches learn the virtual hardware address from each of them; and they
      // come in by it, for what bears its own source address the kernel gives to the macvlan and not to the interface.
      const byVmac = at === 0 && this.vmac !== undefined && !i.vmacXmitBase && w.peers === undefined;
      const out = byVmac ? this.vmac?.ifindex : found.ifindex;
      const before = this.#takeOld(old, w.name, at);
      const path = this.#pathOf({ ...w, ...found, out });
      if (before?.receiving && before.path === path) {
        before.peers = w.peers;
        return before;
      }
      const link: RouterLink = {
        name: w.name,
        path,
        ifindex: found.ifindex,
        out,
        source: found.source,
        peers: w.peers,
        checksum: ownChecksum(i, w.peers !== undefined),
        heardAt: before?.heardAt,
        firstSince: before?.firstSince,
        receiving: undefined,
        sending: undefined,
        accepted: undefined,
      };
      const refused = found.source === undefined ? undefined : this.#connect(link);
      if (refused && at === 0) faults.push({ kind: 'refused', error: refused });
      // Behind the new one, so that a socket that both use stays open and nothing that is queued in it is lost.
      if (before) disconnect(before);
      return link;
    });
    for (const l of old) disconnect(l);
    this.ownFaults = faults;
    this.#last = undefined;
    this.#fit();
  }
  /** Adverts go out by every link alike, so the smallest of them decides. */
  #fit(): void {
    const i = this.instance;
    const mtus = this.links.flatMap((l) => (l.ifindex && this.#ports.network.linkByIndex(l.ifindex)?.mtu) || []);
    const told = Math.min(i.addresses.length, ...mtus.map((mtu) => addressesThatFit(i, mtu)));
    if (told === this.#told) return;
    this.#told = told;
    this.#addresses = packAddresses(i.addresses.slice(0, told).map((a) => a.prefix.address));
    for (const l of this.links) l.accepted = undefined;
    if (told < i.addresses.length) this.#listener.cut(this, told);
  }
  /** The link that was there for the same purpose: the instance's own, or the extra one on that interface. */
  #takeOld(old: RouterLink[], name: string | undefined, at: number): RouterLink | undefined {
    const first = this.links[0];
    const index = old.findIndex((l) => (at === 0 ? l === first : l !== first && l.name === name));
    return index < 0 ? undefined : old.splice(index, 1)[0];
  }
  /** Everything that its sockets were opened with: when it is another one, they are opened anew. */
  #pathOf(l: Pick<RouterLink, 'name' | 'ifindex' | 'out' | 'source' | 'peers'>): string {
    const { unicastTtl, receiveBuffer } = this.instance;
    return [l.name, l.ifindex, l.out, l.source, l.peers === undefined, unicastTtl, receiveBuffer].join(' ');
  }

  #find(
    name: string | undefined,
    configured: IpAddress | undefined,
    virtual: (a: LinkAddress) => boolean,
  ): { ifindex: number | undefined; source: IpAddress | undefined; faults: Fault[] } {
    const { network } = this.#ports;
    const i = this.instance;
    if (name === undefined) {
      const present = !i.trackSourceAddress || network.addresses().some((a) => a.prefix.address === configured);
      const faults: Fault[] = present || !configured ? [] : [{ kind: 'source-lost', address: configured }];
      const vrf = i.vrf === undefined ? undefined : network.linkByName(i.vrf);
      if (i.vrf !== undefined && !vrf) faults.push({ kind: 'link-missing', interface: i.vrf });
      return { ifindex: vrf?.ifindex, source: configured, faults };
    }
    const link = network.linkByName(name);
    if (!link) return { ifindex: undefined, source: undefined, faults: [{ kind: 'link-missing', interface: name }] };
    const faults: Fault[] = [];
    if (i.trackPrimary && !this.#ports.isUp(name)) faults.push({ kind: 'link-down', interface: name });
    const six = i.family === 6;
    const candidates = network
      .addresses()
      .filter((a) => a.ifindex === link.ifindex && a.prefix.address.includes(':') === six && !virtual(a));
    if (configured !== undefined) {
      if (i.trackSourceAddress && !candidates.some((a) => a.prefix.address === configured))
        faults.push({ kind: 'source-lost', address: configured });
      return { ifindex: link.ifindex, source: configured, faults };
    }
    const own = candidates.find((a) => !a.tentative && !a.dadFailed && (!six || isLinkLocal(a.prefix.address)));
    if (!own) faults.push({ kind: 'no-source', interface: name });
    return { ifindex: link.ifindex, source: own?.prefix.address, faults };
  }

  #connect(link: RouterLink): HostError | undefined {
    const i = this.instance;
    const protocol = i.authentication.type === 'ah' ? IP_PROTOCOL.ah : IP_PROTOCOL.vrrp;
    const buffer = i.receiveBuffer === undefined ? {} : { receiveBuffer: i.receiveBuffer };
    const listening = {
      family: i.family,
      protocol,
      ifindex: link.out,
      group: link.peers === undefined ? i.multicastGroup : undefined,
      ...buffer,
    } as const;
    const receiving = this.#ports.hub.attach(listening, i.virtualRouterId, (d) => this.#receive(link, d));
    if (!receiving.ok) return receiving.error;
    link.receiving = receiving.value;
    // IPv6 lets the kernel write the header, so source and hop limit belong to a socket.
    const ttl = link.peers === undefined ? TTL : i.unicastTtl;
    if (i.family === 4) return undefined;
    const sending = this.#ports.hub.attach(
      {
        family: i.family,
        protocol,
        ifindex: link.out,
        group: undefined,
        ...(i.family === 6 && link.source !== undefined ? { source: link.source } : {}),
        ...(ttl === undefined ? {} : { ttl }),
      },
      i.virtualRouterId,
      undefined,
    );
    if (!sending.ok) {
      disconnect(link); // half a link would look like a whole one
      return sending.error;
    }
    link.sending = sending.value;
    return undefined;
  }

  /** One copy on every link, to every peer. */
  advertise(priority: number): void {
    for (const p of this.#next(priority)) {
      const sent = (p.link.sending ?? p.link.receiving)?.send(p.bytes, p.destination);
      if (sent?.ok) {
        this.stats.advertsSent++;
        if (priority === 0) this.stats.priorityZeroSent++;
      } else if (sent) {
        this.stats.sendErrors++;
        this.#listener.sendFailed(this, p.link, sent.error);
      }
    }
  }
  /** The packets of the next advert: those of the last one again where nothing but a number changes. */
  #next(priority: number): readonly Outgoing[] {
    const last = this.#last;
    if (last?.priority === priority) {
      for (const p of last.packets) repeatPacket(this.instance, p.bytes, this.#counters);
      return last.packets;
    }
    const packets = this.packets(priority);
    this.#last = repeatable(this.instance) ? { priority, packets } : undefined;
    return packets;
  }
  /** The packets of one advert, for now or for whoever sends our last will. */
  packets(priority: number, ahead: Milliseconds = ms(0)): readonly Outgoing[] {
    const i = this.instance;
    const wall = (): Milliseconds => ms(this.#ports.wall() + ahead);
    const out: Outgoing[] = [];
    for (const link of this.links) {
      if (!link.receiving) continue;
      const source = link.source ?? UNSPECIFIED;
      const ttl = link.peers === undefined ? TTL : (i.unicastTtl ?? TTL);
      const to = link.peers === undefined ? [i.multicastGroup] : link.peers.map((p) => p.address);
      for (const destination of to) {
        const path = { source, destination, ttl, checksum: link.checksum };
        out.push({
          link,
          destination,
          bytes: advertPacket(i, this.#addresses, priority, path, this.#counters, wall),
        });
      }
    }
    return out;
  }
  /**
   * Resignations that outrank the adverts that will be sent after a last will was made, since a receiver accepts rising
   * numbers and stamps only: `ahead` is how long the will is to be good.
   */
  lastPackets(ahead: Microseconds): readonly Outgoing[] {
    const { ahSequence, hmacCounter, ipId } = this.#counters;
    this.#counters.ahSequence = (ahSequence + 0x100000) >>> 0;
    const packets = this.packets(0, ms(Math.ceil(ahead / 1000)));
    Object.assign(this.#counters, { ahSequence, hmacCounter, ipId });
    return packets;
  }

  close(): void {
    this.cancel?.();
    this.cancel = undefined;
    this.armedFor = Infinity;
    for (const l of this.links) disconnect(l);
  }

  #receive(link: RouterLink, d: Datagram): void {
    const known = link.accepted;
    if (
      known &&
      known.source === d.source &&
      known.destination === d.destination &&
      known.ttl === d.ttl &&
      sameBytes(known.bytes, d.bytes)
    ) {
      this.#accept(link, d, known.priority, known.interval);
      return;
    }
    const i = this.instance;
    const got = receive(d, {
      instance: i,
      peers: link.peers,
      addresses: this.#addresses,
      checksum: link.checksum,
      key: this.#key,
      wallSeconds: i.hmac ? this.#ports.wall() / 1000 : ms(0),
      lastSequence: this.#sequences.get(d.source),
      lastStamp: this.#stamps.get(d.source),
    });
    if (!got.ok) {
      this.stats.dropped[got.error.kind] = (this.stats.dropped[got.error.kind] ?? 0) + 1;
      this.#listener.dropped(this, link, d.source, got.error);
      return;
    }
    const { advert, oddities, sequence, stamp } = got.value;
    for (const o of oddities) {
      this.stats.oddities[o.kind] = (this.stats.oddities[o.kind] ?? 0) + 1;
      this.#listener.odd(this, d.source, o);
    }
    if (advert.checksum === 'pseudo-header-group' && i.oldUnicastChecksum === 'auto') {
      link.checksum = advert.checksum;
      this.#last = undefined;
    }
    if (sequence !== undefined) {
      this.#sequences.set(d.source, sequence);
      // All routers of one VRID share one rising number: a keepalived throws away what is below the highest it has heard.
      this.#counters.ahSequence = Math.max(this.#counters.ahSequence, sequence);
    }
    if (stamp !== undefined) this.#stamps.set(d.source, stamp);
    if (sequence === undefined && stamp === undefined && oddities.length === 0 && !i.checkUnicastSource)
      link.accepted = {
        source: d.source,
        destination: d.destination,
        ttl: d.ttl,
        bytes: d.bytes.slice(),
        priority: advert.priority,
        interval: advert.interval,
      };
    this.#accept(link, d, advert.priority, advert.interval);
  }
  #accept(link: RouterLink, d: Datagram, priority: number, interval: Microseconds): void {
    this.stats.advertsReceived++;
    if (priority === 0) this.stats.priorityZeroReceived++;
    const decides = this.#decidesTies(link, d.at);
    link.heardAt = d.at;
    const own = link.source ?? UNSPECIFIED;
    this.#listener.event(this, {
      kind: 'advert',
      from: d.source,
      own,
      decidesTies: decides,
      priority,
      interval,
      at: d.at,
    });
  }
  #decidesTies(link: RouterLink, now: Microseconds): boolean {
    if (link === this.links[0]) return true;
    const at = this.links.indexOf(link);
    const { advertInterval } = this.instance;
    link.firstSince = heardFirst(this.links, at, now, advertInterval);
    return decidesTies(at, link.firstSince, now, advertInterval);
  }
}

/**
 * Above whatever this host sent before it was restarted, or its peers would take its adverts for replayed ones: four
 * a second since 2020, while version 2 sends one. Good until 2054.
 */
const firstSequence = (wall: Milliseconds): number => Math.max(0, Math.floor((wall - 1_577_836_800_000) / 250)) >>> 0;
const keyOf = (i: Instance): Uint8Array =>
  i.authentication.type === 'none' ? new Uint8Array(0) : passwordBytes(i.authentication.password);
