/** What a resync copies, and what it does not: after a time apart, by checksums, after a verify, under load, and when disks change sides. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DrbdRig, MIB } from './drbd-rig.ts';
import { GuestWriter, goesOn, NbdWriter } from './drbd-writers.ts';

let rig: DrbdRig;
before(async () => {
  rig = await DrbdRig.started();
});
after(() => rig?.stop());

test('a reconnection copies what the kernel missed, and nothing else', async () => {
  await rig.configure({});
  await rig.up();
  await rig.settled();
  await rig.order({ verb: 'primary', force: false });
  await rig.adm('disconnect', 'r0');
  await rig.io('write -P 0x71 5M 1M', 'write -P 0x72 16M 12k', 'flush');
  const before = await rig.volume();
  assert.equal(before.outOfSync, MIB + 12 * 1024);
  await rig.adm('connect', 'r0');
  await rig.settled();
  const sent = (await rig.volume()).counters.ns - before.counters.ns;
  assert.equal(sent, 1024 + 12);
  assert.equal((await rig.equal())[16 * MIB], 0x72);
  await rig.order({ verb: 'secondary' });
});

test('a reconnection copies what we missed, and nothing else', async () => {
  await rig.adm('primary', 'r0');
  await rig.order({ verb: 'disconnect', force: false });
  await rig.sh('dd if=/dev/urandom of=/dev/drbd0 bs=256k count=3 seek=20 oflag=direct 2>&1');
  const before = (await rig.volume()).counters.nr;
  await rig.order({ verb: 'connect', discardMyData: false });
  await rig.settled();
  assert.equal((await rig.volume()).counters.nr - before, 768);
  await rig.equal();
  await rig.adm('secondary', 'r0');
});

for (const [algorithm, pattern] of [
  ['crc32c', 0x45],
  ['sha1', 0x46],
])
  test(`a resync by ${algorithm} copies only what differs, from either side`, async () => {
    await rig.configure({ net: `csums-alg ${algorithm};` });
    await rig.up();
    await rig.settled();
    await rig.order({ verb: 'primary', force: false });
    await rig.io('write -P 0x44 4M 2M', 'flush');
    await rig.adm('disconnect', 'r0');
    await rig.io('write -P 0x44 4M 2M', `write -P ${pattern} 8M 64k`, 'flush');
    let before = (await rig.volume()).counters;
    await rig.adm('connect', 'r0');
    await rig.settled();
    assert.equal((await rig.volume()).counters.ns - before.ns, 64, 'of 2112 KiB that were written');
    await rig.equal();
    await rig.order({ verb: 'secondary' });
    await rig.adm('primary', 'r0');
    await rig.order({ verb: 'disconnect', force: false });
    await rig.sh(`
        dd if=/dev/drbd0 of=/run/same bs=1M count=2 skip=4 iflag=direct 2>&1
        dd if=/run/same of=/dev/drbd0 bs=1M seek=4 oflag=direct 2>&1
        dd if=/dev/urandom of=/dev/drbd0 bs=4k count=10 seek=5000 oflag=direct 2>&1
      `);
    before = (await rig.volume()).counters;
    await rig.order({ verb: 'connect', discardMyData: false });
    await rig.settled();
    assert.equal((await rig.volume()).counters.nr - before.nr, 40, 'of 2088 KiB that were written');
    await rig.equal();
    await rig.adm('secondary', 'r0');
  });

test('a verify that either side begins finds on both what has rotted, and a reconnection mends it from the primary', async () => {
  await rig.configure({ net: 'verify-alg sha1;' });
  await rig.up();
  await rig.settled();
  await rig.order({ verb: 'primary', force: false });
  const found = (kib: number): Promise<void> =>
    rig.until(`${kib} KiB are known to differ, on both sides`, async () => {
      const v = await rig.volume();
      const p = await rig.proc();
      const over = v.connection === 'Connected' && p.cs === 'Connected';
      return over && v.outOfSync === kib * 1024 && p.counters['oos'] === kib;
    });
  const mend = async (): Promise<void> => {
    const before = (await rig.volume()).counters.ns;
    await rig.adm('disconnect', 'r0');
    await rig.adm('connect', 'r0');
    await rig.settled();
    assert.equal((await rig.volume()).counters.ns - before, 16);
    await rig.equal();
  };
  rig.rot('kern', 7 * MIB, 8192);
  rig.rot('kern', 13 * MIB + 1536, 512);
  rig.rot('ours', 18 * MIB + 100, 1);
  await rig.order({ verb: 'verify', volume: undefined, start: undefined, stop: undefined });
  await found(16);
  await mend();
  rig.rot('kern', 2 * MIB, 12288);
  rig.rot('ours', 21 * MIB, 1);
  await rig.adm('verify', 'r0');
  await found(16);
  await mend();
});

test('the kernel writes on while a disk of ours that is new is filled, and both are equal', async () => {
  await rig.configure({ disk: 'resync-rate 6M;' });
  rig.createOurs();
  await rig.adm('up', 'r0');
  await rig.adm('primary', 'r0');
  const w = new GuestWriter(rig.vm);
  await goesOn(rig, w);
  await rig.startOurs();
  await rig.until('the resync runs', async () => (await rig.volume()).connection === 'SyncTarget');
  await goesOn(rig, w);
  await rig.sh(`
    dd if=/dev/urandom of=/dev/drbd0 bs=128k count=16 seek=160 oflag=direct 2>&1
    blkdiscard -o 22M -l 512k /dev/drbd0`);
  await rig.settled();
  await goesOn(rig, w);
  await w.stop();
  w.onDisk(await rig.equal());
  await rig.adm('secondary', 'r0');
});

test('we write on, many requests at once, while a disk of the kernel that is new is filled, and both are equal', async () => {
  await rig.configure({ disk: 'resync-rate 6M;' });
  await rig.startOurs();
  await rig.order({ verb: 'primary', force: false });
  const w = new NbdWriter(rig.nbd);
  await goesOn(rig, w);
  await rig.adm('create-md', '--force', 'r0');
  await rig.adm('up', 'r0');
  await rig.until('the resync runs', async () => (await rig.volume()).connection === 'SyncSource');
  await goesOn(rig, w);
  const many = Array.from({ length: 48 }, (_, i) => `aio_write -P ${i + 1} ${20 * MIB + i * 65536} 64k`);
  await rig.io(...many, 'aio_flush', 'flush', 'discard 23M 256k');
  assert.equal((await rig.volume()).connection, 'SyncSource', 'it was under way all the time');
  await rig.settled();
  await goesOn(rig, w);
  await w.stop();
  const all = await rig.equal();
  w.onDisk(all);
  for (let i = 0; i < 48; i++) assert.equal(all[20 * MIB + i * 65536], i + 1);
  await rig.order({ verb: 'secondary' });
});

test('each side takes the disk of the other over, and nothing is copied', async () => {
  await rig.order({ verb: 'secondary' });
  await rig.adm('primary', 'r0');
  await rig.kernelWrites(64, 0x31, 3 * MIB, false);
  await rig.configure({}, {}, 'swapped');
  await rig.up();
  await rig.settled();
  const { uuids, counters } = await rig.volume();
  assert.deepEqual([counters.ns, counters.nr], [0, 0]);
  assert.equal((await rig.equal())[3 * MIB], 0x31);
  const p = await rig.proc();
  assert.deepEqual([p.counters['ns'], p.counters['nr']], [0, 0]);
  assert.equal((await rig.sh('drbdadm get-gi r0')).split(':')[0]?.toLowerCase(), uuids[0]);
});

test('what we alone had written the kernel knows from our bitmap when it takes our disk over: it copies that, and no more', async () => {
  await rig.order({ verb: 'primary', force: false });
  await rig.io('write -P 0x32 5M 64k', 'flush');
  await rig.adm('down', 'r0');
  await rig.io('write -P 0x33 9M 1M', 'flush');
  await rig.order({ verb: 'secondary' });
  const { uuids } = await rig.volume();
  await rig.stopOurs();
  const dump = await rig.sh(`
    drbdmeta 0 v08 /dev/vda internal apply-al >/dev/null
    drbdmeta 0 v08 /dev/vda internal dump-md`);
  for (const id of uuids) assert.match(dump, new RegExp(`0x${id};`, 'i'), dump);
  await rig.configure({});
  await rig.up();
  await rig.settled();
  assert.equal((await rig.volume()).counters.nr, 1024);
  assert.equal((await rig.proc()).counters['ns'], 1024);
  assert.equal((await rig.equal())[9 * MIB], 0x33);
});
