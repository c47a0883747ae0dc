/** How much a resync may ask for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, ms } from '../../../base/index.ts';
import type { ResyncOptions } from '../../config.ts';
import { rigConfig } from '../rig.fixture.ts';
import { RateController } from './rate.ts';

const STEP = 100_000;
const MIB = 1 << 20;
const usual = rigConfig().volumes[0]?.options.resync as ResyncOptions;
/** Bytes asked for in so many steps, over a path that delivers all at once. */
function asked(c: RateController, steps: number): number {
  let sum = 0;
  for (let i = 0; i < steps; i++) {
    const now = c.step(0, STEP);
    c.received(now);
    sum += now;
  }
  return sum;
}

test('a fixed rate that is changed is followed from the next step on', () => {
  let o: ResyncOptions = { ...usual, planAhead: ms(0), rate: bytes(4 * MIB) };
  const c = new RateController(() => o);
  assert.ok(Math.abs(asked(c, 10) - 4 * MIB) < 8192);
  o = { ...o, rate: bytes(40 * MIB) };
  assert.ok(Math.abs(asked(c, 10) - 40 * MIB) < 8192);
});
test('a controller that is switched on begins with the rate, whatever was received before, and keeps below its ceiling', () => {
  let o: ResyncOptions = { ...usual, planAhead: ms(0), rate: bytes(80 * MIB) };
  const c = new RateController(() => o);
  asked(c, 100);
  o = { ...o, planAhead: ms(2000), maxRate: bytes(10 * MIB), fillTarget: bytes(0) };
  assert.ok(asked(c, 10) <= 10 * MIB + 4096);
  o = { ...o, maxRate: bytes(MIB) };
  assert.ok(asked(c, 10) <= MIB + 4096);
});
