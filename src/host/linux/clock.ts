import { invariant, type Microseconds, ms, us } from '../../base/index.ts';
import type { Cancel, Clock } from '../index.ts';
import type { Addon } from './addon.ts';

/** `index` is the place in the heap, -1 once run or cancelled. */
type Entry = { readonly due: number; readonly order: number; run: () => void; index: number };

/** Earliest first; of equal deadlines, the one asked for first. */
const before = (a: Entry, b: Entry): boolean => a.due < b.due || (a.due === b.due && a.order < b.order);

/** A binary heap that can remove from the middle: a cancelled deadline leaves nothing behind. */
class Heap {
  readonly #items: Entry[] = [];

  get first(): Entry | undefined {
    return this.#items[0];
  }
  push(e: Entry): void {
    this.#items.push(e);
    this.#up(e, this.#items.length - 1);
  }
  remove(e: Entry): void {
    const at = e.index;
    if (at < 0) return;
    e.index = -1;
    const last = this.#items.pop() as Entry;
    if (last === e) return;
    if (at > 0 && before(last, this.#items[(at - 1) >> 1] as Entry)) this.#up(last, at);
    else this.#down(last, at);
  }
  #up(e: Entry, from: number): void {
    const items = this.#items;
    let at = from;
    while (at > 0) {
      const parent = items[(at - 1) >> 1] as Entry;
      if (!before(e, parent)) break;
      items[at] = parent;
      parent.index = at;
      at = (at - 1) >> 1;
    }
    items[at] = e;
    e.index = at;
  }
  #down(e: Entry, from: number): void {
    const items = this.#items;
    let at = from;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && before(items[child + 1] as Entry, items[child] as Entry)) child++;
      const c = items[child] as Entry;
      if (!before(c, e)) break;
      items[at] = c;
      c.index = at;
      at = child;
    }
    items[at] = e;
    e.index = at;
  }
}

/**
 * CLOCK_MONOTONIC and one timerfd for all deadlines. A deadline that moves later (the usual case: an advertisement
 * came) costs no system call: the timer fires at the old time, finds nothing due, and is set again.
 */
export function linuxClock(addon: Addon): Clock {
  const heap = new Heap();
  const timer = addon.timer();
  invariant(typeof timer !== 'number', 'the kernel gives a timerfd');
  let order = 0;
  let armed = Number.POSITIVE_INFINITY;
  /** The moment for which callbacks run right now; undefined outside of them. */
  let round: number | undefined;

  const arm = (): void => {
    const due = heap.first?.due ?? Number.POSITIVE_INFINITY;
    if (due >= armed) return;
    armed = due;
    addon.arm(timer, Math.max(1, due));
  };
  const fire = (): void => {
    armed = Number.POSITIVE_INFINITY;
    const now = addon.now();
    round = now;
    try {
      for (let e = heap.first; e && e.due <= now; e = heap.first) {
        heap.remove(e);
        e.run();
      }
    } finally {
      round = undefined;
      if (heap.first) arm();
      else addon.keepAlive(timer, false);
    }
  };
  addon.watch(timer, fire);
  addon.keepAlive(timer, false);

  return {
    now: () => us(addon.now()),
    wall: () => ms(Date.now()),
    at(due: Microseconds, run: () => void): Cancel {
      // What a callback asks for, even for the past, has its turn after the sockets had theirs.
      const earliest = round === undefined ? 0 : round + 1;
      const e: Entry = { due: Math.max(Math.ceil(due), earliest), order: order++, run, index: -1 };
      if (!heap.first && round === undefined) addon.keepAlive(timer, true);
      heap.push(e);
      if (round === undefined) arm();
      return () => {
        if (e.index < 0) return;
        heap.remove(e);
        if (!heap.first && round === undefined) addon.keepAlive(timer, false);
      };
    },
  };
}
