/** Reads for which both disks are good. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DrbdPacket } from '../../../wire/index.ts';
import type { DiskOptions, MirrorConfig, ReplicationProtocol } from '../../config.ts';
import { Rig, rigConfig, stateOf } from '../rig.fixture.ts';
import { readsFromPeer } from './read-balancing.ts';

type Policy = DiskOptions['readBalancing'];
type Request = Extract<DrbdPacket, { kind: 'P_DATA_REQUEST' }>;
const NOTHING = new Uint8Array(0);
function config(readBalancing: Policy, protocol: ReplicationProtocol = 'C'): MirrorConfig {
  const c = rigConfig({ protocol });
  return { ...c, volumes: c.volumes.map((v) => ({ ...v, options: { ...v.options, readBalancing } })) };
}
function primary(readBalancing: Policy, protocol?: ReplicationProtocol): Rig {
  const r = new Rig(config(readBalancing, protocol));
  r.connect();
  r.promote();
  r.disk.fill(1, 0, 4096);
  return r;
}
const into = new Uint8Array(4096);
/** What was asked of the peer; undefined: it was read here. */
function read(r: Rig, tag: number): Request | undefined {
  into.fill(0);
  r.app({ op: 'read', tag, offset: 0, into });
  const packets = r.packets();
  const asked = packets.find((p): p is Request => p.kind === 'P_DATA_REQUEST');
  assert.equal(packets.length, asked === undefined ? 0 : 1);
  assert.equal(r.done.get(tag), asked === undefined ? 0 : undefined);
  return asked;
}
function reply(r: Rig, { sector, id }: Request): void {
  const data = new Uint8Array(4096).fill(2);
  r.hear({ kind: 'P_DATA_REPLY', volume: 0, sector, id, seq: 0, flags: 0, digest: NOTHING, data });
}

test('prefer-local reads here, prefer-remote at the peer, round-robin in turn', () => {
  assert.equal(read(primary('prefer-local'), 1), undefined);
  const remote = primary('prefer-remote');
  const asked = read(remote, 1);
  assert.ok(asked);
  reply(remote, asked);
  assert.deepEqual([remote.done.get(1), into[0]], [0, 2]);
  const turns = primary('round-robin');
  assert.deepEqual(
    [1, 2, 3, 4].map((tag) => read(turns, tag) !== undefined),
    [true, false, true, false],
  );
});
test('least-pending goes where less is waited for, and counts what comes back', () => {
  const r = primary('least-pending');
  r.holdDisk = () => true;
  const here = (): boolean => {
    r.app({ op: 'read', tag: r.done.size + 100, offset: 0, into: new Uint8Array(4096) });
    return r.packets().length === 0;
  };
  assert.deepEqual([here(), here(), here()], [true, false, true]);
  for (const back of r.held.splice(0)) back();
  assert.deepEqual([here(), here()], [true, true], 'one is asked of the peer, none of the disk');
});
test('the peer is asked from 112 requests at the own disk on where it is to help out', () => {
  const load = (local: number) => () => ({ local, remote: 0, lastRemote: false });
  assert.deepEqual(
    [111, 112].map((n) => readsFromPeer('when-congested-remote', load(n))),
    [false, true],
  );
});
test('a read that the peer refuses, or that is lost with it, is read here', () => {
  const r = primary('prefer-remote');
  const refused = read(r, 1);
  assert.ok(refused);
  const { sector, id } = refused;
  r.hear({ kind: 'P_NEG_DREPLY', volume: 0, sector, id, size: 4096, seq: 1 }, 'meta');
  assert.deepEqual([r.done.get(1), into[0]], [0, 1]);
  read(r, 2);
  r.ask({ verb: 'disconnect', force: true });
  assert.deepEqual([r.done.get(2), into[0]], [0, 1]);
});
test('nothing but protocol C, and nothing but a peer that is UpToDate, is asked', () => {
  assert.equal(read(primary('prefer-remote', 'A'), 1), undefined);
  assert.equal(read(primary('prefer-remote', 'B'), 1), undefined);
  const r = primary('prefer-remote');
  r.hear({
    kind: 'P_STATE',
    volume: 0,
    state: stateOf('Connected', ['Secondary', 'Primary'], ['Diskless', 'UpToDate']),
  });
  r.packets();
  assert.equal(read(r, 1), undefined);
});
test('a read of more than a packet holds is read here', () => {
  const r = new Rig(config('prefer-remote'), 4 << 20);
  r.connect();
  r.promote();
  r.app({ op: 'read', tag: 1, offset: 0, into: new Uint8Array(2 << 20) });
  assert.deepEqual([r.done.get(1), r.packets()], [0, []]);
});
