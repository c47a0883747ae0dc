/** A primary that is about to be the source of a resync loses its disk: the peer's data are older than what it has seen. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { text, us } from '../../../base/index.ts';
import type { DrbdConnection, DrbdDisk, DrbdPacket, GenerationId } from '../../../wire/index.ts';
import { Rig, rigConfig, stateOf } from '../rig.fixture.ts';
import type { DiskOperation } from '../types.ts';

type Uuids = Extract<DrbdPacket, { readonly kind: 'P_UUIDS' }>;
/** The peer's state: its disk, and what it knows of ours. */
const state = (
  connection: DrbdConnection,
  role: 'Primary' | 'Secondary',
  disks: readonly [DrbdDisk, DrbdDisk],
): DrbdPacket => ({
  kind: 'P_STATE',
  volume: 0,
  state: stateOf(connection, role === 'Primary' ? ['Primary', 'Secondary'] : ['Secondary', 'Primary'], disks),
});
const lost = (r: Rig): void => {
  r.resource.handle({ kind: 'closed', because: text('the line was cut', '线路中断') }, us(r.now));
  r.run();
};
/** Both tell of themselves; the peer has `theirs`. */
function meet(r: Rig, role: 'Primary' | 'Secondary', theirs: (own: Uuids) => Uuids): void {
  r.meet();
  const said = r.packets();
  for (const p of said)
    if (p.kind === 'P_UUIDS') r.hear(theirs(p));
    else if (p.kind === 'P_STATE') r.hear(state('WFConnection', role, ['UpToDate', 'DUnknown']));
    else if (p.kind !== 'P_CONNECTION_FEATURES' && p.kind !== 'P_INITIAL_DATA') r.hear(p);
}
const attempt = (r: Rig): DrbdDisk => {
  r.ask({ verb: 'up' });
  return r.volume.disk;
};
const write = (r: Rig, tag: number): void =>
  r.app({ op: 'write', tag, offset: tag * 4096, bytes: new Uint8Array(4096).fill(tag), through: false });
const dataOf = (r: Rig): number => r.packets().filter((p) => p.kind === 'P_DATA').length;

/** It went on alone, has met the peer again, and its disk goes before the peer has sent its bitmap. */
function sourceLost(): Rig {
  const r = new Rig({ ...rigConfig(), onNoDataAccessible: 'suspend-io' });
  r.connect();
  r.promote();
  lost(r);
  write(r, 1);
  assert.equal(r.done.get(1), 0);
  meet(r, 'Secondary', (own) => ({
    ...own,
    uuids: {
      current: (own.uuids.bitmap & ~1n) as GenerationId,
      bitmap: 0n as GenerationId,
      history: own.uuids.history,
    },
    bits: 0,
  }));
  assert.equal(r.volume.connection, 'WFBitMapS');
  r.packets();
  r.failDisk = (o: DiskOperation) => o.op === 'flush';
  r.app({ op: 'flush', tag: 2 });
  assert.deepEqual([r.volume.connection, r.volume.disk], ['Connected', 'Diskless']);
  r.failDisk = () => false;
  r.packets();
  return r;
}

test('the outdated disk of a peer that was to be its target is not taken for good: nothing is written there', () => {
  const r = sourceLost();
  r.hear(state('WFBitMapT', 'Secondary', ['Outdated', 'UpToDate']));
  assert.equal(r.volume.peerDisk, 'Outdated');
  write(r, 3);
  assert.deepEqual([dataOf(r), r.done.get(3)], [0, undefined]);
});
test('its own disk, which has all that its application has seen, is taken back after the peer was lost', () => {
  const r = sourceLost();
  r.hear(state('WFBitMapT', 'Secondary', ['Outdated', 'UpToDate']));
  write(r, 3);
  lost(r);
  assert.equal(attempt(r), 'UpToDate');
  assert.equal(r.done.get(3), 0);
});
test('it is not taken back once the peer was good meanwhile: it may have taken in what this disk does not have', () => {
  const r = sourceLost();
  r.hear(state('Connected', 'Secondary', ['UpToDate', 'Diskless']));
  write(r, 3);
  assert.equal(dataOf(r), 1);
  lost(r);
  assert.equal(attempt(r), 'Diskless');
});
test('a target whose source has lost its disk stays Outdated', () => {
  const r = new Rig();
  r.ask({ verb: 'up' });
  meet(r, 'Primary', (own) => ({
    ...own,
    uuids: { ...own.uuids, current: 0x7777_7777n as GenerationId, bitmap: own.uuids.current },
    bits: 1,
  }));
  assert.deepEqual([r.volume.connection, r.volume.disk], ['WFBitMapT', 'Outdated']);
  for (let i = 0; i < 2; i++) r.hear(state('Connected', 'Primary', ['Diskless', 'Outdated']));
  assert.deepEqual([r.volume.connection, r.volume.disk], ['Connected', 'Outdated']);
});
