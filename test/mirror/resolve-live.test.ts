/** `holdfast mirror resolve` on two hosts: a real split brain, the loser's blocks in the undo file, byte for byte. */
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { MirrorPair, PairHost } from '../../src/lab/index.ts';
import { begin, good, inSync, MIB, noDevices, startPair, until } from '../support/mirror-pair.ts';

const BLOCK = 4096;
/** Random bytes to a place of the primary's device; each side has its own. */
const write = (pair: MirrorPair, h: PairHost, block: number, count: number): Promise<string> =>
  good(
    pair.run(h, [
      'sh',
      '-c',
      `dd if=/dev/urandom of=/dev/holdfast/data bs=${BLOCK} seek=${block} count=${count} oflag=direct conv=notrunc,fsync status=none`,
    ]),
  );

test('split brain: resolve shows both sides, keeps the loser’s blocks byte for byte, and the mirror is in sync again', {
  skip: noDevices,
  timeout: 240_000,
}, async (t) => {
  const pair = await startPair(t, { size: 64 * MIB });
  await begin(pair);
  await write(pair, 'ha1', 0, 512);
  await good(pair.mirror('ha1', 'disconnect', 'data'));
  await until(pair, 'ha2', (v) => v.connection !== 'Connected', 'alone');
  await write(pair, 'ha1', 100, 300);
  await write(pair, 'ha1', 5000, 1);
  await good(pair.mirror('ha1', 'secondary', 'data'));
  await good(pair.mirror('ha2', 'disconnect', 'data'));
  await good(pair.mirror('ha2', 'primary', 'data'));
  await write(pair, 'ha2', 350, 100);
  for (const h of ['ha1', 'ha2'] as const) await pair.mirror(h, 'connect', 'data');
  for (const h of ['ha1', 'ha2'] as const)
    await until(pair, h, (v) => v.connection === 'StandAlone', 'StandAlone after the split brain');

  const looked = await pair.mirror('ha1', 'resolve', 'data');
  assert.equal(looked.exit.code, 8, looked.stderr);
  assert.match(looked.stdout, /^data: split brain: ha1 and ha2 were both written/);
  assert.match(looked.stdout, /would lose +1\.1 MiB in 2 ranges +400 KiB/);
  assert.match(looked.stdout, /^ {3}400 - 1600 KiB {2}\(1\.1 MiB\)$/m);
  assert.match(looked.stdout, /^ {3}20000 - 20004 KiB {2}\(4 KiB\)$/m);
  const there = await pair.mirror('ha2', 'resolve', 'data');
  assert.match(there.stdout, /would lose +400 KiB in 1 range +1\.1 MiB/);

  const unasked = await pair.mirror('ha1', 'resolve', 'data', '--discard-mine');
  assert.equal(unasked.exit.code, 2);
  await until(pair, 'ha1', (v) => v.connection === 'StandAlone', 'StandAlone still');

  // A folder that is too small: refused before anything is connected.
  const small = join(pair.folder, 'small');
  await good(pair.run('ha1', ['sh', '-c', `mkdir -p ${small} && mount -t tmpfs -o size=1m tmpfs ${small}`]));
  const resolve = ['resolve', 'data', '--discard-mine', '--accept-data-loss=data'];
  const full = await pair.mirror('ha1', ...resolve, `--keep-in=${small}`);
  assert.equal(full.exit.code, 4, full.stdout);
  assert.match(full.stderr, /has room for \d+ KiB, and up to \d+ KiB are to be kept/);
  await until(pair, 'ha1', (v) => v.connection === 'StandAlone', 'StandAlone after the refusal');

  const lost = readFileSync(pair.disk('ha1'));
  await good(pair.mirror('ha2', 'connect', 'data'));
  const folder = join(pair.folder, 'undo');
  const said = await good(pair.mirror('ha1', ...resolve, `--keep-in=${folder}`));
  const file = /kept in (\S+\.undo); the resync has begun/.exec(said)?.[1] ?? assert.fail(said);
  for (const h of ['ha1', 'ha2'] as const) await until(pair, h, inSync, 'in sync again');

  // 300 and 1 blocks here, 50 more of the peer's 100.
  const explained = await good(pair.mirror('ha1', 'resolve', '--undo', file));
  assert.match(explained, /had changed +1\.1 MiB +400 KiB/);
  assert.match(explained, /^In it: 1\.3 MiB in 2 ranges of a volume/m);
  const image = join(pair.folder, 'undo.img');
  await good(pair.mirror('ha1', 'resolve', '--extract', file, '--to', image));
  const extracted = readFileSync(image);
  const end = extracted.length;
  assert.ok(end > 60 * MIB && end < 64 * MIB);
  for (const [from, to] of [
    [100, 450],
    [5000, 5001],
  ] as const) {
    const part = (b: Buffer): Buffer => b.subarray(from * BLOCK, to * BLOCK);
    assert.equal(Buffer.compare(part(extracted), part(lost)), 0, `blocks ${from} to ${to}`);
  }
  assert.ok(statSync(image).blocks * 512 < 4 * MIB, 'the image is sparse');
  const disks = (['ha1', 'ha2'] as const).map((h) => readFileSync(pair.disk(h)).subarray(0, end));
  assert.equal(Buffer.compare(disks[0] as Buffer, disks[1] as Buffer), 0, 'both disks hold the same');
  assert.notEqual(
    Buffer.compare((disks[0] as Buffer).subarray(100 * BLOCK, 400 * BLOCK), lost.subarray(100 * BLOCK, 400 * BLOCK)),
    0,
  );

  // Damaged, and cut off: both are said, and nothing is written.
  const damaged = readFileSync(file);
  damaged[10_000] = (damaged[10_000] as number) ^ 1;
  writeFileSync(`${file}.bad`, damaged);
  const bad = await pair.mirror('ha1', 'resolve', '--undo', `${file}.bad`);
  assert.equal(bad.exit.code, 1);
  assert.match(bad.stderr, /the blocks at 409600 are damaged/);
  writeFileSync(`${file}.cut`, readFileSync(file).subarray(0, damaged.length - 32));
  const cut = await pair.mirror('ha1', 'resolve', '--extract', `${file}.cut`, '--to', `${image}.2`);
  assert.equal(cut.exit.code, 1);
  assert.match(cut.stderr, /damaged or cut off/);
});
