/**
 * A process that is kept running while there is work for it, and whose death harms nobody else: the director, whose
 * planes the kernel keeps while it is away. Pure; driver.ts does what the effects say.
 */
import { type Microseconds, seconds, type Text, text, unreachable, us } from '../../base/index.ts';
import { backoff, QUIET } from './machine.ts';

export type Kept =
  | { readonly is: 'none' }
  /** `heard`: when it last said that it lives. */
  | { readonly is: 'running'; readonly since: Microseconds; readonly heard: Microseconds }
  /** It died; the next one starts at `until`. Undefined: none does. */
  | { readonly is: 'down'; readonly until: Microseconds | undefined }
  /** Told to stop; killed at `by`. */
  | {
      readonly is: 'stopping';
      readonly by: Microseconds;
      /** What it has put into the kernel is to stay. */
      readonly keep: boolean;
      /** It said that it has done all that it had to. */
      readonly released: boolean;
      /** The one before it did not come so far: this one was started to remove what that left, and for nothing else. */
      readonly sweeps: boolean;
    };
export type KeeperState = { readonly kept: Kept; readonly deaths: number };
export type KeeperOptions = { readonly name: Text; readonly respawn: boolean; readonly childWait: Microseconds };
export type KeeperEvent =
  /** A configuration is in force; `work`: there is something for the process in it. */
  | { readonly kind: 'configuration'; readonly work: boolean }
  | { readonly kind: 'heard' }
  /** What it was told is in the kernel. */
  | { readonly kind: 'in-force' }
  /** The end of what it does when it is told to stop. */
  | { readonly kind: 'released' }
  | { readonly kind: 'exit'; readonly how: Text }
  /** `keep`: what it has put into the kernel stays. */
  | { readonly kind: 'stop'; readonly keep: boolean }
  | { readonly kind: 'tick' };
export type KeeperEffect =
  /** `sweep`: it is told that nothing is wanted. */
  | { readonly do: 'start' | 'configure' | 'sweep' | 'stop' | 'kill' }
  /** What it has put into the kernel is there still, although it was to go. */
  | { readonly do: 'left' }
  /** It has ended because it was told to, or there was none. */
  | { readonly do: 'stopped' }
  /** Without respawn the daemon ends with a process. */
  | { readonly do: 'give-up' }
  | { readonly do: 'log'; readonly level: 'error' | 'warning' | 'notice'; readonly code: string; readonly text: Text };
export type KeeperStep = { readonly state: KeeperState; readonly effects: readonly KeeperEffect[] };

/** Longer than any start or reload takes on a slow machine. A process that hangs would leave dead servers in the planes. */
const SILENCE = seconds(30);
/** What a process takes to start on a busy machine, before it can do what it is started for. */
const START = seconds(5);
/** A verdict that comes so much late was made by a process that itself did not run, and hears first. */
const LATE = seconds(1);

export const initialKeeper: KeeperState = { kept: { is: 'none' }, deaths: 0 };

export function keeperDeadline({ kept }: KeeperState): Microseconds | undefined {
  switch (kept.is) {
    case 'none':
      return undefined;
    case 'running':
      return us(kept.heard + SILENCE);
    case 'down':
      return kept.until;
    case 'stopping':
      return kept.by;
    default:
      return unreachable(kept);
  }
}

export function stepKeeper(o: KeeperOptions, s: KeeperState, e: KeeperEvent, now: Microseconds): KeeperStep {
  const { kept } = s;
  switch (e.kind) {
    case 'configuration':
      if (kept.is === 'running') return { state: s, effects: [{ do: 'configure' }] };
      return kept.is === 'none' && e.work ? start(s, now) : { state: s, effects: [] };
    case 'heard':
      return { state: kept.is === 'running' ? { ...s, kept: { ...kept, heard: now } } : s, effects: [] };
    case 'exit':
      return exited(o, s, e.how, now);
    case 'in-force':
      return { state: s, effects: kept.is === 'stopping' && kept.sweeps ? [{ do: 'stop' }] : [] };
    case 'released':
      return { state: kept.is === 'stopping' ? { ...s, kept: { ...kept, released: true } } : s, effects: [] };
    case 'stop':
      if (kept.is === 'stopping') return { state: s, effects: [] };
      if (kept.is === 'down' && !e.keep) return sweep(o, s, now);
      if (kept.is !== 'running') return { state: initialKeeper, effects: [{ do: 'stopped' }] };
      return {
        state: {
          ...s,
          kept: { is: 'stopping', by: us(now + o.childWait), keep: e.keep, released: false, sweeps: false },
        },
        effects: [{ do: 'stop' }],
      };
    case 'tick': {
      const due = keeperDeadline(s);
      if (due === undefined || now < due) return { state: s, effects: [] };
      if (kept.is === 'down') return start(s, now);
      if (kept.is === 'running') return silent(o, s, kept, now, now - due > LATE);
      if (kept.is !== 'stopping') return { state: s, effects: [] };
      return { state: { ...s, kept: { ...kept, by: us(now + o.childWait) } }, effects: [{ do: 'kill' }] };
    }
    default:
      return unreachable(e);
  }
}

const start = (s: KeeperState, now: Microseconds): KeeperStep => ({
  state: { ...s, kept: { is: 'running', since: now, heard: now } },
  effects: [{ do: 'start' }, { do: 'configure' }],
});

/** The one before ended without removing what it had put into the kernel: another one does that. */
const sweep = (o: KeeperOptions, s: KeeperState, now: Microseconds): KeeperStep => ({
  state: {
    ...s,
    kept: { is: 'stopping', by: us(now + START + o.childWait), keep: false, released: false, sweeps: true },
  },
  effects: [{ do: 'start' }, { do: 'sweep' }],
});
/** Of one that was told to stop. */
function stopped(
  o: KeeperOptions,
  s: KeeperState,
  kept: Extract<Kept, { is: 'stopping' }>,
  how: Text,
  now: Microseconds,
): KeeperStep {
  const { name } = o;
  if (kept.keep || (kept.released && !kept.sweeps)) return { state: initialKeeper, effects: [{ do: 'stopped' }] };
  const log = (level: 'error' | 'notice', code: string, words: Text): KeeperEffect => ({
    do: 'log',
    level,
    code,
    text: words,
  });
  if (kept.released) {
    const words = text('what the last one had left in the kernel is removed', '上一进程在内核中的遗留已清除');
    return { state: initialKeeper, effects: [log('notice', 'director.swept', words), { do: 'stopped' }] };
  }
  if (!kept.sweeps) {
    const words = text(
      `${name.en} ${how.en} before it had taken its services down: another one is started to do that`,
      `${name.zh}尚未撤下服务即${how.zh}：另启一个进程完成`,
    );
    const again = sweep(o, s, now);
    return { ...again, effects: [log('error', 'director.unfinished', words), ...again.effects] };
  }
  const words = text(
    `${name.en} that was to take services down ${how.en}: the kernel forwards on; the next start takes over or removes what is there`,
    `负责撤下服务的${name.zh}${how.zh}：内核仍在转发；下次启动时将接管或清除遗留`,
  );
  return { state: initialKeeper, effects: [log('error', 'director.left', words), { do: 'left' }, { do: 'stopped' }] };
}

/** It is ended; its exit follows, and a new one adopts what it left. */
function silent(
  o: KeeperOptions,
  s: KeeperState,
  kept: Extract<Kept, { is: 'running' }>,
  now: Microseconds,
  late: boolean,
): KeeperStep {
  const state: KeeperState = { ...s, kept: { ...kept, heard: now } };
  if (late) return { state, effects: [] };
  const words = text(
    `${o.name.en} has not answered for ${SILENCE / 1e6} s and is ended`,
    `${o.name.zh}已 ${SILENCE / 1e6} 秒没有应答，将被终止`,
  );
  return { state, effects: [{ do: 'log', level: 'error', code: 'director.silent', text: words }, { do: 'kill' }] };
}

function exited(o: KeeperOptions, s: KeeperState, how: Text, now: Microseconds): KeeperStep {
  const { kept } = s;
  if (kept.is === 'stopping') return stopped(o, s, kept, how, now);
  if (kept.is !== 'running') return { state: s, effects: [] };
  const deaths = now - kept.since >= QUIET ? 1 : s.deaths + 1;
  const wait = backoff(deaths);
  const words = text(
    `${o.name.en} ${how.en}: what the kernel forwards goes on as it was${wait > 0 && o.respawn ? `; it is started again in ${wait / 1e6} s` : ''}`,
    `${o.name.zh}${how.zh}：内核继续按原样转发${wait > 0 && o.respawn ? `；将在 ${wait / 1e6} 秒后重新启动` : ''}`,
  );
  const died: KeeperEffect = { do: 'log', level: 'error', code: 'director.died', text: words };
  if (!o.respawn)
    return { state: { kept: { is: 'down', until: undefined }, deaths }, effects: [died, { do: 'give-up' }] };
  if (wait > 0) return { state: { kept: { is: 'down', until: us(now + wait) }, deaths }, effects: [died] };
  const again = start({ ...s, deaths }, now);
  return { ...again, effects: [died, ...again.effects] };
}
