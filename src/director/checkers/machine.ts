/**
 * When one checker tries, and what its results add up to: keepalived's rules (`../../../docs/keepalived.md`). The first
 * attempt comes 1 s after the start plus a random part of `warmup`; then `interval` from the end of one attempt to the
 * start of the next. While up, a failure is tried again after `retryDelay`, and `retry` + 1 failures in a row bring the
 * checker down; the very first one does so at once. While down, one full success brings it up.
 */
import { type Microseconds, seconds, type Text, unreachable, us } from '../../base/index.ts';
import type { FoundWeight } from '../check.ts';
import type { CheckTiming } from '../config.ts';

export type Schedule = Omit<CheckTiming, 'alpha' | 'logAllFailures'> & {
  /** What a full pass consists of: urls, hosts. All must pass, one after the other. */
  readonly steps: number;
  /** Whether the steps of a pass follow each other at once, or one in each interval. `recovery`: at once while down. */
  readonly stepsAtOnce: 'always' | 'recovery' | 'never';
  /** MISC_CHECK: `interval` counts from the start of the last attempt. */
  readonly startToStart: boolean;
  /** HTTP: while down, the pause is no shorter than `retryDelay`. */
  readonly slowWhileDown: boolean;
};

/** What one attempt found. */
export type Outcome = {
  /** Undefined: this host could not ask. */
  readonly passed: boolean | undefined;
  /** Stable and greppable: `connected`, `refused`, `timeout`, `status`. */
  readonly code: string;
  readonly reason: Text;
  /** From the start of the attempt to its result. */
  readonly latency: Microseconds;
  /** The weight that the check itself found (MISC_CHECK with misc_dynamic, FILE_CHECK). */
  readonly weight?: FoundWeight;
};

type Run =
  | { readonly is: 'waiting'; readonly at: Microseconds }
  /** `late`: how much later than planned it began, since this host was busy. */
  | { readonly is: 'running'; readonly since: Microseconds; readonly late: Microseconds }
  | { readonly is: 'suspended' };
type Running = Extract<Run, { readonly is: 'running' }>;
export type CheckerState = {
  readonly up: boolean;
  /** An attempt has ended: from now on failures are tried again before they count. */
  readonly tried: boolean;
  /** In a row, while up. */
  readonly failures: number;
  /** The step of the pass that is next, or that runs. */
  readonly step: number;
  readonly run: Run;
};
/** `chance` in [0, 1): drawn by the driver, so that the machine draws nothing. */
export type CheckerEvent =
  | { readonly kind: 'tick' }
  | { readonly kind: 'finished'; readonly outcome: Outcome }
  | { readonly kind: 'suspend' }
  | { readonly kind: 'resume'; readonly chance: number };
export type CheckerEffect =
  | { readonly do: 'attempt'; readonly step: number }
  | { readonly do: 'abandon' }
  /** One attempt. `turned`: the verdict is another than before. `failures` of `retry` + 1 while up. */
  | {
      readonly do: 'result';
      readonly up: boolean;
      readonly turned: boolean;
      readonly outcome: Outcome;
      readonly failures: number;
    };
export type CheckerStep = { readonly state: CheckerState; readonly effects: readonly CheckerEffect[] };

const START_DELAY = seconds(1);

/** `up`: where it stands before its first attempt. */
export const startChecker = (s: Schedule, up: boolean, chance: number, now: Microseconds): CheckerState => ({
  up,
  tried: false,
  failures: 0,
  step: 0,
  run: { is: 'waiting', at: us(now + START_DELAY + Math.floor(chance * s.warmup)) },
});

/** When the next tick is due. How long an attempt may take is the attempt's own affair. */
export const checkerDeadline = (c: CheckerState): Microseconds | undefined =>
  c.run.is === 'waiting' ? c.run.at : undefined;

/**
 * From the end of an attempt to the start of the next. What this host was late itself is made up for, by half an interval
 * at most: else all attempts that one stall held back would stay in one crowd from then on, and hold each other back.
 */
function pause(s: Schedule, run: Running, up: boolean, now: Microseconds): Microseconds {
  const late = Math.min(run.late, s.interval / 2);
  if (s.startToStart) return us(Math.max(now, Math.round(run.since - late + s.interval)));
  return us(Math.round(now - late + (s.slowWhileDown && !up ? Math.max(s.interval, s.retryDelay) : s.interval)));
}

function passed(s: Schedule, c: CheckerState, run: Running, outcome: Outcome, now: Microseconds): CheckerStep {
  if (c.step + 1 < s.steps) {
    const atOnce = s.stepsAtOnce === 'always' || (s.stepsAtOnce === 'recovery' && !c.up);
    const at = atOnce ? now : pause(s, run, c.up, now);
    return {
      state: { ...c, tried: true, failures: 0, step: c.step + 1, run: { is: 'waiting', at } },
      effects: [{ do: 'result', up: c.up, turned: false, outcome, failures: 0 }],
    };
  }
  return {
    state: { up: true, tried: true, failures: 0, step: 0, run: { is: 'waiting', at: pause(s, run, true, now) } },
    effects: [{ do: 'result', up: true, turned: !c.up, outcome, failures: 0 }],
  };
}

function failed(s: Schedule, c: CheckerState, run: Running, outcome: Outcome, now: Microseconds): CheckerStep {
  const failures = c.up ? c.failures + 1 : 0;
  if (c.up && c.tried && failures <= s.retry)
    return {
      state: { ...c, failures, run: { is: 'waiting', at: us(now + s.retryDelay) } },
      effects: [{ do: 'result', up: true, turned: false, outcome, failures }],
    };
  const at = pause(s, run, false, now);
  return {
    state: { up: false, tried: true, failures: 0, step: 0, run: { is: 'waiting', at } },
    effects: [{ do: 'result', up: false, turned: c.up, outcome, failures }],
  };
}

/** keepalived: without a socket there is no verdict and no retry is used up; it is tried again after the interval. */
const unasked = (s: Schedule, c: CheckerState, run: Running, outcome: Outcome, now: Microseconds): CheckerStep => ({
  state: { ...c, run: { is: 'waiting', at: pause(s, run, c.up, now) } },
  effects: [{ do: 'result', up: c.up, turned: false, outcome, failures: c.failures }],
});

const judged = (found: Outcome['passed']): typeof passed => (found === undefined ? unasked : found ? passed : failed);

export function stepChecker(s: Schedule, c: CheckerState, e: CheckerEvent, now: Microseconds): CheckerStep {
  const same: CheckerStep = { state: c, effects: [] };
  switch (e.kind) {
    case 'tick':
      if (c.run.is !== 'waiting' || now < c.run.at) return same;
      return {
        state: { ...c, run: { is: 'running', since: now, late: us(now - c.run.at) } },
        effects: [{ do: 'attempt', step: c.step }],
      };
    case 'finished':
      if (c.run.is !== 'running') return same;
      return judged(e.outcome.passed)(s, c, c.run, e.outcome, now);
    case 'suspend':
      if (c.run.is === 'suspended') return same;
      return {
        state: { ...c, step: 0, failures: 0, run: { is: 'suspended' } },
        effects: c.run.is === 'running' ? [{ do: 'abandon' }] : [],
      };
    case 'resume': {
      if (c.run.is !== 'suspended') return same;
      // Soon, since what was known is old; spread, since all of them come back in the same moment.
      const at = us(now + Math.floor(e.chance * Math.min(s.warmup, s.interval)));
      return { state: { ...c, run: { is: 'waiting', at } }, effects: [] };
    }
    default:
      return unreachable(e);
  }
}
