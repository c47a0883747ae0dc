import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ok } from '../../../base/index.ts';
import type { NetlinkChannel } from '../../../host/index.ts';
import { encodeNftGeneration } from '../../../wire/index.ts';
import { Others } from './others.ts';

function world() {
  const w = { generation: 7 };
  const channel = {
    ask: () => ok([{ payload: encodeNftGeneration({ id: w.generation } as never) }]),
  } as unknown as NetlinkChannel;
  return { w, others: new Others(channel) };
}
test('a change that was not ours is suspicious, one of ours is not', () => {
  const { w, others } = world();
  others.suspect();
  assert.equal(others.suspicious, false, 'nothing was ours yet');
  w.generation++;
  others.done();
  others.suspect();
  assert.equal(others.suspicious, false);
  w.generation++;
  others.suspect();
  w.generation++; // ours
  others.done();
  assert.equal(others.suspicious, true);
});
test('few services are read at once, many after a minute or where their rules are not as they were', () => {
  const { others } = world();
  assert.equal(others.mayRead({ services: 500, broken: false }), true);
  const waits = (): number => {
    let n = 1;
    while (!others.mayRead({ services: 501, broken: false })) n++;
    return n;
  };
  assert.deepEqual([waits(), waits()], [60, 60]);
  assert.equal(others.mayRead({ services: 501, broken: true }), true);
  assert.equal(others.suspicious, false);
});
