import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSeeds, type Totals } from '../../scripts/sim-jobs.ts';

const run = (jobs: number): Promise<Totals> => runSeeds('mirror', [1, 6], { jobs, all: false, heard: () => {} });

test('what many worlds come to is the same for one process and for three', async () => {
  const [one, three] = [await run(1), await run(3)];
  assert.deepEqual(three, one);
  assert.equal(one.worlds, 6);
  assert.ok(one.events > 10_000, `${one.events}`);
});
