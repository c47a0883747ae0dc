/**
 * Writes by their ids, which count up: a table of our own. A Map leaves a trail of outgrown tables behind, each of which
 * points to the next; once one has grown old, garbage collection keeps what the next ones hold, so that every write would
 * live until the whole heap is collected, megabytes later.
 */
import type { BlockId } from '../../../wire/index.ts';
import type { Write } from './writes.ts';

const LEAST = 64;

export class WriteLog {
  /** Of a power of two; a write stands at its id's place, or behind it where that is taken. */
  #places = Array<Write | undefined>(LEAST).fill(undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }
  get(id: BlockId): Write | undefined {
    return this.#places[this.#find(id)];
  }
  /** None with its id is here. */
  add(w: Write): void {
    if (this.#size * 2 >= this.#places.length) this.#grow();
    this.#places[this.#find(w.id)] = w;
    this.#size++;
  }
  /** False: it was not here. */
  delete(id: BlockId): boolean {
    let hole = this.#find(id);
    if (this.#places[hole] === undefined) return false;
    const mask = this.#places.length - 1;
    // What stands behind moves up, unless it would stand before its own place.
    for (let at = (hole + 1) & mask; ; at = (at + 1) & mask) {
      const w = this.#places[at];
      if (w === undefined) break;
      if (((at - Number(w.id)) & mask) < ((at - hole) & mask)) continue;
      this.#places[hole] = w;
      hole = at;
    }
    this.#places[hole] = undefined;
    this.#size--;
    return true;
  }
  /** Oldest first, as they are now. */
  values(): Write[] {
    const all: Write[] = [];
    if (this.#size > 0) for (const w of this.#places) if (w !== undefined) all.push(w);
    return all.sort((a, b) => Number(a.id) - Number(b.id));
  }
  /** Where it stands, or would. */
  #find(id: BlockId): number {
    const mask = this.#places.length - 1;
    let at = Number(id) & mask;
    for (let w = this.#places[at]; w !== undefined && w.id !== id; w = this.#places[at]) at = (at + 1) & mask;
    return at;
  }
  #grow(): void {
    const all = this.values();
    this.#places = Array<Write | undefined>(this.#places.length * 2).fill(undefined);
    for (const w of all) this.#places[this.#find(w.id)] = w;
  }
}
