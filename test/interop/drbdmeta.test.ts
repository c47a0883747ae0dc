/** Metadata is exchanged with drbdmeta of drbd-utils: what we write it reads, and the other way round. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  ActivityLog,
  type AlGeometry,
  alBlocks,
  applyActivityLog,
  Bitmap,
  BLOCK_BYTES,
  bitmapPageSector,
  bitsFor,
  computeLayout,
  DEFAULT_AL,
  decodeSuperblock,
  dumpMetadata,
  encodeSuperblock,
  freshRing,
  freshSuperblock,
  MD_FLAG,
  type MetadataLayout,
  misfitOf,
  type Placement,
  replayActivityLog,
  type Superblock,
} from '../../src/mirror/index.ts';
import { type GenerationId, sector } from '../../src/wire/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-drbdmeta-'));
after(() => rmSync(folder, { recursive: true }));
const MiB = 1024 * 1024;

function drbdmeta(file: string, place: string, ...verb: string[]): string {
  const ran = spawnSync('drbdmeta', ['--force', '0', 'v08', file, place, ...verb], { encoding: 'utf8' });
  assert.equal(ran.status, 0, `${verb.join(' ')}: ${ran.stderr}`);
  return ran.stdout;
}
function layoutOf(p: Placement, size: number, al?: AlGeometry): MetadataLayout {
  const got = computeLayout(p, sector(size / 512), al);
  return got.ok ? got.value : assert.fail(got.error.kind);
}
const placements: [string, Placement, number][] = [
  ['internal', { kind: 'internal' }, 64 * MiB],
  ['internal', { kind: 'internal' }, 1 * MiB],
  ['internal', { kind: 'internal' }, 64 * MiB + 3 * 512],
  ['flex-external', { kind: 'flexible' }, 2 * MiB],
  ['0', { kind: 'indexed', index: 0 }, 300 * MiB],
  ['1', { kind: 'indexed', index: 1 }, 300 * MiB],
];
/** The metadata of one device in memory. */
type Disk = { superblock: Superblock; ring: Uint8Array; bitmap: Bitmap };
/** A sparse file of so many bytes, open for the time of `work`. */
function onFile<T>(file: string, size: number, work: (fd: number) => T): T {
  const fd = openSync(file, 'a+');
  closeSync(fd);
  truncateSync(file, size);
  const both = openSync(file, 'r+');
  try {
    return work(both);
  } finally {
    closeSync(both);
  }
}
function put(fd: number, l: MetadataLayout, d: Disk): void {
  const at = (s: number, bytes: Uint8Array): void => {
    writeSync(fd, bytes, 0, bytes.length, s * 512);
  };
  for (let p = 0; p < d.bitmap.pages; p++) at(bitmapPageSector(l, p), d.bitmap.page(p));
  at(l.superblock + l.alOffset, d.ring);
  at(l.superblock, encodeSuperblock(d.superblock));
}
function read(fd: number, from: number, length: number): Uint8Array {
  const out = new Uint8Array(length);
  readSync(fd, out, 0, length, from * 512);
  return out;
}
function take(fd: number, l: MetadataLayout): Disk {
  const got = decodeSuperblock(read(fd, l.superblock, BLOCK_BYTES));
  if (!got.ok) return assert.fail(got.error.kind);
  const bitmap = new Bitmap(bitsFor(got.value.laSize));
  for (let p = 0; p < bitmap.pages; p++) bitmap.load(p, read(fd, bitmapPageSector(l, p), BLOCK_BYTES));
  return { superblock: got.value, ring: read(fd, l.superblock + l.alOffset, alBlocks(l.al) * BLOCK_BYTES), bitmap };
}

for (const [place, placement, size] of placements)
  test(`what drbdmeta creates for ${place} on ${size} bytes is byte for byte what we would`, () => {
    const file = join(folder, 'created');
    rmSync(file, { force: true });
    onFile(file, size, () => {});
    drbdmeta(file, place, 'create-md');
    const l = layoutOf(placement, size);
    onFile(file, size, (fd) => {
      assert.equal(misfitOf(take(fd, l).superblock, l), undefined);
      // The bitmap's first page with them: the rest of a large one is left as zeros by both.
      const first = Math.min(l.alOffset, l.bmOffset, 0);
      const length = (Math.max(l.bmOffset, l.alOffset, 0) + 8 - first) * 512;
      assert.deepEqual(take(fd, l), { superblock: freshSuperblock(l), ring: freshRing(8), bitmap: new Bitmap(0) });
      const theirs = read(fd, l.superblock + first, length);
      put(fd, l, { superblock: freshSuperblock(l), ring: freshRing(8), bitmap: new Bitmap(0) });
      assert.equal(Buffer.compare(read(fd, l.superblock + first, length), theirs), 0);
    });
  });

for (const [place, placement, size] of placements)
  test(`what we write for ${place} on ${size} bytes drbdmeta reads with every field`, () => {
    const l = layoutOf(placement, size);
    const laSize = sector(Math.min(l.dataLimit, 8192 * 4));
    const bitmap = new Bitmap(bitsFor(laSize));
    bitmap.set({ from: 3, to: 90 });
    const id = (n: number): GenerationId => (0xabcd_0000_0000_0000n | BigInt(n)) as GenerationId;
    const superblock: Superblock = {
      ...freshSuperblock(l, 1237),
      laSize,
      uuids: { current: id(1), bitmap: id(2), history: [id(4), id(6)] },
      deviceUuid: 0x1234n,
      flags: MD_FLAG.consistent | MD_FLAG.wasUpToDate | MD_FLAG.alClean,
      peerMaxBioSize: MiB,
    };
    const file = join(folder, 'ours');
    rmSync(file, { force: true });
    onFile(file, size, (fd) => put(fd, l, { superblock, ring: freshRing(8), bitmap }));
    const dump = drbdmeta(file, place, 'dump-md');
    const field = (name: string): string => new RegExp(`${name} (.*?);?$`, 'm').exec(dump)?.[1] ?? '';
    assert.deepEqual(
      [
        'md_size_sect',
        'md_offset',
        'al_offset',
        'bm_offset',
        'la-size-sect',
        'device-uuid',
        'la-peer-max-bio-size',
        '# al-extents',
      ].map(field),
      [
        l.size,
        l.superblock * 512,
        (l.superblock + l.alOffset) * 512,
        (l.superblock + l.bmOffset) * 512,
        laSize,
        '0x0000000000001234',
        MiB,
        1237,
      ].map(String),
    );
    assert.match(dump, /0xABCD000000000001; 0xABCD000000000002; 0xABCD000000000004; 0xABCD000000000006;/);
    const bits = [...bitmap.page(0)].reduce((n, b) => n + b.toString(2).replaceAll('0', '').length, 0);
    assert.equal(field('# bits-set'), `${bits}`, 'with those behind the end');
    assert.match(
      drbdmeta(file, place, 'get-gi'),
      /^ABCD000000000001:ABCD000000000002:ABCD000000000004:ABCD000000000006:1:1:0:0:0:0/m,
    );
  });

for (const [flags, why] of [
  [MD_FLAG.consistent | MD_FLAG.primary | MD_FLAG.wasUpToDate, 'a primary'],
  [MD_FLAG.consistent | MD_FLAG.wasUpToDate, 'a secondary'],
  [MD_FLAG.consistent | MD_FLAG.wasUpToDate | MD_FLAG.crashedPrimary, 'one whose crash was applied before'],
] as const)
  for (const torn of [false, true])
    for (const al of [DEFAULT_AL, { stripes: 2, stripeSize4k: 8 }])
      test(`the log of ${why}${torn ? ', its last block torn,' : ''} in ${al.stripes} stripes is applied by drbdmeta as by us, to the byte`, () => {
        const size = 512 * MiB;
        const l = layoutOf({ kind: 'internal' }, size, al);
        const bitmap = new Bitmap(bitsFor(l.dataLimit));
        bitmap.set({ from: 5000, to: 5001 });
        const log = new ActivityLog(67, al);
        const ring = freshRing(alBlocks(al));
        let last = 0;
        for (let i = 0; i < 90; i++) {
          const extent = (i * 37) % 128; // the last one has its end behind the data
          if (log.begin(extent) === 'pending') {
            const t = log.transaction() ?? assert.fail();
            ring.set(t.bytes, t.block * BLOCK_BYTES);
            last = t.block;
            log.committed();
          }
          log.end(extent);
        }
        if (torn) ring.fill(0x55, last * BLOCK_BYTES + 2048, (last + 1) * BLOCK_BYTES);
        const superblock: Superblock = { ...freshSuperblock(l, 67), laSize: l.dataLimit, flags, clean: false };
        const file = join(folder, 'applied');
        rmSync(file, { force: true });
        onFile(file, size, (fd) => put(fd, l, { superblock, ring, bitmap }));
        drbdmeta(file, 'internal', 'apply-al');
        const theirs = onFile(file, size, (fd) => take(fd, l));
        const applied = applyActivityLog(superblock, replayActivityLog(ring, al), bitmap);
        assert.deepEqual([...bitmap.ranges()], [...theirs.bitmap.ranges()]);
        assert.equal(applied.marked > 0, (flags & MD_FLAG.primary) !== 0);
        assert.equal(applied.everything, false);
        assert.deepEqual(applied.superblock, theirs.superblock);
        assert.deepEqual(theirs.ring, freshRing(alBlocks(al)));
      });

test('what we dump is what drbdmeta dumps, and it restores it', () => {
  const size = 64 * MiB;
  const l = layoutOf({ kind: 'internal' }, size);
  const bitmap = new Bitmap(bitsFor(l.dataLimit));
  for (const [from, to] of [
    [5, 6],
    [64, 1500],
    [9000, 9001],
    [9100, 16000],
  ] as const)
    bitmap.set({ from, to });
  const fresh = freshSuperblock(l, 67);
  const superblock: Superblock = {
    ...fresh,
    laSize: l.dataLimit,
    flags: MD_FLAG.consistent | MD_FLAG.wasUpToDate | MD_FLAG.alClean,
    uuids: { ...fresh.uuids, current: 0xabcd_0000_0000_0001n as GenerationId },
    clean: true,
  };
  const ours = dumpMetadata(superblock, bitmap, BigInt(l.superblock) * 512n, ['made by a test']);
  const comments = /^# (?!bits-set|bm-bytes|md_|al_offset|bm_offset|al-extents).*\n/gm;
  const file = join(folder, 'dumped');
  rmSync(file, { force: true });
  onFile(file, size, (fd) => put(fd, l, { superblock, ring: freshRing(alBlocks(DEFAULT_AL)), bitmap }));
  // drbdmeta 9 prints no flags of v08 metadata (0, also in the corpus), but restores those that it reads.
  const flags = / {4}flags 0x[0-9A-F]{8};\n/;
  const plain = (text: string): string => text.replace(comments, '').replace(flags, '');
  assert.equal(plain(ours), plain(drbdmeta(file, 'internal', 'dump-md')));

  const text = join(folder, 'text');
  writeFileSync(text, ours);
  const restored = join(folder, 'restored');
  rmSync(restored, { force: true });
  onFile(restored, size, () => undefined);
  drbdmeta(restored, 'internal', 'restore-md', text);
  const there = onFile(restored, size, (fd) => take(fd, l));
  assert.deepEqual([...there.bitmap.ranges()], [...bitmap.ranges()]);
  assert.deepEqual(there.superblock.uuids, superblock.uuids);
  assert.equal(there.superblock.laSize, superblock.laSize);
  assert.equal(there.superblock.flags, superblock.flags);
});
