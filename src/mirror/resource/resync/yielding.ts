/**
 * A resync yields to applications: while they use the volume, on either side, only little of it is on its way at once, so
 * that a write waits behind little. As many bytes cross the disks and the line as before where these are fast; but below
 * `c-min-rate` it does not yield, and with `c-min-rate` 0 never. drbd.conf(5), c-min-rate.
 */
import type { Bytes, Microseconds } from '../../../base/index.ts';

/**
 * Bytes: of one request; on their way at once, from the source to the target's disk; asked for at once, so that the source
 * reads the next meanwhile. Each request wakes both sides several times, so that smaller ones take processor time from the
 * writes that they are to spare, and more of them at once take places in the disk's queue.
 */
export const YIELDING = { largest: 256 << 10, window: 256 << 10, asked: 512 << 10 } as const;
/** An application that asked within so long is at work. Microseconds. */
const AT_WORK = 100_000;
/** Over so long its rate is judged. Microseconds. */
const SPAN = 1_000_000;

export class Yielding {
  /** Bytes per second; it may change at any time. */
  readonly #least: () => Bytes;
  #since: Microseconds;
  #moved = 0;
  #slow = false;

  constructor(least: () => Bytes, now: Microseconds) {
    this.#least = least;
    this.#since = now;
  }
  moved(bytes: number): void {
    this.#moved += bytes;
  }
  /** `usedAt`: when an application asked for something last. */
  yields(usedAt: Microseconds | undefined, now: Microseconds): boolean {
    const past = now - this.#since;
    if (past >= SPAN) {
      this.#slow = this.#moved / (past / 1_000_000) < this.#least();
      this.#moved = 0;
      this.#since = now;
    }
    return this.#least() > 0 && !this.#slow && usedAt !== undefined && now - usedAt < AT_WORK;
  }
}
