/** The lifetimes of addresses, renewed as long as this process runs: the kernel takes them away from a dead one. */
import { us } from '../base/index.ts';
import type { Cancel, Clock } from '../host/index.ts';
import type { Instance } from './config.ts';
import { masterDownTime } from './timers.ts';

const SECOND = 1_000_000;

/** Whole seconds, as the kernel counts them: a living master renews three times within it, a dead one loses it about when the others take over. */
export function leaseSeconds(i: Instance): number {
  const down = masterDownTime(i.version, 1, i.advertInterval, i.downTimerAdverts);
  return Math.max(2, Math.ceil(down / SECOND) + 1);
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
    this.#cancel = this.#clock.at(us(this.#clock.now() + every), () => {
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
