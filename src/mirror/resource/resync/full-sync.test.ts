/** Full resyncs on request, held to capture 16 (invalidate-remote between two kernels); and pauses, to capture 09. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drbdSights } from '../../../../test/support/captures.ts';
import { bytes, us } from '../../../base/index.ts';
import { type DrbdPacket, decodeState, NO_BLOCK_ID, sector } from '../../../wire/index.ts';
import type { MirrorConfig } from '../../config.ts';
import { decodeSuperblock, MD_FLAG } from '../../metadata/index.ts';
import { Rig, rigConfig, stateOf } from '../rig.fixture.ts';

const captured = drbdSights('16-invalidate-remote').map((s): DrbdPacket => ({ ...s.packet, volume: 0 }));
const only = (kind: DrbdPacket['kind']): DrbdPacket => captured.find((p) => p.kind === kind) ?? assert.fail(kind);
const kinds = (r: Rig): string[] => r.packets().map((p) => p.kind);
/** 192 KiB, as the kernels had it. */
function sized(checksums: 'crc32c' | undefined): MirrorConfig {
  const c = rigConfig({ checksums });
  return { ...c, volumes: c.volumes.map((v) => ({ ...v, options: { ...v.options, size: bytes(192 * 1024) } })) };
}
const UP = ['UpToDate', 'UpToDate'] as const;

test('in the place of the kernel whose data are thrown away, the same request for all of it, and Inconsistent before that', () => {
  const r = new Rig(sized('crc32c'));
  r.connect('Primary');
  r.hear(only('P_STATE_CHG_REQ'));
  assert.deepEqual(r.packets(), [only('P_STATE_CHG_REPLY')]);
  assert.deepEqual([r.volume.connection, r.volume.disk, r.volume.bits], ['WFSyncUUID', 'Inconsistent', 48]);
  r.hear(only('P_SYNC_UUID'));
  r.advance(0);
  const asked = r.packets()[0];
  assert.ok(asked?.kind === 'P_CSUM_RS_REQUEST');
  assert.deepEqual({ ...asked, digest: 0, pad: 0 }, { ...only('P_CSUM_RS_REQUEST'), digest: 0, pad: 0 });
  const data = new Uint8Array(196_608).fill(5);
  const block = { volume: 0, sector: sector(0), id: NO_BLOCK_ID, seq: 0, flags: 0, digest: new Uint8Array(0) };
  r.hear({ kind: 'P_RS_DATA_REPLY', ...block, data });
  assert.deepEqual(kinds(r), ['P_RS_WRITE_ACK', 'P_PING']);
  r.hear({ kind: 'P_PING_ACK', volume: 0 }, 'meta');
  assert.deepEqual([r.volume.connection, r.volume.disk, r.volume.bits], ['Connected', 'UpToDate', 0]);
  assert.deepEqual(kinds(r), ['P_STATE']);
  assert.equal(r.volume.uuids.history[0], (only('P_SYNC_UUID') as { uuid: bigint }).uuid & ~1n);
});

test('in the place of the kernel that throws the other copy away, request and identifier go out as its did', () => {
  const r = new Rig(sized('crc32c'));
  r.connect();
  r.promote();
  const id = r.ask({ verb: 'invalidate-remote', volume: undefined });
  assert.deepEqual(r.packets(), [only('P_STATE_CHG_REQ')]);
  r.hear(only('P_STATE_CHG_REPLY'), 'meta');
  assert.equal(r.answers.get(id)?.ok, true);
  assert.deepEqual(kinds(r), ['P_SYNC_UUID']);
  assert.deepEqual([r.volume.connection, r.volume.peerDisk, r.volume.bits], ['SyncSource', 'Inconsistent', 48]);
  r.hear(only('P_CSUM_RS_REQUEST'));
  assert.deepEqual(kinds(r), ['P_RS_DATA_REPLY']);
  r.hear({ ...only('P_RS_WRITE_ACK') }, 'meta');
  r.hear({ kind: 'P_STATE', volume: 0, state: stateOf('Connected', ['Secondary', 'Primary'], UP) });
  r.hear({ kind: 'P_PING_ACK', volume: 0 }, 'meta');
  assert.deepEqual([r.volume.connection, r.volume.peerDisk, r.volume.bits], ['Connected', 'UpToDate', 0]);
});

test('the disk of a source does not say that its target is behind: the target ends by itself, may be primary, and a crash here must not hide that', () => {
  const r = new Rig(sized(undefined));
  r.connect();
  r.promote();
  const behind = (): boolean => {
    const at = (r.volume.backing?.layout.superblock ?? 0) * 512;
    const s = decodeSuperblock(r.disk.subarray(at, at + 4096));
    return s.ok && (s.value.flags & MD_FLAG.peerOutdated) !== 0;
  };
  r.ask({ verb: 'invalidate-remote', volume: undefined });
  r.hear({ kind: 'P_STATE_CHG_REPLY', volume: 0, result: 1 }, 'meta');
  assert.deepEqual([r.volume.connection, r.volume.peerDisk, behind()], ['SyncSource', 'Inconsistent', false]);
  r.hear({ kind: 'P_RS_DATA_REQUEST', volume: 0, sector: sector(0), id: NO_BLOCK_ID, size: 196_608, pad: 0 });
  r.hear({ ...only('P_RS_WRITE_ACK') }, 'meta');
  r.hear({ kind: 'P_STATE', volume: 0, state: stateOf('Connected', ['Secondary', 'Primary'], UP) });
  r.hear({ kind: 'P_PING_ACK', volume: 0 }, 'meta');
  assert.deepEqual([r.volume.connection, r.volume.peerDisk, behind()], ['Connected', 'UpToDate', false]);
});

test('an identifier that overtakes the agreement on the other socket waits for it', () => {
  const r = new Rig(sized(undefined));
  r.connect('Primary');
  r.ask({ verb: 'invalidate', volume: 0 });
  r.packets();
  r.hear(only('P_SYNC_UUID'));
  assert.equal(r.volume.connection, 'Connected');
  r.hear({ kind: 'P_STATE_CHG_REPLY', volume: 0, result: 1 }, 'meta');
  assert.equal(r.volume.connection, 'SyncTarget');
});

test('a target whose source loses its disk before the resync begins waits no longer, and has all copied when the disk is back', () => {
  const r = new Rig(sized(undefined));
  r.connect();
  const { uuids } = r.volume;
  const told = (disk: 'Diskless' | 'Negotiating'): DrbdPacket => ({
    kind: 'P_STATE',
    volume: 0,
    state: stateOf('Connected', ['Secondary', 'Secondary'], [disk, 'Consistent']),
  });
  r.hear(only('P_STATE_CHG_REQ'));
  assert.equal(r.volume.connection, 'WFSyncUUID');
  r.hear(told('Diskless'));
  assert.deepEqual(
    [r.volume.connection, r.volume.disk, r.volume.peerDisk, r.volume.bits],
    ['Connected', 'Inconsistent', 'Diskless', 48],
  );
  r.packets();
  r.hear({ kind: 'P_UUIDS', volume: 0, uuids, bits: 0, flags: 0 });
  r.hear(told('Negotiating'));
  assert.deepEqual([r.volume.connection, r.volume.disk, r.volume.bits], ['WFBitMapT', 'Inconsistent', 48]);
  assert.deepEqual(kinds(r), ['P_UUIDS', 'P_STATE']);
});

test('StandAlone, a secondary may throw its data away by itself; never while the other side has nothing better', () => {
  const r = new Rig(sized(undefined));
  r.connect('Secondary');
  r.hear({
    kind: 'P_STATE',
    volume: 0,
    state: stateOf('Connected', ['Secondary', 'Secondary'], ['Inconsistent', 'UpToDate']),
  });
  r.packets();
  r.ask({ verb: 'invalidate', volume: 0 });
  assert.match(JSON.stringify([...r.answers.values()].at(-1)), /no-good-disk/);
  r.ask({ verb: 'disconnect', force: true });
  r.ask({ verb: 'invalidate', volume: 0 });
  assert.deepEqual([r.volume.disk, r.volume.bits], ['Inconsistent', 48]);
});

test('a resync that either side pauses asks for nothing until both let it go, and both show it as the kernels did', () => {
  const told = drbdSights('09-role-swap-and-graceful-states').flatMap((s) =>
    s.packet.kind === 'P_STATE' ? [decodeState(s.packet.state)] : [],
  );
  assert.ok(told.some((s) => s.userPaused) && told.some((s) => !s.userPaused), 'the kernels told theirs so');
  const r = new Rig(sized(undefined));
  r.connect('Primary');
  r.ask({ verb: 'pause-sync', volume: undefined });
  const [state] = r.packets();
  assert.ok(state?.kind === 'P_STATE' && decodeState(state.state).userPaused);
  r.hear(only('P_STATE_CHG_REQ'));
  r.hear(only('P_SYNC_UUID'));
  assert.equal(r.volume.connection, 'PausedSyncT');
  r.packets();
  r.advance(1_000_000);
  assert.deepEqual(kinds(r), []);
  assert.match(r.resource.status().volumes[0]?.sync?.paused?.en ?? '', /operator/);
  r.hear({
    kind: 'P_STATE',
    volume: 0,
    state: stateOf('PausedSyncS', ['Primary', 'Secondary'], UP, { userPaused: true }),
  });
  r.ask({ verb: 'resume-sync', volume: undefined });
  assert.equal(r.volume.connection, 'PausedSyncT', 'the peer still pauses');
  r.packets();
  r.hear({ kind: 'P_STATE', volume: 0, state: stateOf('SyncSource', ['Primary', 'Secondary'], UP) });
  assert.equal(r.volume.connection, 'SyncTarget');
  r.advance(0);
  assert.deepEqual(kinds(r), ['P_RS_DATA_REQUEST']);
});

test('a resync waits while another one goes first, and the peer is told that it does', () => {
  const r = new Rig(sized(undefined));
  r.connect('Primary');
  const depends = (busy: boolean): void => {
    r.resource.handle({ kind: 'dependency', volume: 0, busy }, us(r.now));
    r.run();
  };
  depends(true);
  const [told] = r.packets();
  assert.ok(told?.kind === 'P_STATE' && decodeState(told.state).afterDependencyPaused);
  r.hear(only('P_STATE_CHG_REQ'));
  r.hear(only('P_SYNC_UUID'));
  r.packets();
  r.advance(1_000_000);
  assert.deepEqual([r.volume.connection, kinds(r)], ['PausedSyncT', []]);
  depends(true);
  assert.deepEqual(kinds(r), [], 'what has not changed is not told again');
  depends(false);
  assert.equal(r.volume.connection, 'SyncTarget');
  r.advance(0);
  assert.deepEqual(kinds(r), ['P_STATE', 'P_RS_DATA_REQUEST']);
});

test('a target that is promoted keeps its writes away from what it had asked for before (seed 820179 of mirror-fencing)', () => {
  for (const checksums of [undefined, 'crc32c'] as const) {
    const r = new Rig(sized(checksums));
    r.connect();
    r.ask({ verb: 'invalidate', volume: 0 });
    r.hear({ kind: 'P_STATE_CHG_REPLY', volume: 0, result: 1 }, 'meta');
    r.hear(only('P_SYNC_UUID'));
    r.advance(0);
    const request = checksums === undefined ? 'P_RS_DATA_REQUEST' : 'P_CSUM_RS_REQUEST';
    assert.ok(kinds(r).includes(request));
    r.promote();
    r.app({ op: 'write', tag: 1, offset: 4096, bytes: new Uint8Array(4096).fill(7), through: false });
    assert.deepEqual(kinds(r), [], 'the source may have read it already');
    const block = { volume: 0, sector: sector(0), id: NO_BLOCK_ID, seq: 0, flags: 0, digest: new Uint8Array(0) };
    r.hear({ kind: 'P_RS_DATA_REPLY', ...block, data: new Uint8Array(196_608).fill(5) });
    assert.ok(kinds(r).includes('P_DATA'));
    assert.deepEqual([r.disk[0], r.disk[4096]], [5, 7]);
  }
});
