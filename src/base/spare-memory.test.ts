import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SpareMemory } from './spare-memory.ts';

test('memory that was given back is used again, for whatever is as large or a little smaller', () => {
  const spare = new SpareMemory(1 << 20);
  const memory = spare.take(70_000);
  assert.equal(memory.length, 131_072);
  assert.notEqual(spare.take(70_000).buffer, memory.buffer, 'nobody has given it back');
  spare.give(memory);
  assert.equal(spare.take(65_537).buffer, memory.buffer);
  assert.equal(spare.kept, 0);
});

test('no more is kept than was said, and what is asked for now drives out what was asked for before', () => {
  const spare = new SpareMemory(1 << 20);
  const before = Array.from({ length: 8 }, () => spare.take(131_072));
  for (const m of before) spare.give(m);
  const now = [spare.take(1 << 19), spare.take(1 << 19), spare.take(1 << 19)];
  for (const m of now) spare.give(m);
  assert.equal(spare.kept, 1 << 20);
  assert.equal(spare.take(1 << 19).buffer, now[1]?.buffer);
  assert.equal(spare.take(1 << 19).buffer, now[0]?.buffer);
  assert.equal(spare.kept, 0);
});

test('nobody gets memory that another has, and the bound holds, whatever is taken and given', () => {
  const step = fc.record({ gives: fc.boolean(), length: fc.integer({ min: 1, max: 1 << 20 }), which: fc.nat() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const spare = new SpareMemory(2 << 20);
      const taken: Uint8Array[] = [];
      for (const { gives, length, which } of steps) {
        if (gives && taken.length > 0) spare.give(taken.splice(which % taken.length, 1)[0] as Uint8Array);
        else {
          const memory = spare.take(length);
          assert.ok(memory.length >= length && memory.length < Math.max(4097, length * 2));
          assert.ok(!taken.some((m) => m.buffer === memory.buffer));
          taken.push(memory);
        }
        assert.ok(spare.kept <= 2 << 20);
      }
    }),
    { numRuns: 50 },
  );
});
