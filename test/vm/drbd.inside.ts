import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DrbdRig } from './drbd-rig.ts';

let rig: DrbdRig;
before(async () => {
  rig = await DrbdRig.start();
});
after(() => rig?.stop());

test('a kernel that is primary fills our new disk, every byte of it', async () => {
  await rig.configure({});
  await rig.create({ ours: 0x11, kern: 0xaa });
  await rig.up();
  await rig.connected();
  await rig.adm('primary', '--force', 'r0');
  await rig.settled();
  const all = await rig.equal();
  assert.ok(all.every((b) => b === 0xaa));
});
