import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fillSlots, ringSlots } from './slots.ts';

const servers = (weights: readonly number[]) => weights.map((weight, i) => ({ key: `s${i}`, weight }));

test('counted slots are as few as the weights need, in the order of smooth weighted round robin', () => {
  assert.deepEqual([...fillSlots('wrr', servers([20, 10, 10]), { alike: false })], [0, 1, 2, 0]);
  assert.deepEqual([...fillSlots('wrr', servers([5, 0, 5]), { alike: false })], [0, 2]);
  assert.deepEqual([...fillSlots('wrr', servers([0, 0]), { alike: false })], []);
});
test('every share of counted slots is exact while the sum of weights without their divisor fits', () =>
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 20 }), (weights) => {
      const slots = fillSlots('wrr', servers(weights), { alike: false });
      const total = weights.reduce((a, b) => a + b, 0);
      weights.forEach((w, i) => {
        assert.equal(slots.filter((s) => s === i).length * total, w * slots.length);
      });
    }),
  ));
test('a hash has all the slots of its ring, whose size the number of servers alone decides', () => {
  assert.equal(fillSlots('mh', servers([1, 2, 0]), { alike: false }).length, 251);
  assert.deepEqual([1, 12, 13, 32, 33, 4000].map(ringSlots), [251, 251, 1021, 1021, 4093, 4093]);
});
test('an emulated service has the same number of slots whatever its shares', () => {
  assert.equal(
    fillSlots('wlc', servers([1, 2, 0]), { alike: true }).length,
    fillSlots('wlc', servers([9999, 1, 7]), { alike: true }).length,
  );
});

test('where another director must choose alike, turns by weight are slots of a hash, and a drain moves those of the drained alone', () => {
  const all = servers([2, 1, 1]);
  const full = fillSlots('wrr', all, { alike: true });
  assert.equal(full.length, 251);
  const share = full.filter((i) => i === 0).length / 251;
  assert.ok(Math.abs(share - 0.5) < 0.02, String(share));
  const [first, ...rest] = all as [(typeof all)[0], ...typeof all];
  const left = fillSlots('wrr', [{ ...first, weight: 0 }, ...rest], { away: [first], alike: true });
  for (const [slot, i] of full.entries()) assert.ok(i === 0 ? left[slot] !== 0 : left[slot] === i);
});
