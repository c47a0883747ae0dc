/**
 * Notices that this process did not run: a pulse that should have come is late. Whatever wakes the process asks first,
 * so that nothing is judged by a clock that went on without us.
 */
import { type Microseconds, us } from '../base/index.ts';
import type { Cancel, Clock } from '../host/index.ts';

/** Below this the process would spend its time looking at its own clock. */
const SHORTEST = 5_000;

export class SleepWatch {
  readonly #clock: Clock;
  readonly #woke: (late: Microseconds) => void;
  #period = us(Infinity);
  #due = us(Infinity);
  #cancel: Cancel | undefined;

  /** `woke` is told the longest that the sleep may have been: it began somewhere in the period before the missed pulse. */
  constructor(clock: Clock, woke: (late: Microseconds) => void) {
    this.#clock = clock;
    this.#woke = woke;
  }
  /** Sleeps of half of `interval` and more are noticed. Infinity: nobody cares. */
  watch(interval: number): void {
    this.stop();
    this.#period = us(Math.max(SHORTEST, interval / 4));
    this.#pulse();
  }
  /** First thing in whatever wakes us. */
  look(): void {
    const now = this.#clock.now();
    const late = now - this.#due;
    if (late <= this.#period) return;
    this.#due = us(now + this.#period);
    this.#woke(us(late + this.#period));
  }
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#due = us(Infinity);
  }
  #pulse(): void {
    this.look();
    if (this.#period === Infinity) return;
    // On the same grid as adverts (`nextAdvert`): a master's pulse costs no wake of its own.
    this.#due = us(Math.floor(this.#clock.now() / this.#period + 1) * this.#period);
    this.#cancel = this.#clock.at(this.#due, () => this.#pulse());
  }
}
