/** What trackers mean for a virtual router: faults, or a shift of its priority. Pure. */
import type { Instance, SyncGroup, Track, Tracks, Weight } from './config.ts';
import type { Fault, Health, TrackerKind } from './types.ts';

/**
 * The last result of one tracker. `waiting`: none yet. A file's number counts by itself, times the weight of the
 * tracker; everything else is up or down.
 */
export type TrackerValue = 'up' | 'down' | 'waiting' | { readonly number: number };
export type TrackerReader = (kind: TrackerKind, name: string) => TrackerValue;

const OWNER = 255;
/** A file whose number times its weight falls below this is a fault. */
const FILE_FLOOR = -253;
const KINDS = [
  ['interface', 'interfaces'],
  ['script', 'scripts'],
  ['process', 'processes'],
  ['file', 'files'],
  ['bfd', 'bfds'],
] as const satisfies readonly (readonly [TrackerKind, keyof Tracks])[];

type Verdict = { readonly fault: boolean; readonly waiting: boolean; readonly weight: number };
const CLEAR: Verdict = { fault: false, waiting: false, weight: 0 };

/** One tracker's verdict: weight 0 makes a fault when down, any other weight only shifts the priority. */
export function judge(value: TrackerValue, weight: Weight): Verdict {
  if (value === 'waiting') return { ...CLEAR, waiting: true };
  const sign = weight.reverse ? -1 : 1;
  if (typeof value === 'object') {
    if (weight.value === 0) return { ...CLEAR, fault: (value.number !== 0) !== weight.reverse };
    const shift = value.number * weight.value * sign;
    return shift < FILE_FLOOR ? { ...CLEAR, fault: true } : { ...CLEAR, weight: shift };
  }
  const up = value === 'up';
  if (weight.value === 0) return { ...CLEAR, fault: up === weight.reverse };
  // Positive adds when up, negative subtracts when down; reversed, positive subtracts when up and negative adds when down.
  const counts = weight.value > 0 ? up : !up;
  return counts ? { ...CLEAR, weight: weight.value * sign } : CLEAR;
}

/** All trackers of an instance and of its group. `own` are the faults that no tracker knows: links, sources, sockets. */
export function healthOf(
  i: Instance,
  group: SyncGroup | undefined,
  own: readonly Fault[],
  read: TrackerReader,
): Health {
  const faults = [...own];
  let waiting = false;
  let weight = 0;
  const add = (kind: TrackerKind, t: Track, weighs: boolean): void => {
    const v = judge(read(kind, t.name), t.weight);
    waiting ||= v.waiting;
    if (v.fault) faults.push({ kind: 'tracker', tracker: kind, name: t.name });
    if (weighs) weight += v.weight;
  };
  // In a group, priorities move together or not at all: members that differ would be torn apart.
  const weighs = group === undefined || group.trackingWeight;
  for (const [kind, list] of KINDS) {
    for (const t of i.tracks[list]) add(kind, t, weighs);
    for (const t of group?.tracks[list] ?? []) add(kind, t, weighs);
  }
  const priority = i.priority === OWNER ? OWNER : Math.max(1, Math.min(254, i.priority + weight));
  return { faults, waiting, priority };
}
