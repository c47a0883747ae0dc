/**
 * A volume's device as the resource sees it. Data that lie in the queue's slab already (an NBD client's) are written from
 * where they are; all else goes through slots of our own, piece by piece, so that memory and queue stay bounded. Reads that
 * follow upon each other in one turn (a verify's blocks of 4 KiB) are one request of the device.
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
  readonly start: (tag: number, slot: number) => void;
  /** `slot`: what was read lies there. It is the next one's when this returns. */
  readonly ended: (result: number, slot: number) => void;
  /** It never begins. */
  readonly dropped: () => void;
};
type Part = { readonly bytes: Uint8Array; readonly whole: Whole };
/** Reads of places that follow upon each other. */
type Gathered = { readonly offset: number; length: number; readonly parts: Part[] };

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
  #gathered: Gathered | undefined;

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

  /** Reads begin with `begin`, all else at once. */
  run(o: DiskOperation, done: (result: number) => void): void {
    const d = this.#device;
    switch (o.op) {
      case 'flush':
        this.#plain({ left: 1, result: 0, done }, (tag) => d.flush(tag));
        return;
      case 'discard':
        this.#plain({ left: 1, result: 0, done }, (tag) => d.discard(tag, o.length, o.offset));
        return;
      case 'zero':
        this.#plain({ left: 1, result: 0, done }, (tag) =>
          d.zero(tag, o.length, o.offset, { keep: o.keep, fast: false }),
        );
        return;
      case 'read':
      case 'write': {
        const bytes = o.op === 'read' ? o.into : o.bytes;
        if (bytes.buffer === this.#queue.slab.buffer && !this.#copies) {
          this.#inPlace(o, bytes, { left: 1, result: 0, done });
          return;
        }
        const pieces = piecesOf(bytes.length, o.offset);
        const whole: Whole = { left: pieces.length, result: 0, done };
        for (const p of pieces) {
          const part = { bytes: bytes.subarray(p.from, p.from + p.length), whole };
          if (o.op === 'read') this.#gather(p.offset, part);
          else this.#write(p.offset, part, o.through);
        }
      }
    }
  }
  /** Reads that were asked for begin: once a turn, when all of it has been asked for. */
  begin(): void {
    const g = this.#gathered;
    this.#gathered = undefined;
    if (g !== undefined) this.#read(g);
  }
  #inPlace(o: DiskOperation & { readonly op: 'read' | 'write' }, bytes: Uint8Array, whole: Whole): void {
    const at = bytes.byteOffset - this.#queue.slab.byteOffset;
    const d = this.#device;
    this.#plain(whole, (tag) => {
      if (o.op === 'read') d.read(tag, at, bytes.length, o.offset);
      else d.write(tag, at, bytes.length, o.offset, o.through);
    });
  }
  #plain(whole: Whole, start: (tag: number) => void): void {
    this.#submit({ start, ended: (result) => part(whole, result), dropped: () => part(whole, EIO) }, false);
  }
  #write(offset: number, { bytes, whole }: Part, through: boolean): void {
    const { slab } = this.#queue;
    this.#submit(
      {
        start: (tag, slot) => {
          slab.set(bytes, slot);
          this.#device.write(tag, slot, bytes.length, offset, through);
        },
        ended: (result) => part(whole, result),
        dropped: () => part(whole, EIO),
      },
      true,
    );
  }
  #gather(offset: number, p: Part): void {
    const g = this.#gathered;
    if (g !== undefined && g.offset + g.length === offset && g.length + p.bytes.length <= SLOT) {
      g.parts.push(p);
      g.length += p.bytes.length;
      return;
    }
    this.begin();
    this.#gathered = { offset, length: p.bytes.length, parts: [p] };
  }
  #read({ offset, length, parts }: Gathered): void {
    const life = this.#life;
    this.#submit(
      {
        start: (tag, slot) => this.#device.read(tag, slot, length, offset),
        ended: (result, slot) => {
          // One bad sector is the fault of one of them.
          if (result !== 0 && parts.length > 1 && life === this.#life) {
            this.#apart(offset, parts);
            return;
          }
          for (let i = 0, at = slot; i < parts.length; i++) {
            const { bytes, whole } = parts[i] as Part;
            if (result === 0 && life === this.#life) bytes.set(this.#queue.slab.subarray(at, at + bytes.length));
            at += bytes.length;
            part(whole, result);
          }
        },
        dropped: () => {
          for (const p of parts) part(p.whole, EIO);
        },
      },
      true,
    );
  }
  #apart(offset: number, parts: readonly Part[]): void {
    let at = offset;
    for (const p of parts) {
      this.#read({ offset: at, length: p.bytes.length, parts: [p] });
      at += p.bytes.length;
    }
  }
  /**
   * Nobody waits for what is under way any more: what comes back of it is told of, and written nowhere. What has not begun
   * never does.
   */
  abandon(): void {
    this.#life++;
    const gathered = this.#gathered?.parts ?? [];
    const waiting = this.#waiting;
    this.#gathered = undefined;
    this.#waiting = [];
    for (const { job } of waiting) job.dropped();
    for (const p of gathered) part(p.whole, EIO);
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
    job.ended(result, slot);
    if (slot >= 0) this.#slots.push(slot);
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
