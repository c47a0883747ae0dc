import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { WantedService } from '../../types.ts';
import { type Changes, fewChanged } from './changes.ts';

const service = (key: string): WantedService => ({
  key,
  match: { by: 'fwmark', mark: 1, family: 4 },
  scheduler: 'rr',
  flags: [],
  onePacket: false,
  servers: [],
});
const keys = (c: Changes | undefined, now: readonly WantedService[]) =>
  c && [c.places.map((i) => now[i]?.key), c.gone.map((s) => s.key)];

test('what is not named as changed or gone stands in both lists as the same object, and what is named does not', () =>
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 0, max: 30 }), { maxLength: 20 }),
      fc.array(fc.record({ at: fc.nat(19), what: fc.constantFrom('change', 'remove', 'add') }), { maxLength: 4 }),
      (numbers, steps) => {
        const before = numbers.map((n) => service(`s${n}`));
        const now = before.slice();
        steps.forEach(({ at, what }, i) => {
          const old = now[at];
          if (what === 'add') now.splice(at, 0, service(`new${i}`));
          else if (old !== undefined) now.splice(at, 1, ...(what === 'change' ? [service(old.key)] : []));
        });
        const found = fewChanged(before, now, 100);
        assert.ok(found !== undefined);
        const places = new Set(found.places);
        now.forEach((s, i) => {
          assert.equal(before.includes(s), !places.has(i));
        });
        const left = new Set(now.map((s) => s.key));
        assert.deepEqual(
          found.gone.map((s) => s.key).sort(),
          before
            .filter((s) => !left.has(s.key))
            .map((s) => s.key)
            .sort(),
        );
        const { from, before: old, now: fresh } = found.part;
        assert.deepEqual([before.slice(0, from), before.slice(old)], [now.slice(0, from), now.slice(fresh)]);
      },
    ),
  ));
test('more changes than are few are not looked for, together or scattered', () => {
  const before = Array.from({ length: 20 }, (_, i) => service(`s${i}`));
  const two = before.with(3, service('s3')).with(17, service('s17'));
  assert.deepEqual(keys(fewChanged(before, two, 2), two), [['s3', 's17'], []]);
  assert.equal(fewChanged(before, two, 1), undefined);
  const less = before.toSpliced(4, 3);
  assert.deepEqual(keys(fewChanged(before, less, 3), less), [[], ['s4', 's5', 's6']]);
  assert.equal(fewChanged(before, less, 2), undefined);
  assert.equal(fewChanged(before, before.toReversed(), 10), undefined, 'another order');
});
