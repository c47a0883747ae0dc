import { ByteWriter, type IpAddress, ipBytes } from '../../base/index.ts';
import { ATTRIBUTE_HEADER, align4, LITTLE } from './native.ts';

const encoder = new TextEncoder();
/** Names come again and again: of tables, sets, chains and expressions. Those seen first are kept, encoded. */
const names = new Map<string, Uint8Array>();
const MAX_NAMES = 1024;
function encodeName(s: string): Uint8Array {
  const known = names.get(s);
  if (known !== undefined) return known;
  const bytes = encoder.encode(`${s}\0`);
  if (names.size < MAX_NAMES) names.set(s, bytes);
  return bytes;
}

/** Writes netlink structures: fields in native order, attributes, nests and messages with their lengths. Attributes begin aligned. */
export class NetlinkWriter extends ByteWriter {
  constructor(capacity = 256) {
    super(capacity, LITTLE);
  }
  /** Pads to the four bytes that every message and attribute starts at. */
  align(): this {
    return this.zeros(align4(this.length) - this.length);
  }
  #head(type: number, payload: number): this {
    if (payload + ATTRIBUTE_HEADER > 0xffff) throw new Error(`bug: a netlink attribute of ${payload} bytes`);
    return this.u16(payload + ATTRIBUTE_HEADER).u16(type);
  }
  attrU8(type: number, v: number): this {
    return this.#head(type, 1).u8(v).align();
  }
  attrU16(type: number, v: number): this {
    return this.#head(type, 2).u16(v).align();
  }
  attrU32(type: number, v: number): this {
    return this.#head(type, 4).u32(v);
  }
  attrU64(type: number, v: bigint): this {
    return this.#head(type, 8).u64(v);
  }
  /** Network order. */
  attrBe16(type: number, v: number): this {
    return this.#head(type, 2)
      .u8(v >>> 8)
      .u8(v)
      .align();
  }
  /** Network order. */
  attrBe32(type: number, v: number): this {
    return this.#head(type, 4)
      .u8(v >>> 24)
      .u8(v >>> 16)
      .u8(v >>> 8)
      .u8(v);
  }
  /** Network order. */
  attrBe64(type: number, v: bigint): this {
    return this.attrBytes(type, new ByteWriter(8).u64(v).done());
  }
  attrU32s(type: number, values: readonly number[]): this {
    this.#head(type, values.length * 4);
    for (const v of values) this.u32(v);
    return this;
  }
  attrU16pair(type: number, a: number, b: number): this {
    return this.#head(type, 4).u16(a).u16(b);
  }
  attrBytes(type: number, b: Uint8Array): this {
    return this.#head(type, b.length).put(b).align();
  }
  attrIp(type: number, a: IpAddress): this {
    return this.attrBytes(type, ipBytes(a));
  }
  /** With the NUL that the kernel expects of names. */
  attrText(type: number, s: string): this {
    return this.attrBytes(type, encodeName(s));
  }
  /** An attribute whose content `inside` writes. */
  nest(type: number, inside: () => void): this {
    const start = this.begin(type);
    inside();
    return this.end(start);
  }
  /** The same without a function for each, where there are a million: begins an attribute, for `end`. */
  begin(type: number): number {
    const start = this.length;
    this.u16(0).u16(type);
    return start;
  }
  end(start: number): this {
    const length = this.length - start;
    if (length > 0xffff) throw new Error(`bug: a netlink nest of ${length} bytes`);
    return this.patchU16(start, length).align();
  }
}
