/** What every run must show: 1,000 crash rounds amid all the faults that the simulator has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Outcome, runCrashes } from '../../src/sim/index.ts';

const kept = (seed: number): Outcome => {
  const outcome = runCrashes(seed);
  const { failure, options, trace } = outcome;
  assert.equal(
    failure,
    undefined,
    `${failure}\ndrawn: ${options}\n${trace(30)}\nnpm run sim -- mirror-crashes --seed ${seed}`,
  );
  return outcome;
};

test('1,000 crashes in the midst of work, amid all other faults: nothing acknowledged is lost, no divergence is unseen', (t) => {
  let rounds = 0;
  for (let seed = 1; seed <= 100; seed++) rounds += kept(seed).counts['crash rounds'] ?? 0;
  t.diagnostic(`${rounds} crash rounds`);
  assert.ok(rounds >= 1000, `${rounds}`);
});
/** Each once broke a promise. */
const found: readonly (readonly [number, string])[] = [
  [2625, 'a promotion and a full resync that the two sides ask of each other at once do not both begin'],
  [3404, 'a resync that is resumed while both sides are just connecting goes on at the peer too'],
  [3803, 'a primary that is being filled and loses its source answers nothing until it is back'],
];
for (const [seed, claim] of found)
  test(`${claim} (npm run sim -- mirror-crashes --seed ${seed})`, () => void kept(seed));
