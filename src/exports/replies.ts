/**
 * The outgoing side of a connection: replies gathered in one buffer and sent together. Payloads up to a small slot's size
 * are copied behind their header; larger ones go from the slab in the same call, and their slot is free when they are gone.
 */
import type { ServerStream } from '../host/index.ts';

const OUT_BYTES = 128 * 1024;
/** A reply's headers, an error's words, a short list of extents. */
const HEAD_ROOM = 8 * 1024;
const COPY_LIMIT = 16 * 1024;
const EAGAIN = -11;
const none = new Uint8Array(0);

export class Outgoing {
  readonly bytes = new Uint8Array(OUT_BYTES);
  readonly view = new DataView(this.bytes.buffer);
  readonly #stream: ServerStream;
  #from = 0;
  /** Bytes that the peer has taken. */
  taken = 0;
  /** Where the next header is written. */
  to = 0;
  #tail: Uint8Array = none;
  #tailFrom = 0;
  #tailTo = 0;
  #tailSlot = -1;
  readonly #gone: (slot: number) => void;

  /** `gone`: the payload of this slot is no longer needed. */
  constructor(stream: ServerStream, gone: (slot: number) => void) {
    this.#stream = stream;
    this.#gone = gone;
  }
  /** Whether another reply may be written. */
  get hasRoom(): boolean {
    return this.#tailTo === 0 && this.to + HEAD_ROOM + COPY_LIMIT <= OUT_BYTES;
  }
  get isEmpty(): boolean {
    return this.#from === this.to && this.#tailTo === 0;
  }
  put(b: Uint8Array): void {
    this.bytes.set(b, this.to);
    this.to += b.length;
  }
  /** Takes over what another has not sent yet; it held no payload. */
  inherit(other: Outgoing): void {
    this.put(other.bytes.subarray(other.#from, other.to));
  }
  /** Payload behind what was written. A small one is copied, and `gone` is told at once. */
  payload(from: Uint8Array, at: number, length: number, slot: number): void {
    if (length <= COPY_LIMIT) {
      this.bytes.set(from.subarray(at, at + length), this.to);
      this.to += length;
      this.#gone(slot);
      return;
    }
    this.#tail = from;
    this.#tailFrom = at;
    this.#tailTo = at + length;
    this.#tailSlot = slot;
  }
  /** `empty`: all is gone. `full`: the peer does not take more now. `broken`: it never will. */
  send(): 'empty' | 'full' | 'broken' {
    while (!this.isEmpty) {
      const n = this.#stream.send(this.bytes, this.#from, this.to, this.#tail, this.#tailFrom, this.#tailTo);
      if (n === EAGAIN) return 'full';
      if (n < 0) return 'broken';
      this.taken += n;
      const head = Math.min(n, this.to - this.#from);
      this.#from += head;
      this.#tailFrom += n - head;
      if (this.#tailTo > 0 && this.#tailFrom === this.#tailTo) this.#endTail();
    }
    this.#from = 0;
    this.to = 0;
    return 'empty';
  }
  /** The connection is gone: what waits is dropped. */
  drop(): void {
    this.#from = 0;
    this.to = 0;
    if (this.#tailTo > 0) this.#endTail();
  }
  #endTail(): void {
    const slot = this.#tailSlot;
    this.#tail = none;
    this.#tailFrom = 0;
    this.#tailTo = 0;
    this.#tailSlot = -1;
    this.#gone(slot);
  }
}
