/**
 * Ranges of a volume that are being read or written: who comes later and overlaps waits for those who came before. So
 * two writes of one place reach both disks in one order, and a resync never carries data that a newer write has replaced.
 */
export type RangeLock = {
  readonly from: number;
  readonly to: number;
  readonly run: () => void;
  blockers: number;
  readonly waiters: RangeLock[];
};

export class RangeLocks {
  readonly #all = new Set<RangeLock>();

  /** Calls `run` when nothing earlier overlaps: at once where that is so already. */
  acquire(from: number, to: number, run: () => void): RangeLock {
    const lock: RangeLock = { from, to, run, blockers: 0, waiters: [] };
    for (const other of this.#all)
      if (other.from < to && from < other.to) {
        other.waiters.push(lock);
        lock.blockers++;
      }
    this.#all.add(lock);
    if (lock.blockers === 0) run();
    return lock;
  }
  release(lock: RangeLock): void {
    if (!this.#all.delete(lock)) return;
    for (const w of lock.waiters) if (--w.blockers === 0 && this.#all.has(w)) w.run();
  }
  get size(): number {
    return this.#all.size;
  }
}
