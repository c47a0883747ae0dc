/** A split brain that is resolved with an undo file: what is kept, when, and what follows where it cannot be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c, text } from '../../src/base/index.ts';
import {
  decodeUndoHeader,
  decodeUndoRecord,
  UNDO_HEADER_BYTES,
  UNDO_RECORD_BYTES,
  type UndoHeader,
} from '../../src/mirror/index.ts';
import { MirrorPair } from '../../src/sim/index.ts';

const RESOLVE = { verb: 'resolve', folder: '/undo' } as const;
const HERE = [3, 4, 40];
const THERE = [4, 50];

/** Host 0 wrote pages HERE, host 1 wrote THERE, and they have met: both are StandAlone, both secondary. */
function split(): MirrorPair {
  const p = new MirrorPair((c) => c).start();
  assert.equal(p.ask(0, { verb: 'primary', force: false }).ok, true);
  p.cutLine(true);
  p.runUntil('the loss of the peer', () => p.nodes.every((n) => n.resource?.connection !== 'Connected'), 40);
  const write = (who: 0 | 1, page: number, fill: number): void => {
    const w = p.write(who, page, fill);
    p.runUntil('a write', () => w.result === 0, 5);
  };
  for (const page of HERE) write(0, page, 0xa0 + (page % 16));
  assert.equal(p.ask(0, { verb: 'secondary' }).ok, true);
  assert.equal(p.ask(1, { verb: 'primary', force: false }).ok, true);
  for (const page of THERE) write(1, page, 0xb0 + (page % 16));
  p.cutLine(false);
  p.runUntil('StandAlone', () => p.nodes.every((n) => n.resource?.connection === 'StandAlone'), 60);
  return p;
}
type Read = { readonly header: UndoHeader; readonly pages: ReadonlyMap<number, Uint8Array>; readonly whole: boolean };
function readUndo(file: Uint8Array | undefined): Read {
  assert.ok(file !== undefined, 'nothing was kept');
  const header = decodeUndoHeader(file);
  assert.ok(header.ok);
  const pages = new Map<number, Uint8Array>();
  for (let at = UNDO_HEADER_BYTES; ; ) {
    const r = decodeUndoRecord(file.subarray(at));
    assert.ok(r.ok, `at ${at}`);
    at += UNDO_RECORD_BYTES;
    if (r.value.kind === 'end') return { header: header.value, pages, whole: at === file.length };
    const data = file.subarray(at, at + r.value.length);
    assert.equal(crc32c(data), r.value.crc);
    for (let n = 0; n < data.length; n += 4096)
      pages.set((Number(r.value.offset) + n) / 4096, data.subarray(n, n + 4096));
    at += r.value.length;
  }
}

test('what each side would lose is shown before anybody chooses: its own blocks, and what the peer told', () => {
  const p = split();
  const [d] = p.resource(0).differences().volumes;
  assert.deepEqual(
    d?.first.map((r) => [r.from / 4096, r.to / 4096]),
    [
      [3, 5],
      [40, 41],
    ],
  );
  assert.deepEqual([d?.changed?.bytes, d?.changed?.ranges], [HERE.length * 4096, 2]);
  assert.equal(d?.peer?.changed, THERE.length * 4096);
  assert.equal(d?.verdict?.is, 'split-brain');
  assert.equal(p.resource(1).differences().volumes[0]?.peer?.changed, HERE.length * 4096);
  // The peer was written later than this side, each as its own host knows.
  const newest = [0, 1].map((n) => p.resource(n as 0 | 1).differences().volumes[0]?.newestWrite ?? 0);
  assert.ok((newest[0] as number) > 0 && (newest[1] as number) >= (newest[0] as number), `${newest}`);
});

test('resolve keeps exactly the blocks of both bitmaps as this side had them, before the first is overwritten', () => {
  const p = split();
  const size = p.volume(0).size * 512;
  const before = p.nodes[0].disk.look(0, size).slice();
  // Before the file is whole nothing of the peer's may have been written.
  let early: number | undefined;
  p.nodes[0].undo.fails = (step) => {
    if (step.is === 'keep') early = Buffer.compare(before, p.nodes[0].disk.look(0, size));
    return undefined;
  };
  assert.equal(p.ask(0, RESOLVE).ok, true);
  assert.equal(p.ask(1, { verb: 'connect', discardMyData: false }).ok, true);
  p.runUntil('the end of the resync', () => p.equalStates(), 60);
  assert.equal(early, 0);
  const { header, pages, whole } = readUndo(p.nodes[0].undo.kept);
  assert.equal(whole, true);
  const union = [...new Set([...HERE, ...THERE])].sort((a, b) => a - b);
  assert.deepEqual([...pages.keys()], union);
  for (const [page, data] of pages)
    assert.equal(Buffer.compare(data, before.subarray(page * 4096, page * 4096 + 4096)), 0, `page ${page}`);
  assert.deepEqual([header.changedHere, header.changedThere, header.total], [3n, 2n, BigInt(union.length * 4096)]);
  assert.deepEqual([p.onDisk(0, 3), p.onDisk(0, 4), p.onDisk(0, 50)], [0, 0xb4, 0xb2]);
  const { undo } = p.resource(0).status().volumes[0] ?? {};
  assert.deepEqual([undo?.is, undo?.done], ['kept', union.length * 4096]);
});

test('without room for what may be lost nothing is connected, and nothing is lost', () => {
  const p = split();
  p.nodes[0].undo.fails = (step) => (step.is === 'room' ? text('no room', '空间不足') : undefined);
  const a = p.ask(0, RESOLVE);
  assert.deepEqual([a.ok, a.text.en], [false, 'no room']);
  assert.equal(p.ask(1, { verb: 'connect', discardMyData: false }).ok, true);
  p.pass(20_000);
  assert.equal(p.resource(0).connection, 'StandAlone');
  assert.equal(p.onDisk(0, 3), 0xa3);
});

for (const fails of ['open', 'append', 'keep'] as const)
  test(`an undo file whose ${fails} fails leaves both sides apart, the data as they were, and no file`, () => {
    const p = split();
    p.nodes[0].undo.fails = (step) => (step.is === fails ? text('ENOSPC', 'ENOSPC') : undefined);
    assert.equal(p.ask(0, RESOLVE).ok, true);
    assert.equal(p.ask(1, { verb: 'connect', discardMyData: false }).ok, true);
    p.runUntil('the failure', () => p.reasons(0).some((r) => r.includes('could not be kept: ENOSPC')), 60);
    p.pass(5000);
    assert.equal(p.resource(0).connection, 'StandAlone');
    assert.equal(p.nodes[0].undo.steps.at(-1), 'drop');
    assert.equal(p.nodes[0].undo.kept, undefined);
    assert.deepEqual([p.onDisk(0, 3), p.onDisk(0, 4), p.onDisk(0, 50)], [0xa3, 0xa4, 0]);
    assert.equal(p.volume(0).disk === 'Inconsistent', false);
  });

test('a connection that is lost while the file is written begins again, and one whole file is kept', () => {
  const p = split();
  let cut = false;
  p.nodes[0].undo.fails = (step) => {
    if (step.is === 'append' && !cut) {
      cut = true;
      p.nodes[0].lines.data?.line.close(0);
      p.nodes[0].feed({ kind: 'closed', because: text('cut', '断开') });
    }
    return undefined;
  };
  assert.equal(p.ask(0, RESOLVE).ok, true);
  assert.equal(p.ask(1, { verb: 'connect', discardMyData: false }).ok, true);
  p.runUntil('the end of the resync', () => p.equalStates(), 120);
  assert.equal(cut, true);
  assert.equal(p.nodes[0].undo.steps.filter((s) => s === 'open').length, 2);
  assert.equal(p.nodes[0].undo.steps.includes('drop'), true);
  const { pages, whole } = readUndo(p.nodes[0].undo.kept);
  assert.deepEqual([whole, pages.size, pages.get(3)?.[0]], [true, 4, 0xa3]);
});

test('a primary is not resolved against, nor a mirror that is connected', () => {
  const p = split();
  assert.equal(p.ask(0, { verb: 'primary', force: false }).ok, true);
  const primary = p.ask(0, RESOLVE);
  assert.deepEqual([primary.ok, p.resource(0).connection], [false, 'StandAlone']);
  const q = new MirrorPair((c) => c).start();
  const connected = q.ask(0, RESOLVE);
  assert.equal(connected.ok, false);
  assert.match(connected.text.en, /not StandAlone/);
});

test('where this side is no target nothing is kept, and a later resync keeps nothing either', () => {
  const p = new MirrorPair((c) => c).start();
  for (const who of [0, 1] as const) assert.equal(p.ask(who, { verb: 'disconnect', force: false }).ok, true);
  assert.equal(p.ask(0, RESOLVE).ok, true);
  assert.equal(p.ask(1, { verb: 'connect', discardMyData: false }).ok, true);
  p.runUntil('a connection', () => p.equalStates(), 60);
  assert.equal(p.ask(1, { verb: 'primary', force: false }).ok, true);
  p.cutLine(true);
  p.runUntil('the loss of the peer', () => p.resource(1).connection !== 'Connected', 20);
  const w = p.write(1, 9, 0x99);
  p.runUntil('a write', () => w.result === 0, 5);
  p.cutLine(false);
  p.runUntil('the end of the resync', () => p.equalStates() && p.onDisk(0, 9) === 0x99, 60);
  assert.deepEqual(p.nodes[0].undo.steps, ['room']);
});
