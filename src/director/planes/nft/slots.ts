/**
 * Slots: what `numgen` counts through, or a hash falls into. Each holds a server, and a scheduler is a way to fill them.
 * Where counting goes in order, the order of the slots is the order of the servers.
 */
import type { Scheduler } from '../../config.ts';
import { maglev, NOBODY, wrrSequence } from '../../ring/index.ts';

export type SlotServer = { readonly key: string; readonly weight: number };

/** By what a packet's slot is chosen. */
export type SlotChoice = 'count' | 'source' | 'destination';
export const choiceOf = (s: Scheduler): SlotChoice =>
  s === 'sh' || s === 'mh' ? 'source' : s === 'dh' ? 'destination' : 'count';

/** Schedulers that look at how many connections each server has: their slots are filled again about each second. */
export const EMULATED: ReadonlySet<Scheduler> = new Set(['lc', 'wlc', 'sed', 'nq', 'fo', 'ovf']);
/** What needs the state of each destination or of two random servers at the moment of choice. */
export const IMPOSSIBLE: ReadonlySet<Scheduler> = new Set(['lblc', 'lblcr', 'twos']);

/** Slots of a counted service are as many as its weights need, up to this. */
const MOST_COUNTED = 1020;

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/**
 * For each slot the index of its server; empty where no server has a weight. `ring` is the number of slots of a hash, a
 * prime: it must be the same on both directors, and stay, or every connection that nobody remembers moves.
 */
export function fillSlots(choice: SlotChoice, servers: readonly SlotServer[], ring: number): Int32Array {
  if (!servers.some((s) => s.weight > 0)) return new Int32Array(0);
  if (choice !== 'count') return maglev(servers, ring);
  const unit = servers.reduce((n, s) => gcd(n, s.weight), 0);
  const weights = servers.map((s) => s.weight / unit);
  const total = weights.reduce((n, w) => n + w, 0);
  return wrrSequence(weights, Math.min(total, MOST_COUNTED)).filter((i) => i !== NOBODY);
}
