/**
 * One virtual router's election: INIT, BACKUP, MASTER, FAULT, STOPPED. Pure: what happened goes in with the time, the
 * next state and what is to be done come out; timers are deadlines in the state (`deadline`).
 *
 * RFC 3768 and RFC 9568 section 6.4, with keepalived's ways where they go beyond: preemption delays, two owners,
 * weights, announcing again. Two things are ours: a master that gives way says so first and a winner announces again
 * at once, so that no client stays with the loser of a healed partition; and time in which this process did not run
 * is not counted as silence of the peer.
 */
import { compareIp, type Microseconds, unreachable, us } from '../base/index.ts';
import { type Bursts, dueBursts, firstBursts, metRival, nextBurst, rivalFrames } from './bursts.ts';
import type { Instance } from './config.ts';
import { masterDownTime, nextAdvert, skewTime } from './timers.ts';
import type { Because, Effect, Event, Fault, Health, Rival } from './types.ts';

/** What the machine is told once. */
export type RouterConfig = {
  readonly instance: Instance;
  /** A member of a sync group: it becomes master only when the group says so. */
  readonly grouped: boolean;
  /** `vrrp_min_garp`: one frame, no second burst. */
  readonly minimalGarp: boolean;
};

type Common = {
  /** Effective: configured, weighted by trackers; what goes into adverts. */
  readonly priority: number;
  readonly faults: readonly Fault[];
  readonly waiting: boolean;
  /** The master's interval, as its last accepted advert said. */
  readonly masterInterval: Microseconds;
  /** The last other master that was accepted. */
  readonly master: Rival | undefined;
  readonly since: Microseconds;
  readonly because: Because;
};
type Backup = {
  readonly is: 'BACKUP';
  /** When the silence is long enough. Undefined: it has been, and the sync group does not want to be master yet. */
  readonly downAt: Microseconds | undefined;
  /** From here to `downAt` is the time that the master is given. */
  readonly heardAt: Microseconds;
  /** A lower master is put up with until then (`preempt_delay`). Undefined: none was heard. */
  readonly preemptAt: Microseconds | undefined;
  /** A master of lower priority is being ignored so that the time runs out. */
  readonly ignored: Rival | undefined;
};
type Master = {
  readonly is: 'MASTER';
  readonly advertAt: Microseconds;
  /** The last answer to a rival's advert, and one that is owed since they came too fast. */
  readonly answeredAt: Microseconds;
  readonly owedAt: Microseconds | undefined;
  readonly bursts: Bursts;
  /** An owner met another owner with a lower address: if it is still there then, we lower ourselves. */
  readonly rogueUntil: Microseconds | undefined;
};
/** Where a router is, with what only matters there. */
export type RouterState = Common &
  (
    | {
        readonly is: 'INIT';
        readonly notBefore: Microseconds;
        readonly started: boolean;
        readonly as: 'BACKUP' | 'MASTER';
      }
    | Backup
    | Master
    | { readonly is: 'FAULT' }
    | { readonly is: 'STOPPED' }
  );
export type Step = { readonly state: RouterState; readonly effects: readonly Effect[] };

const OWNER = 255;
/** An owner that cannot get rid of another one steps back to this. */
const LOWERED = 254;
const NONE: readonly Effect[] = [];
/** Adverts of rivals are answered at once, but no more often than this part of the interval: nobody can make us flood. */
const ANSWERS_PER_INTERVAL = 8;

export function initialState(c: RouterConfig, now: Microseconds): RouterState {
  return {
    is: 'INIT',
    notBefore: now,
    started: false,
    as: 'BACKUP',
    priority: c.instance.priority,
    faults: [],
    waiting: false,
    masterInterval: c.instance.advertInterval,
    master: undefined,
    since: now,
    because: { why: 'start' },
  };
}

/** When the next `tick` is due; Infinity: never. */
export function deadline(s: RouterState): Microseconds {
  switch (s.is) {
    case 'BACKUP':
      return s.downAt ?? us(Infinity);
    case 'MASTER':
      return us(Math.min(s.advertAt, s.owedAt ?? Infinity, nextBurst(s.bursts)));
    case 'INIT':
    case 'FAULT':
    case 'STOPPED':
      return us(Infinity);
    default:
      return unreachable(s);
  }
}

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

// ------------------------------------------------------------------------------------------------ parts

const common = (s: RouterState): Common => ({
  priority: s.priority,
  faults: s.faults,
  waiting: s.waiting,
  masterInterval: s.masterInterval,
  master: s.master,
  since: s.since,
  because: s.because,
});
const healthOf = (h: Health): Pick<Common, 'faults' | 'waiting' | 'priority'> => ({
  faults: h.faults,
  waiting: h.waiting,
  priority: h.priority,
});
const downTime = (c: RouterConfig, priority: number, masterInterval: Microseconds): Microseconds =>
  masterDownTime(c.instance.version, priority, masterInterval, c.instance.downTimerAdverts);
const skewOf = (c: RouterConfig, priority: number, masterInterval: Microseconds): Microseconds =>
  skewTime(c.instance.version, priority, masterInterval);
/** The other router is master already: nothing has to be given up for it by a priority of 0. */
const yielded = (b: Because): boolean =>
  b.why === 'sync-group' ? yielded(b.because) : b.why === 'higher-priority' || b.why === 'higher-address';
/**
 * The master's interval. Version 3 learns it. In version 2 both sides must be configured alike; where they are not, a
 * slower master is given its own time, since taking its place would make two masters out of a slip of the pen.
 */
const interval = (c: RouterConfig, e: { readonly interval: Microseconds }): Microseconds => {
  const own = c.instance.advertInterval;
  return c.instance.version === 3 ? (e.interval > 0 ? e.interval : own) : us(Math.max(own, e.interval));
};

/** Leaves INIT when nothing is awaited any more. */
function begin(c: RouterConfig, s: RouterState & { is: 'INIT' }, now: Microseconds): Step {
  if (!s.started || s.waiting) return { state: s, effects: NONE };
  if (s.faults.length > 0) return fail(s, now, NONE);
  if (s.as === 'MASTER') return takeOver(c, s, { why: 'adopted' }, now);
  if (c.instance.priority === OWNER && s.notBefore <= now && !c.grouped) return takeOver(c, s, { why: 'owner' }, now);
  return becomeBackup(c, s, { why: 'start' }, now, us(Math.max(now, s.notBefore)));
}

/** BACKUP with a fresh timer that runs from `from`. */
function becomeBackup(c: RouterConfig, s: RouterState, because: Because, now: Microseconds, from: Microseconds): Step {
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
function takeOver(c: RouterConfig, s: RouterState, because: Because, now: Microseconds): Step {
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
function leave(
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

function fail(s: RouterState, now: Microseconds, first: readonly Effect[]): Step {
  const because: Because = { why: 'faults', faults: s.faults };
  return {
    state: { ...common(s), is: 'FAULT', since: now, because },
    effects: [...first, { do: 'transition', from: s.is, to: 'FAULT', because }, { do: 'notify', word: 'FAULT' }],
  };
}

type Advert = Event & { kind: 'advert' };
const rivalOf = (e: Advert): Rival => ({ address: e.from, priority: e.priority, at: e.at });

function advertInBackup(c: RouterConfig, s: RouterState & Backup, e: Advert): Step {
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
  const masterInterval = interval(c, e);
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

function tickInBackup(c: RouterConfig, s: RouterState & Backup, now: Microseconds): Step {
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

function advertInMaster(c: RouterConfig, s: RouterState & Master, e: Advert, now: Microseconds): Step {
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
const parting = (c: RouterConfig, s: RouterState & Master): readonly Effect[] =>
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
  return leave(c, { ...s, master: rival, masterInterval: interval(c, e) }, because, e.at, now, first);
}

function tickInMaster(c: RouterConfig, s: RouterState & Master, now: Microseconds): Step {
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
