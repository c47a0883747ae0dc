/** One side has grown and the other has not: while they are apart, while a resync runs, and where a disk is too small to connect. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Growth, LOWER, RESIZE } from './drbd-growth-rig.ts';
import { type DrbdRig, MIB } from './drbd-rig.ts';
import { connectionOf, HOSTS, type Host, otherOf, primary, secondary } from './drbd-roles.ts';

let g: Growth;
let rig: DrbdRig;
before(async () => {
  g = await Growth.start(12);
  rig = g.rig;
});
after(() => rig?.stop());

const standAlone = (host: Host): Promise<void> =>
  rig.until(`${host} is StandAlone`, async () => (await connectionOf(rig, host)) === 'StandAlone');
/** The one that has the data, and our side where it is the other. */
async function refused(good: Host): Promise<void> {
  await standAlone(good);
  await standAlone('ours');
  await rig.told(good === 'ours' ? /the peer's disk is too small/ : /the own disk is too small/);
}

let byte = 0x60;
for (const alone of ['kern', 'ours'] as const) {
  const other = otherOf(alone);
  test(`${alone}, a primary, grows alone and writes there: ${other} is refused until its disk has grown too, and gets all of it`, async () => {
    const before = await g.sizeOf('ours');
    await primary(rig, alone);
    await rig.order({ verb: 'disconnect', force: false });
    await g.disk(alone);
    await g.resize(alone, '--assume-peer-has-space');
    const grown = await g.sizeOf(alone);
    assert.ok(grown > before);
    await g.write(alone, ++byte, grown - 65536);
    const untouched = g.hashes(before);
    await g.connect('ours');
    await refused(alone);
    assert.deepEqual(g.hashes(before), untouched);
    assert.deepEqual([await g.sizeOf(other), await g.sizeOf(alone)], [before, grown]);

    await g.disk(other);
    await g.resize(other, '--assume-peer-has-space');
    await g.connect('ours');
    if (alone === 'kern') await g.connect('kern');
    await rig.settled();
    assert.deepEqual(await g.sizes(), [grown, grown]);
    const all = await rig.equal();
    assert.deepEqual([all.length, all[grown - 1]], [grown, byte]);
    await secondary(rig, alone);
  });
}

test('both have grown apart and nobody wrote: they connect at the new size, and what is new is copied with the next generation', async () => {
  const before = await g.sizeOf('ours');
  await rig.order({ verb: 'disconnect', force: false });
  await g.disks();
  for (const host of HOSTS) await g.resize(host, '--assume-peer-has-space');
  await g.connect('ours');
  await rig.connected();
  const size = await g.sizeOf('kern');
  assert.ok(size > before);
  assert.equal(await g.sizeOf('ours'), size);
  const differ = [(await rig.volume()).outOfSync, (await rig.proc()).counters['oos']];
  assert.deepEqual(differ, [size - before, (size - before) / 1024]);
  await primary(rig, 'ours');
  await rig.adm('disconnect', 'r0');
  await rig.adm('connect', 'r0');
  await rig.settled();
  await rig.equal();
  await secondary(rig, 'ours');
});

for (const asked of HOSTS)
  test(`while a resync runs ${asked} refuses to grow; afterwards it does`, async () => {
    const before = await g.sizeOf('ours');
    await primary(rig, asked);
    // The kernel takes that over too.
    await rig.adjustOurs({ disk: 'resync-rate 100K;' });
    await rig.order({ verb: 'disconnect', force: false });
    await g.write(asked, ++byte, 0, 3072);
    await g.connect('ours');
    const runs = (host: Host): Promise<void> =>
      rig.until(`a resync runs, says ${host}`, async () => /^Sync/.test(await connectionOf(rig, host)));
    for (const host of HOSTS) await runs(host);
    await g.disks();
    if (asked === 'ours') {
      const a = await rig.ask(RESIZE);
      assert.ok(!a.ok && a.code === 'resync-running', a.text.en);
    } else await assert.rejects(g.resize('kern'), /Resize not allowed during resync/);
    for (const host of HOSTS) await runs(host);
    await rig.adjustOurs({ disk: 'resync-rate 100M;' });
    await rig.settled();
    assert.deepEqual(await g.sizes(), [before, before]);
    await g.resize(asked);
    const size = await g.grownBeyond(before);
    await rig.settled();
    assert.equal(await g.sizeOf('kern'), size);
    await rig.equal();
    await secondary(rig, asked);
  });

for (const fresh of HOSTS) {
  const good = otherOf(fresh);
  test(`a disk of ${fresh} that is new and smaller than the data of ${good} is refused, and both are as they were`, async () => {
    const size = g.mib[good];
    const created = async (mib: number): Promise<void> => {
      await rig.configure({}, LOWER);
      await g.disk(fresh, mib);
      if (fresh === 'ours') rig.createOurs(mib * MIB);
      else await rig.adm('create-md', '--force', 'r0');
    };
    await created(size - 1);
    const untouched = g.hashes((size - 2) * MIB);
    await rig.up();
    await refused(good);
    assert.deepEqual(g.hashes((size - 2) * MIB), untouched);
    assert.equal((await rig.volume()).disk, good === 'ours' ? 'UpToDate' : 'Inconsistent');
    assert.match((await rig.proc()).ds, good === 'kern' ? /^UpToDate/ : /^Inconsistent/);
    await created(size);
    await rig.up();
    await rig.settled();
    await rig.equal();
  });
}
