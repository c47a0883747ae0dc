/**
 * What the pool and the checkers say to each other. The pool says which checkers shall run; whoever runs them keeps
 * the machine of each (retries, intervals, warm-up) and tells what came of every attempt.
 */
import type { Microseconds, Text } from '../base/index.ts';
import type { Checker, DirectorConfig } from './config.ts';
import type { ServerKey, ServiceKey } from './types.ts';

/**
 * `tcp 192.168.1.99:80 192.168.1.11:80 http 192.168.1.11:80`, with `#2` for a second of the same kind and target:
 * unique in a configuration, and the same after a reload that changes only timings or what is looked for.
 */
export type CheckId = string;
/** What a checker stands at, its retries counted. */
export type Verdict = 'up' | 'down';

export type CheckSpec = {
  readonly id: CheckId;
  readonly service: ServiceKey;
  readonly server: ServerKey;
  readonly checker: Checker;
  /**
   * Where it stands before its first result: `down` with alpha, else `up`; after a reload or a restart of the process,
   * where it stood. Looked at only when the checker starts.
   */
  readonly initial: Verdict;
  /** Makes no attempt and keeps where it stands (`ha_suspend`, the virtual address is on another host). */
  readonly suspended: boolean;
};

/** A weight that a checker found. `is`: the server's whole weight (MISC, dynamic); `adds`: to the configured one (FILE). */
export type FoundWeight = { readonly kind: 'is' | 'adds'; readonly value: number };

/** One attempt that ended, or (BFD, FILE) one change that was seen. */
export type CheckReport = {
  readonly id: CheckId;
  /** When it ended. */
  readonly at: Microseconds;
  /** This attempt; undefined: this host could not make it, and nothing is known that was not before. */
  readonly good: boolean | undefined;
  /** After this attempt: a failure that is to be retried leaves it `up`. */
  readonly verdict: Verdict;
  /** Failures in a row, this one included; 0 after a success. */
  readonly failures: number;
  /** From the start of the attempt to its verdict; undefined where nothing was waited for. */
  readonly latency: Microseconds | undefined;
  /** A clause: `connection refused`, `status 503 instead of 200`, `answered 200`. */
  readonly reason: Text;
  /** Undefined: what was found before still holds. */
  readonly weight?: FoundWeight;
};

/**
 * Never calls `report` from within `set` or `close`, and never for an id that is no longer among the specs.
 */
export interface CheckRunner {
  /**
   * Exactly these shall run: those with the same id and an equal checker go on undisturbed, a changed one starts
   * afresh from `initial`, the others are started and stopped. `suspended` takes effect at once.
   */
  set(specs: readonly CheckSpec[], shared: CheckSettings): void;
  close(): void;
}
/** Common to all checkers. */
export type CheckSettings = Pick<DirectorConfig, 'tls'>;
export type StartChecks = (report: (r: CheckReport) => void) => CheckRunner;
