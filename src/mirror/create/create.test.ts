import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { type DeviceFacts, mayOverwrite } from './decide.ts';
import { type DeviceEnds, findSignatures, HEAD_BYTES, type Signature, TAIL_BYTES } from './signatures.ts';
import { freshMetadata } from './writes.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-create-'));
after(() => rmSync(folder, { recursive: true }));
const MiB = 1024 * 1024;
const ends = (all: Uint8Array): DeviceEnds => ({
  size: all.length,
  head: all.subarray(0, HEAD_BYTES),
  tail: all.subarray(Math.max(0, all.length - TAIL_BYTES)),
});
const whats = (d: DeviceEnds): Signature[] => findSignatures(d).map((f) => f.what);

/** The same of a file, without reading what lies between. */
function endsOf(file: string): DeviceEnds {
  const fd = openSync(file, 'r');
  const { size } = fstatSync(fd);
  const part = (at: number, length: number): Uint8Array => {
    const out = new Uint8Array(length);
    readSync(fd, out, 0, length, at);
    return out;
  };
  const [h, t] = [Math.min(size, HEAD_BYTES), Math.min(size, TAIL_BYTES)];
  const found = { size, head: part(0, h), tail: part(size - t, t) };
  closeSync(fd);
  return found;
}

/** What the real tools leave on a file of so many MiB. */
const MADE: readonly (readonly [Signature, number, string, ...string[]])[] = [
  ['ext', 8, 'mkfs.ext4', '-q', '-F', '-L', 'backup'],
  ['ext', 8, 'mkfs.ext2', '-q', '-F'],
  ['xfs', 320, 'mkfs.xfs', '-q', '-f', '-L', 'backup'],
  ['btrfs', 128, 'mkfs.btrfs', '-q', '-f', '-L', 'backup'],
  ['fat', 32, 'mkfs.vfat', '-F', '16'],
  ['fat', 64, 'mkfs.vfat', '-F', '32'],
  ['swap', 8, 'mkswap'],
  ['drbd-v08', 8, 'drbdmeta', '--force', '0', 'v08', 'FILE', 'internal', 'create-md'],
  ['drbd-v08', 8, 'drbdmeta', '--force', '0', 'v08', 'FILE', 'flex-external', 'create-md'],
  ['drbd-v09', 8, 'drbdmeta', '--force', '0', 'v09', 'FILE', 'internal', 'create-md', '1'],
];
for (const [what, mebi, command, ...args] of MADE)
  test(`${[command, ...args].join(' ')} on ${mebi} MiB is recognised as ${what}`, (t) => {
    const file = join(folder, 'disk');
    rmSync(file, { force: true });
    closeSync(openSync(file, 'a'));
    truncateSync(file, mebi * MiB);
    assert.deepEqual(whats(endsOf(file)), [], 'an empty file holds nothing');
    const words = args.includes('FILE') ? args.map((a) => (a === 'FILE' ? file : a)) : [...args, file];
    const r = spawnSync(command, words, {
      encoding: 'utf8',
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      input: 'yes\n',
    });
    if (r.error) return t.skip(`${command} is not installed`);
    assert.equal(r.status, 0, r.stderr);
    const found = findSignatures(endsOf(file));
    assert.deepEqual(
      found.map((f) => f.what),
      [what],
    );
    assert.equal(found[0]?.label, args.includes('-L') ? 'backup' : undefined);
  });

/** Marks of formats whose tools want a real device. */
const marked = (
  size: number,
  ...marks: readonly (readonly [at: number, bytes: string | readonly number[]])[]
): DeviceEnds => {
  const all = new Uint8Array(size);
  for (const [at, bytes] of marks) all.set(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, at);
  return ends(all);
};
test('LUKS, LVM2, partition tables and RAID members are recognised by their marks', () => {
  const size = 4 * MiB;
  assert.deepEqual(whats(marked(size, [0, 'LUKS\xba\xbe'])), ['luks']);
  assert.deepEqual(whats(marked(size, [512, 'LABELONE'], [512 + 24, 'LVM2 001'])), ['lvm2']);
  assert.deepEqual(whats(marked(size, [512, 'EFI PART'])), ['gpt']);
  assert.deepEqual(whats(marked(size, [size - 512, 'EFI PART'])), ['gpt'], 'the copy at the end is enough');
  assert.deepEqual(whats(marked(size, [510, [0x55, 0xaa]], [446 + 4, [0x83]])), ['mbr']);
  assert.deepEqual(whats(marked(size, [510, [0x55, 0xaa]])), [], 'without an entry it is no table');
  for (const at of [0, 4096, size - 8192, size - 65_536])
    assert.deepEqual(whats(marked(size, [at, [0xfc, 0x4e, 0x2b, 0xa9]])), ['md-raid'], String(at));
});
test('several formats on one device are all told', () => {
  assert.deepEqual(whats(marked(4 * MiB, [0, 'XFSB'], [4 * MiB - 4096 + 60, [0x83, 0x74, 0x02, 0x6b]])), [
    'xfs',
    'drbd-v08',
  ]);
});
test('no bytes make the search throw, and zeros hold nothing', () =>
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 9000 }), fc.nat({ max: 9000 }), (bytes, extra) => {
      findSignatures({ size: bytes.length + extra, head: bytes, tail: bytes });
      assert.deepEqual(whats(ends(new Uint8Array(bytes.length))), []);
    }),
  ));

const facts = (o: Partial<DeviceFacts> = {}): DeviceFacts => ({
  path: '/dev/sdb1',
  size: MiB,
  signatures: [],
  mountedOn: [],
  heldBy: [],
  ...o,
});
const ext = { what: 'ext', at: 1080, label: 'backup' } as const;
test('an empty device is free; one that holds something needs the mirror’s name; one in use is refused whatever was typed', () => {
  assert.deepEqual(mayOverwrite(facts(), 'data', undefined), { kind: 'free' });
  const asked = mayOverwrite(facts({ signatures: [ext] }), 'data', undefined);
  assert.ok(asked.kind === 'confirm');
  assert.equal(asked.loses[0]?.en, 'an ext2/3/4 file system named backup');
  assert.equal(mayOverwrite(facts({ signatures: [ext] }), 'data', 'date').kind, 'confirm');
  assert.equal(mayOverwrite(facts({ signatures: [ext] }), 'data', 'data').kind, 'free');
  for (const use of [{ mountedOn: ['/backup'] }, { heldBy: ['dm-0'] }]) {
    const r = mayOverwrite(facts({ ...use, signatures: [ext] }), 'data', 'data');
    assert.ok(r.kind === 'refused' && r.why.en.includes('/dev/sdb1') && r.why.zh.includes('/dev/sdb1'));
  }
});

test('fresh metadata stays within its device, leaves the data alone, and its superblock comes last', () =>
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 64 }), fc.constantFrom('internal', 'flexible'), (mebi, kind) => {
      const place = kind === 'internal' ? ({ kind } as const) : ({ kind: 'flexible', device: '/dev/x' } as const);
      const r = freshMetadata(place, { metaSize: mebi * MiB, dataSize: mebi * MiB, alExtents: 1237 });
      assert.ok(r.ok);
      const { writes, usable, layout } = r.value;
      for (const w of writes) {
        assert.ok(w.at * 512 + w.bytes.length <= mebi * MiB);
        if (kind === 'internal') assert.ok(w.at >= usable, 'above the data');
      }
      assert.equal(writes.at(-1)?.at, layout.superblock);
    }),
  ));
test('drbdmeta reads the metadata that create writes', () => {
  const file = join(folder, 'fresh');
  closeSync(openSync(file, 'a'));
  truncateSync(file, 8 * MiB);
  const r = freshMetadata({ kind: 'internal' }, { metaSize: 8 * MiB, dataSize: 8 * MiB, alExtents: 257 });
  assert.ok(r.ok);
  const fd = openSync(file, 'r+');
  for (const w of r.value.writes) writeSync(fd, w.bytes, 0, w.bytes.length, w.at * 512);
  closeSync(fd);
  const dump = spawnSync('drbdmeta', ['--force', '0', 'v08', file, 'internal', 'dump-md'], { encoding: 'utf8' });
  assert.equal(dump.status, 0, dump.stderr);
  assert.match(dump.stdout, /# al-extents 257;|al-extents 257/);
  assert.deepEqual(whats(endsOf(file)), ['drbd-v08']);
});
