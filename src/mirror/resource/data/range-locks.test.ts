import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type RangeLock, RangeLocks } from './range-locks.ts';

const KIB = 1024;
const range = fc
  .tuple(fc.nat(64), fc.integer({ min: 1, max: 70 }))
  .map(([at, n]) => ({ from: at * 16 * KIB, to: (at + n) * 16 * KIB }));

test('each runs once, as soon as every earlier one that overlaps has gone, and not before', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ range, release: fc.nat(20) }), { maxLength: 40 }), (steps) => {
      const locks = new RangeLocks();
      const all: { from: number; to: number; ran: number; lock: RangeLock | undefined; gone: boolean }[] = [];
      const judge = (): void => {
        for (const [i, one] of all.entries()) {
          const blocked = all.slice(0, i).some((o) => !o.gone && o.from < one.to && one.from < o.to);
          assert.equal(one.ran, one.gone || !blocked ? 1 : 0);
        }
        assert.equal(locks.size, all.filter((o) => !o.gone).length);
      };
      const free = (one: (typeof all)[number]): void => {
        if (one.lock === undefined || one.gone || one.ran === 0) return;
        one.gone = true;
        locks.release(one.lock);
        locks.release(one.lock);
      };
      for (const s of steps) {
        const one = { ...s.range, ran: 0, lock: undefined as RangeLock | undefined, gone: false };
        all.push(one);
        one.lock = locks.acquire(one.from, one.to, () => {
          one.ran++;
        });
        judge();
        const some = all[s.release];
        if (some !== undefined) free(some);
        judge();
      }
      for (const one of all) free(one);
      judge();
      assert.equal(locks.size, 0);
    }),
  );
});

test('ten thousand ranges that are held cost a new one no more than a few do', () => {
  const locks = new RangeLocks();
  const hold = (from: number, n: number): number => {
    const begun = process.cpuUsage();
    for (let i = from; i < from + n; i++) locks.acquire(i * 4 * KIB, (i + 1) * 4 * KIB, () => {});
    const used = process.cpuUsage(begun);
    return used.user + used.system;
  };
  hold(1_000_000, 5000); // warm
  const few = Math.min(hold(0, 5000), hold(2_000_000, 5000));
  hold(3_000_000, 50_000);
  const many = Math.min(hold(5000, 5000), hold(4_000_000, 5000));
  assert.ok(many < few * 10 + 5000, `${few} us, then ${many} us`);
});
