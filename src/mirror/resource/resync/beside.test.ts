/** A source whose applications are at work: little is on its way, and the next is read meanwhile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { text, us } from '../../../base/index.ts';
import { NO_BLOCK_ID, sector } from '../../../wire/index.ts';
import { Rig } from '../rig.fixture.ts';
import { YIELDING } from './yielding.ts';

const MIB = 1 << 20;
const SIZE = YIELDING.window;
const at = (n: number) => sector((n * SIZE) / 512);

/** A primary that is the source of a whole resync, has just been written to, and is asked for so many blocks at once. */
function source(blocks: number): Rig {
  const r = new Rig(undefined, 4 * MIB);
  r.connect();
  r.promote();
  r.ask({ verb: 'invalidate-remote', volume: undefined });
  r.hear({ kind: 'P_STATE_CHG_REPLY', volume: 0, result: 1 }, 'meta');
  assert.equal(r.volume.connection, 'SyncSource');
  write(r, 100, 3 * MIB);
  r.packets();
  r.effects.length = 0;
  for (let n = 0; n < blocks; n++)
    r.hear({ kind: 'P_RS_DATA_REQUEST', volume: 0, sector: at(n), id: NO_BLOCK_ID, size: SIZE, pad: 0 });
  return r;
}
const write = (r: Rig, tag: number, offset: number): void =>
  r.app({ op: 'write', tag, offset, bytes: new Uint8Array(4096).fill(7), through: false });
/** Which blocks were read, and which were sent, since this was last asked. */
function moved(r: Rig): { read: number[]; sent: number[] } {
  const effects = r.effects.splice(0);
  const read = effects.flatMap((e) =>
    e.kind === 'disk' && e.operation.op === 'read' && e.operation.into.length === SIZE
      ? [e.operation.offset / SIZE]
      : [],
  );
  return { read, sent: r.packets().flatMap((p) => (p.kind === 'P_RS_DATA_REPLY' ? [(p.sector * 512) / SIZE] : [])) };
}
const acknowledge = (r: Rig, n: number): void =>
  r.hear({ kind: 'P_RS_WRITE_ACK', volume: 0, sector: at(n), id: NO_BLOCK_ID, size: SIZE, seq: 0 }, 'meta');

test('one block is on its way and the next is read; with each that is acknowledged both go on by one', () => {
  const r = source(4);
  assert.deepEqual(moved(r), { read: [0, 1], sent: [0] });
  acknowledge(r, 0);
  assert.deepEqual(moved(r), { read: [2], sent: [1] });
  write(r, 101, 3 * MIB);
  acknowledge(r, 1);
  acknowledge(r, 2);
  assert.deepEqual(moved(r), { read: [3], sent: [2, 3] });
});
test('when the application has fallen silent everything goes', () => {
  const r = source(4);
  moved(r);
  r.advance(100_000);
  acknowledge(r, 0);
  assert.deepEqual(moved(r), { read: [2, 3], sent: [1, 2, 3] });
});
test('a write to what was read and is not sent goes behind it, with what is then on the disk', () => {
  const r = source(2);
  write(r, 102, SIZE);
  assert.equal(r.disk[SIZE], 0);
  r.packets();
  acknowledge(r, 0);
  const sent = r.packets().flatMap((p) => (p.kind === 'P_RS_DATA_REPLY' ? [p] : []));
  assert.deepEqual([sent.length, sent[0]?.data[0]], [1, 0]);
  assert.equal(r.disk[SIZE], 7);
});
test('a write to what was read and is never sent, since the peer is gone, is done', () => {
  const r = source(2);
  write(r, 102, SIZE);
  assert.equal(r.disk[SIZE], 0);
  r.resource.handle({ kind: 'closed', because: text('gone', '离开') }, us(r.now));
  r.run();
  assert.deepEqual([r.disk[SIZE], r.done.get(102)], [7, 0]);
});
