/** Two volumes in one resource: writes on both, and what was missed of each. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DrbdRig, MIB } from './drbd-rig.ts';
import { bothEqual, kernelIs, kernelWrites1 } from './drbd-volumes.ts';
import { GuestWriter, goesOn, NbdWriter } from './drbd-writers.ts';

let rig: DrbdRig;
before(async () => {
  rig = await DrbdRig.started(2);
});
after(() => rig?.stop());

test('what either side writes on two volumes at once is on both disks of each', async () => {
  await rig.order({ verb: 'primary', force: false });
  const many = (byte: number): string[] =>
    Array.from({ length: 32 }, (_, i) => `aio_write -P ${byte + i} ${(1 + i) * 65536} 20k`);
  await Promise.all([rig.ioOf(0, ...many(1), 'aio_flush', 'flush'), rig.ioOf(1, ...many(101), 'aio_flush', 'flush')]);
  await rig.order({ verb: 'secondary' });
  const [a, b] = await bothEqual(rig);
  assert.deepEqual([a[65536], b[65536]], [1, 101]);
  await kernelIs(rig, 'primary');
  await Promise.all([rig.kernelWrites(256, 0x31, 5 * MIB, true), kernelWrites1(rig, 256, 0x32, 5 * MIB)]);
  const [c, d] = await bothEqual(rig);
  assert.deepEqual([c[5 * MIB], d[5 * MIB]], [0x31, 0x32]);
});

test('we die while the kernel writes on both, and get of each what we missed', async () => {
  const w = new GuestWriter(rig.vm);
  await goesOn(rig, w);
  await kernelWrites1(rig, 64, 0x33, 7 * MIB);
  rig.kill();
  await rig.until('the kernel is alone', async () => (await rig.proc()).cs === 'WFConnection');
  await goesOn(rig, w);
  await kernelWrites1(rig, 128, 0x34, 8 * MIB);
  await rig.startOurs();
  await rig.settled();
  await w.stop();
  const [a, b] = await bothEqual(rig);
  w.onDisk(a);
  assert.deepEqual([b[7 * MIB], b[8 * MIB]], [0x33, 0x34]);
  await kernelIs(rig, 'secondary');
});

test('a writer of ours on a volume of two is not held up by a resync of the other', async () => {
  await rig.configure({ disk: 'resync-rate 1M;' });
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
  const [a, b] = await bothEqual(rig);
  w.onDisk(a);
  assert.equal(b[9 * MIB], 0x71);
});
