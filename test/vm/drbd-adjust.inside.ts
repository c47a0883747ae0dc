/** A volume of two is taken out of one side and added again, while the other one is written to. */
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

test('ours is taken out and added again: it gets what the kernel wrote meanwhile, and a writer on the other volume goes on', async () => {
  await kernelIs(rig, 'primary');
  const w = new GuestWriter(rig.vm);
  await goesOn(rig, w);
  await rig.adjust('ours', 1);
  await rig.until('the kernel sees no disk', async () => (await rig.proc(1)).ds === 'UpToDate/Diskless');
  await kernelWrites1(rig, 128, 0x41, 3 * MIB);
  await goesOn(rig, w);
  await rig.adjust('ours', 2);
  await rig.settled();
  await goesOn(rig, w);
  await w.stop();
  const [a, b] = await bothEqual(rig);
  w.onDisk(a);
  assert.equal(b[3 * MIB], 0x41);
  await kernelIs(rig, 'secondary');
});

test("the kernel's is taken out and added again: it gets what we wrote meanwhile, on the same connection", async () => {
  await rig.order({ verb: 'primary', force: false });
  const w = new NbdWriter(rig.nbd);
  await goesOn(rig, w);
  await rig.adjust('kern', 1);
  await rig.until('the kernel has one volume', async () => (await rig.proc(1)).text === '');
  const { connection, peerDisk } = await rig.volume(1);
  assert.deepEqual([connection, peerDisk], ['WFReportParams', 'DUnknown']);
  await rig.ioOf(1, 'write -P 0x42 5M 64k', 'flush');
  const connections = rig.said.match(/connected to the peer/g)?.length;
  await rig.adjust('kern', 2);
  await rig.settled();
  await goesOn(rig, w);
  await w.stop();
  assert.equal(rig.said.match(/connected to the peer/g)?.length, connections, 'the connection was not made anew');
  const [a, b] = await bothEqual(rig);
  w.onDisk(a);
  assert.equal(b[5 * MIB], 0x42);
  assert.doesNotMatch(await rig.kernelLog(), /State change failed/, 'we agree to all of it');
});
