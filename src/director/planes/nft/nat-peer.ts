/**
 * NAT's part in what two directors tell each other: connections are followed as connection tracking tells of them, and those
 * of the other director are entries here before the first of their packets comes by.
 */
import { type IpAddress, ok, type Result, type Text, text } from '../../../base/index.ts';
import type { Cancel, HostError, Netlink, NetlinkChannel, NetlinkEvents } from '../../../host/index.ts';
import { type ConntrackEntry, CT_GROUPS, CT_MSG, decodeConntrack, writeConntrackFilter } from '../../../wire/index.ts';
import type { ExceptionChanges, FlowException } from '../../types.ts';
import { isToldMark, MARK_MASK, MARK_TAG, UNTOLD_MASK } from '../marks.ts';
import { Connections, type Named } from './connections.ts';
import type { Carried } from './exceptions.ts';
import { slotsFind } from './rings.ts';
import { type Change, cutOf } from './service-plan.ts';
import { ToldEntries } from './told-entries.ts';

export type NatPeerPorts = {
  readonly netlink: Netlink & NetlinkEvents;
  readonly half: Carried;
  /** This host's; the same list while nothing changes. */
  readonly addresses: () => readonly { readonly prefix: { readonly address: IpAddress } }[];
  /** Reads a sysctl; undefined where there is none. */
  readonly sysctl: (name: string) => string | undefined;
  /** Something to be taken by `takeChanges`. */
  readonly news: () => void;
};
type Reading = {
  readonly entries: ConntrackEntry[];
  readonly step: () => Result<boolean, HostError>;
  readonly channel: NetlinkChannel;
  readonly since: number;
};

/** Ticks, about seconds. The kernel tells nothing of connections that began before anybody listened, so the table is read now and then. */
const READ_AGAIN = 60;
/** Where the kernel tells nothing at all. */
const READ_OFTEN = 5;
/** Whether it does. */
const LOOK_AGAIN = 10;
const EVENTS = 'net.netfilter.nf_conntrack_events';
const DEAF = text(
  `${EVENTS} is 0: the kernel tells nothing of connections, so the other director hears of those by NAT only when they are read, each ${READ_OFTEN} s: what begins shortly before a takeover breaks (sysctl ${EVENTS}=2)`,
  `${EVENTS} 为 0：内核不通知连接的变化，另一台调度器只能在每 ${READ_OFTEN} 秒读取连接表时得知经 NAT 的连接：切换前不久新建的连接会中断（sysctl ${EVENTS}=2）`,
);
/** After so many entries that were read, one second more. */
const READ_IN_TICK = 20_000;
const reading = text('read connections', '读取连接表');

export class NatPeer {
  readonly #o: NatPeerPorts;
  readonly #channel: NetlinkChannel;
  readonly #unlisten: Cancel;
  readonly #connections: Connections;
  readonly #told: ToldEntries;
  #named = new Map<number, Named | undefined>();
  #keys: ReadonlyMap<number, string> | undefined;
  #here: { readonly of: unknown; readonly addresses: ReadonlySet<string> } = { of: undefined, addresses: new Set() };
  #now = 0;
  #readAt = 0;
  #mayReadAt = 0;
  #reading: Reading | undefined;
  /** The table was read once: what is followed is all that there is. */
  #begun = false;
  /** The kernel tells nothing. */
  #deaf = false;

  private constructor(o: NatPeerPorts, channel: NetlinkChannel) {
    this.#o = o;
    this.#channel = channel;
    this.#connections = new Connections({
      named: (id) => this.#nameOf(id),
      isHere: (a) => this.#here.addresses.has(a),
    });
    this.#told = new ToldEntries({
      channel,
      half: o.half,
      isHere: (a) => this.#here.addresses.has(a),
      ours: (id) => this.#connections.mark(id),
    });
    this.#listens();
    const listening = o.netlink.listen('netfilter', CT_GROUPS, {
      take: (m) => this.#heard(m.type, m.payload),
      lost: () => this.#readSoon(),
    });
    this.#unlisten = listening.ok ? listening.value : () => {};
  }
  static open(o: NatPeerPorts): Result<NatPeer, HostError> {
    const channel = o.netlink.open('netfilter');
    return channel.ok ? ok(new NatPeer(o, channel.value)) : channel;
  }
  close(): void {
    this.#unlisten();
    this.#reading?.channel.close();
    this.#channel.close();
  }

  // ------------------------------------------------------------------------------------------ what is told

  /** Reads a piece of the table where that is due; true: there is nothing to be read now. */
  read(): Result<boolean, HostError> {
    if (this.#reading === undefined) {
      if (this.#now < this.#readAt) return ok(true);
      const begun = this.#beginReading();
      if (!begun.ok) return begun;
      this.#reading = begun.value;
    }
    const { entries, step, channel, since } = this.#reading;
    const done = step();
    if (done.ok && !done.value) return done;
    this.#reading = undefined;
    channel.close();
    this.#mayReadAt = this.#now + 1 + Math.floor(entries.length / READ_IN_TICK);
    this.#readAt = done.ok
      ? Math.max(this.#now + (this.#deaf ? READ_OFTEN : READ_AGAIN), this.#mayReadAt)
      : this.#mayReadAt;
    if (done.ok) this.#took(entries, since);
    // What was not read whole yet is not known to be all.
    return done.ok || this.#begun ? ok(true) : done;
  }
  list(most: number): readonly FlowException[] {
    return this.#connections.list(most);
  }
  takeChanges(): ExceptionChanges {
    return this.#connections.takeChanges();
  }
  /** Services were changed in the kernel. */
  changed(changes: readonly Change[]): void {
    this.#named = new Map();
    this.#keys = undefined;
    // Where servers are dealt in turn, which slots they have is nothing that a connection depends on.
    if (changes.some((c) => cutOf(c).length > 0 || !isDealt(c.have) || !isDealt(c.want))) this.#connections.changed();
    this.#tellNews();
  }
  #nameOf(id: number): Named | undefined {
    if (this.#named.has(id)) return this.#named.get(id);
    const { half } = this.#o;
    this.#keys ??= new Map(half.services.map((s) => [half.image(s.key)?.id ?? 0, s.key]));
    const key = this.#keys.get(id) ?? '';
    const [service, image] = [half.service(key), half.image(key)];
    const named = service &&
      image && {
        service,
        servers: new Map(image.servers.map((x, i) => [x.number, service.servers[i]?.key ?? ''])),
        finds: slotsFind(service, image),
      };
    this.#named.set(id, named);
    return named;
  }
  #heard(type: number, payload: Uint8Array): void {
    if (this.#o.half.services.length === 0) return;
    const e = decodeConntrack(payload);
    if (!e.ok) return;
    const ended = type === CT_MSG.delete;
    if (isToldMark(e.value.mark)) {
      if (ended) this.#told.forget(e.value.original);
      return;
    }
    if (ended) this.#connections.ended(e.value);
    else this.#saw(e.value);
    this.#tellNews();
  }
  #saw(e: ConntrackEntry): void {
    // What was put for the other director has come by.
    if (this.#connections.saw(e)) this.#told.forget(e.original);
  }
  #tellNews(): void {
    if (this.#connections.hasChanges) this.#o.news();
  }
  #listens(): void {
    const deaf = this.#o.sysctl(EVENTS) === '0';
    if (deaf !== this.#deaf) this.#readSoon();
    this.#deaf = deaf;
  }
  /** Why the other director hears late of connections. */
  get late(): Text | undefined {
    return this.#deaf && this.#o.half.services.length > 0 ? DEAF : undefined;
  }
  /** Something was missed. */
  #readSoon(): void {
    this.#readAt = Math.min(this.#readAt, Math.max(this.#now + 1, this.#mayReadAt));
  }
  /** On a channel of its own, which is busy until the end. */
  #beginReading(): Result<Reading, HostError> {
    const channel = this.#o.netlink.open('netfilter');
    if (!channel.ok) return channel;
    this.#look();
    this.#connections.beginReading();
    const entries: ConntrackEntry[] = [];
    const filter = { mark: MARK_TAG, mask: (MARK_MASK & UNTOLD_MASK) >>> 0 };
    const step = channel.value.pieces(
      { type: CT_MSG.get, write: (w) => writeConntrackFilter(w, filter) },
      reading,
      (m) => {
        const e = decodeConntrack(m.payload);
        if (e.ok) entries.push(e.value);
      },
    );
    return ok({ entries, step, channel: channel.value, since: this.#now });
  }
  #took(entries: readonly ConntrackEntry[], since: number): void {
    this.#begun = true;
    this.#connections.whole(entries);
    this.#told.whole(entries, since);
    this.#tellNews();
  }

  /** About once a second. */
  tick(): void {
    this.#now++;
    this.#look();
    this.#told.tick();
    if (this.#now % LOOK_AGAIN === 0) this.#listens();
    this.#told.giveUp(this.#connections.takeAway());
    this.#tellNews();
  }
  /** Which addresses are this host's. */
  #look(): void {
    const of = this.#o.addresses();
    if (of === this.#here.of) return;
    this.#here = { of, addresses: new Set(of.map((a) => a.prefix.address)) };
    this.#connections.changed();
  }
  adopt(flows: readonly FlowException[]): void {
    this.#look();
    this.#told.adopt(flows);
  }
  abandon(flows: readonly FlowException[]): void {
    this.#told.abandon(flows);
  }
}
const isDealt = (i: Change['have']): boolean => i?.kind?.choice === 'turn' || i?.kind?.choice === 'chance';
