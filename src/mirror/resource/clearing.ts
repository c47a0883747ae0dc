/**
 * Clearing and discarding, of which one request may cover the whole device. In pieces, one after the other, it is as long as
 * a peer takes and as the activity log can hold; and it is said in the packets that were agreed.
 */
import { DRBD_FEATURE, DRBD_WRITE_FLAG, type DrbdPacket, type TrimPacket } from '../../wire/index.ts';
import type { AppRequest } from './types.ts';
import type { Volume } from './volume.ts';

type Zero = Extract<AppRequest, { readonly op: 'zero' }>;
/** Half of what DRBD takes in one packet, and a quarter of the smallest activity log. */
const PIECE = 64 << 20;
/** Without WSAME a discard is no larger than any other request. */
const SMALL_PIECE = 1 << 20;

type Job = { readonly volume: Volume; readonly whole: Zero; at: number; result: number };

export class Clearing {
  readonly #submit: (v: Volume, piece: Zero) => void;
  /** By the tag of the piece that is under way: negative, so that no request of an application has it. */
  readonly #jobs = new Map<number, Job>();
  #next = -1;
  /** What was answered in this turn. */
  #answered: { readonly job: Job; readonly result: number }[] = [];

  constructor(submit: (v: Volume, piece: Zero) => void) {
    this.#submit = submit;
  }
  /** Requests that have a piece under way, or one still to come. */
  get size(): number {
    return this.#jobs.size + this.#answered.length;
  }
  begin(volume: Volume, whole: Zero, features: number): void {
    this.#go({ volume, whole, at: 0, result: 0 }, features);
  }
  /** Whether it is one of its own pieces that is done. */
  took(tag: number, result: number): boolean {
    const job = this.#jobs.get(tag);
    if (job === undefined) return false;
    this.#jobs.delete(tag);
    this.#answered.push({ job, result });
    return true;
  }
  /** At the end of a turn: the next pieces; `done` where there is none. */
  goOn(features: number, done: (v: Volume, tag: number, result: number) => void): void {
    while (this.#answered.length > 0)
      for (const { job, result } of this.#answered.splice(0)) {
        job.result ||= result;
        if (job.at >= job.whole.length || job.result !== 0) done(job.volume, job.whole.tag, job.result);
        else this.#go(job, features);
      }
  }
  #go(job: Job, features: number): void {
    const { volume, whole } = job;
    const most = (features & DRBD_FEATURE.writeSame) === 0 ? SMALL_PIECE : PIECE;
    const offset = whole.offset + job.at;
    // Up to a whole multiple: the pieces behind the first lie as extents do.
    const length = Math.min(whole.length - job.at, most - (offset % most));
    job.at += length;
    const tag = this.#next--;
    this.#jobs.set(tag, job);
    this.#submit(volume, { ...whole, tag, offset, length });
  }
}

type Head = Pick<TrimPacket, 'volume' | 'sector' | 'id' | 'seq' | 'flags'>;
const NOTHING = new Uint8Array(0);
/** The packet that a peer with these features understands. */
export function clearingPacket(head: Head, length: number, unmap: boolean, features: number): DrbdPacket {
  if ((features & DRBD_FEATURE.writeZeroes) !== 0) {
    const flags = head.flags | DRBD_WRITE_FLAG.zeroes | (unmap ? DRBD_WRITE_FLAG.discard : 0);
    return { kind: 'P_ZEROES', ...head, flags, size: length };
  }
  // Such a peer reads zeros behind it, whatever its disk makes of a discard.
  if (unmap && (features & DRBD_FEATURE.trim) !== 0)
    return { kind: 'P_TRIM', ...head, flags: head.flags | DRBD_WRITE_FLAG.discard, size: length };
  return { kind: 'P_DATA', ...head, digest: NOTHING, data: new Uint8Array(length) };
}
