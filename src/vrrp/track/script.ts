/**
 * A tracked script (`vrrp_script`): when it runs, when it is ended, and what its results add up to. keepalived's rules:
 * the first result decides; later, `fall` failures in a row make it bad and `rise` successes in a row good again; a run
 * that outlasts `timeout` has failed, is asked to end (SIGTERM) and, 2 s later, is killed. Two runs never overlap.
 */
import { type Microseconds, seconds, unreachable, us } from '../../base/index.ts';
import type { Exit } from '../../host/index.ts';
import type { TrackScript } from '../config.ts';

export type ScriptVerdict = 'init' | 'good' | 'bad';
/** `late`: asked to end. `killed`: SIGKILL was sent, nothing is left but to wait for the kernel. */
type Run =
  | { readonly is: 'none' }
  | { readonly is: 'running'; readonly timeoutAt: Microseconds }
  | { readonly is: 'late'; readonly killAt: Microseconds }
  | { readonly is: 'killed' };
export type ScriptState = {
  readonly verdict: ScriptVerdict;
  /** Results in a row that speak against the verdict. */
  readonly against: number;
  readonly run: Run;
  readonly nextAt: Microseconds;
};
export type ScriptEvent = { readonly kind: 'tick' } | { readonly kind: 'exited'; readonly exit: Exit };
/** Why a run counts as it does: its exit, or that it never came. */
export type ScriptResult = Exit | { readonly timeout: Microseconds };
export type ScriptEffect =
  | { readonly do: 'run' }
  | { readonly do: 'signal'; readonly signal: 'SIGTERM' | 'SIGKILL' }
  | { readonly do: 'verdict'; readonly good: boolean; readonly because: ScriptResult }
  /** A run was due while the last one had not ended. */
  | { readonly do: 'overrun' };
export type ScriptStep = { readonly state: ScriptState; readonly effects: readonly ScriptEffect[] };

export const KILL_AFTER = seconds(2);

export const initialScript = (c: TrackScript, now: Microseconds): ScriptState => ({
  verdict: c.initFail ? 'bad' : 'init',
  against: 0,
  run: { is: 'none' },
  nextAt: now,
});

/** When the next tick is due. */
export function scriptDeadline(s: ScriptState): Microseconds {
  switch (s.run.is) {
    case 'running':
      return us(Math.min(s.run.timeoutAt, s.nextAt));
    case 'late':
      return us(Math.min(s.run.killAt, s.nextAt));
    case 'none':
    case 'killed':
      return s.nextAt;
    default:
      return unreachable(s.run);
  }
}

const passed = (r: ScriptResult): boolean => 'code' in r && r.code === 0;

function judge(c: TrackScript, s: ScriptState, result: ScriptResult): ScriptStep {
  const good = passed(result);
  const verdict = (): ScriptStep => ({
    state: { ...s, verdict: good ? 'good' : 'bad', against: 0 },
    effects: [{ do: 'verdict', good, because: result }],
  });
  if (s.verdict === 'init') return verdict();
  if (good === (s.verdict === 'good')) return { state: { ...s, against: 0 }, effects: [] };
  const against = s.against + 1;
  return against >= (good ? c.rise : c.fall) ? verdict() : { state: { ...s, against }, effects: [] };
}

export function stepScript(c: TrackScript, s: ScriptState, e: ScriptEvent, now: Microseconds): ScriptStep {
  switch (e.kind) {
    case 'exited': {
      const ended: ScriptState = { ...s, run: { is: 'none' } };
      // The failure of a run that outlasted its time was counted when the time was up.
      return s.run.is === 'running' ? judge(c, ended, e.exit) : { state: ended, effects: [] };
    }
    case 'tick':
      return tick(c, s, now);
    default:
      return unreachable(e);
  }
}

function tick(c: TrackScript, s: ScriptState, now: Microseconds): ScriptStep {
  const effects: ScriptEffect[] = [];
  let state = s;
  if (state.run.is === 'running' && now >= state.run.timeoutAt) {
    const judged = judge(c, { ...state, run: { is: 'late', killAt: us(now + KILL_AFTER) } }, { timeout: c.timeout });
    state = judged.state;
    effects.push({ do: 'signal', signal: 'SIGTERM' }, ...judged.effects);
  } else if (state.run.is === 'late' && now >= state.run.killAt) {
    state = { ...state, run: { is: 'killed' } };
    effects.push({ do: 'signal', signal: 'SIGKILL' });
  }
  if (now >= state.nextAt) {
    // From the last due time, not from now, so that the rhythm does not drift; runs that were slept through are not made up for.
    const nextAt = us(state.nextAt + c.interval > now ? state.nextAt + c.interval : now + c.interval);
    if (state.run.is === 'none') {
      state = { ...state, nextAt, run: { is: 'running', timeoutAt: us(now + c.timeout) } };
      effects.push({ do: 'run' });
    } else {
      state = { ...state, nextAt };
      effects.push({ do: 'overrun' });
    }
  }
  return { state, effects };
}
