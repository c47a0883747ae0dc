/** resource-and-stonith between a kernel and us: a primary that loses the other is frozen, and what follows from each verdict. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { FenceRig, fencing } from './drbd-fence-rig.ts';
import { DrbdRig, MIB } from './drbd-rig.ts';
import { primary, secondary } from './drbd-roles.ts';

let rig: DrbdRig;
let f: FenceRig;
before(async () => {
  rig = await DrbdRig.started(1, fencing('resource-and-stonith'));
  f = new FenceRig(rig);
});
after(() => rig?.stop());

for (const host of ['kern', 'ours'] as const) {
  const name = host === 'kern' ? 'the kernel' : 'our side';

  test(`the other is back before the handler of ${name} ends: what was under way is sent again`, async () => {
    await f.begin();
    await primary(rig, host);
    const w = await f.writerOn(host);
    const generation = (await rig.volume()).uuids[0].slice(0, 15);
    rig.cable('down');
    await f.standsStill(host, w);
    await f.isCalled(host);
    rig.cable('up');
    await f.bothHave(w);
    assert.equal((await rig.volume()).uuids[0].slice(0, 15), generation, 'nothing was done without the other');
    await f.verdict(host, 4);
    await f.ended(host, 'late');
    assert.equal(await f.peerOf(host), 'UpToDate', 'a verdict that comes late changes nothing');
  });

  test(`${name} acknowledges nothing until its handler says that the other is cut off`, async () => {
    await f.begin();
    await primary(rig, host);
    const w = await f.writerOn(host);
    rig.cable('down');
    await f.standsStill(host, w);
    await f.verdict(host, 7);
    await f.takenFor(host, 'Outdated');
    await f.goesOn(w);
    rig.cable('up');
    await f.bothHave(w);
  });

  test(`a handler of ${name} that is broken leaves it frozen, until resume-io`, async () => {
    await f.begin();
    await primary(rig, host);
    const w = await f.writerOn(host);
    rig.cable('down');
    await f.verdict(host, 1);
    await f.ended(host, 'broken');
    await f.standsStill(host, w);
    if (host === 'ours') await rig.order({ verb: 'resume-io', volume: undefined });
    else await rig.sh('drbdsetup-84 resume-io 0');
    await f.goesOn(w);
    rig.cable('up');
    await f.bothHave(w);
  });
}

for (const host of ['kern', 'ours'] as const) {
  const [outdated, at] = host === 'kern' ? (['ours', 9 * MIB] as const) : (['kern', 10 * MIB] as const);
  const names = host === 'kern' ? ['the kernel', 'us'] : ['our side', 'the kernel'];

  test(`the handler of ${names[0]} outdates ${names[1]} by another way: refused as a primary until connected again`, async () => {
    await f.begin();
    await primary(rig, host);
    rig.cable('down');
    await f.isCalled(host);
    await f.isAlone(outdated);
    if (outdated === 'ours') await rig.order({ verb: 'outdate', volume: undefined });
    else await rig.sh('drbdsetup-84 outdate 0');
    await f.verdict(host, 4);
    await f.takenFor(host, 'Outdated');
    if (host === 'kern') await rig.kernelWrites(64, 0x63, at, true);
    else await rig.io(`write -P 0x63 ${at} 64k`, 'flush');
    await f.refusedPrimary(outdated, outdated === 'ours' ? /^no-good-disk$/ : /\(-2\)/);
    rig.cable('up');
    await rig.settled();
    assert.equal((await rig.equal())[at], 0x63);
    await secondary(rig, host);
  });
}
