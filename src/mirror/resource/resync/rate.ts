/**
 * How much a resync may ask for, every 100 ms. With `c-plan-ahead` 0 the rate is fixed; otherwise a controller keeps as
 * much on its way as `c-fill-target` says, or as arrives within `c-delay-target`, and spreads each correction over the
 * plan, so that a change of the line's speed is followed without swinging. drbd.conf(5), c-plan-ahead and its kin.
 */
import type { ResyncOptions } from '../../config.ts';

const BLOCK = 4096;

const emptyPlan = (o: ResyncOptions): number[] => new Array<number>(Math.max(1, Math.round(o.planAhead / 100))).fill(0);

export class RateController {
  readonly #options: () => ResyncOptions;
  #o: ResyncOptions;
  /** Corrections that are planned for the steps to come. */
  #plan: number[];
  #next = 0;
  #planned = 0;
  #received = 0;
  #share = 0;
  #first = true;

  /** `options`: as they are now; they may change at any time. */
  constructor(options: () => ResyncOptions) {
    this.#options = options;
    this.#o = options();
    this.#plan = emptyPlan(this.#o);
  }
  /** A new plan, which goes on from what is on its way. */
  #replan(o: ResyncOptions): void {
    if (Math.round(o.planAhead / 100) !== Math.round(this.#o.planAhead / 100)) {
      this.#plan = emptyPlan(o);
      this.#planned = 0;
      this.#next = 0;
      this.#received = 0;
      this.#share = 0;
    }
    this.#o = o;
  }
  received(bytes: number): void {
    this.#received += bytes;
  }
  /** Bytes that may be asked for now. `step`: microseconds since the last time. */
  step(inFlight: number, step: number): number {
    const options = this.#options();
    if (options !== this.#o) this.#replan(options);
    const { rate, planAhead, maxRate, fillTarget, delayTarget } = this.#o;
    const seconds = step / 1_000_000;
    if (planAhead === 0) {
      // A request is whole blocks: what is left of the step's share is for the next one.
      this.#share = Math.min(this.#share + rate * seconds, Math.max(rate, BLOCK));
      const now = Math.floor(Math.max(0, Math.min(this.#share, Math.max(rate, BLOCK) - inFlight)) / BLOCK) * BLOCK;
      this.#share -= now;
      return now;
    }
    const received = this.#received;
    this.#received = 0;
    const steps = this.#plan.length;
    const want = this.#first
      ? rate * seconds * steps
      : fillTarget > 0
        ? fillTarget
        : Math.max(received * (delayTarget / 1000 / seconds), BLOCK);
    this.#first = false;
    const correction = want - inFlight - this.#planned;
    const each = correction / steps;
    for (let i = 0; i < steps; i++) this.#plan[i] = (this.#plan[i] as number) + each;
    this.#planned += each * steps;
    const now = this.#plan[this.#next] as number;
    this.#plan[this.#next] = 0;
    this.#next = (this.#next + 1) % steps;
    this.#planned -= now;
    const most = maxRate * seconds;
    return Math.max(inFlight === 0 ? BLOCK : 0, Math.min(received + now, most));
  }
}
