/** The last transitions of all virtual routers, with their reasons. Kept by the supervisor, so that they outlive a beat process. */
import type { Transition } from '../../api/index.ts';
import { type Text, verbatim } from '../../base/index.ts';

const KEPT = 500;
/** The words that name a state; the others tell of rivals and priorities. */
export const STATES: ReadonlySet<string> = new Set(['MASTER', 'BACKUP', 'FAULT', 'STOP', 'DELETED']);

export class History {
  readonly #last: Transition[] = [];
  readonly #states = new Map<string, string>();

  /** Notifications that name no new state (rivals, priorities) are left out. */
  add(name: string, to: string, because: Text | undefined, at: number): void {
    if (!STATES.has(to)) return;
    this.#last.push({ at, name, from: this.#states.get(name) ?? 'INIT', to, because: because ?? verbatim('') });
    this.#states.set(name, to);
    if (this.#last.length > KEPT) this.#last.shift();
  }
  /** The beat process died: whatever it was in, it no longer is. */
  died(because: Text, at: number): void {
    for (const [name, state] of this.#states) {
      if (state === 'INIT') continue;
      this.#last.push({ at, name, from: state, to: 'INIT', because });
      this.#states.set(name, 'INIT');
    }
    this.#last.splice(0, Math.max(0, this.#last.length - KEPT));
  }
  /** Oldest first. */
  list(): readonly Transition[] {
    return this.#last;
  }
}
