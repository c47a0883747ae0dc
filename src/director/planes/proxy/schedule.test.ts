import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { IpAddress } from '../../../base/index.ts';
import type { Scheduler } from '../../config.ts';
import { hash32 } from '../../ring/index.ts';
import { type Arrival, type Candidate, Chooser, turnsOf } from './schedule.ts';

const servers = (...weights: number[]): Candidate[] =>
  weights.map((weight, i) => ({ key: `10.0.0.${i + 1}:80`, weight, active: 0 }));
const arrival = (n = 1, more: Partial<Arrival> = {}): Arrival => ({
  client: `192.0.${n >> 8}.${n & 0xff}` as IpAddress,
  clientPort: 1000 + n,
  destination: '198.51.100.1' as IpAddress,
  tried: new Set(),
  random: hash32(String(n), 1),
  ...more,
});
const shares = (scheduler: Scheduler, all: readonly Candidate[], times: number): number[] => {
  const chooser = new Chooser();
  const got = new Map<string, number>();
  for (let i = 0; i < times; i++) {
    const key = chooser.choose(scheduler, [], all, arrival(i)) ?? 'none';
    got.set(key, (got.get(key) ?? 0) + 1);
  }
  return all.map((c) => got.get(c.key) ?? 0);
};

test('rr takes turns whatever the weights', () =>
  assert.deepEqual(shares('rr', servers(1, 5, 3), 300), [100, 100, 100]));
test('wrr gives each its weight, and never the same one twice where it can be helped', () => {
  assert.deepEqual(shares('wrr', servers(3, 1, 0), 400), [300, 100, 0]);
  const chooser = new Chooser();
  const order = [1, 2, 3, 4].map(() => chooser.choose('wrr', [], servers(2, 1, 1), arrival())?.at(-4));
  assert.deepEqual(order, ['1', '2', '3', '1']);
});
test('lc counts connections, wlc divides them by the weight, sed counts the next one too, nq prefers the idle', () => {
  const [a, b] = [
    { key: 'a', weight: 1, active: 2 },
    { key: 'b', weight: 3, active: 3 },
  ];
  const one = (s: Scheduler, all: Candidate[]): string | undefined => new Chooser().choose(s, [], all, arrival());
  assert.deepEqual([one('lc', [a, b]), one('wlc', [a, b]), one('sed', [a, b])], ['a', 'b', 'b']);
  const idle = { key: 'i', weight: 1, active: 0 };
  const fast = { key: 'f', weight: 9, active: 1 };
  assert.deepEqual([one('sed', [idle, fast]), one('nq', [fast, idle])], ['f', 'i']);
});
test('fo keeps to the heaviest; ovf goes on to the next when the connections reach the weight', () => {
  const full = { key: 'a', weight: 5, active: 5 };
  const next = { key: 'b', weight: 2, active: 0 };
  assert.equal(new Chooser().choose('fo', [], [next, full], arrival()), 'a');
  assert.equal(new Chooser().choose('ovf', [], [next, full], arrival()), 'b');
});
for (const scheduler of ['sh', 'mh'] as const)
  test(`${scheduler}: a client keeps its server, and a server that goes moves only its own clients`, () => {
    const all = servers(1, 1, 1, 1);
    const where = (n: number, of: Candidate[]): string | undefined =>
      new Chooser().choose(scheduler, [], of, arrival(n));
    let moved = 0;
    for (let n = 0; n < 1000; n++) {
      const before = where(n, all);
      const after = where(n, all.slice(1));
      if (before !== all[0]?.key) assert.equal(after, before);
      else moved++;
    }
    assert.ok(moved > 180 && moved < 320, `${moved} of 1000 were the first server's`);
  });
test('hashes give each server its weight within a tenth', () => {
  const got = shares('mh', servers(1, 2, 3), 6000);
  for (const [i, n] of got.entries()) assert.ok(Math.abs(n / (1000 * (i + 1)) - 1) < 0.1, `${got}`);
});
test('the upper threshold closes a server until the lower one, or three quarters, is passed again', () => {
  const chooser = new Chooser();
  const at = (active: number, lowerThreshold?: number): boolean =>
    chooser.choose(
      'rr',
      [],
      [{ key: 'a', weight: 1, active, upperThreshold: 8, ...(lowerThreshold === undefined ? {} : { lowerThreshold }) }],
      arrival(),
    ) !== undefined;
  assert.deepEqual([at(7), at(8), at(7), at(6), at(5)], [true, false, false, false, true]);
  assert.deepEqual([at(8, 3), at(5, 3), at(3, 3), at(2, 3)], [false, false, false, true]);
});
test('no scheduler ever gives a server of weight 0, one that was tried, or one that is full, and finds any other', () => {
  const scheduler = fc.constantFrom<Scheduler>(
    'rr',
    'wrr',
    'lc',
    'wlc',
    'sed',
    'nq',
    'sh',
    'mh',
    'dh',
    'fo',
    'ovf',
    'twos',
  );
  const candidate = fc.record({
    weight: fc.integer({ min: 0, max: 5 }),
    active: fc.integer({ min: 0, max: 9 }),
    tried: fc.boolean(),
    upper: fc.option(fc.integer({ min: 1, max: 9 })),
  });
  fc.assert(
    fc.property(scheduler, fc.array(candidate, { maxLength: 6 }), fc.nat(), (s, list, n) => {
      const all = list.map(
        (c, i): Candidate => ({
          key: `s${i}`,
          weight: c.weight,
          active: c.active,
          ...(c.upper === null ? {} : { upperThreshold: c.upper }),
        }),
      );
      const tried = new Set(list.flatMap((c, i) => (c.tried ? [`s${i}`] : [])));
      const got = new Chooser().choose(s, [], all, arrival(n & 0xffff, { tried }));
      const may = all.filter((c) => c.weight > 0 && !tried.has(c.key) && c.active < (c.upperThreshold ?? 99));
      if (got === undefined) assert.equal(may.length, 0);
      else assert.ok(may.some((c) => c.key === got));
    }),
  );
});
test('a circle of turns, gone through twice, is what would have been chosen one by one', () => {
  const scheduler = fc.constantFrom<Scheduler>('rr', 'wrr', 'fo');
  fc.assert(
    fc.property(scheduler, fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 6 }), (s, weights) => {
      const all = servers(...weights);
      const turns = turnsOf(s, all);
      const chooser = new Chooser();
      const twice = [...(turns ?? []), ...(turns ?? [])];
      assert.deepEqual(
        twice,
        twice.map(() => chooser.choose(s, [], all, arrival())),
      );
      assert.equal(
        twice.length > 0,
        weights.some((w) => w > 0),
      );
    }),
  );
});
test('no circle where the moment decides, or where it would be too long; an empty one where nobody may', () => {
  assert.equal(turnsOf('wlc', servers(1, 2)), undefined);
  assert.equal(turnsOf('rr', [{ key: 'a', weight: 1, upperThreshold: 5 }]), undefined);
  assert.equal(turnsOf('wrr', servers(4096, 4095)), undefined);
  assert.equal(turnsOf('wrr', servers(60_000, 40_000))?.length, 5);
  assert.deepEqual(turnsOf('wlc', servers(0, 0)), []);
});
