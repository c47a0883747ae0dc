/** The state of all virtual routers in the form that people and programs are shown. */
import type { InstanceStatus } from '../../api/index.ts';
import { formatPrefix, type Microseconds } from '../../base/index.ts';
import type { Clock, LinkAddress } from '../../host/index.ts';
import { describeBecause, type Instance, masterDownTime, type VrrpConfig, type VrrpStatus } from '../../vrrp/index.ts';
import type { BeatSnapshot } from '../messages.ts';

export function instanceStatuses(
  config: VrrpConfig,
  status: VrrpStatus,
  present: readonly LinkAddress[],
  clock: Pick<Clock, 'now' | 'wall'>,
): readonly InstanceStatus[] {
  const now = clock.now();
  const wall = clock.wall();
  const here = new Set(present.map((a) => a.prefix.address));
  const configured = new Map(config.instances.map((i) => [i.name, i]));
  return status.instances.flatMap((s): InstanceStatus[] => {
    const i = configured.get(s.name);
    if (i === undefined) return [];
    const wanted = [...i.addresses, ...i.excluded];
    const heardAt = Math.max(...s.links.map((l) => l.heardAt ?? Number.NEGATIVE_INFINITY));
    const heard = Number.isFinite(heardAt) ? ((now - heardAt) as Microseconds) : undefined;
    return [
      {
        name: i.name,
        state: s.state,
        since: Math.round(wall - (now - s.since) / 1000),
        because: describeBecause(s.because),
        interface: i.interface,
        virtualRouterId: i.virtualRouterId,
        priority: s.priority,
        configuredPriority: i.priority,
        addresses: wanted.map((a) => formatPrefix(a.prefix)),
        held: wanted.length > 0 && wanted.every((a) => here.has(a.prefix.address)),
        master:
          s.master && heard !== undefined
            ? { address: s.master.address, priority: s.master.priority, heardMs: Math.round(heard / 1000) }
            : undefined,
        marginMs: s.state === 'BACKUP' && heard !== undefined ? margin(i, heard) : undefined,
      },
    ];
  });
}

/** By our own interval: close enough to show, and the same for version 2 and 3. */
const margin = (i: Instance, heard: Microseconds): number =>
  Math.round((masterDownTime(i.version, i.priority, i.advertInterval, i.downTimerAdverts) - heard) / 1000);

/** The numbers of an instance under flat names: `dropped` by kind becomes `dropped-checksum` and so on. */
export function counters(stats: VrrpStatus['instances'][number]['stats']): Readonly<Record<string, number>> {
  const out: Record<string, number> = {};
  for (const [name, value] of Object.entries(stats)) {
    if (typeof value === 'number') out[name] = value;
    else for (const [kind, n] of Object.entries(value)) out[`${name}-${kind}`] = n;
  }
  return out;
}

export type Counters = BeatSnapshot['statistics'];
/** What was counted after `before`; high-water marks are no counts and stay. */
export function since(before: Counters, now: Counters): Counters {
  const one = (name: string): Readonly<Record<string, number>> =>
    Object.fromEntries(
      Object.entries(now[name] ?? {}).map(([k, v]) => [k, k === HIGH_WATER ? v : v - (before[name]?.[k] ?? 0)]),
    );
  return Object.fromEntries(Object.keys(now).map((name) => [name, one(name)]));
}
const HIGH_WATER = 'longestStall';
