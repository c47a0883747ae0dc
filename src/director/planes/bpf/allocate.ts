/** Places in the maps: which are taken, and the lowest free ones. */
import { blocksFor, type ServiceTable } from './tables.ts';

/** Single places, lowest first; what is given back is given out again. */
class Places {
  readonly #free: number[] = [];
  #next = 0;
  constructor(taken: readonly number[]) {
    const sorted = [...taken].sort((a, b) => a - b);
    for (const n of sorted) {
      for (; this.#next < n; this.#next++) this.#free.push(this.#next);
      this.#next = Math.max(this.#next, n + 1);
    }
    this.#free.reverse();
  }
  take(): number {
    return this.#free.pop() ?? this.#next++;
  }
  give(n: number): void {
    this.#free.push(n);
  }
  get end(): number {
    return this.#next;
  }
}

/** Runs of blocks. A free run serves again for a ring of its length, and single blocks anywhere. */
class Runs {
  readonly #free = new Map<number, number[]>();
  #next = 0;
  constructor(taken: readonly { readonly at: number; readonly length: number }[]) {
    for (const t of [...taken].sort((a, b) => a.at - b.at)) {
      for (; this.#next < t.at; this.#next++) this.give(this.#next, 1);
      this.#next = Math.max(this.#next, t.at + t.length);
    }
  }
  take(length: number): number {
    const again = this.#free.get(length)?.pop();
    if (again !== undefined) return again;
    const at = this.#next;
    this.#next += length;
    return at;
  }
  give(at: number, length: number): void {
    const list = this.#free.get(length);
    if (list) list.push(at);
    else this.#free.set(length, [at]);
  }
  get end(): number {
    return this.#next;
  }
}

/** Place 0 of `servers` stays empty: an untouched slot names it, and it names nobody. */
export class Allocator {
  readonly services: Places;
  readonly servers: Places;
  readonly blocks: Runs;
  #serial: number;
  /** `lastSerial`: of an earlier process, so that a flow of a server that went meanwhile fits none that comes. */
  constructor(actual: readonly ServiceTable[], lastSerial: number) {
    const rows = actual.flatMap((t) => t.servers);
    this.services = new Places(actual.map((t) => t.id));
    this.servers = new Places([0, ...rows.map((r) => r.id)]);
    this.blocks = new Runs(
      actual.filter((t) => t.ring.length > 0).map((t) => ({ at: t.block, length: blocksFor(t.ring.length) })),
    );
    this.#serial = rows.reduce((most, r) => Math.max(most, r.serial), lastSerial);
  }
  get lastSerial(): number {
    return this.#serial;
  }
  serial(): number {
    this.#serial = (this.#serial + 1) >>> 0 || 1;
    return this.#serial;
  }
}
