/** Weighted round robin over a fixed number of slots that are walked in order (`numgen inc` of nft, a counter in bpf). */
import { NOBODY } from './maglev.ts';

/**
 * How many of `slots` each weight gets: in proportion, by the largest remainder (ties to the earlier), and at least one
 * for every weight above 0 while there are slots for all of them. Sums to `slots` unless all weights are 0.
 */
export function quotas(weights: readonly number[], slots: number): number[] {
  const total = weights.reduce((n, w) => n + w, 0);
  const out = weights.map(() => 0);
  if (total === 0) return out;
  const serving = weights.reduce((n, w) => n + (w > 0 ? 1 : 0), 0);
  const least = serving <= slots ? 1 : 0;
  const exact = weights.map((w) => (w * slots) / total);
  let given = 0;
  weights.forEach((w, i) => {
    if (w === 0) return;
    out[i] = Math.max(least, Math.floor(exact[i] as number));
    given += out[i] as number;
  });
  const short = (i: number): number => (exact[i] as number) - (out[i] as number);
  const byNeed = weights.map((_, i) => i).filter((i) => (weights[i] as number) > 0);
  if (given < slots) {
    byNeed.sort((a, b) => short(b) - short(a) || a - b);
    for (let k = 0; given < slots; k = (k + 1) % byNeed.length, given++) {
      const i = byNeed[k] as number;
      out[i] = (out[i] as number) + 1;
    }
  }
  while (given > slots) {
    // Those that were lifted to one slot took from the largest.
    const i = byNeed.filter((x) => (out[x] as number) > least).reduce((a, b) => (short(b) < short(a) ? b : a));
    out[i] = (out[i] as number) - 1;
    given--;
  }
  return out;
}

/**
 * For each slot the index into `weights`, interleaved as evenly as can be (smooth weighted round robin, as nginx does
 * it): weights 2 1 1 in 4 slots are 0 1 2 0. `NOBODY` everywhere when all weights are 0.
 */
export function wrrSequence(weights: readonly number[], slots: number): Int32Array<ArrayBuffer> {
  const sequence = new Int32Array(slots).fill(NOBODY);
  const quota = Int32Array.from(quotas(weights, slots));
  const total = quota.reduce((n, q) => n + q, 0);
  if (total === 0) return sequence;
  const credit = new Int32Array(quota.length);
  for (let slot = 0; slot < slots; slot++) {
    let best = -1;
    for (let i = 0; i < quota.length; i++) {
      if (quota[i] === 0) continue;
      credit[i] = (credit[i] as number) + (quota[i] as number);
      if (best < 0 || (credit[i] as number) > (credit[best] as number)) best = i;
    }
    credit[best] = (credit[best] as number) - total;
    sequence[slot] = best;
  }
  return sequence;
}
