import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SlotList } from './slot-list.ts';

const SLOTS = 8;

test('slots come out in the order in which they were put in, also after some were taken out of the middle', () => {
  const step = fc.record({ does: fc.constantFrom('shift', 'delete', 'push'), slot: fc.nat({ max: SLOTS - 1 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const list = new SlotList(SLOTS);
      // What it must do, by an array.
      let model: number[] = [];
      for (const { does, slot } of steps) {
        if (does === 'shift') assert.equal(list.shift(), model.shift());
        else if (does === 'delete' || model.includes(slot)) {
          list.delete(slot);
          model = model.filter((s) => s !== slot);
        } else {
          list.push(slot);
          model.push(slot);
        }
        assert.equal(list.size, model.length);
      }
      while (model.length > 0) assert.equal(list.shift(), model.shift());
      assert.equal(list.shift(), undefined);
    }),
  );
});
