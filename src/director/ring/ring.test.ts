import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hash32, maglev, NOBODY, quotas, RING_SIZES, type RingServer, wrrSequence } from './index.ts';
import { pool, shuffled } from './servers.fixture.ts';

const named = (n: number, weight = 1): RingServer[] =>
  Array.from({ length: n }, (_, i) => ({ key: `10.0.${i >> 8}.${i & 255}:80`, weight }));
const keysOf = (servers: readonly RingServer[], size: number): (string | undefined)[] =>
  Array.from(maglev(servers, size), (i) => servers[i]?.key);
const counts = (table: Int32Array, n: number): number[] => {
  const out = Array<number>(n).fill(0);
  for (const i of table) if (i !== NOBODY) out[i] = (out[i] as number) + 1;
  return out;
};

test('a ring has a server with a weight in every slot, and nobody only when there is none', () =>
  fc.assert(
    fc.property(pool, (servers) => {
      const table = maglev(servers, RING_SIZES.small);
      const serving = servers.some((s) => s.weight > 0);
      for (const i of table)
        assert.equal(i === NOBODY ? 0 : Math.sign((servers[i] as RingServer).weight), serving ? 1 : 0);
    }),
  ));

test('two directors that list the same servers in another order compute the same ring', () =>
  fc.assert(
    fc.property(pool, fc.infiniteStream(fc.nat()), (servers, noise) => {
      assert.deepEqual(keysOf(shuffled(servers, noise), RING_SIZES.medium), keysOf(servers, RING_SIZES.medium));
    }),
  ));

test('a server has its share of the slots: within 1 % of the ring at 65537, at any weights', () =>
  fc.assert(
    fc.property(
      pool.filter((p) => p.some((s) => s.weight > 0)),
      (servers) => {
        const total = servers.reduce((n, s) => n + s.weight, 0);
        counts(maglev(servers, RING_SIZES.full), servers.length).forEach((have, i) => {
          const share = (servers[i] as RingServer).weight / total;
          assert.ok(Math.abs(have / RING_SIZES.full - share) < 0.01, `${have} slots for a share of ${share}`);
        });
      },
    ),
    { numRuns: 20 },
  ));

/** Share of slots that move although their server stayed, over each server that may leave. */
function disruption(n: number, size: number): number {
  const servers = named(n);
  const before = keysOf(servers, size);
  let worst = 0;
  for (let gone = 0; gone < Math.min(n, 10); gone++) {
    const after = keysOf(
      servers.filter((_, i) => i !== gone),
      size,
    );
    const moved = before.filter((key, slot) => key !== servers[gone]?.key && key !== after[slot]).length;
    worst = Math.max(worst, moved / size);
  }
  return worst;
}
for (const [size, n, most] of [
  [RING_SIZES.full, 3, 0.005],
  [RING_SIZES.full, 10, 0.01],
  [RING_SIZES.full, 50, 0.02],
  [RING_SIZES.large, 10, 0.04],
  [RING_SIZES.medium, 10, 0.08],
] as const)
  test(`when one of ${n} servers leaves a ring of ${size}, at most ${most * 100} % of the others' slots move`, () => {
    const moved = disruption(n, size);
    assert.ok(moved < most, `${(moved * 100).toFixed(2)} % moved`);
  });

test('whoever is away, and for whatever weights: the slots of the others are those that they have when all are here', () =>
  fc.assert(
    fc.property(pool, fc.infiniteStream(fc.boolean()), (servers, goes) => {
      const away = servers.filter(() => goes.next().value);
      const left = servers.map((s) => (away.includes(s) ? { ...s, weight: 0 } : s));
      const all = keysOf(servers, RING_SIZES.medium);
      const now = Array.from(maglev(left, RING_SIZES.medium, { away }), (i) => left[i]?.key);
      const gone = new Set(away.filter((s) => s.weight > 0).map((s) => s.key));
      if (!left.some((s) => s.weight > 0)) return assert.ok(now.every((key) => key === undefined));
      now.forEach((key, slot) => {
        assert.ok(key !== undefined && !gone.has(key));
        if (!gone.has(all[slot] as string)) assert.equal(key, all[slot]);
      });
    }),
  ));

test('the slots of one that is away are dealt among the others by their weights', () => {
  const servers = [...named(9), { key: '10.1.0.1:80', weight: 3 }];
  const before = counts(maglev(servers, RING_SIZES.full), 10);
  const left = servers.map((s, i) => (i === 0 ? { ...s, weight: 0 } : s));
  const after = counts(maglev(left, RING_SIZES.full, { away: servers.slice(0, 1) }), 10);
  const got = after.map((n, i) => (n - (before[i] as number)) / (before[0] as number));
  for (const share of got.slice(1, 9)) assert.ok(Math.abs(share - 1 / 11) < 0.01, String(share));
  assert.ok(Math.abs((got[9] as number) - 3 / 11) < 0.01, String(got[9]));
});

test('a weight of 0 is the same ring as a server that is not there', () => {
  const servers = named(8);
  const drained = servers.map((s, i) => (i === 3 ? { ...s, weight: 0 } : s));
  assert.deepEqual(
    keysOf(drained, 4093),
    keysOf(
      servers.filter((_, i) => i !== 3),
      4093,
    ),
  );
});

test('the hash is the one that other directors compute', () => {
  assert.deepEqual(
    ['', '192.168.1.11:80', '[2001:db8::1]:443'].map((k) => hash32(k, 0)),
    [2_872_998_923, 2_603_162_297, 3_789_495_247],
  );
});

const weights = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 40 });
const slots = fc.integer({ min: 1, max: 600 });

test('quotas fill the slots in proportion: off by less than one slot, or lifted to the one slot that each must have', () =>
  fc.assert(
    fc.property(weights, slots, (w, n) => {
      const q = quotas(w, n);
      const total = w.reduce((a, b) => a + b, 0);
      const serving = w.filter((x) => x > 0).length;
      assert.equal(
        q.reduce((a, b) => a + b, 0),
        total === 0 ? 0 : n,
      );
      q.forEach((have, i) => {
        const exact = total === 0 ? 0 : ((w[i] as number) * n) / total;
        if (w[i] === 0) assert.equal(have, 0);
        else if (serving <= n) assert.ok(have >= 1);
        assert.ok(have < exact + 1 + 1e-9, `${have} slots where ${exact} are due`);
        assert.ok(have > exact - 1 - serving, `${have} slots where ${exact} are due`);
      });
    }),
  ));

test('a sequence gives every server its quota, and no server waits much longer than its even distance', () =>
  fc.assert(
    fc.property(weights, slots, (w, n) => {
      const sequence = wrrSequence(w, n);
      const q = quotas(w, n);
      assert.deepEqual(counts(sequence, w.length), q);
      q.forEach((quota, i) => {
        if (quota < 2) return;
        const at = [...sequence.keys()].filter((s) => sequence[s] === i);
        const gaps = at.map((s, k) => (k === 0 ? s + n - (at.at(-1) as number) : s - (at[k - 1] as number)));
        assert.ok(Math.max(...gaps) <= (2 * n) / quota + 1, `a gap of ${Math.max(...gaps)} for ${quota} of ${n}`);
      });
    }),
  ));

test('weights 5 1 1 are interleaved as nginx does it', () =>
  assert.deepEqual([...wrrSequence([5, 1, 1], 7)], [0, 0, 1, 0, 2, 0, 0]));
