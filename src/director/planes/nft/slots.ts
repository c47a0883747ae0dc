/**
 * Slots: what `numgen` counts through, or seats that a hash draws (`../../ring/seats.ts`). Each holds a server, and a scheduler
 * is a way to fill them. Where counting goes in order, the order of the slots is the order of the servers.
 */
import type { Scheduler } from '../../config.ts';
import { looksAtLoad, NOBODY, takeSeats, wrrSequence } from '../../ring/index.ts';

export type SlotServer = { readonly key: string; readonly weight: number };

/** By what a packet's slot is chosen. */
export type SlotChoice = 'count' | 'source' | 'flow' | 'destination';
/**
 * `alike`: another director must choose alike for a flow that it has never seen, since nothing but the packet tells it:
 * turns by weight alone are hashed then, each flow by its client and port.
 */
export function choiceOf(s: Scheduler, alike: boolean): SlotChoice {
  if (s === 'sh' || s === 'mh') return 'source';
  if (s === 'dh') return 'destination';
  return alike && !isEmulated(s) ? 'flow' : 'count';
}

/**
 * What needs the state of each destination, or of two random servers, at the moment of choice. By counts alone these
 * would be wlc under another name, and who asks for lblc wants one server for one destination.
 */
export const IMPOSSIBLE: ReadonlySet<Scheduler> = new Set(['lblc', 'lblcr', 'twos']);

/** Schedulers whose slots are filled by `../../ring/emulate.ts`, again about each second. */
export const isEmulated = (s: Scheduler): boolean => s === 'fo' || looksAtLoad(s);
/** Slots of an emulated service, whatever the shares: so only elements change from one look to the next. */
const emulatedSlots = (servers: number): number => Math.min(MOST_COUNTED, 20 * servers);

/** Slots of a counted service are as many as its weights need, up to this. */
const MOST_COUNTED = 1020;

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/**
 * For each slot the index of its server. Of a hash: its seats, `NOBODY` in those that are free, and one more entry for flows
 * that draw in vain. Counted slots are all taken, and none is there where no server has a weight.
 */
export function fillSlots(
  scheduler: Scheduler,
  servers: readonly SlotServer[],
  o: { readonly away?: readonly SlotServer[]; readonly alike: boolean },
): Int32Array {
  if (choiceOf(scheduler, o.alike) !== 'count') return takeSeats(servers, o);
  if (!servers.some((s) => s.weight > 0)) return new Int32Array(0);
  if (looksAtLoad(scheduler))
    return wrrSequence(
      servers.map((s) => s.weight),
      emulatedSlots(servers.length),
    );
  const unit = servers.reduce((n, s) => gcd(n, s.weight), 0);
  const weights = servers.map((s) => s.weight / unit);
  const total = weights.reduce((n, w) => n + w, 0);
  return wrrSequence(weights, Math.min(total, MOST_COUNTED)).filter((i) => i !== NOBODY);
}
