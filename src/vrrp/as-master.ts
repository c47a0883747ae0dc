/** What a master does in its own time, and when it hears another one. Pure. */
import { compareIp, type Microseconds, us } from '../base/index.ts';
import { dueBursts, metRival } from './bursts.ts';
import {
  type Advert,
  deadline,
  intervalOf,
  LOWERED,
  type Master,
  NONE,
  OWNER,
  type RouterConfig,
  type RouterState,
  rivalOf,
  type Step,
} from './state.ts';
import { nextAdvert } from './timers.ts';
import { leave } from './transitions.ts';
import type { Because, Effect, Rival } from './types.ts';

/** Adverts of rivals are answered at once, but no more often than this part of the interval: nobody can make us flood. */
const ANSWERS_PER_INTERVAL = 8;

export function advertInMaster(c: RouterConfig, s: RouterState & Master, e: Advert, now: Microseconds): Step {
  const i = c.instance;
  const rival = rivalOf(e);
  const equal = e.priority === s.priority;
  if (equal && e.from === e.own)
    return { state: s, effects: [{ do: 'warn', warning: { kind: 'own-address', address: e.from } }] };
  if (equal && !e.decidesTies) return { state: s, effects: NONE };
  const byAddress = equal && compareIp(e.from, e.own) > 0;
  if (e.priority > s.priority || byAddress) return giveWay(c, s, rival, e, byAddress, now);

  const rogue = equal && s.priority === OWNER;
  if (rogue && s.rogueUntil !== undefined && now >= s.rogueUntil) {
    // It heard us at least twice and stays: one of us must go, and it will not.
    const lowered = { ...s, priority: LOWERED };
    return leave(c, lowered, { why: 'rogue-owner', rival }, e.at, now, [
      { do: 'warn', warning: { kind: 'rogue-owner', rival, lowered: true } },
    ]);
  }
  const answerFrom = us(s.answeredAt + i.advertInterval / ANSWERS_PER_INTERVAL);
  if (now < answerFrom) return { state: { ...s, owedAt: answerFrom }, effects: NONE };
  const effects: Effect[] = [];
  let next = answer(c, s, e.priority === 0 || !i.lowerPrioNoAdvert, now, effects);
  if (!isFarewell(s, rival, i.advertInterval, now)) {
    effects.push({ do: 'met-rival', rival });
    if (e.priority !== 0) effects.push({ do: 'notify', word: 'MASTER_RX_LOWER_PRI' });
  }
  if (rogue) {
    if (s.rogueUntil === undefined)
      next = { ...next, rogueUntil: us(now + 2 * i.advertInterval + 1.2 * Math.max(i.advertInterval, e.interval)) };
    effects.push({ do: 'warn', warning: { kind: 'rogue-owner', rival, lowered: false } });
  }
  return { state: next, effects };
}
/** The last advert of whom we have just preempted: answered as any other, but nothing to alarm people with. */
function isFarewell(s: RouterState & Master, rival: Rival, interval: Microseconds, now: Microseconds): boolean {
  const because = s.because.why === 'sync-group' ? s.because.because : s.because;
  return because.why === 'preempts' && because.master.address === rival.address && now - s.since < interval;
}
/**
 * Tells the rival at once, and its clients where we are. Whoever resigns was master too: our clients may have
 * believed it, so its priority of 0 is answered as any other.
 */
function answer(
  c: RouterConfig,
  s: RouterState & Master,
  advertise: boolean,
  now: Microseconds,
  effects: Effect[],
): RouterState & Master {
  const { garp, advertInterval } = c.instance;
  if (advertise) effects.push({ do: 'advertise', priority: s.priority });
  effects.push({ do: 'announce', copies: c.minimalGarp ? 1 : garp.lowerPrioRepeat, reason: 'rival' });
  return {
    ...s,
    advertAt: advertise ? nextAdvert(now, advertInterval) : s.advertAt,
    answeredAt: now,
    owedAt: undefined,
    bursts: metRival(s.bursts, garp, c.minimalGarp, now),
  };
}

/** Our own last advert lets a better master know that its clients may have followed us. */
export const parting = (c: RouterConfig, s: RouterState & Master): readonly Effect[] =>
  c.instance.higherPrioSendAdvert ? [{ do: 'advertise', priority: s.priority }] : NONE;

/** To BACKUP, before a better master. */
function giveWay(
  c: RouterConfig,
  s: RouterState & Master,
  rival: Rival,
  e: Advert,
  byAddress: boolean,
  now: Microseconds,
): Step {
  const because: Because = byAddress
    ? { why: 'higher-address', rival, ours: e.own }
    : { why: 'higher-priority', rival, ours: s.priority };
  const first: Effect[] = [];
  if (s.priority === OWNER) first.push({ do: 'warn', warning: { kind: 'rogue-owner', rival, lowered: false } });
  first.push(...parting(c, s));
  return leave(c, { ...s, master: rival, masterInterval: intervalOf(c, e) }, because, e.at, now, first);
}

export function tickInMaster(c: RouterConfig, s: RouterState & Master, now: Microseconds): Step {
  if (now < deadline(s)) return { state: s, effects: NONE };
  const effects: Effect[] = [];
  let next = s;
  if (s.owedAt !== undefined && s.owedAt <= now) next = answer(c, s, !c.instance.lowerPrioNoAdvert, now, effects);
  if (next.advertAt <= now) {
    effects.push({ do: 'advertise', priority: s.priority });
    const { advertInterval } = c.instance;
    const planned = nextAdvert(next.advertAt, advertInterval); // from the planned time, so that nothing drifts
    next = { ...next, advertAt: planned > now ? planned : nextAdvert(now, advertInterval) };
  }
  const bursts = dueBursts(next.bursts, c.instance.garp, c.minimalGarp, now, effects);
  return { state: { ...next, bursts }, effects };
}
