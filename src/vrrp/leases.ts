/** The lifetimes of addresses, renewed as long as this process runs: the kernel takes them away from a dead one. */
import { us } from '../base/index.ts';
import type { Cancel, Clock } from '../host/index.ts';
import type { Instance } from './config.ts';
import { nextAdvert } from './timers.ts';

const SECOND = 1_000_000;

/**
 * As long as a silent master still is one to the others, whatever their priority: `down_timer_adverts` intervals. So the
 * kernel has taken the address from a dead host when another one begins to hold it. It counts whole seconds: below one
 * second the two may overlap for what is left of that second.
 */
export function leaseSeconds(i: Instance): number {
  return Math.max(1, Math.floor((i.downTimerAdverts * i.advertInterval) / SECOND));
}

/** One timer for all leases: three renewals within the shortest of them. */
export class LeaseTimer {
  readonly #clock: Clock;
  readonly #masters: () => readonly Instance[];
  readonly #renew: () => void;
  #cancel: Cancel | undefined;

  /** `masters` holds addresses now. */
  constructor(clock: Clock, masters: () => readonly Instance[], renew: () => void) {
    this.#clock = clock;
    this.#masters = masters;
    this.#renew = renew;
  }
  arm(): void {
    if (this.#cancel) return;
    const masters = this.#masters();
    if (masters.length === 0) return;
    const every = Math.min(...masters.map(leaseSeconds)) * (SECOND / 3);
    // On the grid of adverts: what is renewed with the last advert ends with the patience of those who heard it.
    this.#cancel = this.#clock.at(nextAdvert(this.#clock.now(), us(every)), () => {
      this.#cancel = undefined;
      this.#renew();
      this.arm();
    });
  }
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
