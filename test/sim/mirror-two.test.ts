import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runTwo } from '../../src/sim/index.ts';

const kept = (seed: number): void => {
  const { failure, options, trace } = runTwo(seed);
  assert.equal(failure, undefined, `${failure}\n${options}\n${trace(30)}\nnpm run sim -- mirror-two --seed ${seed}`);
};
test('60 worlds of two primaries that write the same places: both disks end equal, and hold what was acknowledged', () => {
  for (let seed = 1; seed <= 60; seed++) kept(seed);
});
/** Each once broke a promise. */
const found: readonly (readonly [number, string])[] = [
  [196, 'a write that was to be tried again, and was, is not waited for when its epoch is lost'],
  [200045, 'who is promoted while the other side leaves it behind does not become primary with old data'],
  [1110, 'a write that waited for an acknowledgement is judged when that has had its effect, not before'],
];
for (const [seed, claim] of found) test(`${claim} (npm run sim -- mirror-two --seed ${seed})`, () => kept(seed));
