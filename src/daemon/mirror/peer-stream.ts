/**
 * One of the two connections to the peer: packets out of memory that stands ready, and into it. What a turn led to is sent
 * in one call; a payload that is large goes from where it is. What the peer does not take at once is kept and counted.
 */
import { type Text, text } from '../../base/index.ts';
import type { ServerStream } from '../../host/index.ts';
import {
  type DrbdDialect,
  type DrbdPacket,
  DrbdStream,
  drbdPayload,
  encodeHead,
  PUT_ROOM,
  putHead,
} from '../../wire/index.ts';
import { Rooms } from './rooms.ts';

const EAGAIN = -11;
const OUT_BYTES = 256 * 1024;
/** What is no longer than this is copied behind what goes before it. */
const COPY_LIMIT = 16 * 1024;
/** Rather a new room than a receive of less. */
const LEAST_ROOM = 8 * 1024;
/** Receives in one wake: a busy data socket leaves time for pings. */
const ROUNDS = 4;
/** Beyond it nothing is read from a peer that does not take its answers. */
const MOST_UNTAKEN = 16 << 20;
/** After the end, what was sent before (the answer to a graceful disconnect) may still go out for so long. */
const FAREWELL_MS = 1000;
const none = new Uint8Array(0);

export type PeerStreamEvents = {
  readonly packet: (p: DrbdPacket) => void;
  /** Nothing more is called. */
  readonly closed: (because: Text) => void;
  /** A batch of packets was told of. */
  readonly settled: () => void;
};

type Rest = { bytes: Uint8Array; readonly sent: (() => void) | undefined };

export class PeerStream {
  readonly #stream: ServerStream;
  readonly #on: PeerStreamEvents;
  readonly #rooms: Rooms;
  readonly #in: DrbdStream;
  #dialect: DrbdDialect;
  #room: Uint8Array = none;
  #roomAt = 0;
  /** Nothing more is received into these, but they end with the beginning of a packet that is not all there. */
  #leaving: Uint8Array[] = [];
  readonly #out = new Uint8Array(OUT_BYTES);
  readonly #view = new DataView(this.#out.buffer);
  #from = 0;
  #to = 0;
  /** Behind what is in `#out`, in order. */
  readonly #rest: Rest[] = [];
  #restBytes = 0;
  /** A send failed: what the socket had taken is a beginning of what was sent, and nothing may come behind it. */
  #broken = false;
  #wanted = true;
  #reads = true;
  #writes = false;
  #closed = false;
  #lingers = false;
  #farewell: NodeJS.Timeout | undefined;

  /** `roomBytes`: what is received in one go. */
  constructor(stream: ServerStream, dialect: DrbdDialect, roomBytes: number, on: PeerStreamEvents) {
    this.#stream = stream;
    this.#rooms = new Rooms(roomBytes);
    this.#in = new DrbdStream((length) => this.#rooms.place(length));
    this.#on = on;
    this.#dialect = dialect;
    this.#in.agree(dialect);
  }
  /** From here on it is read. */
  begin(): void {
    if (this.#closed) return;
    this.#stream.watch(() => this.#wake());
    this.#stream.interest(this.#reads, this.#writes);
  }
  /** From the next packet on, in both directions. */
  agree(d: DrbdDialect): void {
    this.#dialect = d;
    this.#in.agree(d);
  }
  /** Bytes that wait for the peer to take them. */
  get untaken(): number {
    return this.#to - this.#from + this.#restBytes;
  }
  /** The disk has this payload. */
  release(payload: Uint8Array): void {
    this.#rooms.release(payload);
  }
  /** Whether packets are wanted: else what the peer sends stays with the kernel, and with the peer. */
  want(more: boolean): void {
    if (this.#wanted === more) return;
    this.#wanted = more;
    this.#attend();
  }

  /**
   * Goes out at the next `flush`. The payload is its owner's again after the call, or with `sent` when that is called: exactly
   * once, when the socket has all of it or never will. Until then it is sent from where it is, also after `close`.
   */
  send(p: DrbdPacket, sent?: () => void): void {
    if (this.#closed || this.#broken) {
      sent?.();
      return;
    }
    if (!this.#fits(PUT_ROOM)) this.flush();
    const n = this.#fits(PUT_ROOM) ? putHead(p, this.#dialect, this.#out, this.#view, this.#to) : 0;
    if (n > 0) this.#to += n;
    else this.#put(encodeHead(p, this.#dialect));
    const payload = drbdPayload(p);
    if (payload.length > 0) this.#put(payload, sent);
  }
  #fits(n: number): boolean {
    return this.#rest.length === 0 && this.#to + n <= OUT_BYTES;
  }
  #put(bytes: Uint8Array, sent?: () => void): void {
    if (bytes.length <= COPY_LIMIT) {
      if (!this.#fits(bytes.length)) this.flush();
      if (this.#fits(bytes.length)) {
        this.#out.set(bytes, this.#to);
        this.#to += bytes.length;
        sent?.();
        return;
      }
    }
    const taken = this.#rest.length === 0 ? this.#give(bytes) : 0;
    if (taken === bytes.length) {
      sent?.();
      return;
    }
    this.#rest.push({ bytes: sent === undefined ? bytes.slice(taken) : bytes.subarray(taken), sent });
    this.#restBytes += bytes.length - taken;
  }
  /** Hands over what was sent. */
  flush(): void {
    if (this.#closed && this.#farewell === undefined) return;
    while (this.untaken > 0) {
      const first = this.#rest[0];
      const taken = this.#give(first?.bytes ?? none);
      if (this.#from < this.#to || this.#broken) break;
      if (first === undefined) continue;
      this.#restBytes -= taken;
      first.bytes = first.bytes.subarray(taken);
      if (first.bytes.length > 0) break;
      this.#rest.shift();
      first.sent?.();
    }
    if (!this.#closed) this.#attend();
    else if (this.untaken > 0) this.#stream.interest(false, true);
    else if (this.#lingers) this.#stream.interest(true, false);
    else this.#end();
  }
  /** Sends what is in `#out` and then `behind`; returns how much of the latter is not needed any more. */
  #give(behind: Uint8Array): number {
    const n = this.#broken ? -1 : this.#stream.send(this.#out, this.#from, this.#to, behind, 0, behind.length);
    if (n === EAGAIN) return 0;
    if (n < 0) {
      // What the peer sent before is read first; that ends the connection.
      this.#broken = true;
      this.#forget();
      return behind.length;
    }
    const head = Math.min(n, this.#to - this.#from);
    this.#from += head;
    if (this.#from === this.#to) {
      this.#from = 0;
      this.#to = 0;
    }
    return n - head;
  }
  #forget(): void {
    this.#from = 0;
    this.#to = 0;
    for (const r of this.#rest.splice(0)) r.sent?.();
    this.#restBytes = 0;
  }

  #attend(): void {
    const reads = this.#wanted && this.untaken < MOST_UNTAKEN;
    const writes = this.untaken > 0 || this.#broken;
    if (reads === this.#reads && writes === this.#writes) return;
    this.#reads = reads;
    this.#writes = writes;
    this.#stream.interest(reads, writes);
  }
  #wake(): void {
    if (this.#closed) {
      if (this.untaken > 0 || !this.#lingers) this.flush();
      else this.#linger();
      return;
    }
    if (this.#writes) this.flush();
    if (this.#broken && !this.#reads) this.#lost(UNSENT);
    for (let round = 0; round < ROUNDS && this.#reads && !this.#closed; round++) {
      // A large payload is received where it will stay.
      const gap = this.#in.gap;
      const direct = gap !== undefined && gap.length >= LEAST_ROOM;
      if (!direct) this.#makeRoom();
      const asked = direct ? gap.length : this.#room.length - this.#roomAt;
      const n = direct
        ? this.#stream.receive(gap, 0, asked)
        : this.#stream.receive(this.#room, this.#roomAt, this.#room.length);
      if (n === EAGAIN) {
        if (this.#broken) this.#lost(UNSENT);
        break;
      }
      if (n <= 0) {
        this.#lost(text('the peer closed the connection', '对端关闭了连接'));
        break;
      }
      if (direct) this.#in.filled(n);
      else {
        this.#in.feed(this.#room.subarray(this.#roomAt, this.#roomAt + n), asked - n);
        this.#roomAt += n;
      }
      this.#take();
      if (n < asked) break;
    }
    this.#on.settled();
  }
  #makeRoom(): void {
    if (this.#room.length - this.#roomAt >= LEAST_ROOM) return;
    this.#leaving.push(this.#room);
    this.#leave();
    this.#room = this.#rooms.take();
    this.#roomAt = 0;
  }
  #leave(): void {
    this.#leaving = this.#leaving.filter((room) => {
      if (this.#in.waitsIn(room)) return true;
      this.#rooms.full(room);
      return false;
    });
  }
  #take(): void {
    while (!this.#closed) {
      const got = this.#in.next();
      if (!got.ok) {
        this.#lost(text(`the peer sent nonsense (${got.error.kind})`, `对端发来无法识别的数据（${got.error.kind}）`));
        return;
      }
      if (got.value === undefined) return;
      this.#rooms.hold(got.value);
      if (this.#leaving.length > 0) this.#leave();
      this.#on.packet(got.value);
    }
  }
  #lost(because: Text): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#end();
    this.#on.closed(because);
  }
  /** Nothing is told any more; what was sent still goes out. For `patience` milliseconds the peer may be the one to close. */
  close(patience = 0): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#lingers = patience > 0;
    this.#farewell = setTimeout(() => this.#end(), Math.max(patience, FAREWELL_MS));
    this.#stream.interest(this.#lingers, this.untaken > 0);
    this.flush();
  }
  /** What comes now is thrown away. */
  #linger(): void {
    const n = this.#stream.receive(this.#out, 0, OUT_BYTES);
    if (n <= 0 && n !== EAGAIN) this.#end();
    else this.#stream.interest(true, false);
  }
  #end(): void {
    clearTimeout(this.#farewell);
    this.#farewell = undefined;
    this.#forget();
    this.#stream.close();
  }
}
const UNSENT = text('what was sent could not be handed over', '无法送出数据');
