import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, us } from '../../../base/index.ts';
import { Yielding } from './yielding.ts';

const MS = 1000;
const at = (ms: number) => us(ms * MS);

test('a resync yields while an application asks, and a tenth of a second longer', () => {
  const y = new Yielding(() => bytes(1000), at(0));
  assert.equal(y.yields(undefined, at(1)), false);
  assert.equal(y.yields(at(5), at(6)), true);
  assert.equal(y.yields(at(5), at(104)), true);
  assert.equal(y.yields(at(5), at(105)), false);
});
test('below c-min-rate it does not yield, and again when it has caught up', () => {
  const y = new Yielding(() => bytes(1000), at(0));
  y.moved(999);
  assert.equal(y.yields(at(1000), at(1000)), false);
  y.moved(1000);
  assert.equal(y.yields(at(2000), at(2000)), true);
});
test('with c-min-rate 0 it never yields', () => {
  assert.equal(new Yielding(() => bytes(0), at(0)).yields(at(1), at(1)), false);
});
