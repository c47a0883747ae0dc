import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random, us } from '../base/index.ts';
import { admit, idle } from './shaper.ts';

const at = us(1_000_000);
const frame = { length: 1000, at };
const never = () => {
  throw new Error('no randomness is needed here');
};

test('a delay is added to every frame, and frames do not wait for each other', () => {
  const first = admit({ delayMs: 50 }, idle, frame, never);
  const second = admit({ delayMs: 50 }, first.wire, frame, never);
  assert.deepEqual([first.due, second.due], [1_050_000, 1_050_000]);
});

test('jitter is added on top of the delay, up to its bound', () => {
  assert.equal(admit({ delayMs: 5, jitterMs: 10 }, idle, frame, () => 0).due, 1_005_000);
  assert.equal(admit({ delayMs: 5, jitterMs: 10 }, idle, frame, () => 0.5).due, 1_010_000);
});

test('a rate sends one frame after the other: 1000 bytes at 1000 kbit/s take 8 ms each', () => {
  const first = admit({ rateKbit: 1000 }, idle, frame, never);
  const second = admit({ rateKbit: 1000 }, first.wire, frame, never);
  assert.deepEqual([first.due, second.due], [1_008_000, 1_016_000]);
});

test('a throttled cable loses what would wait longer than a second', () => {
  let wire = idle;
  let carried = 0;
  for (let i = 0; i < 500; i++) {
    const next = admit({ rateKbit: 1000 }, wire, frame, never);
    wire = next.wire;
    if (next.due !== undefined) carried++;
  }
  assert.equal(carried, 126);
});

test('loss takes its share', () => {
  const random = new Random(7);
  let lost = 0;
  for (let i = 0; i < 10_000; i++) if (admit({ loss: 0.3 }, idle, frame, () => random.unit()).due === undefined) lost++;
  assert.ok(lost > 2800 && lost < 3200, `${lost} of 10000`);
});
