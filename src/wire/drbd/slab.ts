/**
 * Small buffers cut from large ones: an ArrayBuffer of its own for each forty bytes of an acknowledgement would cost more
 * than all else about it. A slab is given up when it is used up, and collected when nobody holds a piece of it.
 */
const SLAB = 64 * 1024;

export class Slab {
  #bytes = new Uint8Array(SLAB);
  #at = 0;
  /** Over the whole slab that the last `take` cut from. */
  view = new DataView(this.#bytes.buffer);

  /** `n` bytes that nobody else has, zeros. They begin at `offset` of `view`. */
  take(n: number): Uint8Array {
    if (n > SLAB) {
      const own = new Uint8Array(n);
      this.view = new DataView(own.buffer);
      this.offset = 0;
      this.#at = SLAB; // the view is of another buffer now
      return own;
    }
    if (this.#at + n > SLAB) {
      this.#bytes = new Uint8Array(SLAB);
      this.view = new DataView(this.#bytes.buffer);
      this.#at = 0;
    }
    this.offset = this.#at;
    this.#at += n;
    return this.#bytes.subarray(this.offset, this.#at);
  }
  offset = 0;
}
