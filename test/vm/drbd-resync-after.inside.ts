/** Two volumes in one resource, whose resyncs wait for each other. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DrbdRig, MIB } from './drbd-rig.ts';
import { bothEqual, kernelIs, kernelWrites1 } from './drbd-volumes.ts';

let rig: DrbdRig;
before(async () => {
  rig = await DrbdRig.started(2);
});
after(() => rig?.stop());

/** KiB a second. */
const RATE_KIB = 3072;
for (const source of ['ours', 'kern'] as const)
  test(`resync-after of the kernel: the resync of its second volume, from ${source}, stands still until that of the first is over`, async () => {
    const kern = { diskOf: ['', 'resync-after r0/0;'] };
    await rig.configure({ disk: `resync-rate ${RATE_KIB}K;` }, { kern });
    await rig.up();
    await rig.settled();
    if (source === 'ours') {
      await rig.order({ verb: 'primary', force: false });
      await rig.adm('disconnect', 'r0');
      await rig.io('write -P 0x41 4M 6M', 'flush');
      await rig.ioOf(1, 'write -P 0x42 4M 2M', 'flush');
      await rig.adm('connect', 'r0');
    } else {
      await kernelIs(rig, 'primary');
      await rig.order({ verb: 'disconnect', force: false });
      await rig.kernelWrites(6144, 0x43, 4 * MIB, true);
      await kernelWrites1(rig, 2048, 0x44, 4 * MIB);
      await rig.order({ verb: 'connect', discardMyData: false });
    }
    const stood: number[] = [];
    await rig.until('the first is over', async () => {
      const [first, second] = (await rig.status()).volumes;
      assert.ok(first !== undefined && second !== undefined);
      if (/^Sync/.test(first.connection) && /^PausedSync/.test(second.connection)) {
        stood.push(second.outOfSync);
        assert.ok(second.paused.includes('peer'));
      }
      return first.connection === 'Connected' && first.outOfSync === 0 && stood.length > 0;
    });
    await rig.settled();
    assert.ok(stood.length > 2, 'it was seen to stand');
    // What was asked for before the pause was heard of may still come: what a tenth of a second is allowed.
    assert.ok(Math.min(...stood) >= 2 * MIB - (RATE_KIB * 1024) / 10, `${stood}`);
    const [a, b] = await bothEqual(rig);
    assert.deepEqual([a[9 * MIB], b[5 * MIB]], source === 'ours' ? [0x41, 0x42] : [0x43, 0x44]);
    if (source === 'ours') await rig.order({ verb: 'secondary' });
    else await kernelIs(rig, 'secondary');
  });
