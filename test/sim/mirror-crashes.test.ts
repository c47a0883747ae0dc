/** What issue 4 asks of every run: 1,000 crash rounds amid all the faults that the simulator has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCrashes } from '../../src/sim/index.ts';

test('1,000 crashes in the midst of work, amid all other faults: nothing acknowledged is lost, no divergence is unseen', (t) => {
  let rounds = 0;
  for (let seed = 1; seed <= 100; seed++) {
    const { failure, options, trace, counts } = runCrashes(seed);
    assert.equal(
      failure,
      undefined,
      `${failure}\ndrawn: ${options}\n${trace(30)}\nnpm run sim -- mirror-crashes --seed ${seed}`,
    );
    rounds += counts['crash rounds'] ?? 0;
  }
  t.diagnostic(`${rounds} crash rounds`);
  assert.ok(rounds >= 1000, `${rounds}`);
});
