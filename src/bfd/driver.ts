/** Runs BFD sessions over the host's ports. Decides nothing: see machine.ts. */
import { type Family, familyOf, formatSeconds, ok, type Result, type Text, text, unreachable } from '../base/index.ts';
import type { Cancel, Clock, Datagram, Entropy, HostError, IpSocket, Log, Sockets } from '../host/index.ts';
import { BFD_PORT, type BfdPacket, decodeBfd, encodeBfd } from '../wire/index.ts';
import { type BfdInstance, sameSession } from './config.ts';
import { describeDiagnostic, describeIgnored, describeState } from './describe.ts';
import { deadline, type Effect, type Event, type Session, startSession, step } from './machine.ts';

export type BfdPorts = {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  readonly sockets: Sockets;
};
/** Told when a session comes up, and when it no longer is. A session that never came up is not reported. */
export type BfdListener = (instance: BfdInstance, up: boolean) => void;
export type BfdStatus = { readonly instance: BfdInstance; readonly session: Session };

/** RFC 5881 section 4: the source port is from this range, and stays the same for the life of a session. */
const SOURCE_PORTS = { first: 49152, count: 16384 } as const;
const PORT_ATTEMPTS = 16;

type Running = {
  instance: BfdInstance;
  session: Session;
  readonly socket: IpSocket;
  readonly listener: Listener;
  cancel: Cancel;
  /** Complaints made since the last change of state: each kind is said once. */
  readonly said: Set<string>;
};
/** The socket on which packets for the sessions of one family and port arrive. */
type Listener = { readonly socket: IpSocket; readonly key: string };

export class BfdDriver {
  readonly #ports: BfdPorts;
  readonly #listener: BfdListener;
  readonly #running = new Map<string, Running>();
  readonly #byDiscriminator = new Map<number, Running>();
  readonly #listeners = new Map<string, Listener>();

  constructor(ports: BfdPorts, listener: BfdListener) {
    this.#ports = ports;
    this.#listener = listener;
  }

  /**
   * Makes the running sessions those of `instances`, at start and on reload. A session whose addresses, port and TTL
   * did not change goes on, with new timings negotiated while it is up. Answers with what could not be started, by
   * name; the others run.
   */
  apply(instances: readonly BfdInstance[]): ReadonlyMap<string, HostError> {
    const wanted = new Map(instances.map((i) => [i.name, i]));
    for (const r of [...this.#running.values()]) {
      const now = wanted.get(r.instance.name);
      if (!now || !sameSession(r.instance, now)) this.#end(r);
    }
    const refused = new Map<string, HostError>();
    for (const instance of instances) {
      const r = this.#running.get(instance.name);
      if (r) {
        r.instance = instance;
        this.#feed(r, { kind: 'configured', chance: this.#chance() });
        continue;
      }
      const started = this.#start(instance);
      if (!started.ok) refused.set(instance.name, started.error);
    }
    this.#closeUnused();
    return refused;
  }

  status(): readonly BfdStatus[] {
    return [...this.#running.values()].map((r) => ({ instance: r.instance, session: r.session }));
  }

  /** Tells every neighbour that the session ends on purpose, and lets go of all sockets. Nobody is called back. */
  stop(): void {
    for (const r of [...this.#running.values()]) this.#end(r);
    this.#closeUnused();
  }

  #start(instance: BfdInstance): Result<void, HostError> {
    const family = familyOf(instance.neighbour);
    const listener = this.#listen(family, instance.multihop);
    if (!listener.ok) return listener;
    const socket = this.#open(instance, family);
    if (!socket.ok) return socket;
    const session = startSession(instance, this.#discriminator(), this.#ports.clock.now());
    const said = new Set<string>();
    const r: Running = { instance, session, socket: socket.value, listener: listener.value, cancel: () => {}, said };
    this.#running.set(instance.name, r);
    this.#byDiscriminator.set(session.localDiscriminator, r);
    this.#arm(r);
    return ok(undefined);
  }

  #end(r: Running): void {
    // Not by way of #feed: whoever ends a session knows, and is not told.
    const last = step(r.instance, r.session, { kind: 'administer', down: true, chance: 0 }, this.#ports.clock.now());
    for (const e of last.effects) if (e.kind === 'send') this.#send(r, e.packet);
    r.cancel();
    r.socket.close();
    this.#running.delete(r.instance.name);
    this.#byDiscriminator.delete(r.session.localDiscriminator);
  }

  #listen(family: Family, multihop: boolean): Result<Listener, HostError> {
    const key = `${family} ${multihop}`;
    const open = this.#listeners.get(key);
    if (open) return ok(open);
    const port = multihop ? BFD_PORT.multihop : BFD_PORT.singleHop;
    const socket = this.#ports.sockets.udp({ family, port }, (d) => this.#receive(d, multihop));
    if (!socket.ok) return socket;
    const listener = { socket: socket.value, key };
    this.#listeners.set(key, listener);
    return ok(listener);
  }

  #closeUnused(): void {
    const used = new Set([...this.#running.values()].map((r) => r.listener));
    for (const l of [...this.#listeners.values()]) {
      if (used.has(l)) continue;
      l.socket.close();
      this.#listeners.delete(l.key);
    }
  }

  /** A port of the range that is free. Nothing is ever sent to it: neighbours answer to the well-known port. */
  #open(instance: BfdInstance, family: Family): Result<IpSocket, HostError> {
    const { source, ttl } = instance;
    for (let attempt = 1; ; attempt++) {
      const port = SOURCE_PORTS.first + (this.#ports.entropy.u32() % SOURCE_PORTS.count);
      const socket = this.#ports.sockets.udp({ family, port, ttl, ...(source ? { address: source } : {}) }, () => {});
      if (socket.ok || socket.error.code !== 'EADDRINUSE' || attempt === PORT_ATTEMPTS) return socket;
    }
  }

  #discriminator(): number {
    for (;;) {
      const d = this.#ports.entropy.u32() >>> 0;
      if (d !== 0 && !this.#byDiscriminator.has(d)) return d;
    }
  }

  #chance(): number {
    return (this.#ports.entropy.u32() >>> 0) / 0x1_0000_0000;
  }

  /** RFC 5880 section 6.8.6: by our discriminator where it is named, else by the addresses. */
  #receive(d: Datagram, multihop: boolean): void {
    const packet = decodeBfd(d.bytes);
    if (!packet.ok) {
      const r = this.#byAddress(d, multihop);
      if (r) this.#complain(r, `malformed ${packet.error.kind}`, malformed(packet.error.kind));
      return;
    }
    const named = packet.value.yourDiscriminator;
    const r = named === 0 ? this.#byAddress(d, multihop) : this.#byDiscriminator.get(named);
    if (!r || !belongs(r.instance, d, multihop)) return;
    this.#feed(r, { kind: 'packet', packet: packet.value, ttl: d.ttl, at: d.at, chance: this.#chance() });
  }

  #byAddress(d: Datagram, multihop: boolean): Running | undefined {
    for (const r of this.#running.values()) if (belongs(r.instance, d, multihop)) return r;
    return undefined;
  }

  #arm(r: Running): void {
    r.cancel();
    const due = deadline(r.session);
    if (due === undefined) {
      r.cancel = () => {};
      return;
    }
    r.cancel = this.#ports.clock.at(due, () => {
      // What waits on the socket was sent before this moment: it is heard before anybody's silence is judged.
      r.listener.socket.drain();
      if (this.#running.get(r.instance.name) === r) this.#feed(r, { kind: 'tick', chance: this.#chance() });
    });
  }

  #feed(r: Running, event: Event): void {
    const next = step(r.instance, r.session, event, this.#ports.clock.now());
    r.session = next.session;
    this.#arm(r);
    for (const e of next.effects) {
      // The listener may have ended the session.
      if (this.#running.get(r.instance.name) === r) this.#perform(r, e);
    }
  }

  #perform(r: Running, e: Effect): void {
    const { name } = r.instance;
    switch (e.kind) {
      case 'send':
        this.#send(r, e.packet);
        break;
      case 'state':
        this.#tell(r, e);
        break;
      case 'ignored': {
        const why = describeIgnored(e.why);
        this.#complain(r, e.why, text(`${name}: packet ignored: ${why.en}`, `${name}：忽略报文：${why.zh}`));
        break;
      }
      case 'stalled': {
        const late = formatSeconds(e.late);
        const words = text(
          `${name}: this process was ${late} s late; the neighbour's silence is not counted`,
          `${name}：本进程迟到 ${late} 秒；这段沉默不计入邻居`,
        );
        this.#complain(r, 'stalled', words);
        break;
      }
      default:
        unreachable(e);
    }
  }

  #tell(r: Running, e: Effect & { kind: 'state' }): void {
    const { name } = r.instance;
    r.said.clear();
    const [from, to, why] = [describeState(e.from), describeState(e.to), describeDiagnostic(e.diagnostic)];
    // On the way up the old reason is still in the packets (RFC 5880 section 4.1), but explains nothing here.
    const known = e.diagnostic !== 0 && (e.to === 'down' || e.to === 'admin-down');
    this.#ports.log.write({
      level: e.to === 'up' ? 'notice' : e.from === 'up' ? 'warning' : 'info',
      code: 'bfd.state',
      text: text(
        `${name}: ${from.en} -> ${to.en}${known ? `: ${why.en}` : ''}`,
        `${name}：${from.zh} -> ${to.zh}${known ? `：${why.zh}` : ''}`,
      ),
      fields: { session: name, from: e.from, to: e.to, diagnostic: e.diagnostic },
    });
    if (e.to === 'up' || e.from === 'up') this.#listener(r.instance, e.to === 'up');
  }

  #send(r: Running, packet: BfdPacket): void {
    const { name, neighbour, multihop } = r.instance;
    const port = multihop ? BFD_PORT.multihop : BFD_PORT.singleHop;
    const sent = r.socket.send(encodeBfd(packet), { address: neighbour, port });
    if (sent.ok) {
      r.said.delete('send');
      return;
    }
    const { code, doing } = sent.error;
    this.#complain(
      r,
      'send',
      text(
        `${name}: cannot send to ${neighbour}: ${doing.en}: ${code}`,
        `${name}：无法发往 ${neighbour}：${doing.zh}：${code}`,
      ),
    );
  }

  /** Once for each kind until the session changes its state: a neighbour must not be able to fill the log. */
  #complain(r: Running, kind: string, words: Text): void {
    if (r.said.has(kind)) return;
    r.said.add(kind);
    this.#ports.log.write({
      level: 'warning',
      code: 'bfd.complaint',
      text: words,
      fields: { session: r.instance.name, kind },
    });
  }
}

const belongs = (i: BfdInstance, d: Datagram, multihop: boolean): boolean =>
  i.neighbour === d.source && i.multihop === multihop && (i.source === undefined || i.source === d.destination);

const malformed = (kind: string): Text =>
  text(`malformed BFD packet ignored: ${kind}`, `忽略格式错误的 BFD 报文：${kind}`);
