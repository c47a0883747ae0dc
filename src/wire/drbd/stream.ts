/**
 * One direction of one DRBD socket: chunks in, packets out. Bounded: no header makes it reserve more than the largest
 * packet of the agreed protocol. Pull, so that the owner can change the dialect between two packets: the features packet
 * and P_PROTOCOL decide how the bytes behind them are to be read.
 *
 * Copying: a packet that lies whole in one chunk is read in place, and its payload is a view of the chunk. Of one that is
 * spread over chunks the payload is copied once, to where it will stay.
 */
import { err, ok, type Result } from '../../base/index.ts';
import { carriesData, DRBD_COMMAND } from './commands.ts';
import { DATA_HEAD, decodeBody, WSAME_HEAD } from './decode.ts';
import { type DrbdHeader, decodeHeader, HEADER_LENGTH } from './headers.ts';
import { PARAMETER_LIMIT } from './parameters.ts';
import { Slab } from './slab.ts';
import { DRBD_OPENING, type DrbdDialect, type DrbdError, type DrbdPacket } from './types.ts';

/** Largest payload of a write or of a read's answer, in bytes: 1 MiB, 128 KiB below 100, 32 KiB below 95. */
export const maxBioSize = (version: number): number => (version >= 100 ? 1 << 20 : version >= 95 ? 1 << 17 : 1 << 15);

/** Where the payload of a packet that arrives in pieces is put: exactly `length` bytes. An engine gives a slot of its pool. */
export type Place = (length: number) => Uint8Array;

/** A packet whose payload is still arriving. */
type Pending = { readonly header: DrbdHeader; readonly head: Uint8Array; readonly data: Uint8Array; have: number };

export class DrbdStream {
  readonly #place: Place;
  #dialect: DrbdDialect = DRBD_OPENING;
  #chunks: Uint8Array[] = [];
  /** Offset into the first chunk. */
  #at = 0;
  #buffered = 0;
  #view: DataView = new DataView(new ArrayBuffer(0));
  #header: DrbdHeader | undefined;
  #pending: Pending | undefined;
  #consumed = 0;
  #behind = 0;
  readonly #heads = new Slab();

  constructor(place: Place = (n) => new Uint8Array(n)) {
    this.#place = place;
  }
  get dialect(): DrbdDialect {
    return this.#dialect;
  }
  /** From the next packet on. */
  agree(d: DrbdDialect): void {
    this.#dialect = d;
  }
  /** Bytes that were given and are not yet part of a packet that was returned. */
  get buffered(): number {
    return this.#buffered;
  }
  /**
   * What is missing of a payload that arrives in pieces, where it will stay: what comes next may be received into it, and told
   * of with `filled`, instead of being fed.
   */
  get gap(): Uint8Array | undefined {
    const p = this.#pending;
    return p === undefined || this.#buffered > 0 ? undefined : p.data.subarray(p.have);
  }
  filled(n: number): void {
    if (this.#pending !== undefined) this.#pending.have += n;
  }
  /** Whether bytes of this memory wait for the rest of their packet: until then nothing else may be put there. */
  waitsIn(memory: Uint8Array): boolean {
    return this.#chunks.some((c) => c.buffer === memory.buffer);
  }
  /** Bytes of the packets that were returned: the place of the next one in the stream. */
  get consumed(): number {
    return this.#consumed;
  }
  /**
   * Keeps the chunk, without copying it, until all its packets have been taken. `behind`: so many bytes behind it in the same
   * memory are where the next chunk will be, so that a payload that ends there need not be copied together.
   */
  feed(chunk: Uint8Array, behind = 0): void {
    this.#behind = behind;
    if (chunk.length === 0) return;
    const last = this.#chunks.at(-1);
    if (last !== undefined && last.buffer === chunk.buffer && last.byteOffset + last.length === chunk.byteOffset) {
      this.#chunks[this.#chunks.length - 1] = new Uint8Array(last.buffer, last.byteOffset, last.length + chunk.length);
      this.#buffered += chunk.length;
      if (this.#chunks.length === 1) this.#see(this.#at);
      return;
    }
    // A Buffer makes views several times slower than a plain array does, and this makes one for each packet.
    this.#chunks.push(
      chunk.constructor === Uint8Array ? chunk : new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length),
    );
    this.#buffered += chunk.length;
    if (this.#chunks.length === 1) this.#see(0);
  }

  /** The next packet, or undefined until more comes. After an error the stream is of no more use: drop the connection. */
  next(): Result<DrbdPacket | undefined, DrbdError> {
    const d = this.#dialect;
    if (this.#pending === undefined) {
      const got = this.#readHeader(d);
      if (!got.ok) return got;
      const header = this.#header;
      if (header === undefined) return ok(undefined);
      const whole = HEADER_LENGTH[header.form] + header.length;
      const first = this.#chunks[0];
      if (first !== undefined && first.length - this.#at >= whole) return this.#inPlace(first, header, whole, d);
      if (!carriesData(header.command)) {
        if (this.#buffered < whole) return ok(undefined);
        const bytes = this.#gather(whole);
        return this.#finish(whole, decodeFrom(bytes, header, d));
      }
      if (this.#chunks.length === 1 && this.#buffered + this.#behind >= whole) return ok(undefined);
      const fixed = HEADER_LENGTH[header.form] + headLength(header.command) + d.digestLength;
      if (this.#buffered < Math.min(fixed, whole)) return ok(undefined);
      // Too short for its own head: decoding says so.
      if (fixed >= whole) return this.#finish(whole, decodeFrom(this.#gather(whole), header, d));
      this.#pending = { header, head: this.#gather(fixed), data: this.#place(whole - fixed), have: 0 };
    }
    return this.#fill(this.#pending, d);
  }

  #see(at: number): void {
    const first = this.#chunks[0];
    this.#at = at;
    if (first !== undefined) this.#view = new DataView(first.buffer, first.byteOffset, first.length);
  }
  /** Sets `#header`, once, when enough is there; and judges its length before anything is reserved for it. */
  #readHeader(d: DrbdDialect): Result<void, DrbdError> {
    const need = d.version >= 100 ? 16 : 8;
    if (this.#header !== undefined || this.#buffered < need) return ok(undefined);
    const first = this.#chunks[0] as Uint8Array;
    const inFirst = first.length - this.#at >= need;
    const got = inFirst
      ? decodeHeader(this.#view, this.#at, d.version)
      : decodeHeader(viewOf(this.#peek(need)), 0, d.version);
    if (!got.ok) return got;
    const { command, length } = got.value;
    const max = carriesData(command)
      ? maxBioSize(d.version) + headLength(command) + d.digestLength
      : PARAMETER_LIMIT - need;
    if (length > max) return err({ kind: 'length', command, have: length, min: 0, max });
    this.#header = got.value;
    return ok(undefined);
  }
  #inPlace(
    first: Uint8Array,
    header: DrbdHeader,
    whole: number,
    d: DrbdDialect,
  ): Result<DrbdPacket | undefined, DrbdError> {
    const at = this.#at + HEADER_LENGTH[header.form];
    const got = decodeBody(header.command, header.volume, first, this.#view, at, header.length, d);
    this.#drop(whole);
    return this.#finish(whole, got);
  }
  #finish(whole: number, got: Result<DrbdPacket, DrbdError>): Result<DrbdPacket, DrbdError> {
    this.#header = undefined;
    this.#consumed += whole;
    return got;
  }
  #fill(p: Pending, d: DrbdDialect): Result<DrbdPacket | undefined, DrbdError> {
    while (p.have < p.data.length && this.#chunks.length > 0) {
      const first = this.#chunks[0] as Uint8Array;
      const n = Math.min(p.data.length - p.have, first.length - this.#at);
      p.data.set(first.subarray(this.#at, this.#at + n), p.have);
      p.have += n;
      this.#drop(n);
    }
    if (p.have < p.data.length) return ok(undefined);
    this.#pending = undefined;
    return this.#finish(p.head.length + p.data.length, decodeFrom(p.head, p.header, d, p.data));
  }
  /** Takes `n` bytes off the front; they must be in the first chunk. */
  #drop(n: number): void {
    this.#buffered -= n;
    const first = this.#chunks[0] as Uint8Array;
    this.#at += n;
    if (this.#at < first.length) return;
    this.#chunks.shift();
    this.#see(0);
  }
  #peek(n: number): Uint8Array {
    const out = this.#heads.take(n);
    let have = 0;
    for (let i = 0, at = this.#at; have < n; i++, at = 0) {
      const part = (this.#chunks[i] as Uint8Array).subarray(at, at + n - have);
      out.set(part, have);
      have += part.length;
    }
    return out;
  }
  /** A copy of the next `n` bytes, which are there, and takes them off. */
  #gather(n: number): Uint8Array {
    const out = this.#peek(n);
    for (let left = n; left > 0; ) {
      const part = Math.min(left, (this.#chunks[0] as Uint8Array).length - this.#at);
      this.#drop(part);
      left -= part;
    }
    return out;
  }
}

const headLength = (command: number): number => (command === DRBD_COMMAND.P_WSAME ? WSAME_HEAD : DATA_HEAD);
const viewOf = (b: Uint8Array): DataView => new DataView(b.buffer, b.byteOffset, b.length);
const decodeFrom = (
  b: Uint8Array,
  header: DrbdHeader,
  d: DrbdDialect,
  payload?: Uint8Array,
): Result<DrbdPacket, DrbdError> =>
  decodeBody(header.command, header.volume, b, viewOf(b), HEADER_LENGTH[header.form], header.length, d, payload);

/** Exactly one packet with its header: nothing behind it, nothing missing. */
export function decodePacket(b: Uint8Array, d: DrbdDialect): Result<DrbdPacket, DrbdError> {
  const header = decodeHeader(viewOf(b), 0, d.version);
  if (!header.ok) return header;
  const whole = HEADER_LENGTH[header.value.form] + header.value.length;
  if (b.length < whole) return err({ kind: 'short', need: whole, have: b.length });
  if (b.length > whole)
    return err({ kind: 'length', command: header.value.command, have: b.length, min: whole, max: whole });
  return decodeFrom(b, header.value, d);
}
