import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SlotList } from './slot-list.ts';

test('slots come out in the order in which they were put in, also after some were taken out of the middle', () => {
  const slots = 8;
  const list = new SlotList(slots);
  // What it must do, by an array.
  let model: number[] = [];
  let random = 1;
  const draw = (below: number): number => {
    random = (Math.imul(random, 1103515245) + 12345) >>> 0;
    return (random >>> 8) % below;
  };
  for (let step = 0; step < 10_000; step++) {
    const slot = draw(slots);
    if (draw(3) === 0) assert.equal(list.shift(), model.shift());
    else if (model.includes(slot) || draw(3) === 0) {
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
});
