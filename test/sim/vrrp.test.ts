import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runVrrp } from '../../src/sim/index.ts';

const kept = (seed: number): void => {
  const { failure, options, trace } = runVrrp(seed);
  assert.equal(failure, undefined, `${failure}\ndrawn: ${options}\n${trace(30)}\nnpm run sim -- vrrp --seed ${seed}`);
};

test('300 worlds of virtual routers keep every promise (npm run sim -- vrrp --seeds 300)', () => {
  for (let seed = 1; seed <= 300; seed++) kept(seed);
});

/** Each once broke a promise. */
const found: readonly (readonly [number, string])[] = [
  [69, 'a restarted master with AH is above the sequence numbers that its peers remember'],
  [328, 'leases that ended while the process slept are not renewed but make it elect again'],
  [824, 'frames of a loser that cross the answer of the winner are answered once more'],
  [1018, 'every member of a sync group says so when it gives way'],
  [1373, 'a master that slept looks for its addresses before it says that it is master'],
];
for (const [seed, claim] of found) test(`${claim} (npm run sim -- vrrp --seed ${seed})`, () => kept(seed));

test('the same seed is the same world, event for event', () => {
  const [a, b] = [runVrrp(7), runVrrp(7)];
  assert.deepEqual([a.events, a.options, a.trace(400)], [b.events, b.options, b.trace(400)]);
});
