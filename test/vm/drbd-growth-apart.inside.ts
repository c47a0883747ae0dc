/** One side has grown and the other has not: while they are apart, while a resync runs, and where a disk is too small to connect. */
import assert from 'node:assert/strict';
import { readFileSync, truncateSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { dm, LOW, onKernelDisk } from './drbd-mapper.ts';
import { DrbdRig, MIB, sha256 } from './drbd-rig.ts';
import { type Host, otherOf, primary, secondary } from './drbd-roles.ts';

/** The kernel's disk ends where the mapper says. */
const LOWER = { kern: { lower: LOW } };
/** Of each disk. */
const mib = { ours: 12, kern: 12 };
let rig: DrbdRig;
before(async () => {
  rig = await DrbdRig.start();
  await rig.sh(dm('create low', 12 * MIB));
  await rig.configure({}, LOWER);
  await rig.create({ ours: 0x51, kern: 0x52 }, 12 * MIB);
  await rig.up();
  await rig.connected();
  await rig.order({ verb: 'primary', force: true });
  await rig.settled();
  await rig.order({ verb: 'secondary' });
});
after(() => rig?.stop());

/** Its disk has a MiB more, or ends where it is told. */
async function disk(host: Host, is = mib[host] + 1): Promise<void> {
  mib[host] = is;
  if (host === 'ours') truncateSync(rig.image('ours'), is * MIB);
  else await onKernelDisk(rig, dm('load low', is * MIB));
}
const RESIZE = { verb: 'resize', volume: 0, size: undefined, assumeClean: false, assumePeerHasSpace: false } as const;
async function resize(host: Host, how: '' | '--assume-clean' | '--assume-peer-has-space' = ''): Promise<void> {
  if (host === 'kern') await rig.sh(`drbdsetup-84 resize 0 ${how}`);
  else
    await rig.order({
      ...RESIZE,
      assumeClean: how === '--assume-clean',
      assumePeerHasSpace: how === '--assume-peer-has-space',
    });
}
/** Of a side that is there, in bytes. */
async function sizeOf(host: Host): Promise<number> {
  if (host === 'ours') return (await rig.volume()).size;
  return Number((await rig.sh('cat /sys/block/drbd0/size')).trim()) * 512;
}
async function write(host: Host, byte: number, at: number, kib = 64): Promise<void> {
  if (host === 'ours') await rig.io(`write -P ${byte} ${at} ${kib}k`, 'flush');
  else await rig.kernelWrites(kib, byte, at, true);
}
/** Nothing of what a side offers has changed, whatever became of the connection. */
const hashes = (bytes: number): string[] =>
  (['ours', 'kern'] as const).map((h) => sha256(readFileSync(rig.image(h)).subarray(0, bytes)));
const standAlone = (host: Host): Promise<void> =>
  rig.until(`${host} is StandAlone`, async () =>
    host === 'ours' ? (await rig.status()).connection === 'StandAlone' : (await rig.proc()).cs === 'StandAlone',
  );
const connect = (host: Host): Promise<unknown> =>
  host === 'ours' ? rig.order({ verb: 'connect', discardMyData: false }) : rig.adm('connect', 'r0');

let serial = 0x60;
for (const alone of ['kern', 'ours'] as const) {
  const other = otherOf(alone);
  test(`${alone}, a primary, grows alone and writes there: ${other} is refused until its disk has grown too, and gets all of it`, async () => {
    await rig.configure({}, LOWER);
    await rig.up();
    await rig.settled();
    const before = await sizeOf('ours');
    await primary(rig, alone);
    await rig.order({ verb: 'disconnect', force: false });
    await disk(alone);
    await resize(alone, '--assume-peer-has-space');
    const grown = await sizeOf(alone);
    assert.ok(grown > before);
    const byte = ++serial;
    await write(alone, byte, grown - 65536);
    const untouched = hashes(before);
    await connect('ours');
    await standAlone(alone);
    await rig.told(alone === 'ours' ? /the peer's disk is too small/ : /the own disk is too small/);
    await standAlone('ours');
    assert.deepEqual(hashes(before), untouched);
    assert.deepEqual([await sizeOf(other), await sizeOf(alone)], [before, grown]);

    await disk(other);
    await resize(other, '--assume-peer-has-space');
    for (const host of ['ours', 'kern'] as const) if (host === 'ours' || alone === 'kern') await connect(host);
    await rig.settled();
    assert.deepEqual([await sizeOf('ours'), await sizeOf('kern')], [grown, grown]);
    const all = await rig.equal();
    assert.deepEqual([all.length, all[grown - 1]], [grown, byte]);
    await secondary(rig, alone);
  });
}

test('both have grown apart and nobody wrote: they connect at the new size, and what is new is copied with the next generation', async () => {
  await rig.configure({}, LOWER);
  await rig.up();
  await rig.settled();
  const before = await sizeOf('ours');
  await rig.order({ verb: 'disconnect', force: false });
  for (const host of ['kern', 'ours'] as const) {
    await disk(host);
    await resize(host, '--assume-peer-has-space');
  }
  await connect('ours');
  await rig.connected();
  const size = await sizeOf('kern');
  assert.ok(size > before);
  assert.equal(await sizeOf('ours'), size);
  assert.deepEqual(
    [(await rig.volume()).outOfSync, (await rig.proc()).counters['oos']],
    [size - before, (size - before) / 1024],
  );
  await primary(rig, 'ours');
  await rig.adm('disconnect', 'r0');
  await rig.adm('connect', 'r0');
  await rig.settled();
  await rig.equal();
  await secondary(rig, 'ours');
});

for (const asked of ['ours', 'kern'] as const)
  test(`while a resync runs ${asked} refuses to grow; afterwards it does`, async () => {
    await rig.configure({ disk: 'resync-rate 800K;' }, LOWER);
    await rig.up();
    await rig.settled();
    const before = await sizeOf('ours');
    await primary(rig, asked);
    await rig.order({ verb: 'disconnect', force: false });
    await write(asked, ++serial, 0, 3072);
    await connect('ours');
    const runs = /Sync(Source|Target)/;
    await rig.until(
      'a resync runs',
      async () => runs.test((await rig.volume()).connection) && runs.test((await rig.proc()).cs),
    );
    for (const host of ['ours', 'kern'] as const) await disk(host);
    if (asked === 'ours') {
      const a = await rig.ask(RESIZE);
      assert.ok(!a.ok && a.code === 'resync-running', a.text.en);
    } else {
      const r = await rig.vm.run(['/lib/drbd/drbdsetup-84', 'resize', '0']);
      assert.match(`${r.code} ${r.stderr}`, /10 .*Resize not allowed during resync/s);
    }
    assert.match((await rig.volume()).connection, runs);
    await rig.settled();
    assert.deepEqual([await sizeOf('ours'), await sizeOf('kern')], [before, before]);
    await resize(asked);
    await rig.until('it has grown', async () => (await sizeOf('ours')) > before);
    await rig.settled();
    assert.equal(await sizeOf('kern'), await sizeOf('ours'));
    await rig.equal();
    await secondary(rig, asked);
  });

for (const asked of ['ours', 'kern'] as const)
  test(`with --assume-clean, asked of ${asked}, both grow, and nothing is copied`, async () => {
    await rig.configure({}, LOWER);
    await rig.up();
    await rig.settled();
    const before = await sizeOf('ours');
    await primary(rig, 'ours');
    for (const host of ['ours', 'kern'] as const) await disk(host);
    const { ns } = (await rig.volume()).counters;
    await resize(asked, '--assume-clean');
    await rig.until('both have grown', async () => (await sizeOf('ours')) > before && (await sizeOf('kern')) > before);
    await rig.settled();
    const size = await sizeOf('ours');
    assert.deepEqual([await sizeOf('kern'), (await rig.volume()).counters.ns], [size, ns]);
    const [mine, theirs] = hashes(size);
    assert.notEqual(mine, theirs, 'what was never equal is not');
    await rig.io(`write -P ${++serial} ${before} ${size - before}`, 'flush');
    await rig.equal();
    await secondary(rig, 'ours');
  });

for (const fresh of ['kern', 'ours'] as const) {
  const good = otherOf(fresh);
  test(`a disk of ${fresh} that is new and smaller than the data of ${good} is refused, and both are as they were`, async () => {
    await rig.configure({}, LOWER);
    const [size] = [mib[good]];
    await disk(fresh, size - 1);
    if (fresh === 'ours') rig.createOurs((size - 1) * MIB);
    else await rig.adm('create-md', '--force', 'r0');
    const untouched = hashes((size - 2) * MIB);
    await rig.up();
    await standAlone(good);
    await standAlone('ours');
    await rig.told(good === 'ours' ? /the peer's disk is too small/ : /the own disk is too small/);
    assert.deepEqual(hashes((size - 2) * MIB), untouched);
    assert.equal((await rig.volume()).disk, good === 'ours' ? 'UpToDate' : 'Inconsistent');
    assert.match((await rig.proc()).ds, good === 'kern' ? /^UpToDate/ : /^Inconsistent/);
    await rig.configure({}, LOWER);
    await disk(fresh, size);
    if (fresh === 'ours') rig.createOurs(size * MIB);
    else await rig.adm('create-md', '--force', 'r0');
    await rig.up();
    await rig.settled();
    await rig.equal();
  });
}
