import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ms, verbatim } from '../../base/index.ts';
import { since } from '../beat/snapshot.ts';
import { History } from './history.ts';
import { reloadTime } from './reload-time.ts';
import { parseRequest } from './requests.ts';

const noon = Date.UTC(2026, 5, 15, 12, 0, 0);
const at = (content: string): unknown => {
  const r = reloadTime(content, ms(noon));
  return r.ok ? new Date(r.value).toISOString() : r.error;
};
test('a scheduled reload is at the next such time, or at the date that is written', () => {
  assert.equal(at('13:30:00Z'), '2026-06-15T13:30:00.000Z');
  assert.equal(at('11:00:00Z\n'), '2026-06-16T11:00:00.000Z');
  assert.equal(at('26-12-31 23:59:59Z'), '2026-12-31T23:59:59.000Z');
  assert.equal(at('2027-01-01 00:00:00Z'), '2027-01-01T00:00:00.000Z');
  assert.equal(at('2020-01-01 00:00:00Z'), 'past');
  for (const bad of ['', '25:00:00', '2026-13-01 10:00:00', '2026-02-30 10:00:00Z', '10:00', 'soon'])
    assert.equal(at(bad), 'malformed', bad);
  const local = reloadTime('23:59:59', ms(noon));
  assert.ok(local.ok && new Date(local.value).getHours() === 23);
});
test('no text makes the schedule throw, and what it names lies ahead', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^\d\d:\d\d:\d\dZ?$/)), (content) => {
      const r = reloadTime(content, ms(noon));
      if (r.ok) assert.ok(r.value > noon);
    }),
  );
});
test('a control request is one of the known ones, and nothing else is', () => {
  assert.deepEqual(parseRequest('{"ask":"status"}'), { ok: true, value: { ask: 'status' } });
  for (const bad of ['', 'null', '{}', '{"ask":"shutdown"}', '[1]', '{'])
    assert.equal(parseRequest(bad).ok, false, bad);
});
test('orders to the director are taken whole or not at all', () => {
  const who = { service: 's', server: 'x' };
  const drain = { ask: 'lb-drain', ...who, on: true, forMs: 5000 };
  assert.deepEqual(parseRequest(JSON.stringify({ ...drain, more: 1 })), { ok: true, value: drain });
  assert.deepEqual(parseRequest(JSON.stringify({ ask: 'lb-weight', ...who, weight: 3, force: true })), {
    ok: true,
    value: { ask: 'lb-weight', ...who, force: true, weight: 3 },
  });
  for (const bad of [
    { ask: 'lb-drain', ...who },
    { ask: 'lb-drain', service: 's', on: true },
    { ...drain, forMs: -1 },
    { ...drain, server: 7 },
    { ask: 'lb-weight', ...who, weight: '3' },
  ])
    assert.equal(parseRequest(JSON.stringify(bad)).ok, false, JSON.stringify(bad));
});
test('history keeps where each instance came from, leaves out what is no state, and survives a dead process', () => {
  const h = new History();
  h.add('a', 'BACKUP', verbatim('x'), 1);
  h.add('a', 'MASTER_RX_LOWER_PRI', undefined, 2);
  h.add('a', 'MASTER', verbatim('y'), 3);
  h.died(verbatim('z'), 4);
  h.add('a', 'BACKUP', undefined, 5);
  assert.deepEqual(
    h.list().map((t) => `${t.at} ${t.from}>${t.to}`),
    ['1 INIT>BACKUP', '3 BACKUP>MASTER', '4 MASTER>INIT', '5 INIT>BACKUP'],
  );
  for (let i = 0; i < 2000; i++) h.add('b', i % 2 ? 'MASTER' : 'BACKUP', undefined, i);
  assert.equal(h.list().length, 500);
});
test('counters are shown since they were cleared; the longest stall is no counter', () => {
  const now = { a: { sent: 5, longestStall: 9 }, b: { sent: 1 } };
  assert.deepEqual(since({ a: { sent: 3, longestStall: 9 } }, now), {
    a: { sent: 2, longestStall: 9 },
    b: { sent: 1 },
  });
});
