/** resource-only between a kernel and us: a primary that loses the other goes on; nobody becomes primary without being sure. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { FenceRig, fencing } from './drbd-fence-rig.ts';
import { DrbdRig, MIB } from './drbd-rig.ts';
import { primary, secondary } from './drbd-roles.ts';

let rig: DrbdRig;
let f: FenceRig;
before(async () => {
  rig = await DrbdRig.started(1, fencing('resource-only'));
  f = new FenceRig(rig);
});
after(() => rig?.stop());

for (const host of ['kern', 'ours'] as const) {
  const [name, others] = host === 'kern' ? ['the kernel', 'we get'] : ['our side', 'the kernel gets'];

  test(`${name} as the primary goes on while its handler works, and ${others} what was missed`, async () => {
    await f.begin();
    await primary(rig, host);
    const w = await f.writerOn(host);
    rig.cable('down');
    await f.isCalled(host);
    await f.goesOn(w);
    assert.equal(await f.frozen(host), false);
    await f.verdict(host, 4);
    await f.takenFor(host, 'Outdated');
    rig.cable('up');
    await f.bothHave(w);
  });

  test(`${name} alone becomes primary only when its handler is sure of the other`, async () => {
    await f.begin();
    rig.cable('down');
    await Promise.all([f.isAlone('ours'), f.isAlone('kern')]);
    await Promise.all([f.verdict(host, 1), f.refusedPrimary(host, host === 'ours' ? /^fenced$/ : /\(-7\)/)]);
    await f.rules(host, 4);
    await primary(rig, host);
    assert.equal(await f.peerOf(host), 'Outdated');
    const w = await f.writerOn(host);
    rig.cable('up');
    await f.bothHave(w);
  });
}

test('a secondary that leaves the other of its own will is Outdated then, here and there, and no handler is called', async () => {
  await f.begin();
  await primary(rig, 'ours');
  await rig.adm('disconnect', 'r0');
  assert.match((await rig.proc()).ds, /^Outdated/);
  await f.takenFor('ours', 'Outdated');
  await f.refusedPrimary('kern', /\(-2\)/);
  await rig.io('write -P 0x61 4M 64k', 'flush');
  await rig.adm('connect', 'r0');
  await rig.settled();
  assert.equal((await rig.equal())[4 * MIB], 0x61);
  await secondary(rig, 'ours');
  await primary(rig, 'kern');
  await rig.order({ verb: 'disconnect', force: false });
  assert.equal((await rig.volume()).disk, 'Outdated');
  await f.takenFor('kern', 'Outdated');
  await f.refusedPrimary('ours', /^no-good-disk$/);
  await rig.kernelWrites(64, 0x62, 8 * MIB, true);
  await rig.order({ verb: 'connect', discardMyData: false });
  await rig.settled();
  assert.equal((await rig.equal())[8 * MIB], 0x62);
  assert.deepEqual([await f.called('ours'), await f.called('kern')], [false, false]);
});
