import { type Family, hostLength, type IpAddress, ipFromBytes } from '../../base/index.ts';
import { ATTRIBUTE_HEADER, align4, LITTLE } from './native.ts';

const TYPE_MASK = 0x3fff; // NLA_TYPE_MASK: without NLA_F_NESTED and NLA_F_NET_BYTEORDER
/** More than any message holds: a full multipath route of 64 KiB has fewer attributes of its own. */
const MAX_ATTRIBUTES = 4096;

const decoder = new TextDecoder();

/** Shared between a set of attributes and those nested in it: one flaw anywhere makes the whole message refused. */
type Verdict = { flaw: number | undefined };

/**
 * The attributes of one message, or nested in another. Reading never throws: an absent one is undefined, and one of a
 * wrong length is undefined and noted in `flaw`, to be checked once at the end.
 */
export class Attributes {
  readonly #values = new Map<number, Uint8Array>();
  readonly #all: (readonly [type: number, value: Uint8Array])[] = [];
  readonly #verdict: Verdict;

  constructor(bytes: Uint8Array, verdict: Verdict = { flaw: undefined }) {
    this.#verdict = verdict;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    for (let n = 0; at + ATTRIBUTE_HEADER <= bytes.length; n++) {
      const length = view.getUint16(at, LITTLE);
      const type = view.getUint16(at + 2, LITTLE) & TYPE_MASK;
      if (length < ATTRIBUTE_HEADER || at + length > bytes.length || n === MAX_ATTRIBUTES) {
        verdict.flaw ??= type;
        return;
      }
      const value = bytes.subarray(at + ATTRIBUTE_HEADER, at + length);
      this.#values.set(type, value); // of duplicates the last counts, as in the kernel
      this.#all.push([type, value]);
      at += align4(length);
    }
    if (at < bytes.length) verdict.flaw ??= 0;
  }

  /** The type of the first attribute that is not as it should be, here or nested; undefined when all is well. */
  get flaw(): number | undefined {
    return this.#verdict.flaw;
  }
  reject(type: number): undefined {
    this.#verdict.flaw ??= type;
    return undefined;
  }
  has(type: number): boolean {
    return this.#values.has(type);
  }
  bytes(type: number): Uint8Array | undefined {
    return this.#values.get(type);
  }
  #exactly(type: number, length: number): DataView | undefined {
    const b = this.#values.get(type);
    if (b === undefined) return undefined;
    return b.length === length ? new DataView(b.buffer, b.byteOffset, b.length) : this.reject(type);
  }
  u8(type: number): number | undefined {
    return this.#exactly(type, 1)?.getUint8(0);
  }
  u16(type: number): number | undefined {
    return this.#exactly(type, 2)?.getUint16(0, LITTLE);
  }
  u32(type: number): number | undefined {
    return this.#exactly(type, 4)?.getUint32(0, LITTLE);
  }
  u64(type: number): bigint | undefined {
    return this.#exactly(type, 8)?.getBigUint64(0, LITTLE);
  }
  /** Network order. */
  be16(type: number): number | undefined {
    return this.#exactly(type, 2)?.getUint16(0);
  }
  /** Network order. */
  be32(type: number): number | undefined {
    return this.#exactly(type, 4)?.getUint32(0);
  }
  /** Network order. */
  be64(type: number): bigint | undefined {
    return this.#exactly(type, 8)?.getBigUint64(0);
  }
  /** Fixed structures of u32 fields: cache information, ranges. At least `count` of them. */
  u32s(type: number, count: number): number[] | undefined {
    const b = this.#values.get(type);
    if (b === undefined) return undefined;
    if (b.length < count * 4) return this.reject(type);
    const view = new DataView(b.buffer, b.byteOffset, b.length);
    return Array.from({ length: count }, (_, i) => view.getUint32(i * 4, LITTLE));
  }
  u16pair(type: number): [number, number] | undefined {
    const view = this.#exactly(type, 4);
    return view && [view.getUint16(0, LITTLE), view.getUint16(2, LITTLE)];
  }
  /** Up to the first NUL. */
  text(type: number): string | undefined {
    const b = this.#values.get(type);
    if (b === undefined) return undefined;
    const end = b.indexOf(0);
    return decoder.decode(end < 0 ? b : b.subarray(0, end));
  }
  ip(type: number, family: Family): IpAddress | undefined {
    const b = this.#values.get(type);
    if (b === undefined) return undefined;
    return b.length * 8 === hostLength(family) ? ipFromBytes(b) : this.reject(type);
  }
  nested(type: number): Attributes | undefined {
    const b = this.#values.get(type);
    return b && new Attributes(b, this.#verdict);
  }
  /** All attributes of that type in a nest that is a list, in their order. */
  list(type: number): Uint8Array[] {
    return this.#all.filter(([t]) => t === type).map(([, b]) => b);
  }
  /** Attributes that lie in bytes of another shape (the next hops of a multipath route), judged together with these. */
  within(bytes: Uint8Array): Attributes {
    return new Attributes(bytes, this.#verdict);
  }
}
