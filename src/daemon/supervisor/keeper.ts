/**
 * A process that is kept running while there is work for it, and whose death harms nobody else: the director, whose
 * planes the kernel keeps while it is away. Pure; driver.ts does what the effects say.
 */
import { type Microseconds, type Text, text, unreachable, us } from '../../base/index.ts';
import { backoff, QUIET } from './machine.ts';

export type Kept =
  | { readonly is: 'none' }
  | { readonly is: 'running'; readonly since: Microseconds }
  /** It died; the next one starts at `until`. */
  | { readonly is: 'down'; readonly until: Microseconds }
  /** Told to stop; killed at `by`. */
  | { readonly is: 'stopping'; readonly by: Microseconds };
export type KeeperState = { readonly kept: Kept; readonly deaths: number };
export type KeeperOptions = { readonly name: Text; readonly respawn: boolean; readonly childWait: Microseconds };
export type KeeperEvent =
  /** A configuration is in force; `work`: there is something for the process in it. */
  | { readonly kind: 'configuration'; readonly work: boolean }
  | { readonly kind: 'exit'; readonly how: Text }
  | { readonly kind: 'stop' }
  | { readonly kind: 'tick' };
export type KeeperEffect =
  | { readonly do: 'start' | 'configure' | 'stop' | 'kill' }
  /** It has ended because it was told to, or there was none. */
  | { readonly do: 'stopped' }
  /** Without respawn the daemon ends with a process. */
  | { readonly do: 'give-up' }
  | { readonly do: 'log'; readonly level: 'error' | 'warning'; readonly code: string; readonly text: Text };
export type KeeperStep = { readonly state: KeeperState; readonly effects: readonly KeeperEffect[] };

export const initialKeeper: KeeperState = { kept: { is: 'none' }, deaths: 0 };

export function keeperDeadline({ kept }: KeeperState): Microseconds | undefined {
  if (kept.is === 'down') return kept.until;
  return kept.is === 'stopping' ? kept.by : undefined;
}

export function stepKeeper(o: KeeperOptions, s: KeeperState, e: KeeperEvent, now: Microseconds): KeeperStep {
  const { kept } = s;
  switch (e.kind) {
    case 'configuration':
      if (kept.is === 'running') return { state: s, effects: [{ do: 'configure' }] };
      return kept.is === 'none' && e.work ? start(s, now) : { state: s, effects: [] };
    case 'exit':
      return exited(o, s, e.how, now);
    case 'stop':
      if (kept.is === 'stopping') return { state: s, effects: [] };
      if (kept.is !== 'running') return { state: initialKeeper, effects: [{ do: 'stopped' }] };
      return { state: { ...s, kept: { is: 'stopping', by: us(now + o.childWait) } }, effects: [{ do: 'stop' }] };
    case 'tick': {
      const due = keeperDeadline(s);
      if (due === undefined || now < due) return { state: s, effects: [] };
      if (kept.is === 'down') return start(s, now);
      return { state: { ...s, kept: { is: 'stopping', by: us(now + o.childWait) } }, effects: [{ do: 'kill' }] };
    }
    default:
      return unreachable(e);
  }
}

const start = (s: KeeperState, now: Microseconds): KeeperStep => ({
  state: { ...s, kept: { is: 'running', since: now } },
  effects: [{ do: 'start' }, { do: 'configure' }],
});

function exited(o: KeeperOptions, s: KeeperState, how: Text, now: Microseconds): KeeperStep {
  const { kept } = s;
  if (kept.is === 'stopping') return { state: initialKeeper, effects: [{ do: 'stopped' }] };
  if (kept.is !== 'running') return { state: s, effects: [] };
  const deaths = now - kept.since >= QUIET ? 1 : s.deaths + 1;
  const wait = backoff(deaths);
  const words = text(
    `${o.name.en} ${how.en}: what the kernel forwards goes on as it was${wait > 0 && o.respawn ? `; it is started again in ${wait / 1e6} s` : ''}`,
    `${o.name.zh}${how.zh}：内核继续按原样转发${wait > 0 && o.respawn ? `；将在 ${wait / 1e6} 秒后重新启动` : ''}`,
  );
  const died: KeeperEffect = { do: 'log', level: 'error', code: 'director.died', text: words };
  if (!o.respawn) return { state: { kept: { is: 'none' }, deaths }, effects: [died, { do: 'give-up' }] };
  if (wait > 0) return { state: { kept: { is: 'down', until: us(now + wait) }, deaths }, effects: [died] };
  const again = start({ ...s, deaths }, now);
  return { ...again, effects: [died, ...again.effects] };
}
