/** Virtual time: a queue of what will happen, one seed, and a trace of what did. The same seed gives the same world, event for event. */
import { type Microseconds, Random, us } from '../base/index.ts';

type Planned = { readonly at: number; readonly order: number; run: (() => void) | undefined };
export type TraceLine = { readonly at: Microseconds; readonly who: string; readonly what: string };

const TRACE_KEPT = 400;

export class World {
  readonly random: Random;
  readonly #heap: Planned[] = [];
  readonly #trace: TraceLine[] = [];
  #now = 0;
  #order = 0;
  #events = 0;
  /** What is worth counting over many worlds, by name. */
  readonly counts: Record<string, number> = {};
  /** Called after every event. */
  afterEvent: () => void = () => {};

  constructor(seed: number) {
    this.random = new Random(seed);
  }
  get now(): Microseconds {
    return us(this.#now);
  }
  get events(): number {
    return this.#events;
  }

  /** Never in the past: what is due earlier runs now, behind what is planned for now already. */
  at(due: number, run: () => void): () => void {
    const planned: Planned = { at: Math.max(due, this.#now), order: this.#order++, run };
    this.#push(planned);
    return () => {
      planned.run = undefined;
    };
  }

  runUntil(end: number): void {
    for (;;) {
      const next = this.#heap[0];
      if (!next || next.at > end) break;
      this.#pop();
      if (!next.run) continue;
      this.#now = next.at;
      this.#events++;
      next.run();
      this.afterEvent();
    }
    this.#now = end;
  }

  count(name: string, n = 1): void {
    this.counts[name] = (this.counts[name] ?? 0) + n;
  }
  note(who: string, what: string): void {
    this.#trace.push({ at: this.now, who, what });
    if (this.#trace.length > 2 * TRACE_KEPT) this.#trace.splice(0, TRACE_KEPT);
  }
  /** The last `count` lines, oldest first. */
  tail(count: number): string {
    return this.#trace
      .slice(-count)
      .map((t) => `${(t.at / 1_000_000).toFixed(6).padStart(12)} s  ${t.who.padEnd(8)} ${t.what}`)
      .join('\n');
  }

  #before(a: Planned, b: Planned): boolean {
    return a.at < b.at || (a.at === b.at && a.order < b.order);
  }
  #push(p: Planned): void {
    const h = this.#heap;
    let i = h.length;
    h.push(p);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = h[parent] as Planned;
      if (!this.#before(p, above)) break;
      h[i] = above;
      i = parent;
    }
    h[i] = p;
  }
  #pop(): void {
    const h = this.#heap;
    const last = h.pop() as Planned;
    if (h.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= h.length) break;
      if (child + 1 < h.length && this.#before(h[child + 1] as Planned, h[child] as Planned)) child++;
      if (!this.#before(h[child] as Planned, last)) break;
      h[i] = h[child] as Planned;
      i = child;
    }
    h[i] = last;
  }
}
