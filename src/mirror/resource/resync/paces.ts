/** How fast a resync or a verify goes now: by what was done in the last half minute, as far as somebody looked meanwhile. */
import type { Microseconds } from '../../../base/index.ts';

type Mark = { readonly at: Microseconds; readonly done: number };
/** Two marks are at least so far apart, and so many are kept: as the kernel does. */
const STEP = 3_000_000;
const KEPT = 8;

export class Paces {
  readonly #marks = new WeakMap<object, Mark[]>();

  /** Bytes per second. `of` is what is under way, `begun` when it began, `done` the bytes that are done. */
  rate(of: object, begun: Microseconds, now: Microseconds, done: number): number {
    const marks = this.#marks.get(of) ?? [{ at: begun, done: 0 }];
    this.#marks.set(of, marks);
    const last = marks.at(-1) as Mark;
    if (now - last.at >= STEP) marks.push({ at: now, done });
    if (marks.length > KEPT) marks.shift();
    const [first] = marks as [Mark];
    return Math.max(0, done - first.done) / (Math.max(1, now - first.at) / 1_000_000);
  }
}
