import { type IpAddress, ipBytes } from '../../base/index.ts';
import { ATTRIBUTE_HEADER, align4, LITTLE } from './native.ts';

const encoder = new TextEncoder();

/** Writes netlink structures into a buffer that grows: fields in native order, attributes, nests and messages with their lengths. */
export class NetlinkWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #at = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }
  get length(): number {
    return this.#at;
  }
  /** Where the next field goes; the room is zero. */
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
    this.#view.setUint16(at, v, LITTLE);
    return this;
  }
  u32(v: number): this {
    const at = this.#room(4);
    this.#view.setUint32(at, v, LITTLE);
    return this;
  }
  put(b: Uint8Array): this {
    const at = this.#room(b.length);
    this.#bytes.set(b, at);
    return this;
  }
  patchU16(at: number, v: number): void {
    this.#view.setUint16(at, v, LITTLE);
  }
  patchU32(at: number, v: number): void {
    this.#view.setUint32(at, v, LITTLE);
  }
  /** Pads to the four bytes that every message and attribute starts at. */
  align(): this {
    this.#room(align4(this.#at) - this.#at);
    return this;
  }
  #head(type: number, payload: number): number {
    if (payload + ATTRIBUTE_HEADER > 0xffff) throw new Error(`bug: a netlink attribute of ${payload} bytes`);
    this.u16(payload + ATTRIBUTE_HEADER).u16(type);
    return this.#room(align4(payload));
  }
  attrU8(type: number, v: number): this {
    const at = this.#head(type, 1);
    this.#view.setUint8(at, v);
    return this;
  }
  attrU16(type: number, v: number): this {
    const at = this.#head(type, 2);
    this.#view.setUint16(at, v, LITTLE);
    return this;
  }
  attrU32(type: number, v: number): this {
    const at = this.#head(type, 4);
    this.#view.setUint32(at, v, LITTLE);
    return this;
  }
  /** Network order. */
  attrBe16(type: number, v: number): this {
    const at = this.#head(type, 2);
    this.#view.setUint16(at, v);
    return this;
  }
  /** Network order. */
  attrBe64(type: number, v: bigint): this {
    const at = this.#head(type, 8);
    this.#view.setBigUint64(at, v);
    return this;
  }
  attrU32s(type: number, values: readonly number[]): this {
    const at = this.#head(type, values.length * 4);
    values.forEach((v, i) => {
      this.#view.setUint32(at + i * 4, v, LITTLE);
    });
    return this;
  }
  attrU16pair(type: number, a: number, b: number): this {
    const at = this.#head(type, 4);
    this.#view.setUint16(at, a, LITTLE);
    this.#view.setUint16(at + 2, b, LITTLE);
    return this;
  }
  attrBytes(type: number, b: Uint8Array): this {
    const at = this.#head(type, b.length);
    this.#bytes.set(b, at);
    return this;
  }
  attrIp(type: number, a: IpAddress): this {
    return this.attrBytes(type, ipBytes(a));
  }
  /** With the NUL that the kernel expects of names. */
  attrText(type: number, s: string): this {
    return this.attrBytes(type, encoder.encode(`${s}\0`));
  }
  /** An attribute whose content `inside` writes. */
  nest(type: number, inside: () => void): this {
    const start = this.#at;
    this.u16(0).u16(type);
    inside();
    const length = this.#at - start;
    if (length > 0xffff) throw new Error(`bug: a netlink nest of ${length} bytes`);
    this.patchU16(start, length);
    return this.align();
  }
  /** A copy of what was written. */
  done(): Uint8Array {
    return this.#bytes.slice(0, this.#at);
  }
}
