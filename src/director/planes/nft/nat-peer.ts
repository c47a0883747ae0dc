/**
 * NAT's part in what two directors tell each other: connections are followed as connection tracking tells of them, and those
 * of the other director are entries here before the first of their packets comes by.
 */
import { familyOf, type IpAddress, ok, type Result, text } from '../../../base/index.ts';
import type { Cancel, HostError, Netlink, NetlinkChannel, NetlinkEvents, NetlinkRequest } from '../../../host/index.ts';
import {
  type ConntrackEntry,
  type ConntrackTuple,
  CT_GROUPS,
  CT_MSG,
  decodeConntrack,
  NLM_F,
  writeConntrack,
  writeConntrackChange,
  writeConntrackFilter,
} from '../../../wire/index.ts';
import type { ExceptionChanges, FlowException } from '../../types.ts';
import { isFlowOf } from '../flow-of.ts';
import { isToldMark, MARK_MASK, MARK_TAG, serverMark, TOLD_BIT, UNTOLD_MASK } from '../marks.ts';
import { Connections, entryOf, type Named, tupleId, tupleOf } from './connections.ts';
import type { Carried } from './exceptions.ts';
import { slotsFind } from './rings.ts';
import { type Change, cutOf } from './service-plan.ts';

export type NatPeerPorts = {
  readonly netlink: Netlink & NetlinkEvents;
  readonly half: Carried;
  /** This host's; the same list while nothing changes. */
  readonly addresses: () => readonly { readonly prefix: { readonly address: IpAddress } }[];
  /** Something to be taken by `takeChanges`. */
  readonly news: () => void;
};
/** What was put for the other director. */
type Put = { readonly tuple: ConntrackTuple; readonly mark: number; at: number };

type Reading = {
  readonly entries: ConntrackEntry[];
  readonly step: () => Result<boolean, HostError>;
  readonly channel: NetlinkChannel;
  readonly since: number;
};

/** Seconds: IPVS's time for an idle connection. What is still told is renewed long before. */
const TIMEOUT = 900;
/** Ticks, about seconds. */
const RENEW = 300;
/** The kernel tells nothing of connections that began before anybody listened, so the table is read now and then. */
const READ_AGAIN = 60;
/** After so many entries that were read, one second more. */
const READ_IN_TICK = 20_000;
const reading = text('read connections', '读取连接表');
const [ENOENT, EEXIST] = [2, 17];

export class NatPeer {
  readonly #o: NatPeerPorts;
  readonly #channel: NetlinkChannel;
  readonly #unlisten: Cancel;
  readonly #connections: Connections;
  readonly #put = new Map<string, Put>();
  #named = new Map<number, Named | undefined>();
  #keys: ReadonlyMap<number, string> | undefined;
  #here: { readonly of: unknown; readonly addresses: ReadonlySet<string> } = { of: undefined, addresses: new Set() };
  #now = 0;
  #readAt = 0;
  #mayReadAt = 0;
  #reading: Reading | undefined;
  /** The table was read once: what is followed is all that there is. */
  #begun = false;

  private constructor(o: NatPeerPorts, channel: NetlinkChannel) {
    this.#o = o;
    this.#channel = channel;
    this.#connections = new Connections({
      named: (id) => this.#nameOf(id),
      isHere: (a) => this.#here.addresses.has(a),
    });
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
    this.#readAt = done.ok ? Math.max(this.#now + READ_AGAIN, this.#mayReadAt) : this.#mayReadAt;
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
      if (ended) this.#put.delete(tupleId(e.value.original));
      return;
    }
    if (ended) this.#connections.ended(e.value);
    else this.#saw(e.value);
    this.#tellNews();
  }
  #saw(e: ConntrackEntry): void {
    // What was put for the other director has come by.
    if (this.#connections.saw(e)) this.#put.delete(tupleId(e.original));
  }
  #tellNews(): void {
    if (this.#connections.hasChanges) this.#o.news();
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
    const told = new Set(entries.filter((e) => isToldMark(e.mark)).map((e) => tupleId(e.original)));
    for (const [id, p] of this.#put) if (p.at < since && !told.has(id)) this.#put.delete(id);
    // Those that an earlier process put are renewed when they are told again, and lapse if they are not.
    for (const e of entries) {
      const id = tupleId(e.original);
      if (isToldMark(e.mark) && !this.#put.has(id)) this.#put.set(id, { tuple: e.original, mark: e.mark, at: -RENEW });
    }
    this.#tellNews();
  }

  /** About once a second. */
  tick(): void {
    this.#now++;
    this.#look();
    const away = this.#connections.takeAway();
    if (away.length > 0) this.#giveUp(away);
    this.#tellNews();
  }
  /** Which addresses are this host's. */
  #look(): void {
    const of = this.#o.addresses();
    if (of === this.#here.of) return;
    this.#here = { of, addresses: new Set(of.map((a) => a.prefix.address)) };
    this.#connections.changed();
  }
  /** The address is another's now: what is known here of its connections is as if it had been told, and lapses unless it is. */
  #giveUp(away: ReturnType<Connections['takeAway']>): void {
    const marked = away.map((c) => ({ ...c, mark: (c.mark | TOLD_BIT) >>> 0 }));
    const outcomes = this.#channel.transact(
      marked.map(({ tuple, mark }) => change(CT_MSG.new, tuple, { mark, timeout: TIMEOUT })),
    );
    marked.forEach(({ tuple, mark }, i) => {
      if (outcomes[i]?.errno === 0) this.#put.set(tupleId(tuple), { tuple, mark, at: this.#now });
    });
  }

  // ------------------------------------------------------------------------------------------ what is held of the other's

  adopt(flows: readonly FlowException[]): void {
    this.#look();
    const create: { readonly put: Put; readonly entry: ConntrackEntry; readonly replace: boolean }[] = [];
    const renew: Put[] = [];
    const remove: ConntrackTuple[] = [];
    for (const f of flows) {
      const place = this.#placeOf(f);
      if (place === undefined) continue;
      const { tuple, mark, address, port } = place;
      const id = tupleId(tuple);
      const here = this.#here.addresses.has(f.address);
      const ours = this.#connections.mark(id);
      if (ours !== undefined && (here || (ours | TOLD_BIT) >>> 0 === mark)) continue;
      const put = this.#put.get(id);
      if (put?.mark === mark) {
        if (!here && this.#now - put.at >= RENEW) renew.push(put);
        continue;
      }
      if (put !== undefined || ours !== undefined) remove.push(tuple);
      const entry = entryOf(tuple, { mark, address, port, timeout: TIMEOUT });
      create.push({ put: { tuple, mark, at: this.#now }, entry, replace: !here });
    }
    this.#remove(remove);
    this.#create(create);
    this.#renew(renew);
  }
  #placeOf(f: FlowException) {
    const service = this.#o.half.service(f.service);
    const image = this.#o.half.image(f.service);
    if (!service || !image || !isFlowOf(service.match, f)) return undefined;
    const server = image.servers[service.servers.findIndex((s) => s.key === f.server)];
    const tuple = tupleOf(service, f);
    if (!server || !tuple) return undefined;
    const mark = (serverMark(image.id, server.number) | TOLD_BIT) >>> 0;
    return { tuple, mark, address: server.address, port: server.port === 0 ? f.port : server.port };
  }
  #create(all: readonly { readonly put: Put; readonly entry: ConntrackEntry; readonly replace: boolean }[]): void {
    const send = (list: typeof all): typeof all => {
      const outcomes = this.#channel.transact(
        list.map(({ entry }) => ({
          type: CT_MSG.new,
          flags: NLM_F.create | NLM_F.excl,
          write: (w) => writeConntrack(w, entry),
        })),
      );
      list.forEach(({ put }, i) => {
        if (outcomes[i]?.errno === 0) this.#put.set(tupleId(put.tuple), put);
      });
      return list.filter((_, i) => outcomes[i]?.errno === EEXIST);
    };
    // What is left here of a connection that had these ports before. Where packets come by it may be the newer one.
    const old = send(all).filter((c) => c.replace);
    if (old.length === 0) return;
    this.#remove(old.map((c) => c.put.tuple));
    send(old);
  }
  #renew(all: readonly Put[]): void {
    if (all.length === 0) return;
    const outcomes = this.#channel.transact(all.map((p) => change(CT_MSG.new, p.tuple, { timeout: TIMEOUT })));
    all.forEach((p, i) => {
      if (outcomes[i]?.errno === ENOENT) this.#put.delete(tupleId(p.tuple));
      else p.at = this.#now;
    });
  }
  #remove(tuples: readonly ConntrackTuple[]): void {
    if (tuples.length === 0) return;
    this.#channel.transact(tuples.map((t) => change(CT_MSG.delete, t, {})));
    for (const t of tuples) this.#put.delete(tupleId(t));
  }
  abandon(flows: readonly FlowException[]): void {
    const over: ConntrackTuple[] = [];
    for (const f of flows) {
      const service = this.#o.half.service(f.service);
      const tuple = service && tupleOf(service, f);
      if (tuple !== undefined && this.#put.has(tupleId(tuple))) over.push(tuple);
    }
    this.#remove(over);
  }
}
const isDealt = (i: Change['have']): boolean => i?.kind?.choice === 'turn' || i?.kind?.choice === 'chance';
const change = (
  type: number,
  original: ConntrackTuple,
  o: { readonly mark?: number; readonly timeout?: number },
): NetlinkRequest => ({
  type,
  flags: 0,
  write: (w) => writeConntrackChange(w, { family: familyOf(original.source), original, ...o }),
});
