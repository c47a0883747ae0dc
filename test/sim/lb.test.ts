import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runLb } from '../../src/sim/index.ts';

const kept = (seed: number): void => {
  const { failure, options, trace } = runLb(seed);
  assert.equal(failure, undefined, `${failure}\ndrawn: ${options}\n${trace(30)}\nnpm run sim -- lb --seed ${seed}`);
};

test('200 worlds of directors keep every promise (npm run sim -- lb --seeds 200)', () => {
  for (let seed = 1; seed <= 200; seed++) kept(seed);
});

/** Each once broke a promise. */
const found: readonly (readonly [number, string])[] = [
  [184, 'flows that a drain leaves are with the peer although messages overtake each other'],
  [51, 'what was remembered of a service is forgotten when a later process no longer has it'],
];
for (const [seed, claim] of found) test(`${claim} (npm run sim -- lb --seed ${seed})`, () => kept(seed));

test('the same seed is the same world of directors, event for event', () => {
  const [a, b] = [runLb(7), runLb(7)];
  assert.deepEqual([a.events, a.options, a.trace(400)], [b.events, b.options, b.trace(400)]);
});
