/** What a back end of the block queue does: single operations, as they are, told of in batches. */

/** A back end. Continuing short transfers and choosing among operations is the queue's business. */
export interface Engine {
  readonly kind: string;
  readonly slab: Uint8Array;
  /** Operations in flight at once, at most. */
  readonly entries: number;
  /** One of OPERATION. `tag`: 0..entries-1. */
  push(operation: number, fd: number, at: number, length: number, offset: number, tag: number): void;
  /** Hands over what was pushed; may tell of completions before it returns. */
  submit(): void;
  /** Bytes, 0, or a negative errno; a whole batch, then `end`. Set once. */
  onCompletion(done: (tag: number, result: number) => void, end: () => void): void;
  close(): void;
}
