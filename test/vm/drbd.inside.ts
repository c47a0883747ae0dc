/** Resync, writes, reconnection and roles, with a kernel on the other side. The cases share the guest, and go on from each other's data. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DrbdRig, MIB, sha256 } from './drbd-rig.ts';

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
  assert.ok((await rig.equal()).every((b) => b === 0xaa));
});

test('a primary of ours fills a kernel that is new, every byte of it', async () => {
  await rig.configure({});
  await rig.create({ ours: 0xbb, kern: 0x22 });
  await rig.up();
  await rig.connected();
  await rig.order({ verb: 'primary', force: true });
  await rig.settled();
  assert.ok((await rig.equal()).every((b) => b === 0xbb));
});

for (const [i, protocol] of (['C', 'B', 'A'] as const).entries())
  test(`protocol ${protocol}: what either side writes, discards or clears is on both disks`, async () => {
    await rig.configure({ net: `protocol ${protocol};` });
    await rig.up();
    await rig.settled();
    await rig.order({ verb: 'primary', force: false });
    const p = 0x31 + 16 * i;
    await rig.io(
      `write -P ${p} 512 512`,
      `write -P ${p + 1} 1M 3M`,
      `write -f -P ${p + 2} 20M 64k`,
      'flush',
      `write -P ${p + 3} 8191k 3k`,
      'write -z 2M 256k',
      'write -z -u 6M 512k',
      'discard 3M 512k',
      `write -P ${p + 4} 3M 4k`,
      'flush',
    );
    await rig.order({ verb: 'secondary' });
    const mine = await rig.equal();
    assert.deepEqual(
      [mine[1023], mine[MIB], mine[20 * MIB], mine[2 * MIB], mine[3 * MIB]],
      [p, p + 1, p + 2, 0, p + 4],
    );
    await rig.adm('primary', 'r0');
    await rig.sh(`
      dd if=/dev/urandom of=/dev/drbd0 bs=64k count=24 seek=64 oflag=direct 2>&1
      dd if=/dev/urandom of=/dev/drbd0 bs=512 count=5 seek=9001 oflag=direct,sync 2>&1
      dd if=/dev/urandom of=/dev/drbd0 bs=1M count=3 seek=14 conv=fsync 2>&1
      blkdiscard -o 9M -l 1M /dev/drbd0
      blkdiscard -z -o 11M -l 1M /dev/drbd0
      dd if=/dev/drbd0 bs=1M iflag=direct 2>/dev/null | sha256sum >/run/read
    `);
    const read = (await rig.sh('cut -c1-64 /run/read')).trim();
    await rig.adm('secondary', 'r0');
    const theirs = await rig.equal();
    assert.equal(sha256(theirs), read, 'and what the kernel reads is what is there');
    assert.ok(theirs.subarray(9 * MIB, 10 * MIB).every((b) => b === 0));
    assert.ok(!theirs.subarray(4 * MIB, 5 * MIB).equals(mine.subarray(4 * MIB, 5 * MIB)));
    assert.equal((await rig.proc()).counters['oos'], 0);
  });

test('a second primary is refused on either side, with its reason', async () => {
  await rig.configure({});
  await rig.up();
  await rig.settled();
  await rig.order({ verb: 'primary', force: false });
  const theirs = await rig.vm.run(['drbdadm', 'primary', 'r0']);
  assert.notEqual(theirs.code, 0);
  assert.match(theirs.stderr, /\(-1\) Multiple primaries not allowed/);
  assert.equal((await rig.proc()).ro, 'Secondary/Primary');
  await rig.order({ verb: 'secondary' });
  await rig.adm('primary', 'r0');
  const mine = await rig.ask({ verb: 'primary', force: false });
  assert.ok(!mine.ok && mine.code === 'two-primaries' && /kern is primary/.test(mine.text.en));
  assert.equal((await rig.volume()).role, 'Secondary');
  await rig.adm('secondary', 'r0');
});
