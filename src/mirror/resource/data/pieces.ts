/**
 * Long requests to zero or discard, cut to what the activity log can hold at once: it must have all extents of a write hot
 * together, and a file system that is made discards the whole device with one request.
 */
import type { AppRequest } from '../types.ts';

type Zero = Extract<AppRequest, { readonly op: 'zero' }>;
/** Four extents of 4 MiB; the smallest log holds 67. Bytes. */
export const LONGEST_PIECE = 4 * 4 * 1024 * 1024;
/** For a peer that has not offered WSAME, to which a discard is no longer than any other request. Bytes. */
export const SHORT_PIECE = 1024 * 1024;
type Whole = { readonly tag: number; left: number; result: number };

export class Pieces {
  readonly #wholes = new Map<number, Whole>();
  #next = -1;

  /** The request itself where it is short. Pieces have tags below zero, which no client has. */
  cut(r: Zero, most = LONGEST_PIECE): readonly Zero[] {
    if (r.length <= most) return [r];
    const whole: Whole = { tag: r.tag, left: 0, result: 0 };
    const out: Zero[] = [];
    const end = r.offset + r.length;
    // At multiples, so that no piece touches more extents than its length says.
    for (let from = r.offset; from < end; ) {
      const to = Math.min(end, (Math.floor(from / most) + 1) * most);
      const tag = this.#next--;
      whole.left++;
      this.#wholes.set(tag, whole);
      out.push({ ...r, tag, offset: from, length: to - from });
      from = to;
    }
    return out;
  }
  /** A piece is done: what is to be told of the whole, once its last is. Undefined: nothing yet. */
  done(tag: number, result: number): { readonly tag: number; readonly result: number } | undefined {
    const whole = this.#wholes.get(tag);
    if (whole === undefined) return { tag, result };
    this.#wholes.delete(tag);
    if (result !== 0) whole.result = result;
    return --whole.left > 0 ? undefined : { tag: whole.tag, result: whole.result };
  }
}
