/** Either side freezes, is killed or loses its power in the middle of writes. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DrbdRig, MIB } from './drbd-rig.ts';
import { GuestWriter, goesOn, NbdWriter } from './drbd-writers.ts';

let rig: DrbdRig;
before(async () => {
  rig = await DrbdRig.started();
});
after(() => rig?.stop());

const alone = (): Promise<void> =>
  rig.until('ours is alone', async () => (await rig.status()).connection === 'WFConnection');

const kernelAlone = (): Promise<void> =>
  rig.until('the kernel is alone', async () => (await rig.proc()).cs === 'WFConnection');

test('a kernel that hangs is given up: writes go on, and it gets what it missed when it wakes', async () => {
  await rig.order({ verb: 'primary', force: false });
  const w = new NbdWriter(rig.nbd);
  await goesOn(rig, w);
  await rig.vm.pause();
  await alone();
  await goesOn(rig, w);
  await rig.vm.resume();
  await rig.settled();
  await goesOn(rig, w);
  await w.stop();
  w.onDisk(await rig.equal());
});

test('a kernel that loses its power while we write gets what it missed', async () => {
  const w = new NbdWriter(rig.nbd);
  await goesOn(rig, w);
  await rig.vm.powerCut();
  await alone();
  await goesOn(rig, w);
  await w.stop();
  await rig.powerOn();
  await rig.settled();
  w.onDisk(await rig.equal());
});

test('when we die as the primary, the kernel has every write that was acknowledged; we come back, and both are equal', async () => {
  const w = new NbdWriter(rig.nbd);
  await goesOn(rig, w);
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
  await goesOn(rig, w);
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
  await goesOn(rig, w);
  rig.signal('SIGSTOP');
  await kernelAlone();
  await goesOn(rig, w);
  rig.signal('SIGCONT');
  await rig.settled();
  await goesOn(rig, w);
  await w.stop();
  w.onDisk(await rig.equal());
});

test('we die while the kernel writes, and get what we missed', async () => {
  const w = new GuestWriter(rig.vm);
  await goesOn(rig, w);
  rig.kill();
  await kernelAlone();
  await goesOn(rig, w);
  await rig.startOurs();
  await rig.settled();
  await w.stop();
  w.onDisk(await rig.equal());
});

test('when the kernel loses its power as the primary, we have every write that was acknowledged; it comes back, and both are equal', async () => {
  const w = new GuestWriter(rig.vm);
  await goesOn(rig, w);
  await rig.vm.powerCut();
  await alone();
  w.onDisk(rig.data('ours'));
  await rig.powerOn();
  await rig.settled();
  w.onDisk(await rig.equal());
});
