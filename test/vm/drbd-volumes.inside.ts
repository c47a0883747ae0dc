/** Two volumes in one resource, whose resyncs wait for each other; volumes that grow; discards and zeroes that one side missed. */
import assert from 'node:assert/strict';
import { truncateSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { dm, LOW, onKernelDisk } from './drbd-mapper.ts';
import { DrbdRig, MIB, SIZE } from './drbd-rig.ts';
import { GuestWriter, goesOn, NbdWriter } from './drbd-writers.ts';

let rig: DrbdRig;
before(async () => {
  rig = await DrbdRig.started(2);
});
after(() => rig?.stop());

const bothEqual = async (): Promise<readonly [Buffer, Buffer]> => [await rig.equal(0), await rig.equal(1)];
/** On the second volume of the kernel, which is primary. */
const kernelWrites1 = (kib: number, byte: number, at: number): Promise<string> =>
  rig.sh(`tr '\\0' '\\${byte.toString(8)}' </dev/zero | head -c ${kib * 1024} |
    dd of=/dev/drbd1 bs=4k seek=${at / 4096} iflag=fullblock oflag=direct 2>&1`);
const alone = (): Promise<void> =>
  rig.until('the kernel is alone', async () => (await rig.proc()).cs === 'WFConnection');

test('what either side writes on two volumes at once is on both disks of each', async () => {
  await rig.configure({});
  await rig.up();
  await rig.settled();
  await rig.order({ verb: 'primary', force: false });
  const many = (byte: number): string[] =>
    Array.from({ length: 32 }, (_, i) => `aio_write -P ${byte + i} ${(1 + i) * 65536} 20k`);
  await Promise.all([rig.ioOf(0, ...many(1), 'aio_flush', 'flush'), rig.ioOf(1, ...many(101), 'aio_flush', 'flush')]);
  await rig.order({ verb: 'secondary' });
  const [a, b] = await bothEqual();
  assert.deepEqual([a[65536], b[65536]], [1, 101]);
  await rig.sh('drbdsetup-84 primary 0; drbdsetup-84 primary 1');
  await Promise.all([rig.kernelWrites(256, 0x31, 5 * MIB, true), kernelWrites1(256, 0x32, 5 * MIB)]);
  const [c, d] = await bothEqual();
  assert.deepEqual([c[5 * MIB], d[5 * MIB]], [0x31, 0x32]);
});

test('we die while the kernel writes on both, and get of each what we missed', async () => {
  const w = new GuestWriter(rig.vm);
  await goesOn(rig, w);
  await kernelWrites1(64, 0x33, 7 * MIB);
  rig.kill();
  await alone();
  await goesOn(rig, w);
  await kernelWrites1(128, 0x34, 8 * MIB);
  await rig.startOurs();
  await rig.settled();
  await w.stop();
  const [a, b] = await bothEqual();
  w.onDisk(a);
  assert.deepEqual([b[7 * MIB], b[8 * MIB]], [0x33, 0x34]);
  await rig.sh('drbdsetup-84 secondary 0; drbdsetup-84 secondary 1');
});

for (const source of ['ours', 'kern'] as const)
  test(`resync-after of the kernel: the resync of its second volume, from ${source}, stands still until that of the first is over`, async () => {
    const kern = { diskOf: ['', 'resync-after r0/0;'] };
    await rig.configure({ disk: 'resync-rate 3M;' }, { kern });
    await rig.up();
    await rig.settled();
    if (source === 'ours') {
      await rig.order({ verb: 'primary', force: false });
      await rig.adm('disconnect', 'r0');
      await rig.io('write -P 0x41 4M 6M', 'flush');
      await rig.ioOf(1, 'write -P 0x42 4M 2M', 'flush');
      await rig.adm('connect', 'r0');
    } else {
      await rig.sh('drbdsetup-84 primary 0; drbdsetup-84 primary 1');
      await rig.order({ verb: 'disconnect', force: false });
      await rig.kernelWrites(6144, 0x43, 4 * MIB, true);
      await kernelWrites1(2048, 0x44, 4 * MIB);
      await rig.order({ verb: 'connect', discardMyData: false });
    }
    let stood = 0;
    await rig.until('the first is over', async () => {
      const { volumes } = await rig.status();
      const [first, second] = volumes;
      assert.ok(first !== undefined && second !== undefined);
      if (!/^Sync/.test(first.connection))
        return first.connection === 'Connected' && first.outOfSync === 0 && stood > 0;
      if (/^PausedSync/.test(second.connection)) {
        stood++;
        assert.equal(second.outOfSync, 2 * MIB);
        assert.ok(second.paused.includes('peer'));
      }
      return false;
    });
    await rig.settled();
    const [a, b] = await bothEqual();
    assert.deepEqual([a[9 * MIB], b[5 * MIB]], source === 'ours' ? [0x41, 0x42] : [0x43, 0x44]);
    if (source === 'ours') await rig.order({ verb: 'secondary' });
    else await rig.sh('drbdsetup-84 secondary 0; drbdsetup-84 secondary 1');
  });

const SMALL = 16 * MIB;
for (const [asked, primary] of [
  ['ours', 'ours'],
  ['kern', 'kern'],
  ['kern', 'ours'],
  ['ours', 'kern'],
] as const)
  test(`both disks have grown, ${asked} is asked to resize while ${primary} is primary: the volume grows on both, with its data`, async () => {
    const lower = { kern: { lower: LOW } };
    await rig.configure({}, lower);
    await rig.sh(`dmsetup remove --noudevsync low 2>/dev/null || true; ${dm('create low', SMALL)}`);
    await rig.create({ ours: 0x51, kern: 0x52 }, SMALL);
    await rig.up();
    await rig.connected();
    await rig.order({ verb: 'primary', force: true });
    await rig.settled();
    const before = (await rig.volume()).size;
    assert.ok(before < SMALL);
    truncateSync(rig.image('ours'), SIZE);
    if (primary === 'kern') {
      await rig.order({ verb: 'secondary' });
      await rig.adm('primary', 'r0');
    }
    const a = await rig.ask({
      verb: 'resize',
      volume: 0,
      size: undefined,
      assumeClean: false,
      assumePeerHasSpace: false,
    });
    assert.equal((await rig.volume()).size, before, `one disk alone has grown: ${a.text.en}`);
    await onKernelDisk(rig, dm('load low', SIZE));
    if (asked === 'kern') await rig.adm('resize', 'r0/0');
    else await rig.order({ verb: 'resize', volume: 0, size: undefined, assumeClean: false, assumePeerHasSpace: false });
    await rig.until('it has grown', async () => (await rig.volume()).size > SMALL);
    await rig.settled();
    const { size } = await rig.volume();
    assert.equal(Number((await rig.sh('blockdev --getsize64 /dev/drbd0')).trim()), size);
    const end = size - 65536;
    if (primary === 'ours') await rig.io(`write -P 0x53 ${end} 64k`, 'flush');
    else await rig.kernelWrites(64, 0x53, end, true);
    const grown = await rig.equal();
    assert.deepEqual([grown[0], grown[before - 1], grown[end], grown[size - 1]], [0x51, 0x51, 0x53, 0x53]);
    await rig.configure({}, lower);
    await rig.up();
    await rig.settled();
    assert.equal((await rig.volume()).size, size, 'and that is what both find when they start anew');
    await rig.equal();
  });

for (const granularity of [undefined, 65536])
  test(`discards and zeroes that one side missed are zeroes there too${granularity === undefined ? '' : ', by a thin resync'}`, async () => {
    const disk = granularity === undefined ? '' : `rs-discard-granularity ${granularity};`;
    await rig.configure({ disk });
    await rig.up();
    await rig.settled();
    await rig.order({ verb: 'primary', force: false });
    await rig.io('write -P 0x61 2M 8M', 'flush');
    await rig.adm('disconnect', 'r0');
    await rig.io('discard 3M 1M', 'write -z 5M 512k', 'write -z -u 6M 512k', 'write -P 0x62 3200k 4k', 'flush');
    await rig.adm('connect', 'r0');
    await rig.settled();
    const mine = await rig.equal();
    assert.ok(mine.subarray(5 * MIB, 5 * MIB + 512 * 1024).every((b) => b === 0));
    assert.equal(mine[3200 * 1024], 0x62);
    await rig.order({ verb: 'secondary' });
    await rig.adm('primary', 'r0');
    await rig.order({ verb: 'disconnect', force: false });
    await rig.sh('blkdiscard -o 8M -l 1M /dev/drbd0; blkdiscard -z -o 2M -l 512k /dev/drbd0');
    await rig.order({ verb: 'connect', discardMyData: false });
    await rig.settled();
    const theirs = await rig.equal();
    assert.ok(theirs.subarray(2 * MIB, 2 * MIB + 512 * 1024).every((b) => b === 0));
    await rig.adm('secondary', 'r0');
  });

test('a writer of ours on a volume of two is not held up by a resync of the other', async () => {
  await rig.configure({ disk: 'resync-rate 2M;' });
  await rig.up();
  await rig.settled();
  await rig.order({ verb: 'primary', force: false });
  await rig.adm('disconnect', 'r0');
  await rig.ioOf(1, 'write -P 0x71 2M 8M', 'flush');
  await rig.adm('connect', 'r0');
  await rig.until('the resync runs', async () => (await rig.volume(1)).connection === 'SyncSource');
  const w = new NbdWriter(rig.nbd);
  await goesOn(rig, w);
  assert.equal((await rig.volume(1)).connection, 'SyncSource', 'it was under way all the time');
  await rig.settled();
  await w.stop();
  const [a, b] = await bothEqual();
  w.onDisk(a);
  assert.equal(b[9 * MIB], 0x71);
});
