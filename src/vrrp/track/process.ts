/**
 * A tracked process (`vrrp_track_process`): which processes count, and whether there are enough and not too many of
 * them. A change must last: `fork_delay` where a start caused it, `terminate_delay` where an end did.
 */
import type { Microseconds } from '../../base/index.ts';
import type { TrackProcess } from '../config.ts';
import { type DebounceState, initialDebounce, stepDebounce } from './debounce.ts';

export type ProcessImage = { readonly name: string; readonly argv: readonly string[] };

/** /proc/PID/comm holds this many bytes of the name. */
const COMM_LENGTH = 15;

/**
 * Without `full_command`, parameters and `param_match` the kernel's short name decides. With any of them the command line
 * does: every parameter equal, `partial` = the first ones equal and more may follow, `initial` = the last one may be longer.
 */
export function processMatches(c: TrackProcess, p: ProcessImage): boolean {
  const byCommandLine = c.fullCommand || c.parameters.length > 0 || c.parameterMatch !== 'exact';
  if (!byCommandLine) return p.name === c.process.slice(0, COMM_LENGTH);
  if (p.argv[0] !== c.process) return false;
  const given = p.argv.slice(1);
  const wanted = c.parameters;
  if (c.parameterMatch === 'exact') return given.length === wanted.length && wanted.every((w, i) => given[i] === w);
  if (wanted.length === 0) return given.length === 0; // the manual: no parameters plus param_match = must have none
  if (given.length < wanted.length) return false;
  const last = wanted.length - 1;
  return wanted.every((w, i) =>
    i === last && c.parameterMatch === 'initial' ? (given[i] as string).startsWith(w) : given[i] === w,
  );
}

export type ProcessState = { readonly pids: ReadonlySet<number>; readonly enough: DebounceState };
export type ProcessEvent =
  | { readonly kind: 'started' | 'ended'; readonly pid: number }
  /** What runs now, read afresh after notifications were lost. */
  | { readonly kind: 'all'; readonly pids: ReadonlySet<number> }
  | { readonly kind: 'tick' };

const enough = (c: TrackProcess, count: number): boolean =>
  count >= c.quorum && (c.quorumMax === undefined || count <= c.quorumMax);

/** The state at start: what runs counts at once, without delay. */
export const initialProcess = (c: TrackProcess, pids: ReadonlySet<number>): ProcessState => ({
  pids,
  enough: initialDebounce(enough(c, pids.size)),
});

/** `enough.believed` of the result is the verdict, `enough.turnsAt` the next tick. */
export function stepProcess(c: TrackProcess, s: ProcessState, e: ProcessEvent, now: Microseconds): ProcessState {
  const pids = new Set(e.kind === 'all' ? e.pids : s.pids);
  if (e.kind === 'started') pids.add(e.pid);
  if (e.kind === 'ended') pids.delete(e.pid);
  const delay = pids.size > s.pids.size ? c.forkDelay : c.terminateDelay;
  return { pids, enough: stepDebounce({ up: delay, down: delay }, s.enough, enough(c, pids.size), now) };
}
