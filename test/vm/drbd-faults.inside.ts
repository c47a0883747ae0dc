/** Either side freezes or dies in the middle of writes; either side's disk is taken over by the other. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DrbdRig, MIB } from './drbd-rig.ts';
import { GuestWriter, NbdWriter } from './drbd-writers.ts';

let rig: DrbdRig;
before(async () => {
  rig = await DrbdRig.start();
  await rig.configure({});
  await rig.create({ ours: 0, kern: 0 });
  await rig.up();
  await rig.connected();
  await rig.order({ verb: 'primary', force: true });
  await rig.settled();
  await rig.order({ verb: 'secondary' });
});
after(() => rig?.stop());

const AT_WORK = 40;
/** Until so many more writes are acknowledged than now. */
const goesOn = (w: NbdWriter | GuestWriter): Promise<void> => {
  const from = w.acknowledged;
  return rig.until('writes go on', () => w.acknowledged >= from + AT_WORK);
};
const alone = (): Promise<void> =>
  rig.until('ours is alone', async () => (await rig.status()).connection === 'WFConnection');
const kernelAlone = (): Promise<void> =>
  rig.until('the kernel is alone', async () => (await rig.proc()).cs === 'WFConnection');

test('a kernel that hangs is given up: writes go on, and it gets what it missed when it wakes', async () => {
  await rig.order({ verb: 'primary', force: false });
  const w = new NbdWriter(rig.nbd);
  await goesOn(w);
  await rig.vm.pause();
  await alone();
  await goesOn(w);
  await rig.vm.resume();
  await rig.settled();
  await goesOn(w);
  await w.stop();
  w.onDisk(await rig.equal());
});

test('a kernel that loses its power while we write gets what it missed', async () => {
  const w = new NbdWriter(rig.nbd);
  await goesOn(w);
  await rig.vm.powerCut();
  await alone();
  await goesOn(w);
  await w.stop();
  await rig.powerOn();
  await rig.settled();
  w.onDisk(await rig.equal());
});

test('when we die as the primary, the kernel has every write that was acknowledged; we come back, and both are equal', async () => {
  const w = new NbdWriter(rig.nbd);
  await goesOn(w);
  rig.kill();
  w.kill();
  await kernelAlone();
  w.onDisk(rig.data('kern'));
  await rig.startOurs();
  await rig.settled();
  w.onDisk(await rig.equal());
});

test('and also when the kernel has gone on as the primary meanwhile', async () => {
  await rig.order({ verb: 'primary', force: false });
  const w = new NbdWriter(rig.nbd);
  await goesOn(w);
  rig.kill();
  w.kill();
  await kernelAlone();
  w.onDisk(rig.data('kern'));
  await rig.kernelWrites(64, 0x77, 21 * MIB, true);
  await rig.startOurs();
  await rig.settled();
  const all = await rig.equal();
  w.onDisk(all);
  assert.equal(all[21 * MIB], 0x77);
});

test('we hang: the kernel gives us up and goes on, and we get what we missed when we wake', async () => {
  const w = new GuestWriter(rig.vm);
  await goesOn(w);
  rig.signal('SIGSTOP');
  await kernelAlone();
  await goesOn(w);
  rig.signal('SIGCONT');
  await rig.settled();
  await goesOn(w);
  await w.stop();
  w.onDisk(await rig.equal());
});

test('we die while the kernel writes, and get what we missed', async () => {
  const w = new GuestWriter(rig.vm);
  await goesOn(w);
  rig.kill();
  await kernelAlone();
  await goesOn(w);
  await rig.startOurs();
  await rig.settled();
  await w.stop();
  w.onDisk(await rig.equal());
});

test('when the kernel loses its power as the primary, we have every write that was acknowledged; it comes back, and both are equal', async () => {
  const w = new GuestWriter(rig.vm);
  await goesOn(w);
  await rig.vm.powerCut();
  await alone();
  w.onDisk(rig.data('ours'));
  await rig.powerOn();
  await rig.settled();
  w.onDisk(await rig.equal());
});

test('the kernel writes on while a disk of ours that is new is filled, and both are equal', async () => {
  await rig.configure({ rate: '6M' });
  rig.createOurs();
  await rig.adm('up', 'r0');
  await rig.adm('primary', 'r0');
  const w = new GuestWriter(rig.vm);
  await goesOn(w);
  await rig.startOurs();
  await rig.until('the resync runs', async () => (await rig.volume()).connection === 'SyncTarget');
  await goesOn(w);
  await rig.sh(`
    dd if=/dev/urandom of=/dev/drbd0 bs=128k count=16 seek=160 oflag=direct 2>&1
    blkdiscard -o 22M -l 512k /dev/drbd0`);
  await rig.settled();
  await goesOn(w);
  await w.stop();
  w.onDisk(await rig.equal());
  await rig.adm('secondary', 'r0');
});

test('we write on, many requests at once, while a disk of the kernel that is new is filled, and both are equal', async () => {
  await rig.configure({ rate: '6M' });
  await rig.startOurs();
  await rig.order({ verb: 'primary', force: false });
  const w = new NbdWriter(rig.nbd);
  await goesOn(w);
  await rig.adm('create-md', '--force', 'r0');
  await rig.adm('up', 'r0');
  await rig.until('the resync runs', async () => (await rig.volume()).connection === 'SyncSource');
  await goesOn(w);
  const many = Array.from({ length: 48 }, (_, i) => `aio_write -P ${i + 1} ${20 * MIB + i * 65536} 64k`);
  rig.io(...many, 'aio_flush', 'flush', 'discard 23M 256k');
  assert.equal((await rig.volume()).connection, 'SyncSource', 'it was under way all the time');
  await rig.settled();
  await goesOn(w);
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
  rig.io('write -P 0x32 5M 64k', 'flush');
  await rig.adm('down', 'r0');
  rig.io('write -P 0x33 9M 1M', 'flush');
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
