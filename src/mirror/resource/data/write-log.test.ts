import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BlockId } from '../../../wire/index.ts';
import { WriteLog } from './write-log.ts';
import type { Write } from './writes.ts';

const write = (id: bigint): Write => ({ id }) as unknown as Write;

test('the log answers as a map does that keeps its order, whatever is added, asked for and deleted', () => {
  // Ids count up, with gaps; some writes stay for long.
  const step = fc.record({
    adds: fc.integer({ min: 1, max: 3 }),
    gap: fc.integer({ min: 1, max: 40 }),
    which: fc.nat(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), fc.bigInt({ min: 1n, max: 1n << 40n }), (steps, first) => {
      const log = new WriteLog();
      const model = new Map<bigint, Write>();
      let next = first;
      for (const { adds, gap, which } of steps) {
        for (let i = 0; i < adds; i++) {
          const w = write(next);
          next += BigInt(i === 0 ? gap : 1);
          log.add(w);
          model.set(w.id, w);
        }
        const ids = [...model.keys()];
        // Mostly the newer half goes.
        const id = ids[ids.length - 1 - (which % Math.ceil(ids.length / 2))] as BlockId;
        assert.equal(log.delete(id), model.delete(id));
        assert.equal(log.delete(id), false);
        assert.equal(log.get(id), undefined);
        for (const [k, w] of model) assert.equal(log.get(k as BlockId), w);
        assert.equal(log.size, model.size);
      }
      assert.deepEqual(log.values(), [...model.values()]);
    }),
    { numRuns: 50 },
  );
});
