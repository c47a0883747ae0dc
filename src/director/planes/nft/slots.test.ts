import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fillSlots, ringSlots } from './slots.ts';

const servers = (weights: readonly number[]) => weights.map((weight, i) => ({ key: `s${i}`, weight }));

test('counted slots are as few as the weights need, in the order of smooth weighted round robin', () => {
  assert.deepEqual([...fillSlots('wrr', servers([20, 10, 10]))], [0, 1, 2, 0]);
  assert.deepEqual([...fillSlots('wrr', servers([5, 0, 5]))], [0, 2]);
  assert.deepEqual([...fillSlots('wrr', servers([0, 0]))], []);
});
test('every share of counted slots is exact while the sum of weights without their divisor fits', () =>
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 20 }), (weights) => {
      const slots = fillSlots('wrr', servers(weights));
      const total = weights.reduce((a, b) => a + b, 0);
      weights.forEach((w, i) => {
        assert.equal(slots.filter((s) => s === i).length * total, w * slots.length);
      });
    }),
  ));
test('a hash has all the slots of its ring, whose size the number of servers alone decides', () => {
  assert.equal(fillSlots('mh', servers([1, 2, 0])).length, 251);
  assert.deepEqual([1, 8, 9, 32, 33, 4000].map(ringSlots), [251, 251, 1021, 1021, 4093, 4093]);
});
test('an emulated service has the same number of slots whatever its shares', () => {
  assert.equal(fillSlots('wlc', servers([1, 2, 0])).length, fillSlots('wlc', servers([9999, 1, 7])).length);
});
