/** Live resyncs that are cut off, under a verified writer of large requests. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/index.ts';
import { Cuts } from '../support/mirror-cuts.ts';
import { begin, MIB, noDevices, startPair } from '../support/mirror-pair.ts';

test('resyncs that are begun again and cut off beside large writes lose none, and leave both disks equal', {
  skip: noDevices,
  timeout: 240_000,
}, async (t) => {
  const pair = await startPair(t, { size: 64 * MIB });
  await begin(pair);
  const seed = Date.now() >>> 0;
  t.diagnostic(`seed ${seed}`);
  const random = new Random(seed);
  const cuts = new Cuts(pair, () => random.unit());
  const { acknowledged, lost } = await cuts.resyncs(4);
  assert.deepEqual(lost, []);
  assert.ok(acknowledged > 0, 'nothing was written');
  assert.equal(await cuts.end(), '', 'the disks differ');
  t.diagnostic(`${acknowledged} blocks were acknowledged beside 4 resyncs that were cut off`);
});
