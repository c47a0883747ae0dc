/** Changes that both sides ask of each other at once, each on a socket of its own: what is agreed to holds, or is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { text, us } from '../../../base/index.ts';
import { DRBD_DISKS, DRBD_ROLES, type DrbdPacket, decodeState, STATE_BITS } from '../../../wire/index.ts';
import { MD_FLAG } from '../../metadata/index.ts';
import { MIRROR_REFUSALS } from '../../status.ts';
import { AGREED, Rig, stateOf } from '../rig.fixture.ts';
import { EIO } from '../types.ts';

const [AT, BITS] = STATE_BITS.connection;
/** The peer's `invalidate-remote`: it is the source, this side's data are thrown away. */
const REFILL: DrbdPacket = {
  kind: 'P_STATE_CHG_REQ',
  volume: 0,
  mask: ((1 << BITS) - 1) << AT,
  value: 11 << AT,
};
const answered = (r: Rig): number[] => r.packets().flatMap((p) => (p.kind === 'P_STATE_CHG_REPLY' ? [p.result] : []));
const UP = ['UpToDate', 'UpToDate'] as const;
const SETTLED = { kind: 'P_PING_ACK', volume: 0 } as const;

test('the conflict resolver refuses another change until the promotion that was agreed to is whole', () => {
  const r = new Rig();
  r.connect();
  r.holdDisk = () => true;
  const id = r.ask({ verb: 'primary', force: false });
  r.hear(REFILL);
  assert.deepEqual(answered(r), [MIRROR_REFUSALS.concurrent], 'the peer has not answered');
  r.hear(SETTLED, 'meta');
  r.hear(AGREED, 'meta');
  r.hear(REFILL);
  assert.deepEqual(answered(r), [MIRROR_REFUSALS.concurrent], 'the role is being written');
  r.holdDisk = () => false;
  for (const finish of r.held.splice(0)) finish();
  assert.equal(r.answers.get(id)?.ok, true);
  assert.deepEqual([r.volume.role, r.volume.disk], ['Primary', 'UpToDate']);
  r.hear(REFILL);
  assert.deepEqual(
    [answered(r), r.volume.connection],
    [[1], 'WFSyncUUID'],
    'a primary can be a target that reads from its source',
  );
});

/** The peer leaves, and this side is to be Outdated: under fencing a primary lets no other side go. */
const LEAVE: DrbdPacket = {
  kind: 'P_CONN_ST_CHG_REQ',
  volume: 0,
  mask: ((((1 << BITS) - 1) << AT) | (((1 << STATE_BITS.peerDisk[1]) - 1) << STATE_BITS.peerDisk[0])) >>> 0,
  value: (1 << AT) | (DRBD_DISKS.indexOf('Outdated') << STATE_BITS.peerDisk[0]),
};
const leaves = (r: Rig): number[] => r.packets().flatMap((p) => (p.kind === 'P_CONN_ST_CHG_REPLY' ? [p.result] : []));

test('the conflict resolver is not left behind until the promotion that was agreed to is whole', () => {
  const r = new Rig();
  r.connect();
  r.holdDisk = () => true;
  const id = r.ask({ verb: 'primary', force: false });
  r.hear(SETTLED, 'meta');
  r.hear(AGREED, 'meta');
  r.hear(LEAVE);
  assert.deepEqual(leaves(r), [MIRROR_REFUSALS.concurrent]);
  r.holdDisk = () => false;
  for (const finish of r.held.splice(0)) finish();
  assert.equal(r.answers.get(id)?.ok, true);
  assert.deepEqual([r.volume.role, r.volume.disk], ['Primary', 'UpToDate']);
});

test('who is being left behind does not become primary: the connection that it would read by is about to end', () => {
  const r = new Rig();
  r.connect();
  r.hear(LEAVE);
  assert.deepEqual([leaves(r), r.volume.disk], [[1], 'Outdated']);
  const id = r.ask({ verb: 'primary', force: false });
  assert.equal(r.answers.get(id)?.ok, false);
  assert.equal(r.volume.role, 'Secondary');
});

test('a disk that is gone is told of until the peer has looked at it: one in the midst of a change of its own has not', () => {
  const r = new Rig();
  r.connect();
  r.ask({ verb: 'detach', volume: undefined, force: true });
  const asks = (): string[] => r.packets().map((p) => p.kind);
  assert.deepEqual(asks(), ['P_STATE', 'P_STATE_CHG_REQ']);
  r.hear({ kind: 'P_STATE_CHG_REPLY', volume: 0, result: MIRROR_REFUSALS.concurrent }, 'meta');
  assert.deepEqual(asks(), ['P_STATE_CHG_REQ']);
  r.hear(AGREED, 'meta');
  assert.deepEqual(asks(), ['P_STATE']);
});

const FILLED: DrbdPacket = {
  kind: 'P_STATE',
  volume: 0,
  state: stateOf('StartingSyncT', ['Primary', 'Secondary'], ['Inconsistent', 'UpToDate']),
};
const REFUSED: DrbdPacket = { kind: 'P_STATE_CHG_REPLY', volume: 0, result: MIRROR_REFUSALS.concurrent };

test('a state that tells of the full resync, and overtakes the agreement to it, begins no other resync', () => {
  const r = new Rig();
  r.connect();
  const id = r.ask({ verb: 'invalidate-remote', volume: undefined });
  r.packets();
  r.hear(FILLED);
  assert.equal(r.volume.connection, 'Connected');
  r.hear(AGREED, 'meta');
  assert.equal(r.answers.get(id)?.ok, true);
  assert.deepEqual([r.volume.connection, r.volume.peerRole], ['SyncSource', 'Primary']);
  assert.deepEqual(
    r.packets().map((p) => p.kind),
    ['P_SYNC_UUID'],
  );
});

test('what waited for an answer goes on when that is a refusal, and is dropped with the connection', () => {
  const r = new Rig();
  r.connect();
  r.ask({ verb: 'invalidate', volume: undefined });
  r.hear(FILLED);
  assert.equal(r.volume.connection, 'Connected');
  r.hear(REFUSED, 'meta');
  assert.equal(r.volume.connection, 'WFBitMapS', 'both compare');
  const lost = new Rig();
  lost.connect();
  lost.ask({ verb: 'invalidate', volume: undefined });
  lost.hear(FILLED);
  lost.ask({ verb: 'disconnect', force: true });
  assert.deepEqual([lost.volume.connection, lost.volume.peerDisk], ['StandAlone', 'DUnknown']);
});

/** This side was asked to be primary when it was good, has become a target since, and the peer has agreed to both. */
function promotedAsTarget(r: Rig): number {
  r.connect();
  const id = r.ask({ verb: 'primary', force: false });
  r.hear(SETTLED, 'meta');
  r.packets();
  // The peer has pulled ahead before it heard: what this side has is old.
  r.hear({ kind: 'P_STATE', volume: 0, state: stateOf('Ahead', ['Secondary', 'Secondary'], UP) });
  assert.deepEqual([r.volume.connection, r.volume.disk], ['Behind', 'Outdated']);
  return id;
}

test('a promotion that the peer agrees to is none when its source is lost before it is durable', () => {
  const r = new Rig();
  const id = promotedAsTarget(r);
  r.holdDisk = () => true;
  r.hear(AGREED, 'meta');
  assert.equal(r.answers.has(id), false);
  r.resource.handle({ kind: 'closed', because: text('gone', '断开') }, us(r.now));
  r.run();
  r.holdDisk = () => false;
  while (r.held.length > 0) r.held.shift()?.();
  const answer = r.answers.get(id);
  assert.equal(answer?.ok === false && answer.code, 'no-good-disk');
  assert.equal(r.volume.role, 'Secondary');
  assert.equal(r.volume.superblock().flags & MD_FLAG.primary, 0);
});

test('nor when the peer has agreed and lost its disk since, and it is told so', () => {
  const r = new Rig();
  const id = promotedAsTarget(r);
  r.hear({
    kind: 'P_STATE',
    volume: 0,
    state: stateOf('Connected', ['Secondary', 'Secondary'], ['Diskless', 'Outdated']),
  });
  r.packets();
  r.hear(AGREED, 'meta');
  const answer = r.answers.get(id);
  assert.equal(answer?.ok === false && answer.code, 'no-good-disk');
  assert.equal(r.volume.role, 'Secondary');
  const [told] = r.packets();
  assert.ok(told?.kind === 'P_STATE');
  assert.equal(DRBD_ROLES[decodeState(told.state).role], 'Secondary');
});

test('a primary that is filled and loses its source answers no read of what it lacks, no write, and no flush of half a copy', () => {
  const r = new Rig();
  r.connect();
  r.promote();
  r.hear(REFILL);
  assert.deepEqual(answered(r), [1]);
  r.app({ op: 'write', tag: 1, offset: 0, bytes: new Uint8Array(4096), through: false });
  const [sent] = r.packets();
  assert.ok(sent?.kind === 'P_DATA');
  const block = { volume: 0, sector: sent.sector, size: 4096, id: sent.id, seq: 1 };
  r.hear({ kind: 'P_WRITE_ACK', ...block }, 'meta');
  assert.equal(r.done.get(1), 0, 'its source has it');
  r.resource.handle({ kind: 'closed', because: text('gone', '断开') }, us(r.now));
  r.run();
  assert.deepEqual([r.volume.role, r.volume.disk], ['Primary', 'Inconsistent']);
  r.app({ op: 'flush', tag: 2 });
  r.app({ op: 'read', tag: 3, offset: 0, into: new Uint8Array(4096) });
  r.app({ op: 'write', tag: 4, offset: 0, bytes: new Uint8Array(4096), through: false });
  assert.deepEqual(
    [2, 3, 4].map((tag) => r.done.get(tag)),
    [EIO, EIO, EIO],
  );
  assert.match(JSON.stringify(r.resource.status().reasons.at(-1)), /no good data/);
});
