import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Scheduler } from '../config.ts';
import { emulate, type Load } from './index.ts';

const load = fc.record({
  weight: fc.integer({ min: 0, max: 10 }),
  active: fc.integer({ min: 0, max: 60 }),
  inactive: fc.integer({ min: 0, max: 100 }),
});
const loads = fc.array(load, { minLength: 1, maxLength: 8 });

/** IPVS itself, one connection at a time: the least load / weight, the first of equals. */
function oneByOne(scheduler: Scheduler, servers: readonly Load[], arrivals: number): number[] {
  const active = servers.map((s) => s.active);
  const got = servers.map(() => 0);
  const overhead = (s: Load, i: number): number => {
    const a = active[i] as number;
    switch (scheduler) {
      case 'lc':
        return a * 256 + s.inactive;
      case 'wlc':
        return (a * 256 + s.inactive) / s.weight;
      case 'nq':
        return a === 0 ? -1 : (a + 1) / s.weight;
      default:
        return (a + 1) / s.weight;
    }
  };
  for (let n = 0; n < arrivals; n++) {
    let pick = -1;
    servers.forEach((s, i) => {
      if (s.weight > 0 && (pick < 0 || overhead(s, i) < overhead(servers[pick] as Load, pick))) pick = i;
    });
    if (pick < 0) break;
    active[pick] = (active[pick] as number) + 1;
    got[pick] = (got[pick] as number) + 1;
  }
  return got;
}

/**
 * By how much shares that fill to one level may differ from whole connections given out one by one: each server is off its
 * level by less than one connection, and what n of them lack together lifts the level by n / (the weights that are filled).
 */
const ROUNDED = 0.5;
for (const scheduler of ['lc', 'wlc', 'sed'] as const)
  test(`${scheduler}: the shares are what IPVS gives out one by one, but for what makes connections whole`, () =>
    fc.assert(
      fc.property(loads, fc.integer({ min: 1, max: 400 }), (servers, arrivals) => {
        const { shares } = emulate(scheduler, servers, { arrivals });
        const total = shares.reduce((a, b) => a + b, 0);
        const dues = oneByOne(scheduler, servers, arrivals);
        const weight = (i: number): number => (scheduler === 'lc' ? 1 : (servers[i] as Load).weight);
        // Who is certainly below the level: with sed's look ahead by the shares, else by more than one connection.
        const filled = (i: number): boolean =>
          scheduler === 'sed' ? (shares[i] as number) > 0 : (dues[i] as number) > 1;
        const room = servers.reduce((sum, _, i) => sum + (filled(i) ? weight(i) : 0), 0);
        const usable = servers.filter((s) => s.weight > 0).length;
        dues.forEach((due, i) => {
          const got = total === 0 ? 0 : ((shares[i] as number) * arrivals) / total;
          const most = room === 0 ? usable : Math.max(1, (usable * weight(i)) / room);
          assert.ok(Math.abs(got - due) <= most + ROUNDED, `server ${i}: ${got} instead of ${due} of ${arrivals}`);
        });
      }),
      { numRuns: 2000 },
    ));

const server = (weight: number, active = 0, more: Partial<Load> = {}): Load => ({
  weight,
  active,
  inactive: 0,
  ...more,
});
const shares = (s: Scheduler, servers: readonly Load[], arrivals = 1): readonly number[] =>
  emulate(s, servers, { arrivals }).shares;

test('nq: while there are idle servers for all that come, only they get any', () => {
  assert.deepEqual(shares('nq', [server(9, 1), server(1), server(1)], 2), [0, 1, 1]);
  assert.notEqual(shares('nq', [server(9, 1), server(1), server(1)], 40)[0], 0);
});

test('fo: all to the highest weight, and to the next when it is gone', () => {
  assert.deepEqual(shares('fo', [server(1), server(5, 900), server(3)]), [0, 1, 0]);
  assert.deepEqual(shares('fo', [server(1), server(0), server(3)]), [0, 0, 1]);
});

test('ovf: to the highest weight until it has more connections than its weight, and to nobody when all have', () => {
  assert.deepEqual(shares('ovf', [server(2), server(5, 5), server(3)]), [0, 1, 0]);
  assert.deepEqual(shares('ovf', [server(2), server(5, 6), server(3)]), [0, 0, 1]);
  assert.deepEqual(shares('ovf', [server(2, 3), server(5, 6)]), [0, 0]);
});

test('a limit is reached at the upper threshold and left below the lower one, or below three quarters', () => {
  const at = (active: number, was: boolean, lowerThreshold?: number): boolean | undefined =>
    emulate('rr', [server(1, active, { upperThreshold: 100, ...(lowerThreshold ? { lowerThreshold } : {}) })], {
      arrivals: 1,
      overloaded: [was],
    }).overloaded[0];
  assert.deepEqual(
    [at(99, false), at(100, false), at(99, true), at(75, true), at(74, true)],
    [false, true, true, true, false],
  );
  assert.deepEqual([at(51, true, 50), at(50, true, 50), at(49, true, 50)], [true, true, false]);
});

test('no scheduler gives anything to a server without a weight or over its limit', () =>
  fc.assert(
    fc.property(
      fc.constantFrom<Scheduler>(
        'rr',
        'wrr',
        'lc',
        'wlc',
        'lblc',
        'lblcr',
        'sh',
        'mh',
        'dh',
        'fo',
        'ovf',
        'sed',
        'nq',
        'twos',
      ),
      loads,
      fc.integer({ min: 0, max: 100 }),
      (scheduler, servers, arrivals) => {
        const limited = servers.map((s, i) => (i % 2 ? { ...s, upperThreshold: 30 } : s));
        const out = emulate(scheduler, limited, { arrivals });
        limited.forEach((s, i) => {
          if (s.weight === 0 || out.overloaded[i]) assert.equal(out.shares[i], 0);
        });
        if (scheduler !== 'ovf' && limited.some((s, i) => s.weight > 0 && !out.overloaded[i]))
          assert.ok(
            out.shares.some((x) => x > 0),
            'somebody takes the next one',
          );
      },
    ),
  ));
