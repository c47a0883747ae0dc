import assert from 'node:assert/strict';
import { test } from 'node:test';
import { us } from '../base/index.ts';
import { type Answer, longestOutage } from './outages.ts';

const good = (at: number, by: string): Answer => ({ askedAt: us(at - 1), at: us(at), by, error: undefined });
const bad = (askedAt: number): Answer => ({
  askedAt: us(askedAt),
  at: us(askedAt + 50),
  by: undefined,
  error: 'timeout',
});
const whole = { since: us(0), until: us(1000) };

test('an outage lasts from the last good answer to the first good one, whoever gives it', () => {
  const answers = [good(10, 'r1'), good(20, 'r1'), bad(30), bad(40), good(95, 'r2'), good(105, 'r2')];
  assert.deepEqual(longestOutage(answers, { since: us(0), until: us(110) }), {
    from: 20,
    to: 95,
    length: 75,
    failed: 2,
    before: 'r1',
    after: 'r2',
  });
});

test('answers that overtake each other are taken by their arrival', () => {
  const answers = [good(10, 'a'), good(40, 'a'), good(20, 'a'), good(30, 'a')];
  assert.equal(longestOutage(answers, { since: us(5), until: us(45) })?.length, 10);
});

test('an outage that has not ended yet counts up to the end of the look', () => {
  const o = longestOutage([good(10, 'a'), bad(20)], whole);
  assert.deepEqual([o?.from, o?.to, o?.length, o?.failed], [10, undefined, 990, 1]);
});

test('nobody ever answered: the whole look is one outage', () => {
  const o = longestOutage([bad(10), bad(20)], whole);
  assert.deepEqual([o?.from, o?.to, o?.length, o?.failed], [undefined, undefined, 1000, 2]);
});

test('an outage that ended before the look is not reported', () => {
  const answers = [good(10, 'a'), good(500, 'a'), good(510, 'a'), good(520, 'a')];
  assert.equal(longestOutage(answers, { since: us(505), until: us(525) })?.length, 10);
});
