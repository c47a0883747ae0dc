/** A kernel and ours, both primary: writes of both, to one place at once too, and one of both that dies meanwhile. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { bothPrimary } from './drbd-both.ts';
import { DrbdRig, MIB } from './drbd-rig.ts';
import { GuestWriter, goesOn, NbdWriter } from './drbd-writers.ts';

let rig: DrbdRig;
before(async () => {
  rig = await DrbdRig.started();
});
after(() => rig?.stop());

/** In the guest: 8 KiB at one of four places that overlap by half, `count` times, each another byte. */
const hammer = (count: number): string => `
const fs = require('node:fs');
const fd = fs.openSync('/dev/drbd0', fs.constants.O_RDWR | fs.constants.O_SYNC);
for (let n = 0; n < ${count}; n++) fs.writeSync(fd, Buffer.alloc(8192, 129 + (n % 120)), 0, 8192, ${MIB} + (n % 4) * 4096);
`;
const collisionsOfKernel = async (): Promise<number> =>
  Number((await rig.sh('dmesg | grep -c "Concurrent writes detected" || true')).trim());

for (const first of ['ours', 'kern'] as const)
  test(`both write the same places at once, ${first} was there first: every write is answered, and both disks end equal`, async () => {
    await bothPrimary(rig, { first });
    const logged = await collisionsOfKernel();
    const guest = rig.vm.run([process.execPath, '-e', hammer(300)]);
    let rounds = 0;
    let over = false;
    void guest.then(() => {
      over = true;
    });
    while (!over) {
      const many = Array.from(
        { length: 64 },
        (_, i) => `aio_write -P ${1 + (i % 120)} ${MIB + (i % 5) * 4096} ${i % 3 === 0 ? 12 : 4}k`,
      );
      await rig.io(...many, 'aio_flush', 'flush');
      rounds++;
    }
    const r = await guest;
    assert.equal(r.code, 0, r.stderr);
    await rig.settled();
    await rig.equal();
    const ours = (await rig.status()).reasons.filter((m) => m.code === 'mirror.collision').length;
    const kern = (await collisionsOfKernel()) - logged;
    assert.ok(ours + kern > 0, `no write collided in ${rounds} rounds`);
  });

test('what one has written the other reads, in turns at one place', async () => {
  for (let n = 0; n < 5; n++) {
    await rig.io(`write -P ${0x20 + n} 2M 8k`);
    const read = await rig.sh('dd if=/dev/drbd0 bs=8k skip=256 count=1 iflag=direct 2>/dev/null | od -An -tx1 -w8192');
    assert.match(read.trim(), new RegExp(`^(${(0x20 + n).toString(16)} ?){8192}$`));
    await rig.kernelWrites(8, 0xa0 + n, 2 * MIB, true);
    await rig.io(`read -P ${0xa0 + n} 2M 8k`);
  }
  await rig.equal();
});

test('one of both loses its power and comes back: the other goes on, and both can be primary again', async () => {
  const w = new GuestWriter(rig.vm);
  await goesOn(rig, w);
  rig.kill();
  await rig.until('the kernel is alone', async () => (await rig.proc()).cs === 'WFConnection');
  await goesOn(rig, w);
  await rig.startOurs();
  await rig.settled();
  await rig.order({ verb: 'primary', force: false });
  const mine = new NbdWriter(rig.nbd);
  await goesOn(rig, mine);
  await goesOn(rig, w);
  await Promise.all([mine.stop(), w.stop()]);
  await rig.settled();
  await rig.equal();
});
