/** Disks that fail, go and come back while the mirror is in use. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DiskOptions, MirrorConfig } from '../../src/mirror/index.ts';
import { MirrorPair } from '../../src/sim/index.ts';

const with_ =
  (o: Partial<DiskOptions>, more: Partial<MirrorConfig> = {}) =>
  (c: MirrorConfig): MirrorConfig => ({
    ...c,
    ...more,
    volumes: c.volumes.map((v) => ({ ...v, options: { ...v.options, ...o } })),
  });
function primary(settings = with_({})): MirrorPair {
  const p = new MirrorPair(settings).start();
  assert.equal(p.ask(0, { verb: 'primary', force: false }).ok, true);
  return p;
}
const EIO = -5;

test('detach: a disk error of the primary is not seen by its application, which goes on from the peer', () => {
  const p = primary();
  const first = p.write(0, 1, 0x11);
  p.runUntil('a write', () => first.result === 0, 5);
  p.nodes[0].disk.fails = () => true;
  const w = p.write(0, 2, 0x22);
  p.pass(1000);
  assert.equal(w.result, 0);
  assert.deepEqual(
    [p.volume(0).disk, p.volume(1).peerDisk, p.volume(0).connection],
    ['Diskless', 'Diskless', 'Connected'],
  );
  const r = p.read(0, 1);
  const again = p.write(0, 3, 0x33);
  p.pass(1000);
  assert.deepEqual([r.result, r.into[0], again.result], [0, 0x11, 0]);
  assert.deepEqual([p.onDisk(1, 2), p.onDisk(1, 3)], [0x22, 0x33]);
});

test('a failing read is answered from the peer', () => {
  const p = primary();
  const first = p.write(0, 1, 0x11);
  p.runUntil('a write', () => first.result === 0, 5);
  p.nodes[0].disk.fails = (o) => o.op === 'read';
  const r = p.read(0, 1);
  p.pass(1000);
  assert.deepEqual([r.result, r.into[0], p.volume(0).disk], [0, 0x11, 'Diskless']);
});

test('attached again it is resynced with what it missed, and no more', () => {
  const p = primary();
  p.nodes[0].disk.fails = () => true;
  const missed = [4, 5].map((page) => p.write(0, page, 0x55));
  p.pass(1000);
  p.nodes[0].disk.fails = () => false;
  const later = p.write(0, 6, 0x66);
  p.pass(1000);
  const before = p.volume(1).bits;
  assert.ok(before >= 3 && before < 20, `${before} blocks differ`);
  assert.equal(p.ask(0, { verb: 'attach', volume: undefined }).ok, true);
  p.runUntil('the resync', () => p.equalStates(), 60);
  assert.deepEqual(
    [...missed, later].map((w) => w.result),
    [0, 0, 0],
  );
  assert.deepEqual([p.onDisk(0, 4), p.onDisk(0, 5), p.onDisk(0, 6)], [0x55, 0x55, 0x66]);
  assert.equal(p.resource(0).primary, true);
});

test('the disk of the secondary fails: the primary goes on in a generation of its own, and resyncs it when it is back', () => {
  const p = primary();
  const before = p.volume(0).uuids.current;
  p.nodes[1].disk.fails = () => true;
  const w = p.write(0, 7, 0x77);
  p.pass(1000);
  assert.deepEqual([w.result, p.volume(0).peerDisk, p.volume(1).disk], [0, 'Diskless', 'Diskless']);
  assert.notEqual(p.volume(0).uuids.current, before);
  const later = p.write(0, 8, 0x88);
  p.pass(500);
  p.nodes[1].disk.fails = () => false;
  assert.equal(p.ask(1, { verb: 'attach', volume: undefined }).ok, true);
  p.runUntil('the resync', () => p.equalStates(), 60);
  assert.deepEqual([later.result, p.onDisk(1, 7), p.onDisk(1, 8)], [0, 0x77, 0x88]);
});

test('writes that a failing disk had acknowledged and not flushed are marked: the peer does not take them for durable', () => {
  const p = primary();
  p.nodes[1].disk.fails = (o) => o.op === 'flush';
  const w = p.write(0, 9, 0x99);
  p.runUntil('a write', () => w.result === 0, 5);
  const flush = p.flush(0);
  p.pass(2000);
  assert.equal(flush.result, 0, 'the own disk has it');
  assert.deepEqual([p.volume(0).peerDisk, p.volume(0).connection], ['Diskless', 'Connected']);
  assert.equal(p.volume(0).bitmap.has(9), true);
});

test('a primary without a disk that loses its peer gets errors, or waits with on-no-data-accessible suspend-io', () => {
  for (const policy of ['io-error', 'suspend-io'] as const) {
    const p = primary(with_({}, { onNoDataAccessible: policy }));
    assert.equal(p.ask(0, { verb: 'detach', volume: undefined, force: false }).ok, true);
    p.cutLine(true);
    const w = p.write(0, 3, 0x33);
    const r = p.read(0, 3);
    p.runUntil('the loss of the peer', () => p.resource(0).connection !== 'Connected', 20);
    p.pass(1000);
    if (policy === 'io-error') {
      assert.deepEqual([w.result, r.result], [EIO, EIO]);
      continue;
    }
    assert.deepEqual([w.result, r.result], [undefined, undefined]);
    assert.match(p.resource(0).status().volumes[0]?.suspended?.en ?? '', /no good data/);
    p.cutLine(false);
    p.runUntil('the write', () => w.result !== undefined && r.result !== undefined, 30);
    assert.deepEqual([w.result, r.result, p.onDisk(1, 3)], [0, 0, 0x33]);
  }
});

test('resume-io lets frozen requests fail where there is nothing to do them with', () => {
  const p = primary(with_({}, { onNoDataAccessible: 'suspend-io' }));
  assert.equal(p.ask(0, { verb: 'detach', volume: undefined, force: false }).ok, true);
  p.cutLine(true);
  const w = p.write(0, 3, 0x33);
  p.runUntil('the loss of the peer', () => p.resource(0).connection !== 'Connected', 20);
  assert.equal(p.ask(0, { verb: 'resume-io', volume: undefined }).ok, true);
  p.pass(500);
  assert.equal(w.result, EIO);
});

test('pass_on: the disk stays, is Inconsistent, and the application is told only when the peer has it not either', () => {
  const p = primary(with_({ onIoError: 'pass_on' }));
  p.nodes[0].disk.fails = (o) => o.op === 'write' && o.offset === 3 * 4096;
  const w = p.write(0, 3, 0x33);
  p.pass(1000);
  assert.deepEqual([w.result, p.volume(0).disk, p.onDisk(1, 3)], [0, 'Inconsistent', 0x33]);
  const r = p.read(0, 3);
  p.pass(500);
  assert.deepEqual([r.result, r.into[0]], [0, 0x33], 'read from the peer');
});

test('call-local-io-error calls the handler and detaches; pri-on-incon-degr is called when no data are left', () => {
  const handlers = { 'local-io-error': 'l', 'pri-on-incon-degr': 'p' };
  const p = primary(with_({ onIoError: 'call-local-io-error' }, { handlers }));
  const called: string[] = [];
  p.nodes[0].onHandler = (name, ended) => {
    called.push(name);
    ended(0);
  };
  p.nodes[0].disk.fails = () => true;
  const w = p.write(0, 3, 0x33);
  p.pass(500);
  assert.deepEqual([w.result, p.volume(0).disk, called], [0, 'Diskless', ['local-io-error']]);
  p.cutLine(true);
  p.runUntil('the loss of the peer', () => p.resource(0).connection !== 'Connected', 20);
  assert.deepEqual(called, ['local-io-error', 'pri-on-incon-degr']);
});

test('detach waits for what is under way, is refused where nothing would be left to read, and costs no full resync', () => {
  const p = primary();
  const writes = [1, 2, 3, 4].map((page) => p.write(0, page, 0x12));
  assert.equal(p.ask(0, { verb: 'detach', volume: undefined, force: false }).ok, true);
  p.pass(500);
  assert.deepEqual(
    writes.map((w) => w.result),
    [0, 0, 0, 0],
  );
  assert.equal(p.volume(0).disk, 'Diskless');
  const refusedThere = p.ask(0, { verb: 'detach', volume: undefined, force: false });
  assert.equal(refusedThere.ok && refusedThere.changed, false);
  const w = p.write(0, 9, 0x99);
  p.pass(500);
  assert.equal(w.result, 0);
  assert.equal(p.ask(0, { verb: 'attach', volume: undefined }).ok, true);
  p.runUntil('the resync', () => p.equalStates(), 60);
  assert.equal(p.onDisk(0, 9), 0x99);
  p.cutLine(true);
  p.runUntil('the loss of the peer', () => p.resource(0).connection !== 'Connected', 20);
  const no = p.ask(0, { verb: 'detach', volume: undefined, force: false });
  assert.equal(no.ok === false && no.code, 'no-good-disk');
});

test('a secondary does not detach the only disk of a primary without one', () => {
  const p = primary();
  assert.equal(p.ask(0, { verb: 'detach', volume: undefined, force: false }).ok, true);
  p.pass(200);
  const no = p.ask(1, { verb: 'detach', volume: undefined, force: false });
  assert.equal(no.ok === false && no.code, 'no-good-disk');
  const w = p.write(0, 3, 0x33);
  p.pass(200);
  assert.deepEqual([w.result, p.onDisk(1, 3)], [0, 0x33]);
});

test('the only disk of a primary without one keeps what differs over a power cut', () => {
  const p = primary();
  assert.equal(p.ask(0, { verb: 'detach', volume: undefined, force: false }).ok, true);
  const writes = [11, 12].map((page) => p.write(0, page, 0xbb, true));
  p.runUntil('writes', () => writes.every((w) => w.result === 0), 5);
  p.nodes[1].kill(true);
  p.runUntil('the loss of the peer', () => p.resource(0).connection !== 'Connected', 20);
  p.nodes[1].boot();
  p.runUntil('the connection', () => p.resource(0).connection === 'Connected', 60);
  assert.ok(p.volume(1).bitmap.has(11) && p.volume(1).bitmap.has(12));
  assert.equal(p.ask(0, { verb: 'attach', volume: undefined }).ok, true);
  p.runUntil('the resync', () => p.equalStates(), 60);
  assert.deepEqual([p.onDisk(0, 11), p.onDisk(0, 12)], [0xbb, 0xbb]);
});

test('a primary that has lost all data takes back no disk with an older generation than its application has seen', () => {
  const p = primary();
  assert.equal(p.ask(0, { verb: 'detach', volume: undefined, force: false }).ok, true);
  const w = p.write(0, 3, 0x33);
  p.runUntil('a write', () => w.result === 0, 5);
  p.cutLine(true);
  p.runUntil('the loss of the peer', () => p.resource(0).connection !== 'Connected', 20);
  const no = p.ask(0, { verb: 'attach', volume: undefined });
  assert.equal(no.ok, false);
  assert.match(no.text.en, /older/);
  p.cutLine(false);
  p.runUntil('the connection', () => p.resource(0).connection === 'Connected', 60);
  const r = p.read(0, 3);
  p.pass(500);
  assert.deepEqual([r.result, r.into[0]], [0, 0x33]);
});

test('damaged metadata: one clear message, and nothing on the disk is changed', () => {
  const p = new MirrorPair(with_({})).start();
  assert.equal(p.ask(1, { verb: 'down' }).ok, true);
  const { disk } = p.nodes[1];
  const last = disk.bytes - 4096;
  const superblock = disk.look(last, 4096);
  const broken = superblock.slice();
  broken.fill(0xff, 0, 128);
  disk.put(last, broken);
  const { writes } = disk;
  const a = p.ask(1, { verb: 'up' });
  assert.equal(a.ok === false && a.code, 'no-local-disk');
  assert.match(a.text.en, /metadata/);
  assert.equal(disk.writes, writes);
});

test('a primary whose line is cut unseen does not detach: nobody agrees, and afterwards there is no split brain', () => {
  const p = primary();
  p.cutLine(true);
  const no = p.ask(0, { verb: 'detach', volume: undefined, force: false });
  assert.equal(no.ok === false && no.code, 'no-good-disk');
  assert.equal(p.volume(0).disk, 'UpToDate');
  const w = p.write(0, 3, 0x33);
  p.runUntil('a write', () => w.result === 0, 5);
  p.cutLine(false);
  p.runUntil('the resync', () => p.equalStates(), 60);
  assert.equal(p.onDisk(1, 3), 0x33);
});

test('a peer that has agreed, and never hears that the disk is gone, begins no generation', () => {
  const p = primary();
  const before = p.volume(1).uuids.current;
  p.nodes[0].ask({ verb: 'detach', volume: undefined, force: false }, () => {});
  for (let i = 0; i < 100_000 && p.volume(1).peerDisk !== 'Failed'; i++) p.world.runUntil(p.world.now + 10);
  assert.equal(p.volume(1).peerDisk, 'Failed');
  p.cutLine(true);
  p.runUntil('the loss', () => p.nodes.every((n) => n.resource?.connection !== 'Connected'), 20);
  assert.equal(p.volume(1).uuids.current, before);
  assert.equal(p.volume(0).disk, 'UpToDate', 'the answer did not come');
  p.cutLine(false);
  p.runUntil('the resync', () => p.equalStates(), 60);
});

test('a disk that lacks what only the peer took is not taken for good when the peer is lost before both have compared', () => {
  const p = primary(with_({}, { onNoDataAccessible: 'suspend-io' }));
  const first = p.write(0, 5, 0x11);
  p.runUntil('a write', () => first.result === 0, 5);
  // The peer has the next one and says so; then the line is cut, and then the own disk says that it has it not.
  p.nodes[0].disk.fails = (o) => o.op === 'write';
  p.nodes[0].disk.stall(100_000);
  const w = p.write(0, 5, 0x55);
  p.pass(60);
  p.cutLine(true);
  p.pass(100);
  assert.deepEqual([w.result, p.volume(0).disk], [undefined, 'Diskless'], 'the peer cannot know that it alone has it');
  p.nodes[0].disk.fails = () => false;
  p.nodes[0].ask({ verb: 'attach', volume: undefined }, () => {});
  p.runUntil('the loss', () => p.resource(0).connection !== 'Connected', 20);
  const r = p.read(0, 5);
  p.pass(1000);
  assert.deepEqual([p.volume(0).disk, r.result], ['Diskless', undefined], 'it waits for the peer');
  p.cutLine(false);
  p.runUntil('the read', () => r.result !== undefined, 60);
  assert.deepEqual([w.result, r.result, r.into[0]], [0, 0, 0x55]);
  assert.equal(p.ask(0, { verb: 'attach', volume: undefined }).ok, true);
  p.runUntil('the resync', () => p.equalStates(), 60);
  assert.deepEqual([p.onDisk(0, 5), p.onDisk(1, 5)], [0x55, 0x55]);
});
