/**
 * What one director tells its peer of its exceptions, and what it holds of the peer's. No I/O: the driver sends what it
 * says and gives it what came. An object with tables that change in place, since there may be tens of thousands of flows.
 *
 * Each side numbers the changes of its own table. What the peer lacks is sent in order from the last number that it has
 * acknowledged (go-back-N), so a peer that starts anew gets everything. A message counts only if it names our own
 * session, which nobody could have recorded before it began, and counts once (a window of numbers as in RFC 4303,
 * section 3.4.3): messages may overtake each other, and what came too early waits for what is before it.
 */
import { type Microseconds, us } from '../../base/index.ts';
import {
  LB_PEER_ROOM,
  type LbPeerFlow,
  type LbPeerGroup,
  type LbPeerMessage,
  lbPeerFamily,
  lbPeerFlowBytes,
  lbPeerGroupBytes,
} from '../../wire/index.ts';
import type { ExceptionChanges, FlowException } from '../types.ts';

/** Most that is told, and most that is held of the peer's. */
export const MOST_EXCEPTIONS = 65_536;
const HELLO = 1_000_000;
/** Three hellos and a half. */
const SILENT = 3_500_000;
/** What is held of a silent peer is held as long as IPVS keeps an idle connection. */
const KEEP = 900_000_000;
/** At most BURST messages in each PACE: 2,000 a second, some 150,000 flows. */
const PACE = 4_000;
const BURST = 8;
/** Without an acknowledgement that moves, what was sent is sent again. */
const RESEND = 100_000;
/** Answers to strangers, which anybody can cause by an old message. */
const ANSWER_EVERY = 100_000;
const MOST_RETIRED = 1_000;
/** Messages that may be overtaken: an eighth of a second's worth. */
const WINDOW = 256;
/** Updates that wait for one before them. */
const MOST_WAITING = 32;
/** Numbers on the wire have 32 bits. */
const MOST_NUMBER = 0xff00_0000;

export type HandoffEvent =
  /** All that there are now. */
  | { readonly kind: 'found'; readonly flows: readonly FlowException[] }
  /** What came and went since, of those that a plane follows by itself. */
  | ({ readonly kind: 'changed' } & ExceptionChanges)
  /** Genuine, as far as the key can tell. */
  | { readonly kind: 'message'; readonly message: LbPeerMessage }
  | { readonly kind: 'tick' };
export type HandoffEffect =
  | { readonly do: 'send'; readonly message: LbPeerMessage }
  | { readonly do: 'adopt'; readonly flows: readonly FlowException[] }
  | { readonly do: 'abandon'; readonly flows: readonly FlowException[] }
  | { readonly do: 'tell'; readonly news: 'heard' | 'silent' | 'too-many' };

export type HandoffStatus = {
  readonly peer: 'heard' | 'silent' | 'never';
  readonly heardAt: Microseconds | undefined;
  /** Exceptions of this director, and how many of them the peer has acknowledged. */
  readonly own: number;
  readonly acknowledged: number;
  /** Of the peer's. */
  readonly held: number;
  /** Exceptions that were not told, because there are too many or their names too long. */
  readonly leftOut: number;
};

type Own = { readonly id: string; readonly flow: FlowException; readonly gone: boolean; readonly version: number };
type Held = { readonly flow: FlowException; epoch: number };
type Update = NonNullable<LbPeerMessage['update']>;
type Peer = {
  session: bigint;
  /** Number of its latest message, and those of the window that came. */
  latest: number;
  seen: Set<number>;
  received: number;
  waiting: Map<number, Update>;
  epoch: number;
  heardAt: number;
};

/** Whether a message of this number is none that came before. */
function isFresh(peer: Peer, sequence: number): boolean {
  if (sequence <= peer.latest - WINDOW || peer.seen.has(sequence)) return false;
  peer.seen.add(sequence);
  if (sequence <= peer.latest) return true;
  peer.latest = sequence;
  for (const old of peer.seen) if (old <= sequence - WINDOW) peer.seen.delete(old);
  return true;
}

const idOf = (service: string, f: LbPeerFlow): string =>
  `${service} ${f.client} ${f.clientPort} ${f.address} ${f.port}`;

export class Handoff {
  #session: bigint;
  #sequence = 0;
  #complete = false;

  /** By flow; in `#log` in the order of their versions, where what was replaced since is skipped. */
  readonly #own = new Map<string, Own>();
  #log: Own[] = [];
  #latest = 0;
  #live = 0;
  #leftOut = 0;
  #acknowledged = 0;
  #sent = 0;
  #progressAt = 0;

  #peer: Peer | undefined;
  #silent = true;
  readonly #retired = new Set<bigint>();
  readonly #held = new Map<string, Held>();
  /** Some of them may be of a former life of the peer. */
  #former = false;
  #offered: IterableIterator<Held> | undefined;

  #helloAt: number;
  #pumpAt = Number.POSITIVE_INFINITY;
  #answeredAt = Number.NEGATIVE_INFINITY;
  #tooMany = false;
  #effects: HandoffEffect[] = [];

  /** `session`: random, not 0, never used before. */
  constructor(session: bigint, now: Microseconds) {
    this.#session = session;
    this.#helloAt = now;
  }

  handle(e: HandoffEvent, now: Microseconds): readonly HandoffEffect[] {
    this.#effects = [];
    if (e.kind === 'found') this.#found(e.flows, now);
    else if (e.kind === 'changed') this.#changed(e, now);
    else if (e.kind === 'message') this.#message(e.message, now);
    this.#time(now);
    return this.#effects;
  }
  /** When the next tick is due. */
  deadline(): Microseconds {
    return us(Math.min(this.#helloAt, this.#pumpAt));
  }
  status(): HandoffStatus {
    return {
      peer: this.#peer ? (this.#silent ? 'silent' : 'heard') : 'never',
      heardAt: this.#peer && us(this.#peer.heardAt),
      own: this.#live,
      acknowledged: this.#log.reduce((n, o) => n + (this.#counts(o) && o.version <= this.#acknowledged ? 1 : 0), 0),
      held: this.#held.size,
      leftOut: this.#leftOut,
    };
  }
  /** The next of those that are held, around and around: what the plane could not take once it may take later. */
  offer(most: number): readonly FlowException[] {
    const out: FlowException[] = [];
    while (out.length < Math.min(most, this.#held.size)) {
      this.#offered ??= this.#held.values();
      const next = this.#offered.next();
      if (next.done) this.#offered = undefined;
      else out.push(next.value.flow);
    }
    return out;
  }

  // ------------------------------------------------------------------------------------------ what is told

  #counts(o: Own): boolean {
    return !o.gone && this.#own.get(o.id) === o;
  }
  #found(flows: readonly FlowException[], now: number): void {
    this.#complete = true;
    const gone = new Set<string>();
    for (const o of this.#own.values()) if (!o.gone) gone.add(o.id);
    this.#leftOut = 0;
    let told = 0;
    for (const flow of flows) {
      const id = idOf(flow.service, flow);
      if (told >= MOST_EXCEPTIONS || lbPeerGroupBytes(flow.service, flow.server) === undefined) {
        this.#leftOut++;
        continue;
      }
      told++;
      gone.delete(id);
      const known = this.#own.get(id);
      if (!known || known.gone || known.flow.server !== flow.server) this.#write(id, flow, false);
    }
    for (const id of gone) this.#write(id, (this.#own.get(id) as Own).flow, true);
    this.#told(now);
  }
  #changed(c: ExceptionChanges, now: number): void {
    for (const flow of c.gone) {
      const id = idOf(flow.service, flow);
      const known = this.#own.get(id);
      if (known && !known.gone) this.#write(id, known.flow, true);
    }
    for (const flow of c.set) {
      const id = idOf(flow.service, flow);
      const known = this.#own.get(id);
      if (known && !known.gone && known.flow.server === flow.server) continue;
      if (this.#live >= MOST_EXCEPTIONS || lbPeerGroupBytes(flow.service, flow.server) === undefined) this.#leftOut++;
      else this.#write(id, flow, false);
    }
    this.#told(now);
  }
  #told(now: number): void {
    this.#forgetGone();
    if (this.#leftOut > 0 && !this.#tooMany) this.#effects.push({ do: 'tell', news: 'too-many' });
    this.#tooMany = this.#leftOut > 0;
    if (this.#latest > this.#sent) this.#pumpAt = Math.min(this.#pumpAt, now);
  }
  #write(id: string, flow: FlowException, gone: boolean): void {
    const known = this.#own.get(id);
    if ((!known || known.gone) && !gone) this.#live++;
    if (known && !known.gone && gone) this.#live--;
    const o: Own = { id, flow, gone, version: ++this.#latest };
    this.#own.set(id, o);
    this.#log.push(o);
  }
  /** What the peer knows to be gone needs no more telling; what it does not is kept, but not without bound. */
  #forgetGone(): void {
    const known = this.#peer ? this.#acknowledged : this.#latest;
    const gone = this.#own.size - this.#live;
    const due = 8 * gone > this.#live && known === this.#latest; // so that it costs little for each
    if (!due && this.#log.length <= 2 * this.#own.size) return;
    for (const o of this.#own.values()) if (o.gone && o.version <= known) this.#own.delete(o.id);
    this.#log = this.#log.filter((o) => this.#own.get(o.id) === o);
    if (this.#own.size - this.#live > MOST_EXCEPTIONS) this.#renew();
  }
  /** A new session, in which everything is told again and nothing of the old one is repeated. */
  #renew(): void {
    this.#session = (this.#session + 1n) & 0xffff_ffff_ffff_ffffn || 1n;
    this.#sequence = 0;
    this.#retired.clear();
    for (const o of this.#own.values()) if (o.gone) this.#own.delete(o.id);
    this.#log = [...this.#own.values()].map((o, i) => ({ ...o, version: i + 1 }));
    for (const o of this.#log) this.#own.set(o.id, o);
    this.#latest = this.#log.length;
    this.#acknowledged = 0;
    this.#sent = 0;
  }

  #send(now: number, update?: LbPeerMessage['update'], heard = this.#peer?.session ?? 0n): void {
    this.#helloAt = now + HELLO;
    this.#effects.push({
      do: 'send',
      message: {
        session: this.#session,
        heard,
        sequence: ++this.#sequence,
        received: heard === this.#peer?.session ? this.#peer.received : 0,
        latest: this.#latest,
        complete: this.#complete,
        update,
      },
    });
  }
  #pump(now: number): void {
    this.#pumpAt = Number.POSITIVE_INFINITY;
    if (this.#silent || !this.#peer || this.#acknowledged >= this.#latest) return;
    if (this.#sent > this.#acknowledged && now - this.#progressAt >= RESEND) this.#sent = this.#acknowledged;
    if (this.#sent === this.#acknowledged) this.#progressAt = now;
    let at = this.#firstBehind(this.#sent);
    for (let i = 0; i < BURST && this.#sent < this.#latest; i++) {
      const from = this.#sent;
      const built = this.#build(at);
      at = built.next;
      this.#sent = built.upto;
      this.#send(now, { from, upto: built.upto, groups: built.groups });
    }
    this.#pumpAt = this.#sent < this.#latest ? now + PACE : this.#progressAt + RESEND;
  }
  /** Index in the log of the first change behind this version. */
  #firstBehind(version: number): number {
    let [low, high] = [0, this.#log.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#log[middle] as Own).version <= version) low = middle + 1;
      else high = middle;
    }
    return low;
  }
  /** As many changes from `first` on as fit into one message. */
  #build(first: number): { groups: LbPeerGroup[]; upto: number; next: number } {
    const groups: (LbPeerGroup & { flows: LbPeerFlow[] })[] = [];
    let room = LB_PEER_ROOM;
    let at = first;
    for (; at < this.#log.length; at++) {
      const o = this.#log[at] as Own;
      if (this.#own.get(o.id) !== o) continue;
      const { service, server, client, clientPort, address, port } = o.flow;
      const flow = { client, clientPort, address, port };
      const family = lbPeerFamily(flow);
      const op = o.gone ? 'gone' : 'set';
      const last = groups.at(-1);
      const joins = last?.do === op && last.family === family && last.service === service && last.server === server;
      room -= lbPeerFlowBytes(family) + (joins ? 0 : (lbPeerGroupBytes(service, server) as number));
      if (room < 0) break;
      if (joins) last.flows.push(flow);
      else groups.push({ do: op, family, service, server, flows: [flow] });
    }
    const next = this.#log[at];
    return { groups, upto: next ? next.version - 1 : this.#latest, next: at };
  }

  // ------------------------------------------------------------------------------------------ what is heard

  #message(m: LbPeerMessage, now: number): void {
    if (m.session === this.#session || this.#retired.has(m.session)) return;
    if (m.heard !== this.#session) {
      // It does not know us yet, or it is old: the answer lets the living prove that they are.
      if (m.session !== this.#peer?.session && now - this.#answeredAt >= ANSWER_EVERY) {
        this.#answeredAt = now;
        this.#send(now, undefined, m.session);
      }
      return;
    }
    const known = this.#peer?.session === m.session;
    if (!known) this.#meet(m, now);
    const peer = this.#peer as Peer;
    if (!isFresh(peer, m.sequence)) return;
    peer.heardAt = now;
    if (this.#silent) {
      this.#silent = false;
      this.#effects.push({ do: 'tell', news: 'heard' });
      this.#sent = this.#acknowledged;
      this.#pumpAt = now;
    }
    this.#acknowledge(Math.min(m.received, this.#latest), now);
    if (m.update) this.#receive(peer, m.update);
    this.#settle(peer, m);
    if (m.update || !known) this.#send(now);
  }
  #meet(m: LbPeerMessage, now: number): void {
    const old = this.#peer;
    if (old) this.#retired.add(old.session);
    this.#former = old !== undefined;
    this.#peer = {
      session: m.session,
      latest: -1,
      seen: new Set(),
      received: 0,
      waiting: new Map(),
      epoch: (old?.epoch ?? 0) + 1,
      heardAt: now,
    };
    this.#acknowledged = 0;
    this.#sent = 0;
    this.#pumpAt = now;
    if (this.#retired.size > MOST_RETIRED) this.#renew();
  }
  #acknowledge(version: number, now: number): void {
    if (version <= this.#acknowledged) return;
    this.#acknowledged = version;
    this.#sent = Math.max(this.#sent, version);
    this.#progressAt = now;
    this.#forgetGone();
  }
  #receive(peer: Peer, u: Update): void {
    if (u.from > peer.received) {
      if (peer.waiting.size < MOST_WAITING) peer.waiting.set(u.from, u);
      return;
    }
    for (let next: Update | undefined = u; next; ) {
      if (next.upto > peer.received) this.#take(peer, next);
      next = undefined;
      for (const [from, early] of peer.waiting) {
        if (from > peer.received) continue;
        peer.waiting.delete(from);
        next = early;
        break;
      }
    }
  }
  #take(peer: Peer, u: Update): void {
    peer.received = u.upto;
    const [set, gone]: [FlowException[], FlowException[]] = [[], []];
    for (const g of u.groups)
      for (const f of g.flows) {
        const id = idOf(g.service, f);
        const flow = { service: g.service, server: g.server, ...f };
        if (g.do === 'set') {
          if (!this.#held.has(id) && this.#held.size >= MOST_EXCEPTIONS) continue;
          this.#held.set(id, { flow, epoch: peer.epoch });
          set.push(flow);
        } else if (this.#held.delete(id)) gone.push(flow);
      }
    if (gone.length > 0) this.#effects.push({ do: 'abandon', flows: gone });
    if (set.length > 0) this.#effects.push({ do: 'adopt', flows: set });
  }
  /** What a former life of the peer told is over once the present one has told all that it has. */
  #settle(peer: Peer, m: LbPeerMessage): void {
    if (!this.#former || !m.complete || peer.received !== m.latest) return;
    this.#former = false;
    const gone: FlowException[] = [];
    for (const [id, h] of this.#held) {
      if (h.epoch === peer.epoch) continue;
      this.#held.delete(id);
      gone.push(h.flow);
    }
    if (gone.length > 0) this.#effects.push({ do: 'abandon', flows: gone });
  }

  // ------------------------------------------------------------------------------------------ time

  #time(now: number): void {
    const peer = this.#peer;
    if (peer && !this.#silent && now - peer.heardAt >= SILENT) {
      this.#silent = true;
      this.#effects.push({ do: 'tell', news: 'silent' });
    }
    if (peer && this.#held.size > 0 && now - peer.heardAt >= KEEP) {
      this.#effects.push({ do: 'abandon', flows: [...this.#held.values()].map((h) => h.flow) });
      this.#held.clear();
      this.#offered = undefined;
    }
    if (Math.max(this.#sequence, this.#latest) > MOST_NUMBER) this.#renew();
    if (now >= this.#pumpAt) this.#pump(now);
    if (now >= this.#helloAt) this.#send(now);
  }
}
