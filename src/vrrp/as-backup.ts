/** What a backup makes of adverts, and of silence. Pure. */
import { type Microseconds, us } from '../base/index.ts';
import {
  type Advert,
  type Backup,
  downTime,
  intervalOf,
  NONE,
  OWNER,
  type RouterConfig,
  type RouterState,
  rivalOf,
  type Step,
  skewOf,
} from './state.ts';
import { takeOver } from './transitions.ts';
import type { Because } from './types.ts';

export function advertInBackup(c: RouterConfig, s: RouterState & Backup, e: Advert): Step {
  const { preempt, preemptDelay, priority: configured } = c.instance;
  if (e.priority === 0) {
    // The master resigned: whoever waits the shortest skew takes over.
    const heardAt = us(Math.max(e.at, s.heardAt)); // a start-up delay may lie ahead
    const downAt = us(heardAt + skewOf(c, s.priority, s.masterInterval));
    const master = rivalOf(e);
    return { state: { ...s, master, ignored: undefined, preemptAt: undefined, heardAt, downAt }, effects: NONE };
  }
  let { preemptAt } = s;
  const lower = e.priority < s.priority;
  if (!lower) preemptAt = undefined;
  else if ((preempt && preemptDelay > 0) || s.preemptAt !== undefined) preemptAt ??= us(e.at + preemptDelay);
  const tolerated = !lower || (!preempt && configured !== OWNER) || (preemptAt !== undefined && e.at < preemptAt);
  if (!tolerated) {
    const state =
      s.ignored?.address === e.from && preemptAt === s.preemptAt ? s : { ...s, preemptAt, ignored: rivalOf(e) };
    return { state, effects: NONE };
  }
  const masterInterval = intervalOf(c, e);
  const heardAt = us(Math.max(e.at, s.heardAt));
  return {
    state: {
      ...s,
      master: rivalOf(e),
      masterInterval,
      heardAt,
      downAt: us(heardAt + downTime(c, s.priority, masterInterval)),
      preemptAt,
      ignored: undefined,
    },
    effects: NONE,
  };
}

export function tickInBackup(c: RouterConfig, s: RouterState & Backup, now: Microseconds): Step {
  if (s.downAt === undefined || now < s.downAt) return { state: s, effects: NONE };
  const because: Because = reasonOfSilence(c, s, now);
  if (c.grouped) return { state: { ...s, downAt: undefined }, effects: [{ do: 'wants-master', because }] };
  return takeOver(c, s, because, now);
}
function reasonOfSilence(c: RouterConfig, s: RouterState & Backup, now: Microseconds): Because {
  if (s.ignored) return { why: 'preempts', master: s.ignored, ours: s.priority };
  if (s.master?.priority === 0) return { why: 'resigned', master: s.master };
  if (!s.master && s.priority === OWNER && c.instance.priority === OWNER) return { why: 'owner' };
  return { why: 'silence', master: s.master, waited: us(now - s.heardAt) };
}
