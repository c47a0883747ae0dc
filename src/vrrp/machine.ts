/**
 * One virtual router's election: INIT, BACKUP, MASTER, FAULT, STOPPED. Pure: what happened goes in with the time, the
 * next state and what is to be done come out; timers are deadlines in the state (`deadline`).
 *
 * RFC 3768 and RFC 9568 section 6.4, with keepalived's ways where they go beyond: preemption delays, two owners,
 * weights, announcing again. Two things are ours: a master that gives way says so first and a winner announces again
 * at once, so that no client stays with the loser of a healed partition; and time in which this process did not run
 * is not counted as silence of the peer.
 */
import { type Microseconds, unreachable, us } from '../base/index.ts';
import { advertInBackup, tickInBackup } from './as-backup.ts';
import { advertInMaster, parting, tickInMaster } from './as-master.ts';
import { metRival, rivalFrames } from './bursts.ts';
import {
  type Common,
  common,
  LOWERED,
  NONE,
  OWNER,
  type RouterConfig,
  type RouterState,
  type Step,
  skewOf,
} from './state.ts';
import { becomeBackup, begin, fail, leave, takeOver } from './transitions.ts';
import type { Because, Effect, Event, Health } from './types.ts';

/** Never mutates `s`; returns it as it is when nothing changed. */
export function step(c: RouterConfig, s: RouterState, e: Event, now: Microseconds): Step {
  switch (e.kind) {
    case 'advert':
      if (s.is === 'BACKUP') return advertInBackup(c, s, e);
      if (s.is === 'MASTER') return advertInMaster(c, s, e, now);
      return { state: s, effects: NONE };
    case 'tick':
      if (s.is === 'BACKUP') return tickInBackup(c, s, now);
      if (s.is === 'MASTER') return tickInMaster(c, s, now);
      return { state: s, effects: NONE };
    case 'start':
      return begin(
        c,
        { ...common(s), ...healthOf(e.health), is: 'INIT', notBefore: e.notBefore, started: true, as: e.as },
        now,
      );
    case 'health':
      return changeHealth(c, s, e.health, now);
    case 'stalled':
      return afterStall(c, s, e.late, now);
    case 'rival-announced': {
      if (s.is !== 'MASTER') return { state: s, effects: NONE };
      const effects: Effect[] = [];
      const { garp, advertInterval } = c.instance;
      const bursts = rivalFrames(s.bursts, garp, c.minimalGarp, advertInterval, now, effects);
      return { state: { ...s, bursts }, effects };
    }
    case 'object-lost':
      if (s.is !== 'MASTER') return { state: s, effects: NONE };
      return leave(c, s, { why: 'object-lost', object: e.object }, now, now, [{ do: 'advertise', priority: 0 }]);
    case 'sync': {
      if (e.to === 'MASTER') return s.is === 'BACKUP' ? takeOver(c, s, e.because, now) : { state: s, effects: NONE };
      if (s.is !== 'MASTER') return { state: s, effects: NONE };
      return leave(c, s, e.because, now, now, yielded(e.because) ? parting(c, s) : [{ do: 'advertise', priority: 0 }]);
    }
    case 'sync-announce': {
      if (s.is !== 'MASTER') return { state: s, effects: NONE };
      const g = c.instance.garp;
      return {
        state: { ...s, bursts: metRival(s.bursts, g, c.minimalGarp, now) },
        effects: [{ do: 'announce', copies: c.minimalGarp ? 1 : g.lowerPrioRepeat, reason: 'rival' }],
      };
    }
    case 'stop': {
      if (s.is === 'STOPPED') return { state: s, effects: NONE };
      const because: Because = e.deleted ? { why: 'deleted' } : { why: 'stop' };
      return {
        state: { ...common(s), is: 'STOPPED', since: now, because },
        effects: [
          ...(s.is === 'MASTER' ? ([{ do: 'advertise', priority: 0 }, { do: 'release' }] as const) : []),
          { do: 'transition', from: s.is, to: 'STOPPED', because },
          { do: 'notify', word: e.deleted ? 'DELETED' : 'STOP' },
        ],
      };
    }
    default:
      return unreachable(e);
  }
}

const healthOf = (h: Health): Pick<Common, 'faults' | 'waiting' | 'priority'> => ({
  faults: h.faults,
  waiting: h.waiting,
  priority: h.priority,
});
/** The other router is master already: nothing has to be given up for it by a priority of 0. */
const yielded = (b: Because): boolean =>
  b.why === 'sync-group' ? yielded(b.because) : b.why === 'higher-priority' || b.why === 'higher-address';

function changeHealth(c: RouterConfig, s: RouterState, h: Health, now: Microseconds): Step {
  if (s.is === 'STOPPED') return { state: s, effects: NONE };
  const priority = s.priority === LOWERED && c.instance.priority === OWNER ? s.priority : h.priority;
  const known = { ...s, faults: h.faults, waiting: h.waiting, priority };
  if (known.is === 'INIT') return begin(c, known, now);
  if (known.is === 'FAULT') {
    if (h.faults.length > 0) return { state: known, effects: NONE };
    return becomeBackup(c, { ...known, master: undefined }, { why: 'recovered', faults: s.faults }, now, now);
  }
  if (h.faults.length > 0)
    return fail(known, now, known.is === 'MASTER' ? [{ do: 'advertise', priority: 0 }, { do: 'release' }] : NONE);
  if (priority === s.priority) return { state: known, effects: NONE };
  const effects: Effect[] = c.instance.notifyPriorityChanges
    ? [{ do: 'notify', word: known.is === 'MASTER' ? 'MASTER_PRIORITY' : 'BACKUP_PRIORITY' }]
    : [];
  if (known.is === 'MASTER') return { state: known, effects };
  const moved = skewOf(c, priority, s.masterInterval) - skewOf(c, s.priority, s.masterInterval);
  const downAt = known.downAt === undefined ? undefined : us(Math.max(now, known.downAt + moved));
  return { state: { ...known, downAt }, effects };
}

/**
 * Datagrams that waited in the kernel were delivered with their true times before. What is left may be the fault of a
 * machine that slept with its network, so the time asleep is not counted as silence.
 */
function afterStall(c: RouterConfig, s: RouterState, late: Microseconds, now: Microseconds): Step {
  if (s.is === 'BACKUP' && s.downAt !== undefined) {
    const asleep = Math.max(0, Math.min(late, now - s.heardAt));
    return { state: { ...s, heardAt: us(s.heardAt + asleep), downAt: us(s.downAt + asleep) }, effects: NONE };
  }
  const { timerExpiredBackup, preempt, advertInterval, downTimerAdverts } = c.instance;
  if (s.is !== 'MASTER' || timerExpiredBackup === undefined || preempt) return { state: s, effects: NONE };
  if (late <= downTimerAdverts * advertInterval) return { state: s, effects: NONE };
  // Another one is master by now, and with nopreempt it is to stay: listen for some adverts more before we think otherwise.
  return leave(c, s, { why: 'stalled', late }, us(now + timerExpiredBackup * advertInterval), now, NONE);
}
