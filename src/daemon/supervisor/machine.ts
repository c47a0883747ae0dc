/**
 * The life of the daemon: reading the configuration, starting the beat process and starting it again, reload and stop.
 * Pure; driver.ts does what the effects say.
 */
import { type Microseconds, seconds, type Text, text, unreachable, us } from '../../base/index.ts';

export type Beat =
  | { readonly is: 'none' }
  /** Started, its configuration not in force yet. */
  | { readonly is: 'starting'; readonly since: Microseconds }
  | { readonly is: 'up'; readonly since: Microseconds }
  /** It died; the next one starts at `until`. */
  | { readonly is: 'down'; readonly until: Microseconds };

export type SupervisorState = {
  readonly phase: 'starting' | 'running' | 'stopping' | 'ended';
  readonly beat: Beat;
  /** Deaths in a row without a quiet time between them. */
  readonly deaths: number;
  readonly reading: 'no' | 'start' | 'reload';
  /** SIGHUP came while a file was being read, or before the start was over: read once more. */
  readonly again: boolean;
  /** Whoever waits for the start was told. */
  readonly announced: boolean;
  /** When a stop no longer waits for the beat. */
  readonly stopBy: Microseconds | undefined;
  readonly exitCode: number;
};
export type SupervisorOptions = {
  readonly respawn: boolean;
  /** `child_wait_time`. */
  readonly childWait: Microseconds;
};

export type SupervisorEvent =
  | { readonly kind: 'start' }
  /** `work`: whether the configuration has anything for the beat process to do. */
  | { readonly kind: 'read'; readonly outcome: 'good'; readonly work: boolean }
  /** `code`: how the daemon ends where this was its start. */
  | { readonly kind: 'read'; readonly outcome: 'refused'; readonly code: number }
  /** The startup script has ended, whatever it returned. */
  | { readonly kind: 'prepared' }
  | { readonly kind: 'beat-in-force' }
  | { readonly kind: 'beat-exit'; readonly how: Text; readonly orderly: boolean }
  | { readonly kind: 'reload' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'tick' };

export type SupervisorEffect =
  | { readonly do: 'read'; readonly why: 'start' | 'reload' }
  /** Run the startup script and report `prepared`. */
  | { readonly do: 'prepare' }
  | { readonly do: 'start-beat' }
  /** Give the beat the configuration that was read last and is good. */
  | { readonly do: 'configure-beat' }
  | { readonly do: 'execute-will' }
  | { readonly do: 'stop-beat' }
  | { readonly do: 'kill-beat' }
  /** Whoever waits for the start (service manager, launching process) is told. */
  | { readonly do: 'announce-ready' }
  /** Shutdown script, pid files, then the end of this process. */
  | { readonly do: 'end'; readonly code: number }
  | { readonly do: 'log'; readonly level: 'notice' | 'warning' | 'error'; readonly code: string; readonly text: Text };
export type SupervisorStep = { readonly state: SupervisorState; readonly effects: readonly SupervisorEffect[] };

/** The thing was tried and did not work. */
const EXIT_FAILED = 1;

/** A process that lived this long is no part of a crash loop. */
export const QUIET = seconds(60);
const LONGEST_BACKOFF = seconds(60);

export const initialSupervisor: SupervisorState = {
  phase: 'starting',
  beat: { is: 'none' },
  deaths: 0,
  reading: 'no',
  again: false,
  announced: false,
  stopBy: undefined,
  exitCode: 0,
};

/** The first death costs no time, then 1, 2, 4 ... 60 s. */
export const backoff = (deaths: number): Microseconds =>
  deaths <= 1 ? us(0) : us(Math.min(LONGEST_BACKOFF, seconds(1) * 2 ** Math.min(deaths - 2, 10)));

export function supervisorDeadline(s: SupervisorState): Microseconds | undefined {
  if (s.phase === 'stopping') return s.stopBy;
  return s.phase === 'running' && s.beat.is === 'down' ? s.beat.until : undefined;
}

export function stepSupervisor(
  o: SupervisorOptions,
  s: SupervisorState,
  e: SupervisorEvent,
  now: Microseconds,
): SupervisorStep {
  switch (e.kind) {
    case 'start':
      // The beat loads its program while the file is read.
      return {
        state: { ...s, reading: 'start', beat: { is: 'starting', since: now } },
        effects: [{ do: 'start-beat' }, { do: 'read', why: 'start' }],
      };
    case 'read':
      return onRead(s, e, now, o);
    case 'prepared':
      return onPrepared(s);
    case 'beat-in-force': {
      const beat: Beat = s.beat.is === 'starting' ? { is: 'up', since: s.beat.since } : s.beat;
      return { state: { ...s, beat, announced: true }, effects: s.announced ? [] : [{ do: 'announce-ready' }] };
    }
    case 'beat-exit':
      return onBeatExit(o, s, e, now);
    case 'reload':
      if (s.phase === 'stopping' || s.phase === 'ended') return { state: s, effects: [] };
      if (s.reading !== 'no' || s.phase === 'starting') return { state: { ...s, again: true }, effects: [] };
      return { state: { ...s, reading: 'reload' }, effects: [{ do: 'read', why: 'reload' }] };
    case 'stop':
      return stop(o, s, now);
    case 'tick':
      return onTick(s, now);
    default:
      return unreachable(e);
  }
}

function onRead(
  s: SupervisorState,
  e: Extract<SupervisorEvent, { kind: 'read' }>,
  now: Microseconds,
  o: SupervisorOptions,
): SupervisorStep {
  if (s.phase === 'stopping' || s.phase === 'ended') return { state: { ...s, reading: 'no' }, effects: [] };
  if (s.reading === 'start') {
    const read: SupervisorState = { ...s, reading: 'no' };
    if (e.outcome === 'refused') return stop(o, { ...read, exitCode: e.code }, now);
    if (e.work) return { state: read, effects: [{ do: 'prepare' }] };
    return { state: { ...read, beat: { is: 'none' } }, effects: [{ do: 'kill-beat' }, { do: 'prepare' }] };
  }
  // A refused file too is read again: what the second SIGHUP was sent for may be its correction.
  const state: SupervisorState = { ...s, reading: s.again ? 'reload' : 'no', again: false };
  const more: SupervisorEffect[] = s.again ? [{ do: 'read', why: 'reload' }] : [];
  if (e.outcome === 'refused') {
    const words = text(
      'the new configuration is refused; the old one stays in force',
      '新配置被拒绝；原有配置继续有效',
    );
    return { state, effects: [{ do: 'log', level: 'error', code: 'config.refused', text: words }, ...more] };
  }
  switch (s.beat.is) {
    case 'up':
    case 'starting':
      // Without work it goes on with an empty configuration: what it holds is released in order.
      return { state, effects: [{ do: 'configure-beat' }, ...more] };
    case 'none':
      if (!e.work) return { state, effects: more };
      return {
        state: { ...state, beat: { is: 'starting', since: now } },
        effects: [{ do: 'start-beat' }, { do: 'configure-beat' }, ...more],
      };
    case 'down':
      return { state, effects: more };
    default:
      return unreachable(s.beat);
  }
}

function onPrepared(s: SupervisorState): SupervisorStep {
  if (s.phase !== 'starting') return { state: s, effects: [] };
  const none = s.beat.is === 'none';
  const effects: SupervisorEffect[] = [none ? { do: 'announce-ready' } : { do: 'configure-beat' }];
  if (s.again) effects.push({ do: 'read', why: 'reload' });
  const reading = s.again ? 'reload' : s.reading;
  return { state: { ...s, phase: 'running', reading, again: false, announced: s.announced || none }, effects };
}

function onBeatExit(
  o: SupervisorOptions,
  s: SupervisorState,
  e: Extract<SupervisorEvent, { kind: 'beat-exit' }>,
  now: Microseconds,
): SupervisorStep {
  if (s.beat.is === 'none') return { state: s, effects: [] };
  if (s.phase === 'stopping') {
    const effects: SupervisorEffect[] = e.orderly ? [] : [{ do: 'execute-will' }];
    return {
      state: { ...s, phase: 'ended', beat: { is: 'none' } },
      effects: [...effects, { do: 'end', code: s.exitCode }],
    };
  }
  const lived = s.beat.is === 'down' ? 0 : now - s.beat.since;
  const deaths = lived >= QUIET ? 1 : s.deaths + 1;
  const died: SupervisorEffect[] = [
    { do: 'execute-will' },
    {
      do: 'log',
      level: 'error',
      code: 'beat.died',
      text: text(`the VRRP process ${e.how.en}: its addresses are removed`, `VRRP 进程${e.how.zh}：其地址已移除`),
    },
  ];
  if (!o.respawn)
    return {
      state: { ...s, phase: 'ended', beat: { is: 'none' }, exitCode: EXIT_FAILED },
      effects: [...died, { do: 'end', code: EXIT_FAILED }],
    };
  const wait = backoff(deaths);
  if (wait > 0) {
    const words = text(`it is started again in ${wait / 1e6} s`, `将在 ${wait / 1e6} 秒后重新启动`);
    died.push({ do: 'log', level: 'warning', code: 'beat.backoff', text: words });
    return { state: { ...s, deaths, beat: { is: 'down', until: us(now + wait) } }, effects: died };
  }
  return respawn({ ...s, deaths }, now, died);
}

function respawn(s: SupervisorState, now: Microseconds, before: readonly SupervisorEffect[]): SupervisorStep {
  const configure: SupervisorEffect[] = s.phase === 'running' ? [{ do: 'configure-beat' }] : [];
  return {
    state: { ...s, beat: { is: 'starting', since: now } },
    effects: [...before, { do: 'start-beat' }, ...configure],
  };
}

function onTick(s: SupervisorState, now: Microseconds): SupervisorStep {
  const due = supervisorDeadline(s);
  if (due === undefined || now < due) return { state: s, effects: [] };
  if (s.phase === 'stopping')
    // Its exit follows, is not orderly, and executes the will.
    return { state: { ...s, stopBy: undefined }, effects: [{ do: 'kill-beat' }] };
  return respawn(s, now, []);
}

function stop(o: SupervisorOptions, s: SupervisorState, now: Microseconds): SupervisorStep {
  if (s.phase === 'stopping' || s.phase === 'ended') return { state: s, effects: [] };
  if (s.beat.is === 'none' || s.beat.is === 'down')
    return { state: { ...s, phase: 'ended', beat: { is: 'none' } }, effects: [{ do: 'end', code: s.exitCode }] };
  return { state: { ...s, phase: 'stopping', stopBy: us(now + o.childWait) }, effects: [{ do: 'stop-beat' }] };
}
