/** Reads network-order fields. Reading past the end never throws: it yields zeros and sets `short`, to be checked once at the end. */
export class ByteReader {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  #at = 0;
  #short = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  /** True once a read went past the end. */
  get short(): boolean {
    return this.#short;
  }
  get offset(): number {
    return this.#at;
  }
  get left(): number {
    return this.#bytes.length - this.#at;
  }
  #take(n: number): number {
    if (n < 0 || n > this.left) {
      this.#short = true;
      this.#at = this.#bytes.length;
      return -1;
    }
    const at = this.#at;
    this.#at += n;
    return at;
  }
  u8(): number {
    const at = this.#take(1);
    return at < 0 ? 0 : this.#view.getUint8(at);
  }
  u16(): number {
    const at = this.#take(2);
    return at < 0 ? 0 : this.#view.getUint16(at);
  }
  u32(): number {
    const at = this.#take(4);
    return at < 0 ? 0 : this.#view.getUint32(at);
  }
  u64(): bigint {
    const at = this.#take(8);
    return at < 0 ? 0n : this.#view.getBigUint64(at);
  }
  /** A view, not a copy. Empty when short. */
  bytes(n: number): Uint8Array {
    const at = this.#take(n);
    return at < 0 ? new Uint8Array(0) : this.#bytes.subarray(at, at + n);
  }
  rest(): Uint8Array {
    return this.bytes(this.left);
  }
  skip(n: number): void {
    this.#take(n);
  }
}

/** Writes fields into a buffer that grows: in network order, unless `littleEndian` says otherwise. */
export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #at = 0;
  readonly #little: boolean;

  constructor(capacity = 64, littleEndian = false) {
    this.#little = littleEndian;
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }
  get length(): number {
    return this.#at;
  }
  #room(n: number): number {
    const at = this.#at;
    if (at + n > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, at + n));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#at += n;
    return at;
  }
  u8(v: number): this {
    const at = this.#room(1);
    this.#view.setUint8(at, v);
    return this;
  }
  u16(v: number): this {
    const at = this.#room(2);
    this.#view.setUint16(at, v, this.#little);
    return this;
  }
  u32(v: number): this {
    const at = this.#room(4);
    this.#view.setUint32(at, v, this.#little);
    return this;
  }
  u64(v: bigint): this {
    const at = this.#room(8);
    this.#view.setBigUint64(at, v, this.#little);
    return this;
  }
  put(b: Uint8Array): this {
    const at = this.#room(b.length);
    this.#bytes.set(b, at);
    return this;
  }
  zeros(n: number): this {
    this.#room(n);
    return this;
  }
  /** Overwrites two bytes written before: a length or checksum known only now. */
  patchU16(offset: number, v: number): this {
    this.#view.setUint16(offset, v, this.#little);
    return this;
  }
  patchU32(offset: number, v: number): this {
    this.#view.setUint32(offset, v, this.#little);
    return this;
  }
  /** A copy of what was written. */
  done(): Uint8Array {
    return this.#bytes.slice(0, this.#at);
  }
}
