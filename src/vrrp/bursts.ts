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
  readonly answerGap: Microseconds;
};

/**
 * RFC 5227 section 2.4: who defends an address does so at most once in ten seconds, or two machines that both insist
 * would flood the network. The first answers may come faster, since a healed partition looks the same.
 */
const LONGEST_GAP = us(10_000_000);

const later = (now: Microseconds, by: Microseconds): Microseconds | undefined => (by > 0 ? us(now + by) : undefined);

export function firstBursts(g: Garp, minimal: boolean, interval: Microseconds, now: Microseconds): Bursts {
  return {
    againAt: minimal ? undefined : later(now, g.masterDelay),
    rivalAgainAt: undefined,
    refreshAt: g.masterRefresh > 0 ? us(now + g.masterDelay + g.masterRefresh) : undefined,
    extraAt: g.extraInterface ? later(now, g.extraInterface.every) : undefined,
    answerFrom: now,
    answerGap: interval,
  };
}

export function nextBurst(b: Bursts): Microseconds {
  return us(
    Math.min(b.againAt ?? Infinity, b.rivalAgainAt ?? Infinity, b.refreshAt ?? Infinity, b.extraAt ?? Infinity),
  );
}

/** A lower advert was heard. */
export function metRival(b: Bursts, g: Garp, minimal: boolean, now: Microseconds): Bursts {
  return minimal ? b : { ...b, rivalAgainAt: later(now, g.lowerPrioDelay) };
}

/** Undefined: it was answered a moment ago. */
export function rivalFrames(b: Bursts, interval: Microseconds, now: Microseconds): Bursts | undefined {
  if (now < b.answerFrom) return undefined;
  const quiet = now >= b.answerFrom + LONGEST_GAP;
  const gap = quiet ? interval : b.answerGap;
  return { ...b, answerFrom: us(now + gap), answerGap: us(Math.max(gap, Math.min(gap * 2, LONGEST_GAP))) };
}

/** Does what is due, and sets the next times from the planned ones, so that nothing drifts. */
export function dueBursts(b: Bursts, g: Garp, minimal: boolean, now: Microseconds, effects: Effect[]): Bursts {
  if (now < nextBurst(b)) return b;
  let { againAt, rivalAgainAt, refreshAt, extraAt } = b;
  const next = (planned: Microseconds, every: Microseconds): Microseconds =>
    us(planned + every > now ? planned + every : now + every);
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
  return { ...b, againAt, rivalAgainAt, refreshAt, extraAt };
}
