/**
 * The two TCP connections to the peer: same port on both sides, told apart by their first packet. Whoever is quicker opens
 * the data socket, the other opens the meta socket at once. Crossed openings start over, each side after its own time.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Text, text } from '../../base/index.ts';
import type { MirrorConfig } from '../../mirror/index.ts';
import {
  DRBD_COMMAND,
  type DrbdDialect,
  type DrbdPacket,
  type DrbdSocket,
  DrbdStream,
  decodeHeader,
  encodePacket,
} from '../../wire/index.ts';

export type PeerEvents = {
  readonly socket: (socket: DrbdSocket, opened: 'here' | 'there') => void;
  readonly packet: (socket: DrbdSocket, p: DrbdPacket) => void;
  readonly closed: (because: Text) => void;
};
type Side = { readonly socket: Socket; readonly stream: DrbdStream };
const OPENING = { version: 0, features: 0, digestLength: 0 };
const FIRST = 8;

export class PeerSockets {
  readonly #config: MirrorConfig;
  readonly #on: PeerEvents;
  #server: Server | undefined;
  #dialect: DrbdDialect = OPENING;
  #sides: Partial<Record<DrbdSocket, Side>> = {};
  #seeking = false;
  #timer: NodeJS.Timeout | undefined;
  #trying: Socket | undefined;
  #corked = false;

  constructor(config: MirrorConfig, on: PeerEvents) {
    this.#config = config;
    this.#on = on;
  }
  /** Listens for the whole life of the process, so that a peer that is early finds the port. */
  listen(failed: (code: string) => void): void {
    const { local } = this.#config;
    this.#server = createServer((s) => this.#accepted(s));
    this.#server.on('error', (e: NodeJS.ErrnoException) => failed(e.code ?? 'EIO'));
    this.#server.listen({ host: local.address, port: local.port });
  }
  seek(): void {
    this.#seeking = true;
    this.#sides = {};
    this.#dialect = OPENING;
    this.#plan(Math.random() * 300);
  }
  /** `verdict`: the peer gets the time to read why, and to come to the same end; then it closes, or we do. */
  close(verdict = false): void {
    this.#seeking = false;
    clearTimeout(this.#timer);
    this.#trying?.destroy();
    this.#trying = undefined;
    const sides = Object.values(this.#sides);
    this.#sides = {};
    // What was sent before (the answer to a graceful disconnect) still goes out.
    for (const { socket } of sides) {
      if (!verdict) {
        socket.destroySoon();
        continue;
      }
      const timer = setTimeout(() => socket.destroySoon(), this.#config.net.pingTimeout);
      socket.on('close', () => clearTimeout(timer));
    }
  }
  stop(): void {
    this.close();
    this.#server?.close();
  }
  agree(d: DrbdDialect): void {
    this.#dialect = d;
    for (const s of Object.values(this.#sides)) s.stream.agree(d);
  }
  send(socket: DrbdSocket, p: DrbdPacket): void {
    this.#sides[socket]?.socket.write(encodePacket(p, this.#dialect).slice());
  }
  /** Packets between the two go out together. */
  cork(on: boolean): void {
    if (this.#corked === on) return;
    this.#corked = on;
    for (const s of Object.values(this.#sides))
      if (on) s.socket.cork();
      else s.socket.uncork();
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
    const s = connect({ host: remote.address, port: remote.port, localAddress: local.address });
    this.#trying = s;
    const end = (): void => {
      if (this.#trying !== s) return;
      this.#trying = undefined;
      this.#plan(net.connectInterval * (0.3 + Math.random() * 0.4));
    };
    s.setNoDelay(true);
    s.on('error', () => {}); // its close follows
    s.on('close', end);
    s.on('connect', () => {
      if (this.#trying !== s) return;
      this.#trying = undefined;
      s.removeListener('close', end);
      if (!this.#seeking || this.#sides[which] !== undefined) {
        s.destroy();
        return;
      }
      this.#take(which, s, 'here', undefined);
      this.#plan(net.connectInterval);
    });
  }
  #accepted(s: Socket): void {
    s.setNoDelay(true);
    s.on('error', () => {});
    if (!this.#seeking) {
      s.destroy();
      return;
    }
    let head = Buffer.alloc(0);
    const timer = setTimeout(() => s.destroy(), this.#config.net.pingTimeout * 4);
    const read = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      if (head.length < FIRST) return;
      clearTimeout(timer);
      s.removeListener('data', read);
      s.pause();
      const bytes = new Uint8Array(head);
      const h = decodeHeader(new DataView(bytes.buffer), 0, 0);
      const command = h.ok ? h.value.command : -1;
      const which =
        command === DRBD_COMMAND.P_INITIAL_DATA ? 'data' : command === DRBD_COMMAND.P_INITIAL_META ? 'meta' : undefined;
      if (which === undefined || !this.#seeking) {
        s.destroy();
        return;
      }
      if (this.#sides[which] !== undefined) {
        s.destroy();
        this.#on.closed(text('both sides opened the same socket at once', '两端同时打开了同一连接'));
        return;
      }
      this.#take(which, s, 'there', bytes.subarray(FIRST));
    };
    s.on('data', read);
    s.on('close', () => clearTimeout(timer));
  }
  #take(which: DrbdSocket, socket: Socket, opened: 'here' | 'there', rest: Uint8Array | undefined): void {
    const side: Side = { socket, stream: new DrbdStream() };
    side.stream.agree(this.#dialect);
    this.#sides[which] = side;
    const live = (): boolean => this.#sides[which] === side;
    const received = (chunk: Uint8Array): void => {
      if (!live()) return;
      side.stream.feed(chunk);
      while (live()) {
        const got = side.stream.next();
        if (!got.ok) {
          this.#on.closed(
            text(`the peer sent nonsense (${got.error.kind})`, `对端发来无法识别的数据（${got.error.kind}）`),
          );
          return;
        }
        if (got.value === undefined) return;
        this.#on.packet(which, got.value);
      }
    };
    socket.on('close', () => {
      if (live()) this.#on.closed(text('the peer closed the connection', '对端关闭了连接'));
    });
    this.#on.socket(which, opened);
    if (rest !== undefined && rest.length > 0) received(rest);
    socket.on('data', (chunk: Buffer) => received(chunk));
    socket.resume();
  }
}
