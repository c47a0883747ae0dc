/** A stream of Node behind the port: what TLS needs, and what the addon's sockets are measured against. */
import { constants } from 'node:os';
import type { Duplex } from 'node:stream';

const { EAGAIN, EPIPE } = constants.errno;
/** Bytes that wait to be received; beyond it the sender is held back. */
const INPUT_LIMIT = 256 * 1024;
const OUTPUT_LIMIT = 256 * 1024;

/** The half of `ServerStream` that moves bytes. */
export class DuplexBytes {
  readonly #duplex: Duplex;
  #chunks: Buffer[] = [];
  #waiting = 0;
  #ended = false;
  #readable = true;
  #writable = false;
  #ready: () => void = () => {};
  #scheduled = false;

  constructor(duplex: Duplex) {
    this.#duplex = duplex;
    duplex.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#waiting += chunk.length;
      if (this.#waiting > INPUT_LIMIT) duplex.pause();
      if (this.#readable) this.#ready();
    });
    const end = (): void => {
      this.#ended = true;
      if (this.#readable || this.#writable) this.#ready();
    };
    duplex.on('end', end);
    duplex.on('close', end);
    duplex.on('error', end);
    duplex.on('drain', () => {
      if (this.#writable) this.#ready();
    });
  }
  receive(into: Uint8Array, from: number, to: number): number {
    let at = from;
    while (at < to) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) break;
      const n = Math.min(chunk.length, to - at);
      into.set(n === chunk.length ? chunk : chunk.subarray(0, n), at);
      if (n === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(n);
      at += n;
    }
    this.#waiting -= at - from;
    if (this.#waiting <= INPUT_LIMIT && this.#duplex.isPaused()) this.#duplex.resume();
    if (this.#waiting > 0) this.#tellSoon();
    if (at > from) return at - from;
    return this.#ended ? 0 : -EAGAIN;
  }
  send(first: Uint8Array, from: number, to: number, second: Uint8Array, from2: number, to2: number): number {
    if (this.#ended || this.#duplex.destroyed) return -EPIPE;
    if (this.#duplex.writableLength > OUTPUT_LIMIT) return -EAGAIN;
    // Copied: the stream keeps what it was given until it is sent.
    const copy = Buffer.allocUnsafe(to - from + to2 - from2);
    copy.set(first.subarray(from, to));
    copy.set(second.subarray(from2, to2), to - from);
    this.#duplex.write(copy);
    return copy.length;
  }
  watch(ready: () => void): void {
    this.#ready = ready;
  }
  interest(readable: boolean, writable: boolean): void {
    const more = readable && !this.#readable && (this.#waiting > 0 || this.#ended);
    this.#readable = readable;
    this.#writable = writable;
    if (more) this.#tellSoon();
  }
  /** The port is level-triggered: what is there already counts. */
  #tellSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#readable && (this.#waiting > 0 || this.#ended)) this.#ready();
    });
  }
  /** What was sent still goes out. */
  close(): void {
    this.#duplex.end();
    // A peer that never answers the farewell must not hold the connection.
    if (this.#duplex.writableLength === 0) this.#duplex.destroySoon?.();
    else this.#duplex.once('finish', () => this.#duplex.destroy());
  }
}
declare module 'node:stream' {
  interface Duplex {
    /** net.Socket and tls.TLSSocket have it. */
    destroySoon?(): void;
  }
}
