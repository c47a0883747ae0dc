import assert from 'node:assert/strict';
import { test } from 'node:test';
import { us } from '../../../base/index.ts';
import { Paces } from './paces.ts';

test('the rate is that of the last half minute, not of all the time, and 0 when nothing has moved in it', () => {
  const p = new Paces();
  const of = {};
  const look = (s: number, done: number): number => Math.round(p.rate(of, us(0), us(s * 1_000_000), done));
  assert.equal(look(1, 100), 100);
  for (let s = 2; s <= 60; s++) look(s, s * 100);
  assert.equal(look(60, 6000), 100);
  for (let s = 61; s <= 90; s++) look(s, 6000 + (s - 60) * 1000);
  assert.equal(look(90, 36_000), 1000);
  for (let s = 91; s <= 130; s++) look(s, 36_000);
  assert.equal(look(130, 36_000), 0);
});
