/** Online growth, held to capture 18 (192 to 256 KiB between two kernels); and metadata that move with the end of the disk. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drbdSights } from '../../../../test/support/captures.ts';
import { bytes } from '../../../base/index.ts';
import { type DrbdPacket, type SizesPacket, sector } from '../../../wire/index.ts';
import type { MirrorConfig } from '../../config.ts';
import type { MirrorRequest } from '../../status.ts';
import { Rig, rigConfig, stateOf } from '../rig.fixture.ts';

const MIB = 1 << 20;
const captured = drbdSights('18-online-grow').map((s): DrbdPacket => s.packet);
const sizes = captured.filter((p): p is SizesPacket => p.kind === 'P_SIZES');
const [question, reply] = [sizes[0] ?? assert.fail(), sizes[1] ?? assert.fail()];
/** What is told of the disk itself is ours. */
const told = (p: DrbdPacket | undefined) => (p?.kind === 'P_SIZES' ? { ...p, limits: undefined } : p?.kind);
function sized(): MirrorConfig {
  const c = rigConfig({ checksums: 'crc32c' });
  return { ...c, volumes: c.volumes.map((v) => ({ ...v, options: { ...v.options, size: bytes(192 * 1024) } })) };
}
const resize = (size?: number, assumeClean = false, assumePeerHasSpace = false): MirrorRequest => ({
  verb: 'resize',
  volume: undefined,
  size: size === undefined ? undefined : bytes(size),
  assumeClean,
  assumePeerHasSpace,
});
const request = captured.find((p) => p.kind === 'P_CSUM_RS_REQUEST') ?? assert.fail();

test('in the place of the kernel that was told to grow: the same question, and the new blocks copied from the primary', () => {
  const r = new Rig(sized());
  r.connect();
  r.promote();
  const id = r.ask(resize(256 * 1024));
  assert.deepEqual(r.packets().map(told), ['P_UUIDS', told(question)]);
  assert.equal(r.answers.get(id), undefined);
  r.hear(reply);
  assert.equal(r.answers.get(id)?.ok, true);
  assert.deepEqual([r.volume.size, r.volume.bits, r.volume.connection], [512, 16, 'SyncSource']);
  assert.deepEqual(
    r.packets().map((p) => p.kind),
    ['P_SYNC_UUID'],
  );
  r.hear(request);
  assert.ok(r.packets()[0]?.kind === 'P_RS_DATA_REPLY' || r.volume.bits === 0);
});

test('in the place of the kernel that was asked: the same answer, and the same request for what is new', () => {
  const r = new Rig(sized());
  r.connect('Primary');
  r.hear(captured.find((p) => p.kind === 'P_UUIDS') ?? assert.fail());
  r.hear(question);
  assert.deepEqual(r.packets().map(told), [told(reply)]);
  assert.deepEqual([r.volume.size, r.volume.bits, r.volume.connection], [512, 16, 'WFSyncUUID']);
  r.hear(captured.find((p) => p.kind === 'P_SYNC_UUID') ?? assert.fail());
  r.advance(0);
  const asked = r.packets()[0];
  assert.ok(asked?.kind === 'P_CSUM_RS_REQUEST' && request.kind === 'P_CSUM_RS_REQUEST');
  assert.deepEqual([asked.sector, asked.size], [request.sector, request.size]);
});

test('with --assume-clean the new blocks are not copied; an application may write to them as soon as both have them', () => {
  const r = new Rig(sized());
  r.connect();
  r.promote();
  r.ask(resize(256 * 1024, true));
  const asked = r.packets().find((p): p is SizesPacket => p.kind === 'P_SIZES');
  assert.equal(asked?.growFlags, 2);
  r.hear(reply);
  assert.deepEqual([r.volume.size, r.volume.bits, r.volume.connection], [512, 0, 'Connected']);
  r.app({ op: 'write', tag: 1, offset: 250 * 1024, bytes: new Uint8Array(4096), through: false });
  assert.ok(r.packets().some((p) => p.kind === 'P_DATA'));
});

test('who was asked with --assume-clean answers with it: the kernel goes by the answer, and would copy all that is new', () => {
  const r = new Rig(sized());
  r.connect('Primary');
  r.hear(captured.find((p) => p.kind === 'P_UUIDS') ?? assert.fail());
  r.hear({ ...question, growFlags: 2 });
  const answer = r.packets().find((p): p is SizesPacket => p.kind === 'P_SIZES');
  assert.deepEqual([answer?.currentSize, answer?.growFlags], [512, 2]);
  assert.deepEqual([r.volume.size, r.volume.bits, r.volume.connection], [512, 0, 'Connected']);
});

test('beside a peer without a disk the volume grows, and what is new is copied when that disk is back', () => {
  const r = new Rig(sized());
  r.connect();
  r.promote();
  r.hear({
    kind: 'P_STATE',
    volume: 0,
    state: stateOf('Connected', ['Secondary', 'Primary'], ['Diskless', 'UpToDate']),
  });
  r.packets();
  const id = r.ask(resize(256 * 1024));
  r.hear({ ...reply, diskSize: sector(0), userSize: sector(0) });
  assert.equal(r.answers.get(id)?.ok, true);
  assert.deepEqual([r.volume.size, r.volume.bits, r.volume.connection], [512, 16, 'Connected']);
  assert.ok(r.packets().every((p) => p.kind === 'P_UUIDS' || p.kind === 'P_SIZES'));
});

test('without a disk it takes the size that the peer has grown to, and answers a peer that asks and waits', () => {
  const r = new Rig(sized());
  r.connect('Primary');
  r.ask({ verb: 'detach', volume: undefined, force: true });
  r.advance(0);
  assert.equal(r.volume.disk, 'Diskless');
  r.packets();
  r.hear({ ...question, diskSize: sector(512), userSize: sector(512) });
  const answer = r.packets().find((p): p is SizesPacket => p.kind === 'P_SIZES');
  assert.deepEqual([answer?.currentSize, answer?.diskSize, answer?.userSize], [512, 0, 0]);
  assert.deepEqual([r.volume.size, r.volume.disk, r.volume.connection], [512, 'Diskless', 'Connected']);
  r.hear({ ...question, diskSize: sector(640), userSize: sector(0), currentSize: sector(640) });
  assert.deepEqual([r.volume.size, r.packets()], [640, []]);
});

function grown(by: number): Rig {
  const r = new Rig();
  r.connect();
  r.promote();
  r.app({ op: 'write', tag: 1, offset: 8192, bytes: new Uint8Array(4096).fill(9), through: false });
  const disk = new Uint8Array(MIB + by);
  disk.set(r.disk);
  r.disk = disk;
  r.packets();
  return r;
}
test('internal metadata move to the new end, with the log of what is hot; who attaches then finds them there', () => {
  const r = grown(MIB);
  r.ask(resize());
  const question = r.packets().find((p): p is SizesPacket => p.kind === 'P_SIZES');
  assert.ok(question && question.diskSize > 1968);
  r.hear({ ...question, currentSize: question.diskSize, userSize: sector(0) });
  assert.equal(r.volume.size, question.diskSize);
  const after = new Rig(rigConfig(), r.disk.slice());
  after.ask({ verb: 'up' });
  assert.deepEqual([after.volume.size, after.volume.crashedPrimary], [question.diskSize, true]);
  assert.ok(after.volume.bitmap.has(2), 'the block that was written is named by the log');
});

test('a disk that has grown by less than its metadata is refused before anything is overwritten, as is a smaller size', () => {
  const r = grown(8192);
  const before = r.disk.slice();
  r.ask(resize());
  assert.match(JSON.stringify([...r.answers.values()].at(-1)), /must grow by 32 KiB more/);
  assert.deepEqual(r.disk, before);
  r.ask(resize(512 * 1024));
  assert.match(JSON.stringify([...r.answers.values()].at(-1)), /cut data off/);
});

test('without a peer only who says that it has the space may grow; a peer that has not grown is named', () => {
  const r = grown(MIB);
  r.ask(resize());
  const [, question] = r.packets();
  assert.ok(question?.kind === 'P_SIZES');
  r.hear({ ...question, diskSize: sector(1968), currentSize: sector(1968) });
  assert.deepEqual(r.answers.get([...r.answers.keys()].at(-1) ?? 0), {
    ok: true,
    changed: false,
    text: { en: "it stays at 984 KiB: bravo's disk offers 984 KiB", zh: '保持 984 KiB：bravo 的磁盘为 984 KiB' },
  });
  r.ask({ verb: 'disconnect', force: true });
  r.ask(resize());
  assert.match(JSON.stringify([...r.answers.values()].at(-1)), /--assume-peer-has-space/);
  r.ask(resize(undefined, false, true));
  assert.ok(r.volume.size > 1968);
});

test('a peer that says nothing of a new size before its state keeps the old one', () => {
  const r = new Rig(sized());
  r.connect('Primary');
  r.hear(reply);
  r.hear({
    kind: 'P_STATE',
    volume: 0,
    state: stateOf('Connected', ['Primary', 'Secondary'], ['UpToDate', 'UpToDate']),
  });
  assert.deepEqual([r.volume.size, r.volume.connection], [384, 'Connected']);
});

test('a disk that fails while the metadata move is given up, who asked is told, and the old metadata are whole', () => {
  const r = grown(MIB);
  const old = r.disk.slice(MIB - 4096, MIB);
  r.failDisk = (o) => o.op === 'write' && o.offset > MIB;
  r.ask(resize());
  assert.match(JSON.stringify([...r.answers.values()].at(-1)), /no-local-disk/);
  assert.equal(r.volume.disk, 'Diskless');
  assert.deepEqual(r.disk.slice(MIB - 4096, MIB), old);
  r.hear({ kind: 'P_UNPLUG_REMOTE', volume: 0 });
  assert.equal(r.resource.connection, 'Connected');
});
