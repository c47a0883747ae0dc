/**
 * Schedulers of IPVS for planes that have slots only: from each server's connections now and how many will come until
 * the next look, the share of new connections that each is to get. Pure; called about once a second.
 *
 * IPVS decides for every connection, by a load divided by the weight. Giving out many connections in that way fills the
 * least loaded ones up to a common level, as water does; that level is computed here at once. What IPVS calls load:
 * lc and wlc active + inactive / 256, sed and nq active + 1 (ip_vs_lc.c, ip_vs_wlc.c, ip_vs_sed.c, ip_vs_nq.c).
 */
import { unreachable } from '../../base/index.ts';
import type { Scheduler } from '../config.ts';

export type Load = {
  readonly weight: number;
  /** Established connections now, and others that are still known. */
  readonly active: number;
  readonly inactive: number;
  readonly upperThreshold?: number;
  readonly lowerThreshold?: number;
};
export type Emulated = {
  /** In the order of the servers: relative shares of new connections, 0 = none. All 0: nobody may take any. */
  readonly shares: readonly number[];
  /** Over their limit; to be handed in at the next call, since a limit is left lower than it was reached. */
  readonly overloaded: readonly boolean[];
};

/** Schedulers that look at connections: with the others the shares change with weights and limits alone. */
export const looksAtLoad = (s: Scheduler): boolean =>
  s === 'lc' ||
  s === 'wlc' ||
  s === 'sed' ||
  s === 'nq' ||
  s === 'ovf' ||
  s === 'lblc' ||
  s === 'lblcr' ||
  s === 'twos';

/** Shares are whole numbers up to this: fine enough for a ring of 65,537 slots. */
const WHOLE = 10_000;

/** `arrivals`: new connections expected until the next call; what came since the last one is a fair guess. */
export function emulate(
  scheduler: Scheduler,
  servers: readonly Load[],
  o: { readonly arrivals: number; readonly overloaded?: readonly boolean[] },
): Emulated {
  const overloaded = servers.map((s, i) => isOverloaded(s, o.overloaded?.[i] ?? false));
  const usable = servers.map((s, i) => s.weight > 0 && !overloaded[i]);
  return { shares: sharesOf(scheduler, servers, usable, Math.max(1, o.arrivals)), overloaded };
}

/** ip_vs_dest_update_overload: left below the lower threshold, or below three quarters of the upper one where there is none. */
function isOverloaded(s: Load, was: boolean): boolean {
  if (s.upperThreshold === undefined || s.upperThreshold === 0) return false;
  const now = s.active + s.inactive;
  if (now >= s.upperThreshold) return true;
  if (!was) return false;
  return s.lowerThreshold ? now >= s.lowerThreshold : now * 4 >= s.upperThreshold * 3;
}

function sharesOf(
  scheduler: Scheduler,
  servers: readonly Load[],
  usable: readonly boolean[],
  arrivals: number,
): number[] {
  const only = (f: (s: Load) => number): number[] => servers.map((s, i) => (usable[i] ? f(s) : 0));
  switch (scheduler) {
    case 'rr':
      return only(() => 1);
    case 'wrr':
    case 'sh':
    case 'dh':
    case 'mh':
      return only((s) => s.weight);
    case 'lc':
      return fill(
        servers.map((s) => s.active + s.inactive / 256),
        only(() => 1),
        arrivals,
      );
    // Which server a new destination (lblc, lblcr) or a pair of candidates (twos) falls to is decided by wlc's load.
    case 'wlc':
    case 'lblc':
    case 'lblcr':
    case 'twos':
      return fill(
        servers.map((s) => s.active + s.inactive / 256),
        only((s) => s.weight),
        arrivals,
      );
    case 'sed':
      return fill(
        servers.map((s) => s.active),
        only((s) => s.weight),
        arrivals,
      );
    case 'nq': {
      // An idle server is taken whatever its weight; only one connection goes to each before it is idle no more.
      const idle = servers.map((s, i) => usable[i] === true && s.active === 0);
      const count = idle.filter(Boolean).length;
      if (count >= arrivals) return idle.map((x) => (x ? 1 : 0));
      return fill(
        servers.map((s) => s.active),
        only((s) => s.weight),
        arrivals,
      );
    }
    case 'fo':
      return best(servers, usable, () => true);
    case 'ovf':
      return best(servers, usable, (s) => s.active <= s.weight);
    default:
      return unreachable(scheduler);
  }
}

/** All to the highest weight that still may; the first of equals. */
function best(servers: readonly Load[], usable: readonly boolean[], may: (s: Load) => boolean): number[] {
  let top = -1;
  servers.forEach((s, i) => {
    if (usable[i] && may(s) && (top < 0 || s.weight > (servers[top] as Load).weight)) top = i;
  });
  return servers.map((_, i) => (i === top ? 1 : 0));
}

/** What each must get so that load / capacity comes to one level for all that get something, `arrivals` in all. */
function fill(loads: readonly number[], capacity: readonly number[], arrivals: number): number[] {
  const level = (i: number): number => (loads[i] as number) / (capacity[i] as number);
  const order = [...capacity.keys()].filter((i) => (capacity[i] as number) > 0).sort((a, b) => level(a) - level(b));
  let [load, room, surface] = [0, 0, 0];
  for (const [k, i] of order.entries()) {
    load += loads[i] as number;
    room += capacity[i] as number;
    surface = (load + arrivals) / room;
    const next = order[k + 1];
    if (next === undefined || surface <= level(next)) break;
  }
  return capacity.map((c, i) => {
    const given = c > 0 ? Math.max(0, surface * c - (loads[i] as number)) : 0;
    return given === 0 ? 0 : Math.max(1, Math.round((given * WHOLE) / arrivals));
  });
}
