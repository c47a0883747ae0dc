import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runFence } from '../../src/sim/index.ts';

test('60 worlds under resource-and-stonith: whoever is promoted whenever, no two sides acknowledge what the other lacks', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const { failure, options, trace } = runFence(seed);
    assert.equal(
      failure,
      undefined,
      `${failure}\n${options}\n${trace(30)}\nnpm run sim -- mirror-fencing --seed ${seed}`,
    );
  }
});
