/**
 * The two TCP connections to the peer: same port on both sides, told apart by their first packet. Whoever is quicker opens
 * the data socket, the other opens the meta socket at once. Crossed openings start over, each side after its own time.
 */
import { type Result, type Text, text } from '../../base/index.ts';
import type { HostError, ServerStream, StreamListener, StreamServer } from '../../host/index.ts';
import type { MirrorConfig } from '../../mirror/index.ts';
import {
  DRBD_COMMAND,
  DRBD_OPENING,
  type DrbdDialect,
  type DrbdPacket,
  type DrbdSocket,
  decodeHeader,
} from '../../wire/index.ts';
import { PeerStream } from './peer-stream.ts';

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
  #config: MirrorConfig;
  readonly #streams: StreamServer;
  readonly #on: PeerEvents;
  #listener: StreamListener | undefined;
  #dialect: DrbdDialect = DRBD_OPENING;
  #sides: Partial<Record<DrbdSocket, PeerStream>> = {};
  #seeking = false;
  #timer: NodeJS.Timeout | undefined;
  #trying: ServerStream | undefined;

  constructor(config: MirrorConfig, streams: StreamServer, on: PeerEvents) {
    this.#config = config;
    this.#streams = streams;
    this.#on = on;
  }
  /** Listens for the whole life of the process, so that a peer that is early finds the port. */
  listen(failed: (code: string) => void): void {
    const listener = this.listenAs(this.#config);
    if (listener.ok) this.#listener = listener.value;
    else failed(listener.error.code);
  }
  /** Another port or address, beside the one that is listened on, until `adopt` or until it is closed. */
  listenAs({ local, net }: MirrorConfig): Result<StreamListener, HostError> {
    return this.#streams.listen({ kind: 'tcp', ...local }, (s) => this.#accepted(s), buffersOf(net));
  }
  /** Other settings from now on. `listener`: of its address, where that is another one than before. */
  adopt(config: MirrorConfig, listener: StreamListener | undefined): void {
    this.#config = config;
    if (listener === undefined) return;
    this.#listener?.close();
    this.#listener = listener;
  }
  seek(): void {
    this.#seeking = true;
    this.#sides = {};
    this.#dialect = DRBD_OPENING;
    this.#plan(Math.random() * 300);
  }
  /** `verdict`: the peer gets the time to read why, and to come to the same end; then it closes, or we do. */
  close(verdict = false): void {
    this.#seeking = false;
    clearTimeout(this.#timer);
    this.#trying?.close();
    this.#trying = undefined;
    const sides = Object.values(this.#sides);
    this.#sides = {};
    for (const s of sides) s.close(verdict ? this.#config.net.pingTimeout : 0);
  }
  stop(): void {
    this.close();
    this.#listener?.close();
  }
  agree(d: DrbdDialect): void {
    this.#dialect = d;
    for (const s of Object.values(this.#sides)) s.agree(d);
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
    this.#dial(socket);
  }

  #plan(delay: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!this.#seeking || this.#trying !== undefined) return;
      if (this.#sides.data === undefined) this.#dial('data');
      else if (this.#sides.meta === undefined) this.#dial('meta');
    }, delay);
  }
  #dial(which: DrbdSocket): void {
    const { local, remote, net } = this.#config;
    const again = (): void => this.#plan(net.connectInterval * (0.3 + Math.random() * 0.4));
    const dialled = this.#streams.connect({ kind: 'tcp', ...remote }, { source: local.address, ...buffersOf(net) });
    if (!dialled.ok) {
      again();
      return;
    }
    const s = dialled.value;
    this.#trying = s;
    // A host that does not answer is tried anew long before the kernel gives up.
    const timer = setTimeout(() => end(), net.connectInterval);
    const end = (): void => {
      clearTimeout(timer);
      s.close();
      if (this.#trying !== s) return;
      this.#trying = undefined;
      again();
    };
    s.watch(() => {
      const state = s.receive(ROOM, 0, ROOM.length);
      if (state !== EAGAIN) end();
      else if (this.#trying === s) {
        clearTimeout(timer);
        this.#trying = undefined;
        if (!this.#seeking || this.#sides[which] !== undefined) {
          s.close();
          return;
        }
        this.#take(which, s, 'here');
        this.#plan(net.connectInterval);
      }
    });
    s.interest(false, true);
  }
  #accepted(s: ServerStream): void {
    if (!this.#seeking) {
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
      const which =
        command === DRBD_COMMAND.P_INITIAL_DATA ? 'data' : command === DRBD_COMMAND.P_INITIAL_META ? 'meta' : undefined;
      if (which === undefined || !this.#seeking) {
        s.close();
        return;
      }
      if (this.#sides[which] !== undefined) {
        s.close();
        this.#on.closed(text('both sides opened the same socket at once', '两端同时打开了同一连接'));
        return;
      }
      this.#take(which, s, 'there');
    });
  }
  #take(which: DrbdSocket, stream: ServerStream, opened: 'here' | 'there'): void {
    const live = (): boolean => this.#sides[which] === side;
    const side = new PeerStream(stream, this.#dialect, ROOM_BYTES[which], {
      packet: (p) => {
        if (live()) this.#on.packet(which, p);
      },
      closed: (because) => {
        if (live()) this.#on.closed(because);
      },
      settled: () => this.#on.settled(),
    });
    this.#sides[which] = side;
    this.#on.socket(which, opened);
    this.#on.settled();
    side.begin();
  }
}
const ROOM = new Uint8Array(1);
/** The largest payload has 1 MiB. */
const ROOM_BYTES = { data: 2 << 20, meta: 64 * 1024 } as const;
const buffersOf = (net: MirrorConfig['net']) => ({ send: net.sendBuffer, receive: net.receiveBuffer });
