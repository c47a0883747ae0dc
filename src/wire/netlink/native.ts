/** netlink headers and numbers are in the machine's own byte order, unless an attribute says otherwise. */
export const LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
/** struct nlattr: u16 length with this header, u16 type. */
export const ATTRIBUTE_HEADER = 4;
/** Messages and attributes start at multiples of four bytes. */
export const align4 = (n: number): number => (n + 3) & ~3;

/** Fields at known places of a fixed structure, whose length the caller has checked. */
export class NativeView {
  readonly #view: DataView;
  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  u8(at: number): number {
    return this.#view.getUint8(at);
  }
  u16(at: number): number {
    return this.#view.getUint16(at, LITTLE);
  }
  u32(at: number): number {
    return this.#view.getUint32(at, LITTLE);
  }
  s32(at: number): number {
    return this.#view.getInt32(at, LITTLE);
  }
}
