/**
 * What is under way, by a number of its own: a table of our own. A Map leaves a trail of outgrown tables behind, each of
 * which points to the next; once one has grown old, garbage collection keeps what the next ones hold, so that every write
 * would live until the whole heap is collected, megabytes later.
 */
const LEAST = 64;

export class NumberTable<T> {
  readonly #numberOf: (t: T) => number;
  /** Of a power of two; one stands at its number's place, or behind it where that is taken. */
  #places = Array<T | undefined>(LEAST).fill(undefined);
  #size = 0;

  /** `numberOf`: whole, not below zero, and always the same. Numbers that lie close together cost least. */
  constructor(numberOf: (t: T) => number) {
    this.#numberOf = numberOf;
  }
  get size(): number {
    return this.#size;
  }
  get(n: number): T | undefined {
    return this.#places[this.#find(n)];
  }
  /** None with its number is here. */
  add(t: T): void {
    if (this.#size * 2 >= this.#places.length) this.#grow();
    this.#places[this.#find(this.#numberOf(t))] = t;
    this.#size++;
  }
  /** False: it was not here. */
  delete(n: number): boolean {
    let hole = this.#find(n);
    if (this.#places[hole] === undefined) return false;
    const mask = this.#places.length - 1;
    // What stands behind moves up, unless it would stand before its own place.
    for (let at = (hole + 1) & mask; ; at = (at + 1) & mask) {
      const t = this.#places[at];
      if (t === undefined) break;
      if (((at - this.#numberOf(t)) & mask) < ((at - hole) & mask)) continue;
      this.#places[hole] = t;
      hole = at;
    }
    this.#places[hole] = undefined;
    this.#size--;
    return true;
  }
  /** Least first, as they are now. */
  values(): T[] {
    const all: T[] = [];
    if (this.#size > 0) for (const t of this.#places) if (t !== undefined) all.push(t);
    return all.sort((a, b) => this.#numberOf(a) - this.#numberOf(b));
  }
  /** Where it stands, or would. */
  #find(n: number): number {
    const mask = this.#places.length - 1;
    let at = n & mask;
    for (let t = this.#places[at]; t !== undefined && this.#numberOf(t) !== n; t = this.#places[at])
      at = (at + 1) & mask;
    return at;
  }
  #grow(): void {
    const all = this.values();
    this.#places = Array<T | undefined>(this.#places.length * 2).fill(undefined);
    for (const t of all) this.#places[this.#find(this.#numberOf(t))] = t;
  }
}
