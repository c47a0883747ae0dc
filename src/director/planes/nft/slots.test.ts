import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NOBODY } from '../../ring/index.ts';
import { fillSlots } from './slots.ts';

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
test('a hash has seats, also where nobody takes anything for now', () => {
  assert.equal(fillSlots('mh', servers([1, 2, 0]), { alike: false }).length, 32);
  assert.deepEqual([...new Set(fillSlots('mh', servers([0, 0]), { away: servers([1, 1]), alike: false }))], [NOBODY]);
});
test('an emulated service has the same number of slots whatever its shares', () => {
  assert.equal(
    fillSlots('wlc', servers([1, 2, 0]), { alike: true }).length,
    fillSlots('wlc', servers([9999, 1, 7]), { alike: true }).length,
  );
});

test('where another director must choose alike, turns by weight are seats of a hash, and a drain frees those of the drained alone', () => {
  const all = servers([2, 1, 1]);
  const full = fillSlots('wrr', all, { alike: true }).slice(0, -1);
  assert.deepEqual(
    [0, 1, 2].map((i) => full.filter((x) => x === i).length),
    [2, 1, 1],
  );
  const [first, ...rest] = all as [(typeof all)[0], ...typeof all];
  const left = fillSlots('wrr', [{ ...first, weight: 0 }, ...rest], { away: [first], alike: true });
  for (const [seat, i] of full.entries()) assert.equal(left[seat], i === 0 ? NOBODY : i);
});
