/** Epochs of the peer's writes: what waits for what, which flush serves them, and what is not acknowledged. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { text } from '../../../base/index.ts';
import { type BarrierId, type BlockId, DRBD_WRITE_FLAG, sector } from '../../../wire/index.ts';
import { Rig, rigConfig, stateOf } from '../rig.fixture.ts';
import type { DiskOperation } from '../types.ts';

const C = DRBD_WRITE_FLAG.sendWriteAck;
const KIND = 4096;
let seq = 1;
const write = (r: Rig, place: number, flags: number, fill = 1): void =>
  r.hear({
    kind: 'P_DATA',
    volume: 0,
    sector: sector(place * 8),
    id: BigInt(seq) as BlockId,
    seq: seq++,
    flags,
    digest: new Uint8Array(0),
    data: new Uint8Array(KIND).fill(fill),
  });
const barrier = (r: Rig, n: number): void => r.hear({ kind: 'P_BARRIER', volume: 0, barrier: n as BarrierId, pad: 0 });
const secondary = (): Rig => {
  const r = new Rig(rigConfig());
  r.connect('Primary');
  return r;
};
const acked = (r: Rig): number[] => r.packets().flatMap((p) => (p.kind === 'P_BARRIER_ACK' ? [p.barrier] : []));
const flushes = (r: Rig): number => r.effects.filter((e) => e.kind === 'disk' && e.operation.op === 'flush').length;
const isData = (o: DiskOperation): boolean => o.op === 'write' && o.bytes.length === KIND && o.bytes[0] !== 0;

test('one flush serves all epochs that are written: when the peer says that it waits, else within five milliseconds', () => {
  const r = secondary();
  const before = flushes(r);
  for (let n = 0; n < 3; n++) {
    write(r, n, C);
    barrier(r, n);
  }
  assert.deepEqual(acked(r), []);
  r.hear({ kind: 'P_UNPLUG_REMOTE', volume: 0 });
  assert.deepEqual([acked(r), flushes(r) - before], [[0, 1, 2], 1]);
  write(r, 4, C);
  barrier(r, 3);
  r.advance(4_999);
  assert.deepEqual(acked(r), []);
  r.advance(1);
  assert.deepEqual([acked(r), flushes(r) - before], [[3], 2]);
});

test('an epoch that was written while a flush ran is not acknowledged by it', () => {
  const r = secondary();
  r.holdDisk = (o) => o.op === 'flush';
  write(r, 0, C);
  barrier(r, 0);
  r.hear({ kind: 'P_UNPLUG_REMOTE', volume: 0 });
  write(r, 1, C);
  barrier(r, 1);
  r.hear({ kind: 'P_UNPLUG_REMOTE', volume: 0 });
  r.held.shift()?.();
  assert.deepEqual(acked(r), [0]);
  r.held.shift()?.();
  assert.deepEqual(acked(r), [1]);
});

test('a write of a later epoch waits for unwritten ones of earlier epochs in A and B, and not in C', () => {
  for (const [flags, begun] of [
    [C, 2],
    [DRBD_WRITE_FLAG.sendReceiveAck, 1],
    [0, 1],
  ] as const) {
    const r = secondary();
    r.holdDisk = isData;
    write(r, 0, flags);
    barrier(r, 0);
    write(r, 1, flags);
    assert.equal(r.held.length, begun);
    r.held.shift()?.();
    assert.equal(r.held.length, 1, 'what waited has begun, though nothing was flushed');
  }
});

test('writes to one place reach the disk in the order in which they came, also where the first waits for an epoch', () => {
  const r = secondary();
  r.holdDisk = isData;
  write(r, 0, 0);
  barrier(r, 0);
  write(r, 1, 0, 5);
  barrier(r, 1);
  write(r, 1, C, 6);
  assert.equal(r.held.length, 1);
  while (r.held.length > 0) r.held.shift()?.();
  assert.equal(r.disk[KIND], 6);
});

test('epochs on a disk that failed count when the peer has told that it knows, not with the flush that failed', () => {
  const r = secondary();
  r.failDisk = (o) => o.op === 'flush';
  write(r, 0, C);
  barrier(r, 0);
  write(r, 1, C);
  barrier(r, 1);
  r.hear({ kind: 'P_UNPLUG_REMOTE', volume: 0 });
  assert.equal(r.volume.disk, 'Diskless');
  r.advance(100_000);
  const said = r.packets();
  assert.ok(!said.some((p) => p.kind === 'P_BARRIER_ACK'));
  assert.ok(said.some((p) => p.kind === 'P_STATE_CHG_REQ'));
  r.hear({ kind: 'P_PING_ACK', volume: 0 }, 'meta');
  r.hear({ kind: 'P_STATE_CHG_REPLY', volume: 0, result: 1 }, 'meta');
  assert.deepEqual(acked(r), [0, 1]);
});

test('who becomes primary without the peer waits for what came from it: a new generation without it would be taken for the better data', () => {
  const r = secondary();
  r.holdDisk = isData;
  write(r, 0, DRBD_WRITE_FLAG.sendReceiveAck);
  assert.ok(r.packets().some((p) => p.kind === 'P_RECV_ACK'));
  r.resource.handle({ kind: 'closed', because: text('the peer died', '对端崩溃') }, r.resource.now);
  r.run();
  const { current } = r.volume.uuids;
  const asked = r.ask({ verb: 'primary', force: false });
  assert.deepEqual([r.answers.get(asked), r.volume.uuids.current === current], [undefined, true]);
  r.held.shift()?.();
  assert.equal(r.answers.get(asked)?.ok, true);
  assert.notEqual(r.volume.uuids.current, current);
});

test('what came while ours was the only disk is marked, also when it waits until the primary has attached one', () => {
  const r = secondary();
  const peer = (disk: 'Diskless' | 'Negotiating'): void =>
    r.hear({ kind: 'P_STATE', volume: 0, state: stateOf('Connected', ['Primary', 'Secondary'], [disk, 'UpToDate']) });
  peer('Diskless');
  r.holdDisk = isData;
  write(r, 0, DRBD_WRITE_FLAG.sendReceiveAck);
  barrier(r, 0);
  write(r, 1, DRBD_WRITE_FLAG.sendReceiveAck);
  peer('Negotiating');
  r.holdDisk = () => false;
  while (r.held.length > 0) r.held.shift()?.();
  assert.deepEqual(
    [0, 1, 2].map((block) => r.volume.bitmap.has(block)),
    [true, true, false],
  );
});
