/** How a slow cable treats one frame. Pure: the relay asks, and does what it is told. */
import { type Microseconds, us } from '../base/index.ts';
import type { Slowness } from './types.ts';

/** A throttled cable holds at most this much; what comes on top is lost, as in a switch's full queue. */
const QUEUE = 1_000_000;

/** When the cable has sent everything before: only a rate makes it wait. */
export type Wire = { readonly free: Microseconds };
export const idle: Wire = { free: us(0) };

/** `due` undefined: the frame is lost. `chance` is called for uniform numbers in [0, 1). */
export function admit(
  slow: Slowness,
  wire: Wire,
  frame: { readonly length: number; readonly at: Microseconds },
  chance: () => number,
): { readonly wire: Wire; readonly due: Microseconds | undefined } {
  if (slow.loss !== undefined && chance() < slow.loss) return { wire, due: undefined };
  const begin = Math.max(wire.free, frame.at);
  if (begin - frame.at > QUEUE) return { wire, due: undefined };
  // Kilobits a second are bits a millisecond.
  const sending = slow.rateKbit === undefined ? 0 : (frame.length * 8 * 1000) / slow.rateKbit;
  const sent = us(Math.ceil(begin + sending));
  const later = (slow.delayMs ?? 0) * 1000 + (slow.jitterMs === undefined ? 0 : chance() * slow.jitterMs * 1000);
  return { wire: { free: slow.rateKbit === undefined ? wire.free : sent }, due: us(Math.ceil(sent + later)) };
}
