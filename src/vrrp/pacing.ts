/** Gaps between announcement frames (`vrrp_garp_interval`, `garp_group`). Pure: a queue and the time of the next frame. */
import { type Microseconds, us } from '../base/index.ts';

/** Frames that wait for their turn on one interface, or on several that share a limit. */
export type Pace<F> = { readonly queue: readonly F[]; readonly freeAt: Microseconds };
export const idlePace = <F>(): Pace<F> => ({ queue: [], freeAt: us(0) });

/** Frames to send now, in order, and what is left; call again at `freeAt` while the queue is not empty. */
export function pace<F>(
  p: Pace<F>,
  frames: readonly F[],
  gap: (frame: F) => Microseconds,
  now: Microseconds,
): { readonly pace: Pace<F>; readonly send: readonly F[] } {
  const queue = p.queue.length === 0 ? frames : [...p.queue, ...frames];
  let freeAt = Math.max(p.freeAt, now);
  let sent = 0;
  while (sent < queue.length && freeAt <= now) freeAt += gap(queue[sent++] as F);
  return { pace: { queue: queue.slice(sent), freeAt: us(freeAt) }, send: queue.slice(0, sent) };
}
