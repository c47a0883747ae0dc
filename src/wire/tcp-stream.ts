/**
 * One direction of a captured TCP connection, put in order: retransmissions are dropped, overlaps trimmed, early segments
 * kept until what is missing comes. What never comes (the capture lost it) is reported as a gap, within a bound.
 */
import { TCP_FLAG, type TcpSegment } from './tcp.ts';

export type TcpPiece =
  | { readonly kind: 'bytes' /** A view of the segment. */; readonly bytes: Uint8Array }
  /** So many bytes are not in the capture. */
  | { readonly kind: 'gap'; readonly length: number };

/** Bytes kept for segments that came early: more than any window that is likely. */
const KEPT = 16 * 1024 * 1024;

/** a - b in sequence space, signed. */
const distance = (a: number, b: number): number => (a - b) | 0;

export class TcpStream {
  /** Undefined until the first segment that says where the stream stands. */
  #next: number | undefined;
  #early: { seq: number; bytes: Uint8Array }[] = [];
  #kept = 0;

  /** What can be delivered now that this segment has come, in order. */
  segment(s: TcpSegment): TcpPiece[] {
    let seq = s.seq;
    if ((s.flags & TCP_FLAG.syn) !== 0) {
      // The same ports used again begin a new stream; a repeated SYN begins none.
      if (this.#next === undefined || distance(seq + 1, this.#next) > 0) {
        this.#next = (seq + 1) >>> 0;
        this.#early = [];
        this.#kept = 0;
      }
      seq = (seq + 1) >>> 0;
    }
    if (s.payload.length === 0) return [];
    // A capture that begins in the middle has no SYN: its first data is where it begins.
    this.#next ??= seq;
    this.#keep(seq, s.payload);
    const out = this.#deliver();
    if (this.#kept > KEPT) {
      const first = this.#early[0] as { seq: number };
      out.push({ kind: 'gap', length: distance(first.seq, this.#next) }, ...this.#skipTo(first.seq));
    }
    return out;
  }

  /** The capture ends: what is still waiting for missing bytes, with the gaps between. */
  end(): TcpPiece[] {
    const out: TcpPiece[] = [];
    for (let first = this.#early[0]; first !== undefined; first = this.#early[0])
      out.push({ kind: 'gap', length: distance(first.seq, this.#next as number) }, ...this.#skipTo(first.seq));
    return out;
  }

  #skipTo(seq: number): TcpPiece[] {
    this.#next = seq;
    return this.#deliver();
  }
  #keep(seq: number, bytes: Uint8Array): void {
    if (distance(seq + bytes.length, this.#next as number) <= 0) return;
    let i = this.#early.length;
    while (i > 0 && distance((this.#early[i - 1] as { seq: number }).seq, seq) > 0) i--;
    this.#early.splice(i, 0, { seq, bytes });
    this.#kept += bytes.length;
  }
  #deliver(): TcpPiece[] {
    const out: TcpPiece[] = [];
    let next = this.#next as number;
    for (let first = this.#early[0]; first !== undefined; first = this.#early[0]) {
      const known = distance(next, first.seq);
      if (known < 0) break;
      this.#early.shift();
      this.#kept -= first.bytes.length;
      if (known >= first.bytes.length) continue;
      out.push({ kind: 'bytes', bytes: first.bytes.subarray(known) });
      next = (next + first.bytes.length - known) >>> 0;
    }
    this.#next = next;
    return out;
  }
}
