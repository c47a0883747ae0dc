/**
 * The two TCP connections to the peer: same port on both sides, told apart by their first packet. Which calls become the two
 * sockets is `stepMeeting`'s to say.
 */
import { type Result, type Text, text } from '../../base/index.ts';
import type { HostError, ServerStream, StreamListener, StreamServer } from '../../host/index.ts';
import {
  type Meeting,
  type MeetingEffect,
  type MeetingEvent,
  type MirrorConfig,
  startMeeting,
  stepMeeting,
} from '../../mirror/index.ts';
import {
  DRBD_COMMAND,
  DRBD_OPENING,
  type DrbdDialect,
  type DrbdPacket,
  type DrbdSocket,
  decodeHeader,
} from '../../wire/index.ts';
import { PeerStream } from './peer-stream.ts';

/** What it is told of a mirror. */
export type PeerConfig = Pick<MirrorConfig, 'local' | 'remote'> & {
  readonly net: Pick<MirrorConfig['net'], 'connectInterval' | 'pingTimeout' | 'sendBuffer' | 'receiveBuffer'>;
};
export type PeerEvents = {
  readonly socket: (socket: DrbdSocket, opened: 'here' | 'there') => void;
  readonly packet: (socket: DrbdSocket, p: DrbdPacket) => void;
  readonly closed: (because: Text) => void;
  /** A batch of the above was told of: the moment to send what it led to. */
  readonly settled: () => void;
};
const EAGAIN = -11;
/** The first packet of each socket: a header in its oldest form, and nothing else. */
const FIRST = 8;

export class PeerSockets {
  #config: PeerConfig;
  readonly #streams: StreamServer;
  readonly #on: PeerEvents;
  readonly #random: () => number;
  #listener: StreamListener | undefined;
  #dialect: DrbdDialect = DRBD_OPENING;
  #meeting: Meeting<ServerStream> = startMeeting();
  #sides: Partial<Record<DrbdSocket, PeerStream>> = {};
  /** Calls that are under way. */
  readonly #dials = new Map<DrbdSocket, ServerStream>();
  #timer: NodeJS.Timeout | undefined;

  /** `random`: 0 to 1. */
  constructor(config: PeerConfig, streams: StreamServer, on: PeerEvents, random: () => number = Math.random) {
    this.#config = config;
    this.#streams = streams;
    this.#on = on;
    this.#random = random;
  }
  /** Listens for the whole life of the process, so that a peer that is early finds the port. */
  listen(failed: (code: string) => void): void {
    const listener = this.listenAs(this.#config);
    if (listener.ok) this.#listener = listener.value;
    else failed(listener.error.code);
  }
  /** Another port or address, beside the one that is listened on, until `adopt` or until it is closed. */
  listenAs({ local, net }: PeerConfig): Result<StreamListener, HostError> {
    return this.#streams.listen({ kind: 'tcp', ...local }, (s) => this.#accepted(s), buffersOf(net));
  }
  /** Other settings from now on. `listener`: of its address, where that is another one than before. */
  adopt(config: PeerConfig, listener: StreamListener | undefined): void {
    this.#config = config;
    if (listener === undefined) return;
    this.#listener?.close();
    this.#listener = listener;
  }
  seek(): void {
    this.#sides = {};
    this.#dialect = DRBD_OPENING;
    this.#meet({ kind: 'seek' });
  }
  /** `verdict`: the peer gets the time to read why, and to come to the same end; then it closes, or we do. */
  close(verdict = false): void {
    clearTimeout(this.#timer);
    for (const s of this.#dials.values()) s.close();
    this.#dials.clear();
    const sides = Object.values(this.#sides);
    this.#sides = {};
    for (const s of sides) s.close(verdict ? this.#config.net.pingTimeout : 0);
    this.#meet({ kind: 'stop' });
  }
  stop(): void {
    this.close();
    this.#listener?.close();
  }
  agree(d: DrbdDialect): void {
    this.#dialect = d;
    for (const s of Object.values(this.#sides)) s.agree(d);
    this.#meet({ kind: 'agreed' });
  }
  send(socket: DrbdSocket, p: DrbdPacket, sent?: () => void): void {
    const side = this.#sides[socket];
    if (side === undefined) sent?.();
    else side.send(p, sent);
  }
  /** The disk has this payload of a packet. */
  release(payload: Uint8Array): void {
    this.#sides.data?.release(payload);
  }
  /** What was sent goes out. */
  flush(): void {
    this.#sides.data?.flush();
    this.#sides.meta?.flush();
  }
  /** Bytes of the data socket that the peer has not taken. */
  get untaken(): number {
    return this.#sides.data?.untaken ?? 0;
  }
  /** Whether packets of the data socket are wanted; those of the meta socket always are. */
  want(more: boolean): void {
    this.#sides.data?.want(more);
  }
  /** The meta socket, when the peer has opened the data socket. */
  open(socket: DrbdSocket): void {
    this.#meet({ kind: 'open', socket });
  }

  #meet(e: MeetingEvent<ServerStream>): void {
    const { local, remote } = this.#config;
    const next = stepMeeting(place(local) < place(remote), this.#meeting, e);
    this.#meeting = next.state;
    for (const f of next.effects) this.#do(f);
  }
  #do(f: MeetingEffect<ServerStream>): void {
    switch (f.kind) {
      case 'dial':
        this.#dial(f.socket);
        return;
      case 'plan':
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#meet({ kind: 'due' }), this.#delay(f.when));
        return;
      case 'hang-up':
        f.call.close();
        return;
      case 'hold':
        this.#hold(f.call);
        return;
      case 'take':
        this.#take(f.socket, f.call, f.opened);
        return;
      case 'over':
        this.#on.closed(f.because);
    }
  }
  #delay(when: (MeetingEffect<ServerStream> & { kind: 'plan' })['when']): number {
    const { connectInterval, pingTimeout } = this.#config.net;
    const r = this.#random();
    switch (when) {
      case 'start':
        return r * 300;
      case 'soon':
        return pingTimeout * (0.4 + r * 0.4);
      case 'again':
        return connectInterval * (0.3 + r * 0.4);
      case 'interval':
        return connectInterval;
    }
  }
  #dial(socket: DrbdSocket): void {
    const { local, remote, net } = this.#config;
    const dialled = this.#streams.connect({ kind: 'tcp', ...remote }, { source: local.address, ...buffersOf(net) });
    if (!dialled.ok) {
      this.#meet({ kind: 'failed', socket });
      return;
    }
    const s = dialled.value;
    this.#dials.set(socket, s);
    // A host that does not answer is tried anew long before the kernel gives up.
    const timer = setTimeout(() => end(), net.connectInterval);
    const end = (): void => {
      clearTimeout(timer);
      s.close();
      if (this.#dials.get(socket) !== s) return;
      this.#dials.delete(socket);
      this.#meet({ kind: 'failed', socket });
    };
    s.watch(() => {
      if (this.#dials.get(socket) !== s || s.receive(ROOM, 0, ROOM.length) !== EAGAIN) {
        end();
        return;
      }
      clearTimeout(timer);
      this.#dials.delete(socket);
      this.#meet({ kind: 'connected', socket, call: s });
    });
    s.interest(false, true);
  }
  #accepted(s: ServerStream): void {
    if (this.#meeting.is === 'idle') {
      s.close();
      return;
    }
    const head = new Uint8Array(FIRST);
    let have = 0;
    const timer = setTimeout(() => s.close(), this.#config.net.pingTimeout * 4);
    s.watch(() => {
      const n = s.receive(head, have, FIRST);
      if (n === EAGAIN) return;
      have += Math.max(n, 0);
      if (n > 0 && have < FIRST) return;
      clearTimeout(timer);
      const h = decodeHeader(new DataView(head.buffer), 0, 0);
      const command = have === FIRST && h.ok ? h.value.command : -1;
      const socket =
        command === DRBD_COMMAND.P_INITIAL_DATA ? 'data' : command === DRBD_COMMAND.P_INITIAL_META ? 'meta' : undefined;
      if (socket === undefined) s.close();
      else this.#meet({ kind: 'named', socket, call: s });
    });
  }
  /** Whatever comes of it before it is taken: its end, or something that nobody would read. */
  #hold(s: ServerStream): void {
    s.watch(() => {
      if (s.receive(ROOM, 0, ROOM.length) === EAGAIN) return;
      s.close();
      this.#meet({ kind: 'ended', call: s, because: CROSSED });
    });
  }
  #take(which: DrbdSocket, stream: ServerStream, opened: 'here' | 'there'): void {
    const live = (): boolean => this.#sides[which] === side;
    const side = new PeerStream(stream, this.#dialect, ROOM_BYTES[which], {
      packet: (p) => {
        if (live()) this.#on.packet(which, p);
      },
      closed: (because) => {
        if (live()) this.#meet({ kind: 'ended', call: stream, because });
      },
      settled: () => this.#on.settled(),
    });
    this.#sides[which] = side;
    this.#on.socket(which, opened);
    this.#on.settled();
    side.begin();
  }
}
const CROSSED = text('both sides opened the same socket at once', '两端同时打开了同一连接');
/** Both sides compare the same two. */
const place = (end: PeerConfig['local']): string => `${end.address} ${end.port}`;
const ROOM = new Uint8Array(1);
/** Large payloads have memory of their own. */
const ROOM_BYTES = { data: 256 * 1024, meta: 64 * 1024 } as const;
const buffersOf = (net: PeerConfig['net']) => ({ send: net.sendBuffer, receive: net.receiveBuffer });
