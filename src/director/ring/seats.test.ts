import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DRAWS, hash32, NOBODY, type RingServer, takeSeats } from './index.ts';

const named = (weights: readonly number[], first = 0): RingServer[] =>
  weights.map((weight, i) => ({ key: `10.0.${(first + i) >> 8}.${(first + i) & 255}:80`, weight }));
const keysOf = (servers: readonly RingServer[], away: readonly RingServer[] = []): (string | undefined)[] =>
  Array.from(takeSeats(servers, { away }), (i) => servers[i]?.key);
/** As the planes' rules draw, if with another hash: who gets a flow, by its number. */
function serverOf(seats: readonly (string | undefined)[], flow: number): string | undefined {
  for (let i = 0; i < DRAWS; i++) {
    const found = seats[hash32(`flow ${flow}`, i) % (seats.length - 1)];
    if (found !== undefined) return found;
  }
  return seats.at(-1);
}
const FLOWS = 20_000;
const flows = Array.from({ length: FLOWS }, (_, i) => i);
const pool = fc.uniqueArray(
  fc.record({
    key: fc.integer({ min: 1, max: 5000 }).map((n) => `10.9.${n >> 8}.${n & 255}:80`),
    weight: fc.integer({ min: 0, max: 40 }),
  }),
  { selector: (s) => s.key, minLength: 1, maxLength: 30 },
);

test('every server with a weight has a seat, no other has one, and the last is somebody where anybody is', () =>
  fc.assert(
    fc.property(pool, (servers) => {
      const seats = keysOf(servers);
      const serving = servers.filter((s) => s.weight > 0).map((s) => s.key);
      assert.deepEqual([...new Set(seats.filter((s) => s !== undefined))].sort(), [...serving].sort());
      assert.equal(seats.at(-1) !== undefined, serving.length > 0);
    }),
  ));

test('two directors that list the same servers in another order seat them alike', () =>
  fc.assert(
    fc.property(pool, fc.infiniteStream(fc.nat()), (servers, noise) => {
      const shuffled = servers
        .map((s) => ({ s, at: noise.next().value }))
        .sort((a, b) => a.at - b.at)
        .map((x) => x.s);
      assert.deepEqual(keysOf(shuffled), keysOf(servers));
    }),
  ));

test('while a server is away every other keeps its seats, so that only its own flows move', () =>
  fc.assert(
    fc.property(
      pool.filter((p) => p.filter((s) => s.weight > 0).length > 1),
      fc.nat(),
      (servers, which) => {
        const serving = servers.filter((s) => s.weight > 0);
        const gone = serving[which % serving.length] as RingServer;
        const left = servers.filter((s) => s !== gone);
        const [before, after] = [keysOf(servers), keysOf(left, [gone])];
        before.slice(0, -1).forEach((key, i) => {
          assert.equal(after[i], key === gone.key ? undefined : key);
        });
        const drained = servers.map((s) => (s === gone ? { ...s, weight: 0 } : s));
        assert.deepEqual(keysOf(drained, [gone]), after, 'draining is being away');
        for (const f of flows.slice(0, 200))
          if (serverOf(before, f) !== gone.key && before.at(-1) !== gone.key)
            assert.equal(serverOf(after, f), serverOf(before, f));
      },
    ),
    { numRuns: 50 },
  ));

for (const [title, weights] of [
  ['two', [1, 1]],
  ['three', [1, 1, 1]],
  ['ten', Array<number>(10).fill(7)],
  ['sixty', Array<number>(60).fill(1)],
  ['weights of two to one', [2, 1, 1]],
  ['weights of a hundred to one', [100, 1]],
  ['weights that share no divisor', [97, 50, 33, 7]],
] as const)
  test(`a server gets its share of flows: ${title}`, () => {
    const servers = named(weights);
    const seats = keysOf(servers);
    const total = weights.reduce((n, w) => n + w, 0);
    for (const s of servers) {
      const have = flows.filter((f) => serverOf(seats, f) === s.key).length;
      const p = s.weight / total;
      const chance = 4 * Math.sqrt(FLOWS * p * (1 - p));
      // What rounding to seats, and drawing in vain, may add.
      assert.ok(Math.abs(have - FLOWS * p) <= chance + FLOWS * p * 0.05, `${s.key}: ${have} of ${FLOWS * p}`);
    }
  });

test('with one of eight servers left all flows go there, also those that draw in vain', () => {
  const servers = named(Array(8).fill(1));
  const [one, ...others] = servers as [RingServer, ...RingServer[]];
  const seats = keysOf([one], others);
  for (const f of flows.slice(0, 2000)) assert.equal(serverOf(seats, f), one.key);
});

/** The part of all flows that a change moves from one server that stays to another. */
function needlessly(before: readonly RingServer[], after: readonly RingServer[], changed: string): number {
  const [a, b] = [keysOf(before), keysOf(after)];
  const moved = flows.filter((f) => {
    const [from, to] = [serverOf(a, f), serverOf(b, f)];
    return from !== to && from !== changed && to !== changed;
  });
  return moved.length / FLOWS;
}
test('a server that is added takes flows from the others, and moves few among them', () => {
  let sum = 0;
  for (let i = 0; i < 20; i++) {
    const after = named(Array(11).fill(1), i * 40);
    const before = after.filter((_, k) => k !== 5);
    sum += needlessly(before, after, after[5]?.key as string);
  }
  assert.ok(sum / 20 < 0.06, `${sum / 20} of the flows; a tenth is one server's`);
});
test('as many seats are taken as the weights need: ten equal servers are ten entries, and one more', () => {
  const taken = (weights: readonly number[]): readonly [taken: number, seats: number] => {
    const seats = takeSeats(named(weights));
    return [seats.filter((s) => s !== NOBODY).length, seats.length - 1];
  };
  assert.deepEqual(taken(Array(10).fill(100)), [11, 31]);
  assert.deepEqual(taken([2, 1, 1]), [5, 31]);
  assert.deepEqual(taken([10, 10, 7]), [17, 31], 'within a twentieth of what they should have');
  assert.deepEqual(taken([100, 1]), [102, 509]);
  assert.deepEqual(taken(Array(17).fill(1)), [18, 127]);
  assert.deepEqual(taken([...Array(99).fill(100), 99]), [257, 509]);
  assert.deepEqual(taken(Array(4095).fill(3)), [4096, 8191]);
});
