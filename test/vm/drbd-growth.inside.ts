/** A volume that grows with both its disks, whoever is asked and whoever is primary. */
import assert from 'node:assert/strict';
import { truncateSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { dm, LOW, onKernelDisk } from './drbd-mapper.ts';
import { DrbdRig, MIB } from './drbd-rig.ts';

/** The kernel's disk ends where the mapper says. */
const LOWER = { kern: { lower: LOW } };
/** Of both disks; with each growth two more. */
let mib = 16;
let rig: DrbdRig;
before(async () => {
  rig = await DrbdRig.start();
  await rig.sh(dm('create low', mib * MIB));
  await rig.configure({}, LOWER);
  await rig.create({ ours: 0x51, kern: 0x52 }, mib * MIB);
  await rig.up();
  await rig.connected();
  await rig.order({ verb: 'primary', force: true });
  await rig.settled();
  await rig.order({ verb: 'secondary' });
});
after(() => rig?.stop());

const resize = { verb: 'resize', volume: 0, size: undefined, assumeClean: false, assumePeerHasSpace: false } as const;
for (const [asked, primary] of [
  ['ours', 'ours'],
  ['kern', 'ours'],
  ['kern', 'kern'],
  ['ours', 'kern'],
] as const)
  test(`both disks have grown, ${asked} is asked to resize while ${primary} is primary: the volume grows on both, with its data`, async () => {
    if (primary === 'ours') await rig.order({ verb: 'primary', force: false });
    else await rig.adm('primary', 'r0');
    const before = (await rig.volume()).size;
    mib += 2;
    truncateSync(rig.image('ours'), mib * MIB);
    const alone = await rig.ask(resize);
    assert.equal((await rig.volume()).size, before, `one disk alone has grown: ${alone.text.en}`);
    await onKernelDisk(rig, dm('load low', mib * MIB));
    if (asked === 'kern') await rig.adm('resize', 'r0/0');
    else await rig.order(resize);
    await rig.until('it has grown', async () => (await rig.volume()).size > before);
    await rig.settled();
    const { size } = await rig.volume();
    assert.ok(size > (mib - 1) * MIB);
    assert.equal(Number((await rig.sh('cat /sys/block/drbd0/size')).trim()) * 512, size);
    const end = size - 65536;
    if (primary === 'ours') await rig.io(`write -P ${0x60 + mib} ${end} 64k`, 'flush');
    else await rig.kernelWrites(64, 0x60 + mib, end, true);
    const grown = await rig.equal();
    assert.deepEqual([grown[0], grown[size - 65536], grown[size - 1]], [0x51, 0x60 + mib, 0x60 + mib]);
    if (primary === 'ours') await rig.order({ verb: 'secondary' });
    else await rig.adm('secondary', 'r0');
  });

test('and so large it is when both start anew', async () => {
  const { size } = await rig.volume();
  const before = await rig.equal();
  await rig.configure({}, LOWER);
  await rig.up();
  await rig.settled();
  assert.equal((await rig.volume()).size, size);
  assert.ok((await rig.equal()).equals(before));
});
