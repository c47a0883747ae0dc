import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { emulatedWeights, type Load } from './emulate.ts';
import { fillSlots } from './slots.ts';

const servers = (weights: readonly number[]) => weights.map((weight, i) => ({ key: `s${i}`, weight }));
const load = (weight: number, active: number, o: Partial<Load> = {}): Load => ({ weight, active, full: false, ...o });

test('counted slots are as few as the weights need, in the order of smooth weighted round robin', () => {
  assert.deepEqual([...fillSlots('count', servers([20, 10, 10]), 251)], [0, 1, 2, 0]);
  assert.deepEqual([...fillSlots('count', servers([5, 0, 5]), 251)], [0, 2]);
  assert.deepEqual([...fillSlots('count', servers([0, 0]), 251)], []);
});
test('every share of counted slots is exact while the sum of weights without their divisor fits', () =>
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 20 }), (weights) => {
      const slots = fillSlots('count', servers(weights), 251);
      const total = weights.reduce((a, b) => a + b, 0);
      weights.forEach((w, i) => {
        assert.equal(slots.filter((s) => s === i).length * total, w * slots.length);
      });
    }),
  ));
test('a hash has all the slots of its ring', () =>
  assert.equal(fillSlots('source', servers([1, 2, 0]), 251).length, 251));

test('equal loads give the configured weights; the server with fewer connections gets more', () => {
  assert.deepEqual(emulatedWeights('wlc', [load(2, 4), load(1, 2)]), [2, 1]);
  const [busy, idle] = emulatedWeights('wlc', [load(1, 10), load(1, 0)]) as [number, number];
  assert.ok(idle > 2 * busy && busy > 0);
});
test('never queue: an idle server gets all', () =>
  assert.deepEqual(emulatedWeights('nq', [load(5, 1), load(1, 0), load(1, 3)]), [0, 1, 0]));
test('failover: the heaviest alone; overflow: the next when it has more connections than weight', () => {
  assert.deepEqual(emulatedWeights('fo', [load(1, 0), load(3, 9), load(2, 0)]), [0, 1, 0]);
  assert.deepEqual(emulatedWeights('ovf', [load(1, 0), load(3, 4), load(2, 0)]), [0, 0, 1]);
  assert.deepEqual(emulatedWeights('ovf', [load(1, 0), load(3, 3), load(2, 0)]), [0, 1, 0]);
});
test('a server over its upper threshold is left out until it is below the lower one', () => {
  const at = (active: number, full: boolean) =>
    emulatedWeights('wrr', [load(1, active, { upperThreshold: 10, lowerThreshold: 5, full }), load(1, 0)])[0];
  assert.deepEqual([at(9, false), at(10, false), at(7, true), at(4, true)], [1, 0, 0, 1]);
});
test('a weight of 0 stays 0, whatever the scheduler', () =>
  fc.assert(
    fc.property(
      fc.constantFrom('lc', 'wlc', 'sed', 'nq', 'fo', 'ovf', 'wrr'),
      fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 50 })), {
        minLength: 1,
        maxLength: 9,
      }),
      (scheduler, loads) => {
        const out = emulatedWeights(
          scheduler as 'lc',
          loads.map(([w, a]) => load(w, a)),
        );
        loads.forEach(([w], i) => {
          if (w === 0) assert.equal(out[i], 0);
        });
        assert.equal(
          out.some((w) => w > 0),
          loads.some(([w]) => w > 0),
        );
      },
    ),
  ));
