/**
 * Memory for payloads, used again and again: fresh memory of their size costs as much as reading it from a disk, and what is
 * thrown away stays until garbage collection comes by.
 */
const PAGE = 4096;

/** In powers of two: bytes that a payload of `length` takes. */
const roomFor = (length: number): number => Math.max(PAGE, 2 ** Math.ceil(Math.log2(length)));

export class SpareMemory {
  readonly #most: number;
  /** By length. */
  readonly #spare = new Map<number, Uint8Array[]>();
  #kept = 0;

  /** Keeps at most so many bytes that nobody uses. */
  constructor(most: number) {
    this.#most = most;
  }
  /** At least so many bytes, with whatever was in them; the last one that was given back comes first. */
  take(length: number): Uint8Array {
    const room = roomFor(length);
    const spare = this.#spare.get(room)?.pop();
    if (spare === undefined) return new Uint8Array(room);
    this.#kept -= room;
    return spare;
  }
  /** It came from `take`, and nobody uses it any more. Too much of other lengths goes first. */
  give(memory: Uint8Array): void {
    const room = memory.length;
    for (const [length, others] of this.#spare)
      while (length !== room && this.#kept + room > this.#most && others.pop() !== undefined) this.#kept -= length;
    if (this.#kept + room > this.#most) return;
    const same = this.#spare.get(room);
    if (same === undefined) this.#spare.set(room, [memory]);
    else same.push(memory);
    this.#kept += room;
  }
  /** Bytes that nobody uses. */
  get kept(): number {
    return this.#kept;
  }
}
