/** Fencing: what a primary does that lost its peer, and who may become primary without it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DiskOptions, MirrorConfig } from '../../src/mirror/index.ts';
import { MirrorPair } from '../../src/sim/index.ts';

const fencing =
  (policy: DiskOptions['fencing']) =>
  (c: MirrorConfig): MirrorConfig => ({
    ...c,
    volumes: c.volumes.map((v) => ({ ...v, options: { ...v.options, fencing: policy } })),
    handlers: { 'fence-peer': 'f', 'unfence-peer': 'u' },
  });
const stonith = fencing('resource-and-stonith');
/** Node 0 is primary and has lost its peer; its handler is called and has not ended. */
function lost(settings = stonith): { p: MirrorPair; end: (status: number) => void; called: string[] } {
  const p = new MirrorPair(settings).start();
  const called: string[] = [];
  let end: (status: number) => void = () => {};
  p.nodes[0].onHandler = (name, ended) => {
    called.push(name);
    if (name === 'fence-peer') end = ended;
    else ended(0);
  };
  assert.equal(p.ask(0, { verb: 'primary', force: false }).ok, true);
  p.cutLine(true);
  p.runUntil('the loss of the peer', () => p.resource(0).connection !== 'Connected', 20);
  return { p, end: (s) => end(s), called };
}
const suspended = (p: MirrorPair): string | undefined => p.resource(0).status().volumes[0]?.suspended?.en;

test('resource-and-stonith: reads and writes are frozen from the loss of the peer until fence-peer says 4', () => {
  const { p, end, called } = lost();
  const before = p.resource(0).status().volumes[0]?.uuids;
  const w = p.write(0, 3, 0x33);
  const r = p.read(0, 3);
  p.pass(60_000);
  assert.deepEqual([w.result, r.result], [undefined, undefined]);
  assert.match(suspended(p) ?? '', /frozen until the peer is known to be outdated/);
  assert.deepEqual(p.resource(0).status().volumes[0]?.uuids, before, 'no generation before it is sure');
  end(4);
  p.pass(1000);
  assert.deepEqual([w.result, r.result, suspended(p)], [0, 0, undefined]);
  assert.equal(p.volume(0).peerDisk, 'Outdated');
  assert.notEqual(p.resource(0).status().volumes[0]?.uuids[0], before?.[0]);
  assert.deepEqual(called, ['fence-peer']);
});

for (const [status, disk] of [
  [3, 'Inconsistent'],
  [5, 'Outdated'],
  [7, 'Outdated'],
] as const)
  test(`fence-peer ${status}: the peer counts as ${disk}, and requests go on`, () => {
    const { p, end } = lost();
    const w = p.write(0, 3, 0x33);
    end(status);
    p.pass(1000);
    assert.deepEqual([w.result, p.volume(0).peerDisk], [0, disk]);
  });

for (const status of [0, 1, 6, 127])
  test(`fence-peer ${status}: nothing is sure, and a primary stays frozen until resume-io`, () => {
    const { p, end } = lost();
    const w = p.write(0, 3, 0x33);
    end(status);
    p.pass(60_000);
    assert.equal(w.result, undefined);
    assert.equal(p.volume(0).disk, 'UpToDate');
    assert.equal(p.ask(0, { verb: 'resume-io', volume: undefined }).ok, true);
    p.pass(1000);
    assert.equal(w.result, 0);
    assert.notEqual(p.volume(0).uuids.bitmap, 0n, 'a generation of its own');
  });

test('a write under way when the line is cut is sent again when the peer is back as it was: no resync, no generation', () => {
  const p = new MirrorPair(stonith).start();
  p.nodes[0].onHandler = () => {};
  assert.equal(p.ask(0, { verb: 'primary', force: false }).ok, true);
  const acknowledged = p.write(0, 1, 0x11);
  p.runUntil('a write', () => acknowledged.result === 0, 5);
  const before = p.resource(0).status().volumes[0]?.uuids;
  p.cutLine(true);
  const flying = [2, 3, 4].map((page) => p.write(0, page, 0x22));
  const flush = p.flush(0);
  p.runUntil('the loss of the peer', () => p.resource(0).connection !== 'Connected', 20);
  p.pass(5000);
  assert.deepEqual(
    flying.map((w) => w.result),
    [undefined, undefined, undefined],
  );
  p.cutLine(false);
  p.runUntil('the connection', () => p.equalStates(), 20);
  p.pass(3000);
  assert.deepEqual(
    flying.map((w) => w.result),
    [0, 0, 0],
  );
  assert.equal(flush.result, 0);
  assert.deepEqual(
    [1, 2, 3, 4].map((page) => p.onDisk(1, page)),
    [0x11, 0x22, 0x22, 0x22],
  );
  assert.deepEqual(p.resource(0).status().volumes[0]?.uuids, before);
  assert.equal(p.ask(0, { verb: 'secondary' }).ok, true, 'nothing is left under way');
});

test('a peer that was away and is back as Consistent is resynced: it may lack what it had acknowledged', () => {
  const p = new MirrorPair(stonith).start();
  p.nodes[0].onHandler = () => {};
  assert.equal(p.ask(0, { verb: 'primary', force: false }).ok, true);
  const writes = [1, 2, 3].map((page) => p.write(0, page, 0x44));
  p.runUntil('writes', () => writes.every((w) => w.result === 0), 5);
  const late = p.write(0, 4, 0x44);
  p.nodes[1].kill(true);
  p.runUntil('the loss of the peer', () => p.resource(0).connection !== 'Connected', 20);
  p.nodes[1].boot();
  p.runUntil('the resync', () => p.equalStates(), 60);
  p.pass(1000);
  assert.equal(late.result, 0);
  assert.deepEqual(
    [1, 2, 3, 4].map((page) => p.onDisk(1, page)),
    [0x44, 0x44, 0x44, 0x44],
  );
  assert.equal(suspended(p), undefined);
});

test('the verdict of a fence-peer that ends after the peer is back does not count', () => {
  const { p, end } = lost();
  p.cutLine(false);
  p.runUntil('the connection', () => p.equalStates(), 20);
  end(4);
  p.pass(1000);
  assert.equal(p.volume(0).peerDisk, 'UpToDate');
  assert.match(p.reasons(0).join('\n'), /its verdict does not count/);
});

test('resource-only: requests go on while fence-peer runs', () => {
  const { p, end, called } = lost(fencing('resource-only'));
  const w = p.write(0, 3, 0x33);
  p.pass(5000);
  assert.deepEqual([w.result, called], [0, ['fence-peer']]);
  end(4);
  assert.equal(p.volume(0).peerDisk, 'Outdated');
});

test('nobody becomes primary without the peer before fence-peer is sure; --force does, and says what it risks', () => {
  const p = new MirrorPair(stonith).start();
  let status = 1;
  p.nodes[1].onHandler = (_, ended) => ended(status);
  p.cutLine(true);
  p.runUntil('the loss of the peer', () => p.resource(1).connection !== 'Connected', 20);
  const no = p.ask(1, { verb: 'primary', force: false });
  assert.equal(no.ok === false && no.code, 'fenced');
  assert.match(no.text.en, /--force and risk a split brain/);
  status = 4;
  assert.equal(p.ask(1, { verb: 'primary', force: false }).ok, true);
  assert.equal(p.volume(1).peerDisk, 'Outdated');
  const other = new MirrorPair(stonith).start();
  other.nodes[1].onHandler = (_, ended) => ended(1);
  other.cutLine(true);
  other.runUntil('the loss of the peer', () => other.resource(1).connection !== 'Connected', 20);
  assert.equal(other.ask(1, { verb: 'primary', force: true }).ok, true);
});

test('fence-peer 6 at a promotion: the peer is primary, so this side is Outdated and stays secondary', () => {
  const p = new MirrorPair(stonith).start();
  p.nodes[1].onHandler = (_, ended) => ended(6);
  p.cutLine(true);
  p.runUntil('the loss of the peer', () => p.resource(1).connection !== 'Connected', 20);
  const no = p.ask(1, { verb: 'primary', force: false });
  assert.equal(no.ok === false && no.code, 'no-good-disk');
  assert.equal(p.volume(1).disk, 'Outdated');
  p.nodes[1].kill(true);
  p.nodes[1].boot();
  p.pass(1000);
  assert.equal(p.volume(1).disk, 'Outdated', 'also after a power cut');
});

test('after a start without the peer the disk is Consistent: primary only when fence-peer is sure, and UpToDate then', () => {
  const p = new MirrorPair(stonith).start();
  for (const n of p.nodes) n.kill(false);
  p.nodes[0].boot();
  p.pass(1000);
  assert.equal(p.volume(0).disk, 'Consistent');
  p.nodes[0].onHandler = (_, ended) => ended(5);
  assert.equal(p.ask(0, { verb: 'primary', force: false }).ok, false, '5 says nothing where the own data is not sure');
  p.nodes[0].onHandler = (_, ended) => ended(7);
  assert.equal(p.ask(0, { verb: 'primary', force: false }).ok, true);
  assert.equal(p.volume(0).disk, 'UpToDate');
});

test('a secondary that leaves a primary under fencing is Outdated, and good again when it is back', () => {
  const p = new MirrorPair(stonith).start();
  const called: string[] = [];
  p.nodes[0].onHandler = (name) => called.push(name);
  assert.equal(p.ask(0, { verb: 'primary', force: false }).ok, true);
  assert.equal(p.ask(1, { verb: 'disconnect', force: false }).ok, true);
  p.pass(1000);
  assert.deepEqual([p.volume(1).disk, p.volume(0).peerDisk, called], ['Outdated', 'Outdated', []]);
  const w = p.write(0, 3, 0x33);
  p.runUntil('a write', () => w.result === 0, 5);
  const no = p.ask(1, { verb: 'primary', force: false });
  assert.equal(no.ok, false);
  assert.equal(p.ask(1, { verb: 'connect', discardMyData: false }).ok, true);
  p.runUntil('the resync', () => p.equalStates(), 60);
  assert.equal(p.onDisk(1, 3), 0x33);
});

test('a primary under fencing that leaves makes its peer Outdated, and is not frozen', () => {
  const p = new MirrorPair(stonith).start();
  p.nodes[0].onHandler = () => assert.fail('no handler is needed');
  assert.equal(p.ask(0, { verb: 'primary', force: false }).ok, true);
  assert.equal(p.ask(0, { verb: 'disconnect', force: false }).ok, true);
  p.pass(1000);
  assert.deepEqual([p.volume(1).disk, p.volume(0).peerDisk, suspended(p)], ['Outdated', 'Outdated', undefined]);
});

test('outdate is for a secondary that is alone', () => {
  const p = new MirrorPair(stonith).start();
  const connected = p.ask(1, { verb: 'outdate', volume: undefined });
  assert.equal(connected.ok === false && connected.code, 'connected-outdates');
  p.cutLine(true);
  p.runUntil('the loss of the peer', () => p.resource(1).connection !== 'Connected', 20);
  assert.equal(p.ask(1, { verb: 'outdate', volume: undefined }).ok, true);
  assert.equal(p.volume(1).disk, 'Outdated');
  const again = p.ask(1, { verb: 'outdate', volume: undefined });
  assert.equal(again.ok && again.changed, false);
});

test('suspend-io holds reads and writes, resume-io lets them go', () => {
  const p = new MirrorPair((c) => c).start();
  assert.equal(p.ask(0, { verb: 'primary', force: false }).ok, true);
  assert.equal(p.ask(0, { verb: 'suspend-io', volume: undefined }).ok, true);
  const w = p.write(0, 3, 0x33);
  const r = p.read(0, 4);
  p.pass(1000);
  assert.deepEqual([w.result, r.result, p.onDisk(1, 3)], [undefined, undefined, 0]);
  const no = p.ask(0, { verb: 'secondary' });
  assert.equal(no.ok === false && no.code, 'device-in-use');
  assert.equal(p.ask(0, { verb: 'resume-io', volume: undefined }).ok, true);
  p.pass(1000);
  assert.deepEqual([w.result, r.result, p.onDisk(1, 3)], [0, 0, 0x33]);
  assert.equal(p.volume(0).uuids.bitmap, 0n, 'no generation: the peer was there all the time');
});
