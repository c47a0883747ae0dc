/** The queue over an engine that answers as the test says. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { BlockDevice } from '../../index.ts';
import { loadUringAddon, OPERATION } from './addon.ts';
import type { Engine } from './engine.ts';
import { OperationQueue } from './queue.ts';

const folder = mkdtempSync(join(tmpdir(), 'queue-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'f');
writeFileSync(path, '');
truncateSync(path, 1 << 20);
const EOPNOTSUPP = 95;

type Asked = { operation: number; at: number; length: number; offset: number; tag: number };
function world() {
  const loaded = loadUringAddon();
  assert.ok(loaded.ok);
  const asked: Asked[] = [];
  let tell: (tag: number, result: number) => void = () => {};
  let told: () => void = () => {};
  const engine: Engine = {
    kind: 'test',
    slab: new Uint8Array(1 << 20),
    entries: 4,
    push: (operation, _fd, at, length, offset, tag) => asked.push({ operation, at, length, offset, tag }),
    submit: () => {},
    onCompletion(done, end) {
      tell = done;
      told = end;
    },
    close: () => {},
  };
  const queue = new OperationQueue(loaded.value, engine);
  const opened = queue.open(path, { readOnly: false, direct: 'no' });
  assert.ok(opened.ok);
  const device: BlockDevice = opened.value;
  const answers: [number, number][] = [];
  device.onDone((tag, result) => answers.push([tag, result]));
  let batches = 0;
  queue.onBatch(() => batches++);
  /** Answers the oldest operation. */
  const answer = (result: number): Asked => {
    const o = asked.shift() ?? assert.fail('nothing was asked');
    tell(o.tag, result);
    told();
    return o;
  };
  return { queue, device, answers, answer, asked, batches: () => batches };
}

test('a short transfer goes on where it stopped, and is answered once', () => {
  const w = world();
  w.device.read(7, 4096, 10_000, 500);
  w.answer(4000);
  assert.deepEqual(w.answers, []);
  const rest = w.answer(6000);
  assert.deepEqual([rest.at, rest.length, rest.offset], [8096, 6000, 4500]);
  assert.deepEqual(w.answers, [[7, 0]]);
});
test('a write that moves nothing is a full disk, a read an I/O error', () => {
  const w = world();
  w.device.write(1, 0, 4096, 0, false);
  w.answer(0);
  w.device.read(2, 0, 4096, 0);
  w.answer(0);
  assert.deepEqual(w.answers, [
    [1, -28],
    [2, -5],
  ]);
});
test('what the kernel has no room for now is asked again', () => {
  const w = world();
  w.device.read(1, 0, 4096, 0);
  w.answer(-11);
  w.answer(-4);
  w.answer(4096);
  assert.deepEqual(w.answers, [[1, 0]]);
});
test('zeroing tries a hole, a zero range, then writes zeros piece by piece', () => {
  const w = world();
  w.device.zero(1, 300_000, 4096, { keep: false, fast: false });
  assert.equal(w.answer(-EOPNOTSUPP).operation, OPERATION.punch);
  assert.equal(w.answer(-EOPNOTSUPP).operation, OPERATION.zero);
  const pieces: number[] = [];
  for (let left = 300_000; left > 0; ) {
    const o = w.asked[0] ?? assert.fail();
    assert.equal(o.operation, OPERATION.write);
    assert.ok(w.queue.slab.subarray(o.at, o.at + o.length).every((x) => x === 0));
    pieces.push(o.offset);
    left -= o.length;
    w.answer(o.length);
  }
  assert.deepEqual(pieces, [4096, 4096 + 131_072, 4096 + 262_144]);
  assert.deepEqual(w.answers, [[1, 0]]);
});
test('fast zeroing that the file system cannot do is refused, never written', () => {
  const w = world();
  w.device.zero(1, 4096, 0, { keep: false, fast: true });
  w.answer(-EOPNOTSUPP);
  w.answer(-EOPNOTSUPP);
  assert.deepEqual(w.answers, [[1, -EOPNOTSUPP]]);
});
test('a hint to discard that is refused is no error, a disk error is', () => {
  const w = world();
  w.device.discard(1, 4096, 0);
  w.answer(-EOPNOTSUPP);
  w.device.discard(2, 4096, 0);
  w.answer(-5);
  assert.deepEqual(w.answers, [
    [1, 0],
    [2, -5],
  ]);
});
test('after a flush has failed no flush and no FUA write succeeds, while plain requests go on', async () => {
  const w = world();
  w.device.flush(1);
  w.answer(-5);
  w.device.flush(2);
  w.device.write(3, 0, 4096, 0, true);
  w.device.read(4, 0, 4096, 0);
  w.answer(4096);
  await Promise.resolve();
  assert.deepEqual(
    new Map(w.answers),
    new Map([
      [1, -5],
      [2, -5],
      [3, -5],
      [4, 0],
    ]),
  );
});
test('an answer that needs no operation comes after the call, and as a batch of its own', async () => {
  const w = world();
  w.device.read(1, 0, 4096, 1 << 20);
  assert.deepEqual(w.answers, []);
  await Promise.resolve();
  assert.deepEqual(w.answers, [[1, -22]]);
  assert.equal(w.batches(), 1);
});
test('more requests than the engine holds are a bug that is told', () => {
  const w = world();
  for (let i = 0; i < 4; i++) w.device.read(i, 0, 4096, 0);
  assert.throws(() => w.device.read(5, 0, 4096, 0), /bug/);
});

test('a table entry of a closed device is used again', () => {
  const w = world();
  const numbers = new Set<number>();
  for (let i = 0; i < 50; i++) {
    const d = w.queue.open(path, { readOnly: false, direct: 'no' });
    assert.ok(d.ok);
    numbers.add(d.value.number);
    d.value.onDone(() => assert.fail('nobody asked this one'));
    d.value.close();
    d.value.close();
  }
  assert.equal(numbers.size, 1);
  w.device.read(7, 4096, 512, 0);
  w.answer(512);
  assert.deepEqual(w.answers, [[7, 0]]);
});

test('closing a device with requests in flight is a bug that is told, and no other file is written instead', () => {
  const w = world();
  w.device.read(7, 4096, 512, 0);
  assert.throws(() => w.device.close(), /bug: .* in flight/);
});

test('a write through that the disk fails leaves no later flush to say that all is well', () => {
  const w = world();
  w.device.write(1, 4096, 512, 0, false);
  w.answer(512);
  // The kernel tells of the write before it only now, and only once.
  w.device.write(2, 4096, 512, 4096, true);
  w.answer(-5);
  w.device.flush(3);
  assert.equal(w.asked.length, 0);
  return Promise.resolve().then(() =>
    assert.deepEqual(w.answers, [
      [1, 0],
      [2, -5],
      [3, -5],
    ]),
  );
});

test('a file whose size is no whole number of units is offered without its last odd bytes', (t) => {
  const odd = join(folder, 'odd');
  writeFileSync(odd, '');
  truncateSync(odd, (1 << 16) + 100);
  const w = world();
  const d = w.queue.open(odd, { readOnly: false, direct: 'yes' });
  if (!d.ok) return t.skip('no O_DIRECT here');
  assert.equal(d.value.size % d.value.unit, 0);
  d.value.close();
});
