/**
 * Slots in an order of their own, each at most once: linked through two arrays, so that taking one out of the middle costs
 * nothing and leaves no garbage. (A Map would do it too, but see `NumberTable` for what it leaves behind.)
 */
const NONE = -1;

export class SlotList {
  readonly #after: Int32Array;
  readonly #before: Int32Array;
  readonly #here: Uint8Array;
  #first = NONE;
  #last = NONE;
  #size = 0;

  constructor(slots: number) {
    this.#after = new Int32Array(slots).fill(NONE);
    this.#before = new Int32Array(slots).fill(NONE);
    this.#here = new Uint8Array(slots);
  }
  get size(): number {
    return this.#size;
  }
  /** At the end. It must not be here. */
  push(slot: number): void {
    this.#before[slot] = this.#last;
    this.#after[slot] = NONE;
    if (this.#last === NONE) this.#first = slot;
    else this.#after[this.#last] = slot;
    this.#last = slot;
    this.#here[slot] = 1;
    this.#size++;
  }
  /** Nothing where it is not here. */
  delete(slot: number): void {
    if (this.#here[slot] !== 1) return;
    const before = this.#before[slot] as number;
    const after = this.#after[slot] as number;
    if (before === NONE) this.#first = after;
    else this.#after[before] = after;
    if (after === NONE) this.#last = before;
    else this.#before[after] = before;
    this.#here[slot] = 0;
    this.#size--;
  }
  /** The first, taken out. Undefined: there is none. */
  shift(): number | undefined {
    const slot = this.#first;
    if (slot === NONE) return undefined;
    this.delete(slot);
    return slot;
  }
}
