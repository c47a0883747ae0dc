/** Live power cuts under a verified writer; `HOLDFAST_CUTS=50 npm test -- test/mirror/power-cuts.test.ts` for many. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/index.ts';
import { Cuts } from '../support/mirror-cuts.ts';
import { begin, MIB, noDevices, startPair } from '../support/mirror-pair.ts';

const ROUNDS = Number(process.env['HOLDFAST_CUTS'] ?? 2);
test(`${ROUNDS} power cuts of the primary lose no acknowledged write, and leave both disks equal`, {
  skip: noDevices,
  timeout: 120_000 + ROUNDS * 90_000,
}, async (t) => {
  const pair = await startPair(t, { size: 64 * MIB });
  await begin(pair);
  const seed = Date.now() >>> 0;
  t.diagnostic(`seed ${seed}`);
  const random = new Random(seed);
  const cuts = new Cuts(pair, () => random.unit());
  let acknowledged = 0;
  for (let i = 0; i < ROUNDS; i++) {
    const r = await cuts.round();
    assert.deepEqual(r.lost, [], `round ${i + 1}`);
    acknowledged += r.acknowledged;
  }
  assert.ok(acknowledged > ROUNDS * 10, `hardly anything was written: ${acknowledged}`);
  assert.equal(await cuts.end(), '', 'the disks differ');
  t.diagnostic(`${acknowledged} writes were acknowledged before ${ROUNDS} cuts; none was lost`);
});
