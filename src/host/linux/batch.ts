import type { Addon, SocketHandle } from './addon.ts';

const RECORD_INTS = 4;
const NAME_BYTES = 128;

/**
 * The receive memory of one socket: `slots` packets, each with its source sockaddr and control data. After a wake or
 * `receive()` the first n slots are filled; they are overwritten by the next.
 */
export class Batch {
  readonly slots: number;
  readonly slotBytes: number;
  readonly controlBytes: number;
  /** The whole memory, as bytes. */
  readonly bytes: Uint8Array;
  /** The same memory, for fields in either byte order. */
  readonly view: DataView;
  readonly #records: Int32Array;
  readonly #controlAt: number;
  readonly #payloadAt: number;

  /** `controlBytes`: room for control messages, a multiple of 8. Throws when out of range: the caller's constants. */
  constructor(addon: Addon, s: SocketHandle, slots: number, slotBytes: number, controlBytes: number) {
    const memory = addon.batch(s, slots, slotBytes, controlBytes);
    this.slots = slots;
    this.slotBytes = slotBytes;
    this.controlBytes = controlBytes;
    this.#records = new Int32Array(memory, 0, slots * RECORD_INTS);
    this.#controlAt = slots * (RECORD_INTS * 4 + NAME_BYTES);
    this.#payloadAt = this.#controlAt + slots * controlBytes;
    this.view = new DataView(memory);
    this.bytes = new Uint8Array(memory);
  }
  /** Bytes of payload; cut to `slotBytes` where flags has MSG_TRUNC (0x20). */
  length(i: number): number {
    return this.#records[i * RECORD_INTS] as number;
  }
  nameLength(i: number): number {
    return this.#records[i * RECORD_INTS + 1] as number;
  }
  controlLength(i: number): number {
    return this.#records[i * RECORD_INTS + 2] as number;
  }
  flags(i: number): number {
    return this.#records[i * RECORD_INTS + 3] as number;
  }
  /** Where slot i's sockaddr begins in `bytes` and `view`; likewise for the others. */
  nameAt(i: number): number {
    return this.slots * RECORD_INTS * 4 + i * NAME_BYTES;
  }
  controlAt(i: number): number {
    return this.#controlAt + i * this.controlBytes;
  }
  payloadAt(i: number): number {
    return this.#payloadAt + i * this.slotBytes;
  }
  /** A view, not a copy. */
  payload(i: number): Uint8Array {
    const at = this.payloadAt(i);
    return this.bytes.subarray(at, at + this.length(i));
  }
}
