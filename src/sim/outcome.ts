/** What became of a world. */

/** A promise was broken. */
export class Broken extends Error {
  readonly promise: string;
  constructor(promise: string, detail: string) {
    super(`${promise}: ${detail}`);
    this.promise = promise;
  }
}
export type Outcome = {
  readonly seed: number;
  readonly options: string;
  /** Which promise was broken, and how. */
  readonly failure: string | undefined;
  readonly events: number;
  /** The last lines of what happened. */
  readonly trace: (lines: number) => string;
};
