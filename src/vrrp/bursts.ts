/** When a master announces its addresses: gratuitous ARP and unsolicited NA. All times are deadlines, none is a timer. */
import { type Microseconds, us } from '../base/index.ts';
import type { Garp } from './config.ts';
import type { Effect } from './types.ts';

/** Undefined: nothing is due. */
export type Bursts = {
  readonly againAt: Microseconds | undefined;
  readonly rivalAgainAt: Microseconds | undefined;
  readonly refreshAt: Microseconds | undefined;
  readonly extraAt: Microseconds | undefined;
  /** Frames of a rival are answered no sooner than this, and each time after a longer pause. */
  readonly answerFrom: Microseconds;
  /** The last word after an answer: frames of both may have crossed on their way to a client. */
  readonly answerAt: Microseconds | undefined;
  readonly answerGap: Microseconds;
};

/**
 * RFC 5227 section 2.4: who defends an address does so at most once in ten seconds, or two machines that both insist
 * would flood the network. The first answers may come faster, since a healed partition looks the same.
 */
const LONGEST_GAP = us(10_000_000);
/** The first pause between two answers, as a part of the advertisement interval. */
const FIRST_GAP = 1 / 8;

const later = (now: Microseconds, by: Microseconds): Microseconds | undefined => (by > 0 ? us(now + by) : undefined);

export function firstBursts(g: Garp, minimal: boolean, interval: Microseconds, now: Microseconds): Bursts {
  return {
    againAt: minimal ? undefined : later(now, g.masterDelay),
    rivalAgainAt: undefined,
    refreshAt: g.masterRefresh > 0 ? us(now + g.masterDelay + g.masterRefresh) : undefined,
    extraAt: g.extraInterface ? later(now, g.extraInterface.every) : undefined,
    answerFrom: now,
    answerAt: undefined,
    answerGap: us(interval * FIRST_GAP),
  };
}

export function nextBurst(b: Bursts): Microseconds {
  return us(
    Math.min(
      b.againAt ?? Infinity,
      b.rivalAgainAt ?? Infinity,
      b.refreshAt ?? Infinity,
      b.extraAt ?? Infinity,
      b.answerAt ?? Infinity,
    ),
  );
}

/** A lower advert was heard. */
export function metRival(b: Bursts, g: Garp, minimal: boolean, now: Microseconds): Bursts {
  return minimal ? b : { ...b, rivalAgainAt: later(now, g.lowerPrioDelay) };
}

/** Another machine announced one of our addresses. Answered now, and once more a little later. */
export function rivalFrames(
  b: Bursts,
  g: Garp,
  minimal: boolean,
  interval: Microseconds,
  now: Microseconds,
  effects: Effect[],
): Bursts {
  if (now < b.answerFrom) return b.answerAt === undefined ? { ...b, answerAt: b.answerFrom } : b;
  effects.push({ do: 'announce', copies: minimal ? 1 : g.lowerPrioRepeat, reason: 'rival-frames' });
  const quiet = now >= b.answerFrom + b.answerGap; // the quarrel is over; this is another one
  const gap = quiet ? interval * FIRST_GAP : b.answerGap;
  const answerFrom = us(now + gap);
  return { ...b, answerAt: answerFrom, answerFrom, answerGap: us(Math.min(gap * 2, LONGEST_GAP)) };
}

/** Does what is due, and sets the next times from the planned ones, so that nothing drifts. */
export function dueBursts(due: Bursts, g: Garp, minimal: boolean, now: Microseconds, effects: Effect[]): Bursts {
  if (now < nextBurst(due)) return due;
  let { againAt, rivalAgainAt, refreshAt, extraAt, answerAt } = due;
  const next = (planned: Microseconds, every: Microseconds): Microseconds =>
    us(planned + every > now ? planned + every : now + every);
  if (answerAt !== undefined && answerAt <= now) {
    effects.push({ do: 'announce', copies: minimal ? 1 : g.lowerPrioRepeat, reason: 'rival-frames' });
    answerAt = undefined;
  }
  if (againAt !== undefined && againAt <= now) {
    effects.push({ do: 'announce', copies: g.masterRepeat, reason: 'master-again' });
    againAt = undefined;
  }
  if (rivalAgainAt !== undefined && rivalAgainAt <= now) {
    effects.push({ do: 'announce', copies: g.lowerPrioRepeat, reason: 'rival-again' });
    rivalAgainAt = undefined;
  }
  if (refreshAt !== undefined && refreshAt <= now) {
    effects.push({ do: 'announce', copies: minimal ? 1 : g.masterRefreshRepeat, reason: 'refresh' });
    refreshAt = next(refreshAt, g.masterRefresh);
  }
  if (extraAt !== undefined && extraAt <= now && g.extraInterface) {
    effects.push({ do: 'announce-extra' });
    extraAt = next(extraAt, g.extraInterface.every);
  }
  return { ...due, againAt, rivalAgainAt, refreshAt, extraAt, answerAt };
}
