import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NumberTable } from './number-table.ts';

type Numbered = { readonly n: number };

test('the table answers as a map does that keeps its order, whatever is added, asked for and deleted', () => {
  // Numbers count up, with gaps; some stay for long.
  const step = fc.record({
    adds: fc.integer({ min: 1, max: 3 }),
    gap: fc.integer({ min: 1, max: 40 }),
    which: fc.nat(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), fc.integer({ min: 1, max: 2 ** 40 }), (steps, first) => {
      const table = new NumberTable<Numbered>((t) => t.n);
      const model = new Map<number, Numbered>();
      let next = first;
      for (const { adds, gap, which } of steps) {
        for (let i = 0; i < adds; i++) {
          const t = { n: next };
          next += i === 0 ? gap : 1;
          table.add(t);
          model.set(t.n, t);
        }
        const numbers = [...model.keys()];
        // Mostly the newer half goes.
        const n = numbers[numbers.length - 1 - (which % Math.ceil(numbers.length / 2))] as number;
        assert.equal(table.delete(n), model.delete(n));
        assert.equal(table.delete(n), false);
        assert.equal(table.get(n), undefined);
        for (const [k, t] of model) assert.equal(table.get(k), t);
        assert.equal(table.size, model.size);
      }
      assert.deepEqual(table.values(), [...model.values()]);
    }),
    { numRuns: 50 },
  );
});
