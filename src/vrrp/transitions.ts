/** From one state to another, with what is to be done then, in this order. Pure. */
import { type Microseconds, us } from '../base/index.ts';
import { firstBursts } from './bursts.ts';
import { common, downTime, type Master, NONE, OWNER, type RouterConfig, type RouterState, type Step } from './state.ts';
import { nextAdvert } from './timers.ts';
import type { Because, Effect } from './types.ts';

/** Leaves INIT when nothing is awaited any more. */
export function begin(c: RouterConfig, s: RouterState & { is: 'INIT' }, now: Microseconds): Step {
  if (!s.started || s.waiting) return { state: s, effects: NONE };
  if (s.faults.length > 0) return fail(s, now, NONE);
  if (s.as === 'MASTER') return takeOver(c, s, { why: 'adopted' }, now);
  if (c.instance.priority === OWNER && s.notBefore <= now && !c.grouped) return takeOver(c, s, { why: 'owner' }, now);
  return becomeBackup(c, s, { why: 'start' }, now, us(Math.max(now, s.notBefore)));
}

/** BACKUP with a fresh timer that runs from `from`. */
export function becomeBackup(
  c: RouterConfig,
  s: RouterState,
  because: Because,
  now: Microseconds,
  from: Microseconds,
): Step {
  const wait = c.instance.priority === OWNER && s.priority === OWNER ? 1 : downTime(c, s.priority, s.masterInterval);
  return {
    state: {
      ...common(s),
      is: 'BACKUP',
      since: now,
      because,
      heardAt: from,
      downAt: us(from + wait),
      preemptAt: undefined,
      ignored: undefined,
    },
    effects: [
      { do: 'transition', from: s.is, to: 'BACKUP', because },
      { do: 'notify', word: 'BACKUP' },
    ],
  };
}

/** MASTER: the advert first, then what makes us reachable, then the announcement, then the news. */
export function takeOver(c: RouterConfig, s: RouterState, because: Because, now: Microseconds): Step {
  const { garp, advertInterval } = c.instance;
  const priority = c.instance.priority === OWNER ? OWNER : s.priority; // a rogue owner is gone
  return {
    state: {
      ...common(s),
      is: 'MASTER',
      priority,
      since: now,
      because,
      masterInterval: advertInterval,
      advertAt: nextAdvert(now, advertInterval),
      answeredAt: us(-Infinity),
      owedAt: undefined,
      bursts: firstBursts(garp, c.minimalGarp, advertInterval, now),
      rogueUntil: undefined,
    },
    effects: [
      { do: 'advertise', priority },
      { do: 'hold' },
      { do: 'announce', copies: c.minimalGarp ? 1 : garp.masterRepeat, reason: 'master' },
      { do: 'transition', from: s.is, to: 'MASTER', because },
      { do: 'notify', word: 'MASTER' },
    ],
  };
}

/** From MASTER to BACKUP; the timer runs from `heardAt`. */
export function leave(
  c: RouterConfig,
  s: RouterState & Master,
  because: Because,
  heardAt: Microseconds,
  now: Microseconds,
  first: readonly Effect[],
): Step {
  return {
    state: {
      ...common(s),
      is: 'BACKUP',
      since: now,
      because,
      heardAt,
      downAt: us(heardAt + downTime(c, s.priority, s.masterInterval)),
      preemptAt: undefined,
      ignored: undefined,
    },
    effects: [
      ...first,
      { do: 'release' },
      { do: 'transition', from: 'MASTER', to: 'BACKUP', because },
      { do: 'notify', word: 'BACKUP' },
    ],
  };
}

export function fail(s: RouterState, now: Microseconds, first: readonly Effect[]): Step {
  const because: Because = { why: 'faults', faults: s.faults };
  return {
    state: { ...common(s), is: 'FAULT', since: now, because },
    effects: [...first, { do: 'transition', from: s.is, to: 'FAULT', because }, { do: 'notify', word: 'FAULT' }],
  };
}
