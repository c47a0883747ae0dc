/** The intervals of VRRP, in whole microseconds. RFC 3768 section 6.1, RFC 9568 section 6.1. */
import { type Microseconds, us } from '../base/index.ts';

/**
 * How much longer a router of lower priority waits, so that the best of several backups is first. Version 2 takes it
 * from one second whatever the interval is; version 3 scales it with the interval.
 */
export function skewTime(version: 2 | 3, priority: number, interval: Microseconds): Microseconds {
  return us(Math.floor(((256 - priority) * (version === 2 ? 1_000_000 : interval)) / 256));
}

/** After this silence the master counts as gone: `adverts` intervals (3 in the RFC, `down_timer_adverts`) and the skew. */
export function masterDownTime(
  version: 2 | 3,
  priority: number,
  interval: Microseconds,
  adverts: number,
): Microseconds {
  return us(adverts * interval + skewTime(version, priority, interval));
}

/** How many moments of an interval adverts leave at. More spread the packets, fewer save wakes. */
const SLOTS = 4;

/**
 * When the advert after one at `from` is due: after `interval`, brought forward by less than a quarter of it to a
 * moment that all virtual routers of this host share. What leaves together costs one wake of this process, and one of
 * each listener: a hundred routers at 100 ms wake 40 times a second instead of 1000, and a wake costs more than an
 * advert. Once brought forward, the next ones follow at the full interval.
 */
export function nextAdvert(from: Microseconds, interval: Microseconds): Microseconds {
  const slot = Math.floor(interval / SLOTS);
  return us(Math.floor((from + interval) / slot) * slot);
}
