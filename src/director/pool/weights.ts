/** Weights: what is configured, what was told from outside, what checks found, and how a server is brought in slowly. */
import { type Microseconds, us } from '../../base/index.ts';
import type { Scheduler } from '../config.ts';
import type { PoolConfig, PoolServer, ServerState } from './types.ts';

const MOST_WEIGHT = 65535;
/** Slow start goes in tenths: fine enough for a cache that warms up, and ten updates of a plane, not hundreds. */
export const TENTHS = 10;

/**
 * keepalived: each dynamic checker adds what it found to the configured weight; a MISC exit status means the whole
 * weight, so its difference is what it adds. What an operator or agent said stands above all of it.
 */
export function weightOf(p: PoolServer, x: ServerState): number {
  if (x.told !== undefined) return x.told;
  let sum = p.server.weight;
  for (const { weight } of x.checks)
    if (weight) sum += weight.kind === 'is' ? weight.value - p.server.weight : weight.value;
  return Math.min(MOST_WEIGHT, Math.max(0, Math.trunc(sum)));
}

/** Weights of `fo` are an order and of `ovf` a number of connections: neither is a share that could grow. */
const sharesWork = (s: Scheduler): boolean => s !== 'fo' && s !== 'ovf';
export const slowStart = (c: PoolConfig): Microseconds | undefined =>
  sharesWork(c.service.scheduler) ? c.service.options?.slowStart : undefined;

type Ramp = NonNullable<ServerState['ramp']>;
export const rampDue = (c: PoolConfig, r: Ramp): Microseconds =>
  us(r.from + Math.ceil(((slowStart(c) ?? 0) * r.tenths) / TENTHS));
/** How many tenths are due at `now`: 1 from the beginning, 10 at the end. */
export function nextTenths(c: PoolConfig, r: Ramp, now: Microseconds): number {
  const whole = slowStart(c);
  if (!whole) return TENTHS;
  return Math.min(TENTHS, Math.max(r.tenths, 1 + Math.floor(((now - r.from) * TENTHS) / whole)));
}

/**
 * The weight that a plane is given. With slow start all weights of the service are ten times what they are, as far as
 * they fit, so that a tenth of weight 1 is a whole number; the others then never change when one is brought in.
 */
export function planWeight(c: PoolConfig, x: ServerState): number {
  if (x.drained) return 0;
  if (slowStart(c) === undefined) return x.weight;
  const scale = Math.max(1, Math.min(TENTHS, Math.floor(MOST_WEIGHT / Math.max(1, heaviest(c)))));
  const full = Math.min(MOST_WEIGHT, x.weight * scale);
  return x.ramp ? Math.max(Math.min(1, full), Math.floor((full * x.ramp.tenths) / TENTHS)) : full;
}
const heaviest = (c: PoolConfig): number => c.servers.reduce((n, p) => Math.max(n, p.server.weight), 0);
