/** The last transitions of all virtual routers, with their reasons. Kept here, so that they outlive a beat process. */
import type { Transition } from '../../api/index.ts';

const KEPT = 500;

export class History {
  readonly #last: Transition[] = [];

  add(t: Transition): void {
    this.#last.push(t);
    if (this.#last.length > KEPT) this.#last.shift();
  }
  /** Oldest first. */
  list(): readonly Transition[] {
    return this.#last;
  }
}
