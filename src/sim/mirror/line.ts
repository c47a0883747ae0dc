/**
 * The two sockets of one connection: bytes in order, with latency, through the real codec. While the line is cut nothing
 * arrives; what was sent waits, as TCP would send it again; who closes is heard of only when the line is whole.
 */
import { type Text, text } from '../../base/index.ts';
import { type DrbdDialect, type DrbdPacket, type DrbdSocket, DrbdStream, encodePacket } from '../../wire/index.ts';
import type { World } from '../world.ts';

export interface Wire {
  /** When the line is whole again; undefined: it is. */
  cut: boolean;
  readonly latency: () => number;
  /** A bit of this packet's data is to be turned over, and TCP does not notice. */
  disturbs(): boolean;
  whenWhole(run: () => void): void;
}
type End = {
  /** Runs it when the host is able to: at once, or when its pause ends. */
  readonly arrives: (run: () => void) => void;
  readonly hears: (socket: DrbdSocket, p: DrbdPacket) => void;
  readonly closed: (why: Text) => void;
  readonly streams: Record<DrbdSocket, DrbdStream>;
  dialect: DrbdDialect;
  open: boolean;
};
type Side = Pick<End, 'arrives' | 'hears' | 'closed'>;
const CLOSED = text('the peer closed the connection', '对端关闭了连接');

/** One connection between end 0 and end 1. */
export class Line {
  readonly #world: World;
  readonly #wire: Wire;
  readonly #ends: [End, End];
  /** When the last bytes of each direction and socket arrive. */
  readonly #last = new Map<string, number>();

  constructor(world: World, wire: Wire, ends: [Side, Side]) {
    this.#world = world;
    this.#wire = wire;
    const end = (e: Side): End => ({
      ...e,
      streams: { data: new DrbdStream(), meta: new DrbdStream() },
      dialect: { version: 0, features: 0, digestLength: 0 },
      open: true,
    });
    this.#ends = [end(ends[0]), end(ends[1])];
  }
  agree(who: 0 | 1, d: DrbdDialect): void {
    this.#ends[who].dialect = d;
    this.#ends[who].streams.data.agree(d);
    this.#ends[who].streams.meta.agree(d);
  }
  send(who: 0 | 1, socket: DrbdSocket, p: DrbdPacket): void {
    if (!this.#ends[who].open) return;
    const bytes = encodePacket(p, this.#ends[who].dialect);
    // Data are at the end of a packet, so it is data that are changed.
    if ('data' in p && p.data.length > 0 && this.#wire.disturbs())
      bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 0x10;
    const to = (1 - who) as 0 | 1;
    const run = (): void => {
      const end = this.#ends[to];
      if (!end.open) return;
      end.streams[socket].feed(bytes);
      for (;;) {
        const got = end.streams[socket].next();
        if (!got.ok) throw new Error(`bug: ${JSON.stringify(got.error)} in ${p.kind}`);
        if (got.value === undefined || !end.open) return;
        end.hears(socket, got.value);
      }
    };
    this.#arrive(to, socket, () => this.#ends[to].arrives(run));
  }
  close(who: 0 | 1): void {
    if (!this.#ends[who].open) return;
    this.#ends[who].open = false;
    const to = (1 - who) as 0 | 1;
    // Behind what was sent before, on either socket.
    const last = Math.max(this.#last.get(`${to} data`) ?? 0, this.#last.get(`${to} meta`) ?? 0);
    this.#later(Math.max(last, this.#world.now + this.#wire.latency()), () => {
      const end = this.#ends[to];
      end.arrives(() => {
        if (!end.open) return;
        end.open = false;
        end.closed(CLOSED);
      });
    });
  }
  /** Without a word: the other end finds out by itself. */
  vanish(who: 0 | 1): void {
    this.#ends[who].open = false;
  }
  isOpen(who: 0 | 1): boolean {
    return this.#ends[who].open;
  }
  #arrive(to: 0 | 1, socket: DrbdSocket, run: () => void): void {
    const key = `${to} ${socket}`;
    const at = Math.max(this.#last.get(key) ?? 0, this.#world.now + this.#wire.latency());
    this.#last.set(key, at);
    this.#later(at, run);
  }
  #queue: (() => void)[] = [];
  #later(at: number, run: () => void): void {
    this.#world.at(at, () => {
      // In order: behind what is stalled already.
      if (!this.#wire.cut && this.#queue.length === 0) return run();
      this.#queue.push(run);
      if (this.#queue.length === 1) this.#wire.whenWhole(() => this.#drain());
    });
  }
  #drain(): void {
    if (this.#wire.cut) {
      this.#wire.whenWhole(() => this.#drain());
      return;
    }
    const queue = this.#queue;
    this.#queue = [];
    for (const run of queue) run();
  }
}
