/** What became of a world. */
import type { World } from './world.ts';

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
  /** What else it counted, by name. */
  readonly counts: Readonly<Record<string, number>>;
  /** The last lines of what happened. */
  readonly trace: (lines: number) => string;
};

/** Runs a world to its end, or to the first promise that it breaks. */
export function outcomeOf(
  seed: number,
  options: string,
  world: Pick<World, 'events' | 'counts' | 'tail'>,
  run: () => void,
): Outcome {
  let failure: string | undefined;
  try {
    run();
  } catch (e) {
    failure = e instanceof Broken ? e.message : e instanceof Error ? (e.stack ?? e.message) : String(e);
  }
  return { seed, options, failure, events: world.events, counts: world.counts, trace: (lines) => world.tail(lines) };
}
