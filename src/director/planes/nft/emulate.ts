/** Weights that make a counted ring do what a scheduler with eyes on the connections would do until the next look. */
import type { Scheduler } from '../../config.ts';

export type Load = {
  readonly weight: number;
  /** Established now. */
  readonly active: number;
  readonly upperThreshold?: number;
  readonly lowerThreshold?: number;
  /** It was left out at the last look. */
  readonly full: boolean;
};

/** The finest step between weights. */
const STEPS = 16;

/** IPVS's meaning: over the upper threshold a server is left out, until it is below the lower (or 3/4 of the upper). */
export function isFull(l: Load): boolean {
  if (l.upperThreshold === undefined || l.upperThreshold === 0) return false;
  const lower = l.lowerThreshold ?? (l.upperThreshold * 3) / 4;
  return l.full ? l.active >= lower : l.active >= l.upperThreshold;
}

/** Shares that go up where there is more room below the fullest; all-equal loads give the configured weights. */
function filling(loads: readonly Load[], cost: (l: Load) => number): number[] {
  const most = loads.reduce((n, l) => (l.weight > 0 ? Math.max(n, cost(l)) : n), 0);
  const room = loads.map((l) => (l.weight > 0 ? (most - cost(l)) * l.weight : 0));
  const total = room.reduce((a, b) => a + b, 0);
  if (total === 0) return loads.map((l) => l.weight);
  const sum = loads.reduce((n, l) => n + l.weight, 0);
  // Half by what is configured, half by the room: a server that has just come is not buried in one second.
  return loads.map((l, i) =>
    l.weight === 0 ? 0 : Math.max(1, Math.round((STEPS * l.weight) / sum + (STEPS * (room[i] as number)) / total)),
  );
}

/** Weights for the slots, in the order of `loads`; 0 = none. */
export function emulatedWeights(scheduler: Scheduler, all: readonly Load[]): number[] {
  const loads = all.map((l) => (isFull(l) ? { ...l, weight: 0 } : l));
  switch (scheduler) {
    case 'lc':
      return filling(
        loads.map((l) => ({ ...l, weight: Math.min(1, l.weight) })),
        (l) => l.active,
      );
    case 'wlc':
      return filling(loads, (l) => l.active / l.weight);
    case 'sed':
      return filling(loads, (l) => (l.active + 1) / l.weight);
    case 'nq': {
      const idle = loads.map((l) => (l.active === 0 ? l.weight : 0));
      return idle.some((w) => w > 0)
        ? idle.map((w) => Math.min(1, w))
        : filling(loads, (l) => (l.active + 1) / l.weight);
    }
    case 'fo': {
      const best = loads.reduce((n, l) => Math.max(n, l.weight), 0);
      const first = loads.findIndex((l) => l.weight === best);
      return loads.map((_, i) => (i === first && best > 0 ? 1 : 0));
    }
    case 'ovf': {
      // The heaviest that has no more connections than weight (ip_vs_ovf). Where all have more, IPVS refuses; counts
      // that are a second old are no ground for that, so it is the heaviest.
      const order = loads
        .map((_, i) => i)
        .filter((i) => (loads[i] as Load).weight > 0)
        .sort((a, b) => (loads[b] as Load).weight - (loads[a] as Load).weight || a - b);
      const chosen = order.find((i) => (loads[i] as Load).active <= (loads[i] as Load).weight) ?? order[0];
      return loads.map((_, i) => (i === chosen ? 1 : 0));
    }
    default:
      return loads.map((l) => l.weight);
  }
}
