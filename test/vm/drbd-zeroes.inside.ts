/** Discards and zeroes that one side missed, through a disk of the device mapper. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { dm, LOW } from './drbd-mapper.ts';
import { DrbdRig, MIB } from './drbd-rig.ts';

const LOWER = { kern: { lower: LOW } };
/** Of both disks. */
const BYTES = 20 * MIB;
let rig: DrbdRig;
before(async () => {
  rig = await DrbdRig.start();
  await rig.sh(dm('create low', BYTES));
  await rig.configure({}, LOWER);
  await rig.create({ ours: 0x51, kern: 0x52 }, BYTES);
  await rig.up();
  await rig.connected();
  await rig.order({ verb: 'primary', force: true });
  await rig.settled();
  await rig.order({ verb: 'secondary' });
});
after(() => rig?.stop());

for (const granularity of [undefined, 65536])
  test(`discards and zeroes that one side missed are zeroes there too${granularity === undefined ? '' : ', by a thin resync'}`, async () => {
    const disk = granularity === undefined ? '' : `rs-discard-granularity ${granularity};`;
    await rig.configure({ disk }, LOWER);
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
