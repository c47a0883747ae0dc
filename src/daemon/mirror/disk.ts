/**
 * A volume's device as the resource sees it. Data that lie in the queue's slab already (an NBD client's) are written from
 * where they are; all else goes through slots of our own, piece by piece, so that memory and queue stay bounded.
 */
import type { BlockDevice, BlockQueue, BlockRegion } from '../../host/index.ts';
import type { DiskOperation } from '../../mirror/index.ts';

const SLOT = 128 * 1024;
const SLOTS = 32;
/** Requests beyond the slots: flushes, and writes from a client's own memory. */
const PLAIN = 160;
export const DISK_NEEDS = { requests: SLOTS + PLAIN, bytes: SLOTS * SLOT };
const EINVAL = -22;
const EIO = -5;

type Piece = { readonly from: number; readonly length: number; readonly offset: number };
type Whole = { left: number; result: number; readonly done: (result: number) => void };
type Job = {
  readonly whole: Whole;
  /** Before or after it was abandoned. */
  readonly life: number;
  readonly start: (tag: number, slot: number) => void;
  readonly copyBack?: (slot: number) => void;
};

export class MirrorDisk {
  readonly #queue: BlockQueue;
  readonly #device: BlockDevice;
  readonly #slots: number[] = [];
  readonly #tags: number[] = [];
  readonly #running: (Job | undefined)[] = [];
  readonly #slotOf: number[] = [];
  readonly #copies: boolean;
  #life = 0;
  /** Waiting for a slot, in order; and for a tag alone. */
  #waiting: { readonly job: Job; readonly slot: boolean }[] = [];

  readonly #region: BlockRegion;
  /** `copies`: no request touches memory that is not ours, so that one that never comes back does no harm. */
  constructor(queue: BlockQueue, device: BlockDevice, region: BlockRegion, copies: boolean) {
    this.#copies = copies;
    this.#region = region;
    this.#queue = queue;
    this.#device = device;
    for (let i = 0; i < SLOTS; i++) this.#slots.push(region.at + i * SLOT);
    for (let i = 0; i < SLOTS + PLAIN; i++) this.#tags.push(i);
    device.onDone((tag, result) => this.#ended(tag, result));
  }
  get sectors(): number {
    return Math.floor(this.#device.size / 512);
  }

  /** Only when nothing is under way on it. */
  close(): void {
    this.#device.close();
    this.#queue.release(this.#region);
  }

  /** Sectors, looked at again. What cannot be looked at has the size that it had. */
  measure(): number {
    this.#device.refresh();
    return this.sectors;
  }

  run(o: DiskOperation, done: (result: number) => void): void {
    const d = this.#device;
    const { slab } = this.#queue;
    const life = this.#life;
    switch (o.op) {
      case 'flush':
        this.#submit({ life, whole: { left: 1, result: 0, done }, start: (tag) => d.flush(tag) }, false);
        return;
      case 'discard':
        this.#submit(
          { life, whole: { left: 1, result: 0, done }, start: (tag) => d.discard(tag, o.length, o.offset) },
          false,
        );
        return;
      case 'zero':
        this.#submit(
          {
            life,
            whole: { left: 1, result: 0, done },
            start: (tag) => d.zero(tag, o.length, o.offset, { keep: o.keep, fast: false }),
          },
          false,
        );
        return;
      case 'read':
      case 'write': {
        const bytes = o.op === 'read' ? o.into : o.bytes;
        const own = bytes.buffer === slab.buffer && !this.#copies;
        const pieces = own ? [{ from: 0, length: bytes.length, offset: o.offset }] : piecesOf(bytes.length, o.offset);
        const whole: Whole = { left: pieces.length, result: 0, done };
        for (const p of pieces) this.#submit(this.#piece(o, bytes, p, own, whole), !own);
      }
    }
  }
  #piece(
    o: DiskOperation & { readonly op: 'read' | 'write' },
    bytes: Uint8Array,
    p: Piece,
    own: boolean,
    whole: Whole,
  ): Job {
    const d = this.#device;
    const { slab } = this.#queue;
    const inSlab = bytes.byteOffset - slab.byteOffset;
    const life = this.#life;
    if (o.op === 'write')
      return {
        life,
        whole,
        start: (tag, slot) => {
          if (!own) slab.set(bytes.subarray(p.from, p.from + p.length), slot);
          d.write(tag, own ? inSlab : slot, p.length, p.offset, o.through);
        },
      };
    return {
      life,
      whole,
      start: (tag, slot) => d.read(tag, own ? inSlab : slot, p.length, p.offset),
      ...(own ? {} : { copyBack: (slot: number) => bytes.set(slab.subarray(slot, slot + p.length), p.from) }),
    };
  }
  /**
   * Nobody waits for what is under way any more: what comes back of it is told of, and written nowhere. What has not begun
   * never does.
   */
  abandon(): void {
    this.#life++;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { job } of waiting) part(job.whole, EIO);
  }
  #submit(job: Job, slot: boolean): void {
    if (this.#waiting.length > 0 || !this.#start(job, slot)) this.#waiting.push({ job, slot });
  }
  #start(job: Job, wantsSlot: boolean): boolean {
    if (this.#tags.length === 0 || (wantsSlot && this.#slots.length === 0)) return false;
    const tag = this.#tags.pop() as number;
    const slot = wantsSlot ? (this.#slots.pop() as number) : -1;
    this.#running[tag] = job;
    this.#slotOf[tag] = slot;
    job.start(tag, slot);
    return true;
  }
  #ended(tag: number, result: number): void {
    const job = this.#running[tag];
    if (job === undefined) return;
    const slot = this.#slotOf[tag] as number;
    this.#running[tag] = undefined;
    this.#tags.push(tag);
    if (slot >= 0) {
      if (result === 0 && job.life === this.#life) job.copyBack?.(slot);
      this.#slots.push(slot);
    }
    part(job.whole, result);
    while (this.#waiting[0] !== undefined && this.#start(this.#waiting[0].job, this.#waiting[0].slot))
      this.#waiting.shift();
  }
}
/** One piece of it is done. */
function part(whole: Whole, result: number): void {
  if (result !== 0) whole.result = result > 0 ? EINVAL : result;
  if (--whole.left === 0) whole.done(whole.result);
}
function piecesOf(length: number, offset: number): Piece[] {
  const out: Piece[] = [];
  for (let from = 0; from < length; from += SLOT)
    out.push({ from, length: Math.min(SLOT, length - from), offset: offset + from });
  return out;
}
