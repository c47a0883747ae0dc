/**
 * Ranges of a volume that are being read or written: who comes later and overlaps waits for those who came before. So
 * two writes of one place reach both disks in one order, and a resync never carries data that a newer write has replaced.
 *
 * Kept by the parts of the volume that they touch, so that thousands (a verify's) cost no more than a few.
 */
export type RangeLock = {
  readonly from: number;
  readonly to: number;
  readonly run: () => void;
  blockers: number;
  waiters: RangeLock[] | undefined;
  held: boolean;
};
/** Bytes of a part. Requests are up to 1 MiB, most far less. */
const PART = 128 * 1024;

export class RangeLocks {
  readonly #parts = new Map<number, RangeLock[]>();
  #size = 0;

  /** Calls `run` when nothing earlier overlaps: at once where that is so already. */
  acquire(from: number, to: number, run: () => void): RangeLock {
    const lock: RangeLock = { from, to, run, blockers: 0, waiters: undefined, held: true };
    const first = Math.floor(from / PART);
    const end = Math.max(first + 1, Math.ceil(to / PART));
    for (let n = first; n < end; n++) {
      const part = this.#parts.get(n);
      if (part === undefined) {
        this.#parts.set(n, [lock]);
        continue;
      }
      for (const other of part) {
        // Where both touch several parts, it counts in the first of them.
        if (other.from >= to || from >= other.to || n !== Math.max(first, Math.floor(other.from / PART))) continue;
        other.waiters ??= [];
        other.waiters.push(lock);
        lock.blockers++;
      }
      part.push(lock);
    }
    this.#size++;
    if (lock.blockers === 0) run();
    return lock;
  }
  /** Twice is harmless. */
  release(lock: RangeLock): void {
    if (!lock.held) return;
    lock.held = false;
    this.#size--;
    const first = Math.floor(lock.from / PART);
    const end = Math.max(first + 1, Math.ceil(lock.to / PART));
    for (let n = first; n < end; n++) {
      const part = this.#parts.get(n) as RangeLock[];
      if (part.length === 1) this.#parts.delete(n);
      else part.splice(part.indexOf(lock), 1);
    }
    if (lock.waiters !== undefined) for (const w of lock.waiters) if (--w.blockers === 0 && w.held) w.run();
  }
  get size(): number {
    return this.#size;
  }
}
