/** The link to the other director: what the machine says goes into datagrams and planes, and back. It decides nothing. */
import { err, familyOf, type IpAddress, ok, type Result, type Text, text, us } from '../../base/index.ts';
import type { Cancel, Clock, Datagram, IpSocket, Log, LogLevel, Sockets } from '../../host/index.ts';
import { decodeLbPeer, encodeLbPeer, openLbPeer, sealLbPeer } from '../../wire/index.ts';
import type { FlowException, Plane } from '../types.ts';
import { Handoff, type HandoffEffect, type HandoffEvent, type HandoffStatus, MOST_EXCEPTIONS } from './machine.ts';

export type PeerOptions = {
  readonly address: IpAddress;
  readonly port: number;
  /** Undefined: whoever sends from the peer's address is believed. */
  readonly key: Uint8Array | undefined;
};
export type PeerPorts = {
  readonly clock: Clock;
  readonly log: Log;
  readonly sockets: Sockets;
  readonly planes: readonly Plane[];
  /** Cryptographic. */
  readonly random: (bytes: number) => Uint8Array;
};
export type PeerStatus = HandoffStatus & {
  readonly address: IpAddress;
  readonly port: number;
  readonly refused: number;
  /** Why the peer hears of connections later than it should. */
  readonly late: Text | undefined;
};

const SECOND = 1_000_000;
/** Between two pieces of a look through the flows. */
const BREATH = 5_000;
/** What planes follow is told together where it comes close upon each other. */
const GATHER = 20_000;
/** How many of the peer's flows are offered to the planes again each second. */
const AGAIN = 2_000;

export class PeerLink {
  readonly #options: PeerOptions;
  readonly #ports: PeerPorts;
  readonly #machine: Handoff;
  #socket: IpSocket | undefined;
  #cancel: Cancel = () => {};
  #cancelLook: Cancel = () => {};
  #cancelTake: Cancel | undefined;
  /** A look through the planes is not at its end: what they follow is taken behind it, since it is in what they show, too. */
  #looking = false;
  #failing = false;
  #refused = 0;
  #warned = false;
  #wasLate = false;

  constructor(options: PeerOptions, ports: PeerPorts) {
    this.#options = options;
    this.#ports = ports;
    const bytes = ports.random(8);
    const session = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0) || 1n;
    this.#machine = new Handoff(session, ports.clock.now());
  }
  start(): void {
    for (const p of this.#ports.planes) p.follow?.(() => this.#takeLater());
    this.#feed({ kind: 'tick' });
    this.#lookLater(0);
  }
  close(): void {
    this.#cancel();
    this.#cancelLook();
    this.#cancelTake?.();
    this.#socket?.close();
    this.#socket = undefined;
  }
  status(): PeerStatus {
    const { address, port } = this.#options;
    return { ...this.#machine.status(), address, port, refused: this.#refused, late: this.#late() };
  }

  #late(): Text | undefined {
    for (const p of this.#ports.planes) {
      const late = p.late?.();
      if (late !== undefined) return late;
    }
    return undefined;
  }
  /** Told when it begins. */
  #tellLate(): void {
    const late = this.#late();
    if (late !== undefined && !this.#wasLate)
      this.#ports.log.write({ level: 'warning', code: 'lb.peer-late', text: late });
    this.#wasLate = late !== undefined;
  }

  #feed(e: HandoffEvent): void {
    const { clock } = this.#ports;
    for (const effect of this.#machine.handle(e, clock.now())) this.#carryOut(effect);
    this.#cancel();
    this.#cancel = clock.at(this.#machine.deadline(), () => this.#feed({ kind: 'tick' }));
  }
  #carryOut(e: HandoffEffect): void {
    switch (e.do) {
      case 'send':
        this.#send(encodeLbPeer(e.message));
        return;
      case 'adopt':
        for (const p of this.#ports.planes) p.adopt?.(e.flows);
        return;
      case 'abandon':
        for (const p of this.#ports.planes) p.abandon?.(e.flows);
        return;
      case 'tell': {
        const [level, words] = NEWS[e.news](`${this.#options.address}:${this.#options.port}`);
        this.#ports.log.write({ level, code: `lb.peer-${e.news}`, text: words });
      }
    }
  }

  #open(): Result<IpSocket, Text> {
    if (this.#socket) return ok(this.#socket);
    const { address, port } = this.#options;
    const opened = this.#ports.sockets.udp({ family: familyOf(address), port }, (d) => this.#receive(d));
    if (!opened.ok)
      return err(
        text(`${opened.error.doing.en}: ${opened.error.code}`, `${opened.error.doing.zh}：${opened.error.code}`),
      );
    this.#socket = opened.value;
    return opened;
  }
  #send(message: Uint8Array): void {
    const { address, port, key } = this.#options;
    const opened = this.#open();
    const sent = opened.ok ? opened.value.send(key ? sealLbPeer(key, message) : message, { address, port }) : opened;
    // A peer that is off answers "unreachable": its silence is told of already.
    if (!opened.ok && !this.#failing)
      this.#ports.log.write({ level: 'error', code: 'lb.peer-socket', text: opened.error });
    this.#failing = !sent.ok;
  }
  #receive(d: Datagram): void {
    const { address, key } = this.#options;
    const message = key ? openLbPeer(key, d.bytes) : d.bytes;
    const decoded = message && d.source === address ? decodeLbPeer(message) : undefined;
    if (decoded?.ok) this.#feed({ kind: 'message', message: decoded.value });
    else this.#refuse(d.source, message !== undefined);
  }
  #refuse(source: IpAddress, genuine: boolean): void {
    this.#refused++;
    if (this.#warned) return;
    this.#warned = true;
    const words = genuine
      ? text(`a message from ${source} is not the peer's: ignored`, `来自 ${source} 的报文不属于对端：已忽略`)
      : text(
          `a message from ${source} was not made with the key of this link: ignored`,
          `来自 ${source} 的报文不是用此链路的密钥生成的：已忽略`,
        );
    this.#ports.log.write({ level: 'warning', code: 'lb.peer-refused', text: words });
  }

  #takeLater(): void {
    const { clock } = this.#ports;
    this.#cancelTake ??= clock.at(us(clock.now() + GATHER), () => this.#take());
  }
  #take(): void {
    this.#cancelTake = undefined;
    if (this.#looking) {
      this.#takeLater();
      return;
    }
    for (const p of this.#ports.planes) {
      const changes = p.takeChanges?.();
      if (changes && changes.set.length + changes.gone.length > 0) this.#feed({ kind: 'changed', ...changes });
    }
  }
  #lookLater(wait: number): void {
    const { clock } = this.#ports;
    this.#cancelLook = clock.at(us(clock.now() + wait), () => this.#look());
  }
  /** Through the planes one after the other, a piece at a time; then again in a second. */
  #look(planes = this.#ports.planes, flows: FlowException[] = []): void {
    const [plane, ...rest] = planes;
    this.#looking = plane !== undefined;
    if (!plane) {
      this.#feed({ kind: 'found', flows });
      this.#offerAgain();
      this.#tellLate();
      this.#lookLater(SECOND);
      return;
    }
    const found = plane.exceptions?.(MOST_EXCEPTIONS);
    if (found?.ok === false) {
      // What cannot be seen is not over: the peer keeps what it was told.
      this.#looking = false;
      this.#lookLater(SECOND);
    } else if (found?.value === 'more') {
      const { clock } = this.#ports;
      this.#cancelLook = clock.at(us(clock.now() + BREATH), () => this.#look(planes, flows));
    } else {
      for (const f of found?.value ?? []) flows.push(f);
      this.#look(rest, flows);
    }
  }
  /** A plane could not take what it has no service or server for; it may have by now. */
  #offerAgain(): void {
    const flows = this.#machine.offer(AGAIN);
    if (flows.length > 0) for (const p of this.#ports.planes) p.adopt?.(flows);
  }
}

const NEWS: Readonly<
  Record<Extract<HandoffEffect, { do: 'tell' }>['news'], (peer: string) => readonly [LogLevel, Text]>
> = {
  heard: (peer) => ['info', text(`the other director at ${peer} is heard`, `收到位于 ${peer} 的另一台调度器的报文`)],
  silent: (peer) => [
    'warning',
    text(
      `the other director at ${peer} is silent: connections that begin by NAT, or are drained, from now on are not known there`,
      `位于 ${peer} 的另一台调度器没有响应：此后本机经 NAT 新建或被排空的连接对端无从得知`,
    ),
  ],
  'too-many': () => [
    'warning',
    text(
      `more than ${MOST_EXCEPTIONS} connections are where no ring would find them: the rest is not told to the other director`,
      `超过 ${MOST_EXCEPTIONS} 个连接不在环所指的服务器上：多余的不通知另一台调度器`,
    ),
  ],
};
