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
    rig.io(
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

test('a reconnection copies what the kernel missed, and nothing else', async () => {
  await rig.configure({});
  await rig.up();
  await rig.settled();
  await rig.order({ verb: 'primary', force: false });
  await rig.adm('disconnect', 'r0');
  rig.io('write -P 0x71 5M 1M', 'write -P 0x72 16M 12k', 'flush');
  const before = await rig.volume();
  assert.equal(before.outOfSync, MIB + 12 * 1024);
  await rig.adm('connect', 'r0');
  await rig.settled();
  const sent = (await rig.volume()).counters.ns - before.counters.ns;
  assert.equal(sent, 1024 + 12);
  assert.equal((await rig.equal())[16 * MIB], 0x72);
  await rig.order({ verb: 'secondary' });
});
test('a reconnection copies what we missed, and nothing else', async () => {
  await rig.adm('primary', 'r0');
  await rig.order({ verb: 'disconnect', force: false });
  await rig.sh('dd if=/dev/urandom of=/dev/drbd0 bs=256k count=3 seek=20 oflag=direct 2>&1');
  const before = (await rig.volume()).counters.nr;
  await rig.order({ verb: 'connect', discardMyData: false });
  await rig.settled();
  assert.equal((await rig.volume()).counters.nr - before, 768);
  await rig.equal();
  await rig.adm('secondary', 'r0');
});
for (const [algorithm, pattern] of [
  ['crc32c', 0x45],
  ['sha1', 0x46],
])
  test(`a resync by ${algorithm} copies only what differs, from either side`, async () => {
    await rig.configure({ net: `csums-alg ${algorithm};` });
    await rig.up();
    await rig.settled();
    await rig.order({ verb: 'primary', force: false });
    rig.io('write -P 0x44 4M 2M', 'flush');
    await rig.adm('disconnect', 'r0');
    rig.io('write -P 0x44 4M 2M', `write -P ${pattern} 8M 64k`, 'flush');
    let before = (await rig.volume()).counters;
    await rig.adm('connect', 'r0');
    await rig.settled();
    assert.equal((await rig.volume()).counters.ns - before.ns, 64, 'of 2112 KiB that were written');
    await rig.equal();
    await rig.order({ verb: 'secondary' });
    await rig.adm('primary', 'r0');
    await rig.order({ verb: 'disconnect', force: false });
    await rig.sh(`
        dd if=/dev/drbd0 of=/run/same bs=1M count=2 skip=4 iflag=direct 2>&1
        dd if=/run/same of=/dev/drbd0 bs=1M seek=4 oflag=direct 2>&1
        dd if=/dev/urandom of=/dev/drbd0 bs=4k count=10 seek=5000 oflag=direct 2>&1
      `);
    before = (await rig.volume()).counters;
    await rig.order({ verb: 'connect', discardMyData: false });
    await rig.settled();
    assert.equal((await rig.volume()).counters.nr - before.nr, 40, 'of 2088 KiB that were written');
    await rig.equal();
    await rig.adm('secondary', 'r0');
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
