import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { WantedService } from '../../types.ts';
import type { SetSpec, TableCommand } from '../nftables/index.ts';
import { SharedElements } from './shared.ts';

const set: SetSpec = { name: 's', key: ['mark'] };
/** A service that needs the elements that its key lists. */
const service = (needs: readonly number[]): WantedService => ({ key: needs.join() }) as WantedService;
const shared = (): SharedElements =>
  new SharedElements({
    sets: [set],
    of: (s) => (s.key === '' ? [] : s.key.split(',').map((n) => ({ set, key: [Number(n)] }))),
  });
function run(kernel: Set<number>, commands: readonly TableCommand[]): void {
  for (const c of commands) {
    assert.ok(c.do === 'elements-add' || c.do === 'elements-remove');
    for (const e of c.elements) {
      const n = e.key[0] as number;
      if (c.do === 'elements-remove') assert.ok(kernel.delete(n), `${n} is not there`);
      else {
        assert.ok(!kernel.has(n), `${n} is there already`);
        kernel.add(n);
      }
    }
  }
}
const needs = fc.uniqueArray(fc.integer({ min: 0, max: 5 }), { maxLength: 4 });

test('an element is there exactly while some service needs it, whoever comes, changes or goes, and what was left is swept', () =>
  fc.assert(
    fc.property(
      needs,
      fc.array(fc.array(fc.tuple(fc.nat(3), fc.option(needs, { nil: undefined })), { maxLength: 3 }), { maxLength: 8 }),
      (left, rounds) => {
        const kernel = new Set(left);
        const all = shared();
        all.adopt(
          set,
          left.map((n) => ({ key: [n] })),
        );
        const held = new Map<number, WantedService>();
        for (const round of rounds) {
          const changes = [...new Map(round)].map(([who, now]) => ({
            who,
            before: held.get(who),
            service: now && service(now),
          }));
          const plan = all.plan(changes);
          run(kernel, [...plan.remove, ...plan.add]);
          plan.settle();
          for (const c of changes)
            if (c.service === undefined) held.delete(c.who);
            else held.set(c.who, c.service);
        }
        const sweep = all.sweep();
        run(kernel, sweep.remove);
        sweep.settle();
        assert.deepEqual(all.sweep().remove, []);
        const wanted = new Set([...held.values()].flatMap((s) => (s.key === '' ? [] : s.key.split(',').map(Number))));
        assert.deepEqual([...kernel].sort(), [...wanted].sort());
      },
    ),
  ));
test('a transaction that was refused changes nothing of what is known', () => {
  const all = shared();
  const change = [{ before: undefined, service: service([1]) }];
  all.plan(change);
  assert.equal(all.plan(change).add.length, 1);
});
