/**
 * Memory that packets are received into, and lie in until the disk has their payload. A room that is full and in which no
 * payload lies any more is used again: fresh memory would cost more than all else about a packet. A payload that is never
 * written, or looked at later, keeps its room from coming back; garbage collection takes it.
 */
import { SpareMemory } from '../../base/index.ts';
import type { DrbdPacket } from '../../wire/index.ts';

/** Rooms that are kept, and nobody's. */
const MOST_SPARE = 4;
/** The same of payloads that arrived in pieces, in bytes; and what is no longer than this is not worth keeping. */
const MOST_PLACES = 4 << 20;
const LEAST_PLACE = 16 * 1024;

/** `place`: of one payload alone. */
type Room = { readonly bytes: Uint8Array; readonly place: boolean; payloads: number; full: boolean; lost: boolean };

export class Rooms {
  readonly #bytes: number;
  readonly #spare: Room[] = [];
  readonly #places = new SpareMemory(MOST_PLACES);
  readonly #of = new WeakMap<ArrayBufferLike, Room>();

  constructor(bytes: number) {
    this.#bytes = bytes;
  }
  /** An empty one, the caller's until `full`. */
  take(): Uint8Array {
    const spare = this.#spare.pop();
    if (spare !== undefined) {
      spare.full = false;
      return spare.bytes;
    }
    const bytes = new Uint8Array(this.#bytes);
    this.#of.set(bytes.buffer, { bytes, place: false, payloads: 0, full: false, lost: false });
    return bytes;
  }
  /** Nothing more is received into it. */
  full(bytes: Uint8Array): void {
    const room = this.#of.get(bytes.buffer);
    if (room === undefined) return;
    room.full = true;
    this.#reuse(room);
  }
  /** For a payload of so many bytes that arrives in pieces. */
  place(length: number): Uint8Array {
    if (length < LEAST_PLACE) return new Uint8Array(length);
    const bytes = this.#places.take(length);
    if (!this.#of.has(bytes.buffer))
      this.#of.set(bytes.buffer, { bytes, place: true, payloads: 0, full: true, lost: false });
    return bytes.subarray(0, length);
  }
  /** The packet has been received: what of it lies here stays. */
  hold(p: DrbdPacket): void {
    switch (p.kind) {
      case 'P_DATA':
      case 'P_RS_DATA_REPLY': {
        const room = this.#of.get(p.data.buffer);
        if (room !== undefined) room.payloads++;
        return;
      }
      case 'P_WSAME':
        this.#lose(p.data);
        return;
      case 'P_OV_REPLY':
      case 'P_CSUM_RS_REQUEST':
        this.#lose(p.digest);
        return;
      case 'P_BITMAP':
        this.#lose(p.words);
        return;
      case 'P_COMPRESSED_BITMAP':
        this.#lose(p.code);
        return;
      case 'P_AUTH_CHALLENGE':
      case 'P_AUTH_RESPONSE':
      case 'P_DELAY_PROBE':
        this.#lose(p.bytes);
        return;
      case 'P_CONNECTION_FEATURES':
        this.#lose(p.rest);
        return;
      default: // numbers and names; P_DATA_REPLY, which is copied when it is told of
    }
  }
  /** The disk has it. What does not lie here is none of ours. */
  release(payload: Uint8Array): void {
    const room = this.#of.get(payload.buffer);
    if (room === undefined || room.payloads === 0) return;
    room.payloads--;
    this.#reuse(room);
  }
  #lose(view: Uint8Array): void {
    const room = this.#of.get(view.buffer);
    if (room !== undefined) room.lost = true;
  }
  #reuse(room: Room): void {
    if (!room.full || room.payloads > 0 || room.lost) return;
    if (room.place) this.#places.give(room.bytes);
    else if (this.#spare.length < MOST_SPARE) this.#spare.push(room);
  }
}
