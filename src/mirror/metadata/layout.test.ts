import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { listings } from '../../../test/support/captures.ts';
import { sector } from '../../wire/index.ts';
import {
  alBlockSector,
  Bitmap,
  BLOCK_BYTES,
  bitmapPageSector,
  bitsFor,
  computeLayout,
  DEFAULT_AL,
  decodeAlBlock,
  decodeSuperblock,
  encodeAlBlock,
  encodeSuperblock,
  freshRing,
  freshSuperblock,
  type LayoutError,
  MD_FLAG,
  type MetadataLayout,
  misfitOf,
  type Placement,
  replayActivityLog,
  usableSectors,
} from './index.ts';

const must = (p: Placement, device: number): MetadataLayout => {
  const got = computeLayout(p, sector(device));
  return got.ok ? got.value : assert.fail(got.error.kind);
};
const refused = (p: Placement, device: number): LayoutError['kind'] | 'ok' => {
  const got = computeLayout(p, sector(device));
  return got.ok ? 'ok' : got.error.kind;
};
const internal: Placement = { kind: 'internal' };

test('internal metadata of 1 MiB is where the kernel puts it', () => {
  const l = must(internal, 2048);
  assert.deepEqual([l.superblock, l.alOffset, l.bmOffset, l.size, l.dataLimit], [2040, -64, -72, 80, 1968]);
  assert.equal(must(internal, 2047 + 8).superblock, 2040, 'the last whole 4 KiB');
});
test('external metadata begins at the start of its device or of its slot', () => {
  const flexible = must({ kind: 'flexible' }, 4096);
  assert.deepEqual([flexible.superblock, flexible.alOffset, flexible.bmOffset, flexible.size], [0, 8, 72, 4096]);
  const slot = must({ kind: 'indexed', index: 2 }, 3 * 262144);
  assert.deepEqual([slot.superblock, slot.alOffset, slot.bmOffset, slot.size], [524288, 8, 72, 262144]);
  assert.ok(slot.dataLimit * 512 > 3.9 * 2 ** 40 && slot.dataLimit * 512 < 4 * 2 ** 40, 'about 4 TB');
  assert.equal(usableSectors(slot, { kind: 'indexed', index: 2 }, sector(1000)), 1000);
});
test('what has no room is refused with the room it needs', () => {
  assert.equal(refused(internal, 2047), 'too-small');
  assert.equal(refused({ kind: 'flexible' }, 79), 'too-small');
  assert.equal(refused({ kind: 'indexed', index: 1 }, 2 * 262144 - 1), 'too-small');
  assert.equal(refused({ kind: 'indexed', index: -1 }, 262144), 'index');
  assert.equal(refused(internal, 2 ** 41 + 8), 'too-large');
  const one = computeLayout(internal, sector(4096), { stripes: 1, stripeSize4k: 1 });
  assert.equal(one.ok ? 'ok' : one.error.kind, 'activity-log');
});
test('in internal metadata nothing overlaps: data, bitmap, log, superblock, end; and the bitmap has a bit for all data', () =>
  fc.assert(
    fc.property(fc.integer({ min: 2048, max: 2 ** 41 }), (device) => {
      const l = must(internal, device);
      assert.equal(l.dataLimit, bitmapPageSector(l, 0));
      assert.equal(l.superblock + l.bmOffset + l.bitmapSectors, l.superblock + l.alOffset);
      assert.equal(alBlockSector(l, 7) + 8, l.superblock);
      assert.ok(l.superblock + 8 <= device && device - (l.superblock + 8) < 8);
      assert.ok(bitsFor(l.dataLimit) <= l.bitmapSectors * 4096);
      assert.ok(Number.isInteger(l.bmOffset / 8));
    }),
  ));
test('a superblock that contradicts where it was found is named by its field', () => {
  const l = must(internal, 2048);
  const s = freshSuperblock(l);
  assert.equal(misfitOf(s, l), undefined);
  assert.deepEqual(misfitOf({ ...s, bmOffset: -80 }, l), { field: 'bm_offset', have: -80, want: -72 });
});
test('metadata of other versions, none at all, and another block size are told apart', () => {
  const bytes = encodeSuperblock(freshSuperblock(must(internal, 2048)));
  const kind = (at: number, value: number): unknown => {
    const b = bytes.slice();
    new DataView(b.buffer).setUint32(at, value);
    const got = decodeSuperblock(b);
    return got.ok ? 'ok' : got.error;
  };
  assert.deepEqual(kind(60, 0x8374026d), { kind: 'version', have: 9 });
  assert.deepEqual(kind(60, 0x8374026a), { kind: 'version', have: 7 });
  assert.deepEqual(kind(60, 0), { kind: 'magic', have: 0 });
  assert.deepEqual(kind(80, 8192), { kind: 'bytes-per-bit', have: 8192 });
});
test('a freshly initialised log block is the one that DRBD writes', () => {
  const block = freshRing(1);
  assert.equal(new DataView(block.buffer).getUint32(8), 0x709cc651);
});

const folder = join(listings, 'metadata');
for (const name of [
  'internal-primary-uptodate',
  'internal-primary-disconnected',
  'internal-down-before-apply-al',
  'internal-after-apply-al',
])
  test(`the image ${name} of a kernel is read and written again byte for byte`, (t) => {
    const file = join(folder, `${name}.tail40k.bin`);
    if (!existsSync(file)) return t.skip('the images are not here: set HOLDFAST_CORPUS');
    const image = Uint8Array.from(readFileSync(file));
    const l = must(internal, 2048);
    const at = (absolute: number): number => (absolute - l.dataLimit) * 512;
    const block = (absolute: number): Uint8Array => image.subarray(at(absolute), at(absolute) + BLOCK_BYTES);
    const s = decodeSuperblock(block(l.superblock));
    if (!s.ok) return assert.fail(s.error.kind);
    assert.deepEqual(encodeSuperblock(s.value), block(l.superblock));
    assert.equal(misfitOf(s.value, l), undefined);
    assert.equal(s.value.clean, name === 'internal-after-apply-al');
    for (let i = 0; i < 8; i++) {
      const got = decodeAlBlock(block(alBlockSector(l, i)));
      if (!got.ok) assert.fail(got.error.kind);
      assert.deepEqual(encodeAlBlock(got.value), block(alBlockSector(l, i)));
    }
    const replay = replayActivityLog(image.subarray(at(alBlockSector(l, 0)), at(l.superblock)), DEFAULT_AL);
    assert.deepEqual([replay.hot, replay.complete], [s.value.clean ? [] : [0], true]);
    const bitmap = new Bitmap(bitsFor(s.value.laSize));
    bitmap.load(0, block(bitmapPageSector(l, 0)));
    assert.equal(bitmap.count, 0);
    assert.deepEqual(bitmap.page(0), block(bitmapPageSector(l, 0)));
    const flags = { 'internal-primary-uptodate': 0x17, 'internal-primary-disconnected': 0x13 }[name];
    if (flags !== undefined) assert.equal(s.value.flags, flags);
    return undefined;
  });
test('the image of fresh flexible metadata is what we make for that device', (t) => {
  const file = join(folder, 'flex-external-fresh.head64k.bin');
  if (!existsSync(file)) return t.skip('the images are not here: set HOLDFAST_CORPUS');
  const l = must({ kind: 'flexible' }, 4096);
  const ours = new Uint8Array(65536);
  ours.set(encodeSuperblock(freshSuperblock(l)));
  ours.set(freshRing(8), 4096);
  assert.deepEqual(ours, Uint8Array.from(readFileSync(file)));
  assert.equal(freshSuperblock(l).flags, MD_FLAG.alClean);
  return undefined;
});
