import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runVolumes } from '../../src/sim/index.ts';

test('25 worlds in which a second volume comes and goes on either host: it is equal in peace, and the first keeps every promise', () => {
  for (let seed = 1; seed <= 25; seed++) {
    const { failure, options, trace } = runVolumes(seed);
    const how = `npm run sim -- mirror-volumes --seed ${seed}`;
    assert.equal(failure, undefined, `${failure}\n${options}\n${trace(30)}\n${how}`);
  }
});
