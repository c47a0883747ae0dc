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
