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
  /** The last one that was compared with it: who touches several parts meets it in each of them. */
  met: RangeLock | undefined;
};
/** Bytes of a part. Requests are up to 1 MiB, most far less. */
const PART = 128 * 1024;
/** Parts so far from each other share a list. Lists stay: a Map of them would keep old writes alive (see number-table.ts). */
const LISTS = 512;

export class RangeLocks {
  readonly #lists = Array.from({ length: LISTS }, (): RangeLock[] => []);
  #size = 0;

  /** Calls `run` when nothing earlier overlaps: at once where that is so already. */
  acquire(from: number, to: number, run: () => void): RangeLock {
    const lock: RangeLock = { from, to, run, blockers: 0, waiters: undefined, held: true, met: undefined };
    const first = Math.floor(from / PART);
    for (let n = listsOf(from, to) - 1; n >= 0; n--) {
      const list = this.#lists[(first + n) % LISTS] as RangeLock[];
      for (const other of list) {
        if (other.from >= to || from >= other.to || other.met === lock) continue;
        other.met = lock;
        other.waiters ??= [];
        other.waiters.push(lock);
        lock.blockers++;
      }
      list.push(lock);
    }
    this.#size++;
    if (lock.blockers === 0) run();
    return lock;
  }
  /** Twice is harmless. */
  release(lock: RangeLock): void {
    if (!lock.held) return;
    lock.held = false;
    lock.met = undefined;
    this.#size--;
    const first = Math.floor(lock.from / PART);
    for (let n = listsOf(lock.from, lock.to) - 1; n >= 0; n--) {
      const list = this.#lists[(first + n) % LISTS] as RangeLock[];
      list.splice(list.indexOf(lock), 1);
    }
    const { waiters } = lock;
    lock.waiters = undefined;
    if (waiters !== undefined) for (const w of waiters) if (--w.blockers === 0 && w.held) w.run();
  }
  get size(): number {
    return this.#size;
  }
}
const listsOf = (from: number, to: number): number =>
  Math.min(LISTS, Math.max(1, Math.ceil(to / PART) - Math.floor(from / PART)));
