/** How fast the counters grew between two documents. Pure. */
import type { LbCounters, LbDocument } from '../../api/index.ts';

/** Per second. */
export type Rates = Pick<LbCounters, 'connections' | 'packetsIn' | 'packetsOut' | 'bytesIn' | 'bytesOut'>;
const ZERO: Rates = { connections: 0, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0 };

/** By service key, then server key. A counter that went back was begun anew: it counts from zero. */
export function ratesOf(before: LbDocument, after: LbDocument): ReadonlyMap<string, ReadonlyMap<string, Rates>> {
  const seconds = Math.max(0.001, (after.at - before.at) / 1000);
  const old = new Map(before.services.flatMap((s) => s.servers.map((x) => [`${s.key} ${x.key}`, x.counters] as const)));
  return new Map(
    after.services.map((s) => [
      s.key,
      new Map(s.servers.map((x) => [x.key, rate(old.get(`${s.key} ${x.key}`), x.counters, seconds)])),
    ]),
  );
}
function rate(was: LbCounters | undefined, is: LbCounters | undefined, seconds: number): Rates {
  if (is === undefined) return ZERO;
  const per = (k: keyof Rates): number => {
    const from = was === undefined || was[k] > is[k] ? 0 : was[k];
    return Math.round((is[k] - from) / seconds);
  };
  return {
    connections: per('connections'),
    packetsIn: per('packetsIn'),
    packetsOut: per('packetsOut'),
    bytesIn: per('bytesIn'),
    bytesOut: per('bytesOut'),
  };
}
export function sumRates(of: Iterable<Rates>): Rates {
  const sum = { ...ZERO };
  for (const r of of) for (const k of Object.keys(sum) as (keyof Rates)[]) sum[k] += r[k];
  return sum;
}
