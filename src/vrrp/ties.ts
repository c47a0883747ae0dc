/**
 * Two masters of equal priority: the higher address stays (RFC 9568 section 6.4.3). With several links, addresses may be in
 * the opposite order on another link, and then both would give way, or none. So both sides must look at the same link:
 * the first of the configuration on which they hear each other. Pure.
 */
import type { Microseconds } from '../base/index.ts';

/** When a link was last heard on, and since when it has been heard while no link before it was. */
export type HeardLink = { readonly heardAt: Microseconds | undefined; readonly firstSince: Microseconds | undefined };

/** Copies of one advert come at almost the same time; one that is lost on its way comes again with the next advert. */
const PATIENCE = 2.5;

/** `firstSince` of the link `at` once an advert has come there. */
export function heardFirst(
  links: readonly HeardLink[],
  at: number,
  now: Microseconds,
  interval: Microseconds,
): Microseconds {
  const since = links[at]?.firstSince;
  const heardAt = links[at]?.heardAt;
  const others = links.slice(0, at).some((l) => l.heardAt !== undefined && since !== undefined && l.heardAt >= since);
  const silent = heardAt === undefined || now - heardAt > PATIENCE * interval;
  return since === undefined || others || silent ? now : since;
}

/** Whether an advert that came by the link `at` decides a tie. `firstSince` as `heardFirst` says for it. */
export const decidesTies = (at: number, firstSince: Microseconds, now: Microseconds, interval: Microseconds): boolean =>
  at === 0 || now - firstSince >= PATIENCE * interval;
