/** Congestion, put in the place of each of the two kernels of capture 23: protocol A, on-congestion pull-ahead. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drbdSights } from '../../../../test/support/captures.ts';
import { bytes } from '../../../base/index.ts';
import { type DrbdPacket, decodeState, describeState } from '../../../wire/index.ts';
import { Rig, rigConfig, stateOf } from '../rig.fixture.ts';
import { EIO } from '../types.ts';

const sights = drbdSights('23-congestion-ahead-behind');
const first = sights[0] ?? assert.fail();
/** The primary's data socket; all else is the peer's, or of the meta socket. */
const captured = sights.map((s) => s.packet);
const KIND = 8192;
const config = () => rigConfig({ protocol: 'A', onCongestion: 'pull-ahead', congestionFill: bytes(2 * KIND) });
const write = (r: Rig, n: number): void =>
  r.app({ op: 'write', tag: n, offset: n * KIND, bytes: new Uint8Array(KIND).fill(n + 1), through: false });
/** Handles, counters and hints are each side's own. */
const plain = (p: DrbdPacket): string =>
  p.kind === 'P_DATA'
    ? `P_DATA ${p.sector}`
    : p.kind === 'P_OUT_OF_SYNC'
      ? `P_OUT_OF_SYNC ${p.sector} ${p.size}`
      : p.kind === 'P_STATE'
        ? `P_STATE ${describeState(p.state)}`
        : p.kind;

test('in the place of the kernel that pulls ahead: the same writes, states and blocks told, and back after a second', () => {
  const r = new Rig(config());
  r.connect();
  r.promote();
  for (let n = 0; n < 6; n++) write(r, n);
  const said = r.packets();
  const kernel = captured.slice(captured.indexOf(first.packet)).filter((p) => p.kind !== 'P_UNPLUG_REMOTE');
  const until = kernel.findIndex((p) => p.kind === 'P_BARRIER_ACK');
  const order = (l: readonly DrbdPacket[]): string[] => l.filter((p) => p.kind !== 'P_BARRIER').map(plain);
  assert.deepEqual(order(said), order(kernel.slice(0, until)));
  for (let n = 0; n < 6; n++) assert.equal(r.done.get(n), 0, 'nobody waits for the peer');
  assert.deepEqual([r.volume.connection, r.volume.peerDisk, r.volume.bits], ['Ahead', 'Consistent', 8]);
  for (const p of said)
    if (p.kind === 'P_BARRIER') r.hear({ kind: 'P_BARRIER_ACK', volume: 0, barrier: p.barrier, setSize: 1 }, 'meta');
  r.advance(990_000);
  assert.equal(r.volume.connection, 'Ahead');
  r.advance(20_000);
  assert.deepEqual([r.volume.connection, r.packets().map((p) => p.kind)], ['SyncSource', ['P_SYNC_UUID']]);
  for (const p of captured) if (p.kind === 'P_RS_DATA_REQUEST') r.hear(p);
  for (const p of captured) if (p.kind === 'P_RS_WRITE_ACK') r.hear(p, 'meta');
  assert.equal(r.volume.bits, 0);
});

test('in the place of the kernel that is behind: the same requests, and all is copied', () => {
  const r = new Rig(config());
  r.connect('Primary');
  const asked: DrbdPacket[] = [];
  for (const p of captured) {
    if (p.kind === 'P_SYNC_UUID') assert.deepEqual([r.volume.connection, r.volume.disk], ['Behind', 'Outdated']);
    if (['P_DATA', 'P_BARRIER', 'P_OUT_OF_SYNC', 'P_SYNC_UUID'].includes(p.kind)) r.hear(p);
    if (p.kind === 'P_STATE' && decodeState(p.state).connection === 22) r.hear(p);
    if (p.kind !== 'P_SYNC_UUID') continue;
    r.packets();
    r.advance(0);
    asked.push(...r.packets());
  }
  const requests = captured.filter((p) => p.kind === 'P_RS_DATA_REQUEST').map((p) => ({ ...p, pad: 0 }));
  assert.deepEqual(asked, requests);
  for (const p of captured) if (p.kind === 'P_RS_DATA_REPLY') r.hear(p);
  r.hear({ kind: 'P_PING_ACK', volume: 0 }, 'meta');
  assert.deepEqual([r.volume.connection, r.volume.disk, r.volume.bits], ['Connected', 'UpToDate', 0]);
});

test('on-congestion disconnect ends the connection; in C, and without a limit, writes wait', () => {
  const d = new Rig(rigConfig({ protocol: 'A', onCongestion: 'disconnect', congestionFill: bytes(KIND) }));
  d.connect();
  d.promote();
  for (let n = 0; n < 3; n++) write(d, n);
  d.advance(0);
  assert.deepEqual([d.resource.connection, d.volume.bits], ['StandAlone', 6]);
  assert.deepEqual([...d.done.values()], [0, 0, 0]);
  const c = new Rig(rigConfig({ protocol: 'C', onCongestion: 'pull-ahead', congestionFill: bytes(KIND) }));
  c.connect();
  c.promote();
  for (let n = 0; n < 4; n++) write(c, n);
  assert.equal(c.volume.connection, 'Connected');
});

test('a primary that is ahead and loses its disk reads nothing old from its peer: it leaves without a word, and goes on when the disk is back', () => {
  const r = new Rig(config());
  r.connect();
  r.promote();
  for (let n = 0; n < 6; n++) write(r, n);
  assert.equal(r.volume.connection, 'Ahead');
  const before = r.volume.uuids.current;
  r.said();
  r.failDisk = (o) => o.op === 'flush';
  r.app({ op: 'flush', tag: 99 });
  r.failDisk = () => false;
  assert.deepEqual([r.volume.disk, r.volume.connection], ['Diskless', 'StandAlone']);
  const into = new Uint8Array(KIND);
  const read = (tag: number): void => r.app({ op: 'read', tag, offset: 5 * KIND, into });
  read(100);
  assert.equal(r.done.get(100), EIO, 'there are no good data (on-no-data-accessible io-error)');
  const told = r.packets();
  assert.ok(told.every((p) => p.kind !== 'P_STATE' && p.kind !== 'P_STATE_CHG_REQ' && p.kind !== 'P_DATA_REQUEST'));
  const id = r.ask({ verb: 'attach', volume: undefined });
  assert.equal(r.answers.get(id)?.ok, true);
  read(101);
  assert.deepEqual([r.volume.disk, r.done.get(101), into[0]], ['UpToDate', 0, 6]);
  assert.notEqual(r.volume.uuids.current, before, 'the next handshake makes this side the source');
  assert.notEqual(r.volume.bits, 0);
});

test('a primary that is ahead leaves that when the peer loses its disk: all that was on its way is marked, and nothing begins', () => {
  const r = new Rig(config());
  r.connect();
  r.promote();
  for (let n = 0; n < 6; n++) write(r, n);
  assert.deepEqual([r.volume.connection, r.volume.bits], ['Ahead', 8]);
  r.hear({
    kind: 'P_STATE',
    volume: 0,
    state: stateOf('Connected', ['Secondary', 'Primary'], ['Diskless', 'UpToDate']),
  });
  assert.deepEqual([r.volume.connection, r.volume.disk, r.volume.peerDisk], ['Connected', 'UpToDate', 'Diskless']);
  assert.equal(r.volume.bits, 12, 'the first two writes as well');
  r.packets();
  r.advance(2_000_000);
  assert.ok(r.packets().every((p) => p.kind !== 'P_SYNC_UUID'));
  assert.equal(r.volume.connection, 'Connected');
});

test('who has no disk does not fall behind a primary that has not heard of it', () => {
  const r = new Rig(config());
  r.connect('Primary');
  r.ask({ verb: 'detach', volume: undefined, force: true });
  assert.equal(r.volume.disk, 'Diskless');
  r.hear({ kind: 'P_STATE', volume: 0, state: stateOf('Ahead', ['Primary', 'Secondary'], ['UpToDate', 'Consistent']) });
  assert.deepEqual([r.volume.connection, r.volume.disk], ['Connected', 'Diskless']);
});
