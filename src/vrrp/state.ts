/** Where a virtual router is, and what the machine is told once. */
import { type Microseconds, unreachable, us } from '../base/index.ts';
import { type Bursts, nextBurst } from './bursts.ts';
import type { Instance } from './config.ts';
import { masterDownTime, skewTime } from './timers.ts';
import type { Because, Effect, Event, Fault, Rival } from './types.ts';

/** What the machine is told once. */
export type RouterConfig = {
  readonly instance: Instance;
  /** A member of a sync group: it becomes master only when the group says so. */
  readonly grouped: boolean;
  /** `vrrp_min_garp`: one frame, no second burst. */
  readonly minimalGarp: boolean;
};

export type Common = {
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
export type Backup = {
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
export type Master = {
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

export const OWNER = 255;
/** An owner that cannot get rid of another one steps back to this. */
export const LOWERED = 254;
export const NONE: readonly Effect[] = [];

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

export const common = (s: RouterState): Common => ({
  priority: s.priority,
  faults: s.faults,
  waiting: s.waiting,
  masterInterval: s.masterInterval,
  master: s.master,
  since: s.since,
  because: s.because,
});
export const downTime = (c: RouterConfig, priority: number, masterInterval: Microseconds): Microseconds =>
  masterDownTime(c.instance.version, priority, masterInterval, c.instance.downTimerAdverts);
export const skewOf = (c: RouterConfig, priority: number, masterInterval: Microseconds): Microseconds =>
  skewTime(c.instance.version, priority, masterInterval);
/**
 * The master's interval. Version 3 learns it. In version 2 both sides must be configured alike; where they are not, a
 * slower master is given its own time, since taking its place would make two masters out of a slip of the pen.
 */
export const intervalOf = (c: RouterConfig, e: { readonly interval: Microseconds }): Microseconds => {
  const own = c.instance.advertInterval;
  return c.instance.version === 3 ? (e.interval > 0 ? e.interval : own) : us(Math.max(own, e.interval));
};

export type Advert = Event & { kind: 'advert' };
export const rivalOf = (e: Advert): Rival => ({ address: e.from, priority: e.priority, at: e.at });
