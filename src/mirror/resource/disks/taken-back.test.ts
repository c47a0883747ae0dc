/** A primary whose disk was gone takes it back while nobody else has one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { text, us } from '../../../base/index.ts';
import type { DrbdDisk, GenerationId, UuidSet } from '../../../wire/index.ts';
import { AGREED, Rig, rigConfig, stateOf } from '../rig.fixture.ts';
import type { DiskOperation } from '../types.ts';

const write = (r: Rig, tag: number): void =>
  r.app({ op: 'write', tag, offset: tag * 4096, bytes: new Uint8Array(4096).fill(tag), through: false });
const lost = (r: Rig): void => {
  r.resource.handle({ kind: 'closed', because: text('the line was cut', '线路中断') }, us(r.now));
  r.run();
};
const attempt = (r: Rig): string => {
  r.ask({ verb: 'attach', volume: undefined });
  return r.volume.disk;
};
const tells = (r: Rig, theirs: DrbdDisk, ours: DrbdDisk): void =>
  r.hear({ kind: 'P_STATE', volume: 0, state: stateOf('Connected', ['Secondary', 'Primary'], [theirs, ours]) });
const goesOn = (r: Rig): void => {
  const { current } = r.volume.peerUuids?.uuids ?? r.volume.uuids;
  const uuids = { current: 0x77n as GenerationId, bitmap: current, history: [0n, 0n] as [GenerationId, GenerationId] };
  r.hear({ kind: 'P_UUIDS', volume: 0, uuids, bits: 0, flags: 0 });
};
function primary(config = rigConfig()): Rig {
  const r = new Rig(config);
  r.connect();
  r.promote();
  return r;
}
/** Its peer has the only disk, and has gone on with it. */
function withoutDisk(): Rig {
  const r = primary();
  r.ask({ verb: 'detach', volume: undefined, force: true });
  tells(r, 'UpToDate', 'Diskless');
  goesOn(r);
  write(r, 1);
  return r;
}

test('a disk that was refused because the peer may have more is refused until both have compared', () => {
  const r = primary();
  r.ask({ verb: 'detach', volume: undefined, force: true });
  tells(r, 'UpToDate', 'Diskless');
  write(r, 1);
  // The peer is silent: it is told of the disk, and does not answer.
  assert.equal(attempt(r), 'Negotiating');
  lost(r);
  assert.equal(r.volume.disk, 'Diskless');
  for (let i = 0; i < 2; i++) assert.equal(attempt(r), 'Diskless');
});
test('what a primary writes to the disk that it took back alone is marked after a crash', () => {
  const r = primary();
  lost(r);
  r.ask({ verb: 'detach', volume: undefined, force: true });
  assert.equal(attempt(r), 'UpToDate');
  write(r, 1);
  assert.equal(r.done.get(1), 0);
  const after = new Rig(undefined, r.disk);
  after.ask({ verb: 'up' });
  assert.ok(after.volume.crashedPrimary);
  assert.ok(after.volume.bits > 0);
});
test('a generation that was not durable when the disk failed begins when the disk is taken back', () => {
  const r = primary();
  const before = r.volume.uuids.current & ~1n;
  r.failDisk = (o: DiskOperation) => o.op === 'write';
  lost(r);
  assert.equal(r.volume.disk, 'Diskless');
  r.failDisk = () => false;
  assert.equal(attempt(r), 'UpToDate');
  assert.notEqual(r.volume.uuids.current & ~1n, before);
  assert.equal(r.volume.uuids.bitmap & ~1n, before);
  write(r, 1);
  assert.equal(r.done.get(1), 0);
});
test('a disk is not taken back beside a peer that had the only one and has lost it', () => {
  const r = withoutDisk();
  tells(r, 'Diskless', 'Diskless');
  assert.equal(attempt(r), 'Diskless');
});
test('a disk that waits for the comparison is not taken back when the peer loses the only one', () => {
  const r = withoutDisk();
  assert.equal(attempt(r), 'Negotiating');
  tells(r, 'Diskless', 'Negotiating');
  assert.equal(r.volume.disk, 'Diskless');
});
test('a disk is taken back beside a peer that had none all the time', () => {
  const r = primary();
  tells(r, 'Diskless', 'UpToDate');
  r.ask({ verb: 'detach', volume: undefined, force: true });
  assert.equal(attempt(r), 'Negotiating');
  tells(r, 'Diskless', 'UpToDate');
  assert.equal(r.volume.disk, 'UpToDate');
});
test('a disk that was lost when the peer had none any more is taken back, whatever becomes of the connection', () => {
  const r = primary();
  tells(r, 'Diskless', 'UpToDate');
  write(r, 1);
  r.ask({ verb: 'detach', volume: undefined, force: true });
  lost(r);
  assert.equal(attempt(r), 'UpToDate');
});
/** The peer, which had the only disk, comes back with that disk as it was before it went on alone. */
function comesBack(r: Rig): void {
  lost(r);
  meets(r, r.volume.uuids);
}
function meets(r: Rig, uuids: UuidSet): void {
  r.ask({ verb: 'connect', discardMyData: false });
  r.meet();
  for (const { packet } of r.said())
    if (packet.kind === 'P_PROTOCOL' || packet.kind === 'P_SYNC_PARAM89' || packet.kind === 'P_SIZES') r.hear(packet);
  const bits = { bits: 0, flags: 0 };
  const current = (uuids.current & ~1n) as GenerationId;
  r.hear({ kind: 'P_UUIDS', volume: 0, uuids: { ...uuids, current }, ...bits });
  const state = stateOf('WFConnection', ['Secondary', 'Unknown'], ['UpToDate', 'DUnknown']);
  r.hear({ kind: 'P_STATE', volume: 0, state });
}
test('a peer whose new generation a crash undid is gone on with while nothing was answered in it', () => {
  const r = primary();
  r.ask({ verb: 'detach', volume: undefined, force: true });
  tells(r, 'UpToDate', 'Diskless');
  goesOn(r);
  comesBack(r);
  assert.equal(r.volume.connection, 'Connected');
});
test('a peer that is back as it was before something was answered in its new generation is refused', () => {
  const r = withoutDisk();
  r.hear(AGREED, 'meta');
  acknowledges(r);
  assert.equal(r.done.get(1), 0);
  comesBack(r);
  assert.equal(r.volume.connection, 'StandAlone');
});
test('what only the peer has is answered when the peer knows that it alone has it, and not if the line is cut before (seed 620418 of mirror-disks)', () => {
  for (const knows of [true, false]) {
    const r = primary();
    r.ask({ verb: 'detach', volume: undefined, force: true });
    write(r, 1);
    acknowledges(r);
    assert.equal(r.done.get(1), undefined);
    if (knows) r.hear(AGREED, 'meta');
    else lost(r);
    assert.equal(r.done.get(1) === 0, knows);
  }
});
function acknowledges(r: Rig): void {
  for (const { packet: p } of r.said())
    if (p.kind === 'P_DATA')
      r.hear({ kind: 'P_WRITE_ACK', volume: 0, sector: p.sector, id: p.id, size: 4096, seq: p.seq }, 'meta');
}
/** The line is cut, and the disk fails before the generation that this begins is durable. */
function losesBoth(r: Rig): UuidSet {
  const { uuids } = r.volume;
  r.failDisk = (o: DiskOperation) => o.op === 'write';
  lost(r);
  assert.equal(r.volume.disk, 'Diskless');
  r.failDisk = () => false;
  return uuids;
}
test('a peer that may lack what was answered is refused, and the own disk is taken back', () => {
  const r = primary(rigConfig({ protocol: 'A' }));
  // Answered when it is on its way.
  write(r, 1);
  assert.equal(r.done.get(1), 0);
  const before = losesBoth(r);
  meets(r, before);
  assert.equal(r.volume.connection, 'StandAlone');
  assert.equal(attempt(r), 'UpToDate');
  assert.equal(r.volume.uuids.bitmap & ~1n, before.current & ~1n);
  assert.ok(r.volume.bits > 0);
});
test('a peer that lacks nothing is gone on with, when the disk failed before a generation was durable', () => {
  const r = primary(rigConfig({ protocol: 'A' }));
  meets(r, losesBoth(r));
  assert.equal(r.volume.connection, 'Connected');
});
test('the only disk tells of its generation when that is durable', () => {
  const r = new Rig();
  r.connect('Primary');
  const before = r.volume.uuids.current & ~1n;
  const told = (): bigint[] => r.packets().flatMap((p) => (p.kind === 'P_UUIDS' ? [p.uuids.bitmap & ~1n] : []));
  r.holdDisk = () => true;
  r.hear({
    kind: 'P_STATE',
    volume: 0,
    state: stateOf('Connected', ['Primary', 'Secondary'], ['Diskless', 'UpToDate']),
  });
  assert.notEqual(r.volume.uuids.current & ~1n, before);
  assert.ok(r.held.length > 0);
  assert.deepEqual(told(), []);
  r.holdDisk = () => false;
  for (const finish of r.held.splice(0)) finish();
  assert.deepEqual(told(), [before]);
});
