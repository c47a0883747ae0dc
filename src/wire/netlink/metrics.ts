import type { Attributes } from './attributes.ts';
import type { RouteMetrics } from './types.ts';
import type { NetlinkWriter } from './writer.ts';

/** RTAX_* of linux/rtnetlink.h, under the names that iproute2 and keepalived give them. */
const RTAX = {
  mtu: 2,
  window: 3,
  rtt: 4,
  rttvar: 5,
  ssthresh: 6,
  cwnd: 7,
  advmss: 8,
  reordering: 9,
  hoplimit: 10,
  initcwnd: 11,
  features: 12,
  rto_min: 13,
  initrwnd: 14,
  quickack: 15,
  fastopen_no_cookie: 17,
} as const satisfies Record<Exclude<keyof RouteMetrics, 'congctl' | 'locked'>, number>;
type Name = keyof typeof RTAX;
const NAMES = Object.keys(RTAX) as Name[];
const RTAX_LOCK = 1;
const RTAX_CC_ALGO = 16;
/** What may be locked: RTAX_LOCK is a mask of 1 << RTAX_*. */
const LOCKABLE: ReadonlyMap<string, number> = new Map([...Object.entries(RTAX), ['congctl', RTAX_CC_ALGO]]);

/** The attributes nested in RTA_METRICS. */
export function readMetrics(a: Attributes): RouteMetrics {
  const lock = a.u32(RTAX_LOCK) ?? 0;
  const locked = [...LOCKABLE].filter(([, n]) => (lock & (1 << n)) !== 0).map(([name]) => name);
  const congctl = a.text(RTAX_CC_ALGO);
  const values = NAMES.flatMap((name) => {
    const v = a.u32(RTAX[name]);
    return v === undefined ? [] : [[name, v] as const];
  });
  return {
    ...Object.fromEntries(values),
    ...(congctl !== undefined && { congctl }),
    ...(locked.length > 0 && { locked }),
  };
}
export function writeMetrics(w: NetlinkWriter, m: RouteMetrics): void {
  const lock = (m.locked ?? []).reduce((bits, name) => bits | (1 << (LOCKABLE.get(name) ?? 0)), 0);
  // A name that cannot be locked would set bit 0 (RTAX_UNSPEC), which no metric has.
  if ((lock & ~1) !== 0) w.attrU32(RTAX_LOCK, lock & ~1);
  for (const name of NAMES) {
    const v = m[name];
    if (v !== undefined) w.attrU32(RTAX[name], v);
  }
  if (m.congctl !== undefined) w.attrText(RTAX_CC_ALGO, m.congctl);
}
