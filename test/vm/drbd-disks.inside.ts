/** Disks that are detached, fail and come back while the mirror works, on either side: the kernel's by device mapper, ours by a full tmpfs. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, statfsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { dm, LOW, onKernelDisk } from './drbd-mapper.ts';
import { DrbdRig, MIB, SIZE, sha256 } from './drbd-rig.ts';
import { GuestWriter, goesOn, NbdWriter } from './drbd-writers.ts';

const MAPPED = { kern: { lower: LOW } };
let rig: DrbdRig;
before(async () => {
  rig = await DrbdRig.started();
  await rig.configure({}, MAPPED);
  await rig.sh(dm('create low'));
});
after(() => rig?.stop());

/** From then on every request of the kernel's to its disk fails, or none does. */
const kernelDisk = (is: 'fails' | 'works'): Promise<string> =>
  onKernelDisk(rig, dm('load low', is === 'fails' ? 'error' : SIZE));

/** Nothing more fits where our image is: what needs a new page there fails. `at` is made such a place, and holds zeros as before. */
async function fill(at: number): Promise<void> {
  await rig.io(`write -P 0 ${at} 1M`, 'flush');
  await rig.equal();
  execFileSync('fallocate', ['--punch-hole', '--offset', `${at}`, '--length', `${MIB}`, rig.image('ours')]);
  const { blocks, bfree, bsize } = statfsSync('/run');
  remount(`${(blocks - bfree) * bsize}`);
}
const remount = (size: string): void => {
  execFileSync('mount', ['-o', `remount,size=${size}`, '/run']);
};

async function configured(options = ''): Promise<void> {
  await rig.configure({ options }, MAPPED);
  await rig.up();
  await rig.settled();
}
const ours = (disk: string): Promise<void> =>
  rig.until(`ours is ${disk}`, async () => {
    const v = await rig.volume();
    return v.disk === disk && (await rig.proc()).ds.endsWith(`/${disk}`);
  });
const kernel = (disk: string): Promise<void> =>
  rig.until(`the kernel is ${disk}`, async () => {
    const v = await rig.volume();
    return v.peerDisk === disk && (await rig.proc()).ds.startsWith(`${disk}/`);
  });
/** What the application of the kernel reads, all of it. */
async function kernelReads(): Promise<string> {
  await rig.sh('dd if=/dev/drbd0 bs=1M iflag=direct 2>/dev/null | sha256sum >/run/read');
  return (await rig.sh('cut -c1-64 /run/read')).trim();
}
async function oursOnDisk(): Promise<string> {
  return sha256(readFileSync(rig.image('ours')).subarray(0, (await rig.volume()).size));
}
const attach = { verb: 'attach', volume: undefined } as const;
const detach = { verb: 'detach', volume: undefined, force: false } as const;

test('a secondary kernel that gives its disk up gets what we wrote meanwhile, and nothing else', async () => {
  await configured();
  await rig.order({ verb: 'primary', force: false });
  await rig.adm('detach', 'r0');
  await kernel('Diskless');
  await rig.io('write -P 0x51 3M 256k', 'write -P 0x52 17M 4k', 'flush');
  const { ns } = (await rig.volume()).counters;
  await rig.adm('attach', 'r0');
  await rig.settled();
  const all = await rig.equal();
  assert.deepEqual([all[3 * MIB], all[17 * MIB]], [0x51, 0x52]);
  assert.equal((await rig.volume()).counters.ns - ns, 260);
  await rig.order({ verb: 'secondary' });
});

test('a primary kernel without a disk reads and writes ours, and takes over what it wrote when it has its disk again', async () => {
  await rig.adm('primary', 'r0');
  await rig.adm('detach', 'r0');
  await kernel('Diskless');
  await rig.kernelWrites(512, 0x53, 5 * MIB, true);
  assert.equal(rig.data('ours')[5 * MIB], 0x53);
  assert.equal(await kernelReads(), await oursOnDisk());
  const refused = await rig.ask(detach);
  assert.ok(!refused.ok && refused.code === 'no-good-disk', 'ours is all that its application has');
  const w = new GuestWriter(rig.vm);
  await goesOn(rig, w);
  await rig.adm('attach', 'r0');
  await rig.settled();
  await goesOn(rig, w);
  await w.stop();
  w.onDisk(await rig.equal());
  assert.equal(await kernelReads(), await oursOnDisk());
  await rig.adm('secondary', 'r0');
});

test('a secondary of ours that gives its disk up gets what the kernel wrote meanwhile, and nothing else', async () => {
  await rig.adm('primary', 'r0');
  await rig.order(detach);
  await ours('Diskless');
  await rig.kernelWrites(256, 0x54, 7 * MIB, true);
  const { nr } = (await rig.volume()).counters;
  await rig.order(attach);
  await rig.settled();
  assert.equal((await rig.equal())[7 * MIB], 0x54);
  assert.equal((await rig.volume()).counters.nr - nr, 256);
  await rig.adm('secondary', 'r0');
});

test('a primary of ours without a disk reads and writes that of the kernel', async () => {
  await rig.order({ verb: 'primary', force: false });
  await rig.io('write -P 0x55 9M 64k', 'flush');
  await rig.order(detach);
  await ours('Diskless');
  await rig.io('read -P 0x55 9M 64k', 'write -P 0x56 9M 4k', 'write -P 0x57 14M 2M', 'flush');
  await rig.io('read -P 0x56 9M 4k', 'read -P 0x55 9220k 60k', 'read -P 0x57 14M 2M');
  const w = new NbdWriter(rig.nbd);
  await goesOn(rig, w);
  await rig.order(attach);
  await rig.settled();
  await goesOn(rig, w);
  await w.stop();
  const all = await rig.equal();
  w.onDisk(all);
  await rig.order({ verb: 'secondary' });
});

test('the disk of a primary kernel fails: its application notices nothing, and goes on by ours', async () => {
  await rig.adm('primary', 'r0');
  const w = new GuestWriter(rig.vm);
  await goesOn(rig, w);
  await kernelDisk('fails');
  await kernel('Diskless');
  await goesOn(rig, w);
  await rig.sh('dd if=/dev/drbd0 of=/dev/null bs=1M count=4 iflag=direct 2>&1');
  assert.equal(w.errors, '');
  await kernelDisk('works');
  await rig.adm('attach', 'r0');
  await rig.settled();
  await goesOn(rig, w);
  await w.stop();
  w.onDisk(await rig.equal());
  await rig.adm('secondary', 'r0');
});

test('the disk of a secondary kernel fails: our application notices nothing', async () => {
  await rig.order({ verb: 'primary', force: false });
  const w = new NbdWriter(rig.nbd);
  await goesOn(rig, w);
  await kernelDisk('fails');
  await kernel('Diskless');
  await goesOn(rig, w);
  await kernelDisk('works');
  await rig.adm('attach', 'r0');
  await rig.settled();
  await goesOn(rig, w);
  await w.stop();
  w.onDisk(await rig.equal());
});

test('our disk fails as the primary: our application notices nothing, and goes on by that of the kernel', async () => {
  await fill(21 * MIB);
  await rig.io('write -P 0x58 21M 64k', 'flush');
  await ours('Diskless');
  await rig.told(/the disk failed \(write\)/);
  await rig.io('read -P 0x58 21M 64k', 'write -P 0x59 21572k 4k', 'flush');
  remount('50%');
  await rig.order(attach);
  await rig.settled();
  const all = await rig.equal();
  assert.deepEqual([all[21 * MIB], all[21572 * 1024]], [0x58, 0x59]);
});

test('our disk fails as the secondary: the application of the kernel notices nothing', async () => {
  await fill(22 * MIB);
  await rig.order({ verb: 'secondary' });
  await rig.kernelWrites(64, 0x5a, 22 * MIB, true);
  await ours('Diskless');
  await rig.kernelWrites(4, 0x5b, 1 * MIB, true);
  remount('50%');
  await rig.order(attach);
  await rig.settled();
  const all = await rig.equal();
  assert.deepEqual([all[22 * MIB], all[MIB]], [0x5a, 0x5b]);
});

test('a primary kernel without a disk that loses us waits with suspend-io, and goes on when we are back', async () => {
  await configured('on-no-data-accessible suspend-io;');
  await rig.adm('primary', 'r0');
  await rig.adm('detach', 'r0');
  const w = new GuestWriter(rig.vm);
  await goesOn(rig, w);
  rig.kill();
  await rig.until('it has lost us', async () => (await rig.proc()).cs === 'WFConnection');
  const at = w.acknowledged;
  await sleep(1500);
  assert.ok(w.acknowledged <= at + 1);
  await rig.startOurs();
  await goesOn(rig, w);
  assert.equal(w.errors, '');
  await rig.adm('attach', 'r0');
  await rig.settled();
  await w.stop();
  w.onDisk(await rig.equal());
  await rig.adm('secondary', 'r0');
});

test('a primary of ours without a disk that loses the kernel waits with suspend-io, and goes on when it is back', async () => {
  await rig.order({ verb: 'primary', force: false });
  await rig.order(detach);
  const w = new NbdWriter(rig.nbd);
  await goesOn(rig, w);
  rig.cable('down');
  await rig.until('it waits', async () => (await rig.volume()).suspended !== undefined);
  const at = w.acknowledged;
  await sleep(1500);
  assert.ok(w.acknowledged <= at + 1);
  rig.cable('up');
  await goesOn(rig, w);
  await rig.order(attach);
  await rig.settled();
  await w.stop();
  w.onDisk(await rig.equal());
});

test('and without it gets errors, and the kernel is as it was', async () => {
  await configured('on-no-data-accessible io-error;');
  await rig.order({ verb: 'primary', force: false });
  await rig.order(detach);
  rig.cable('down');
  await assert.rejects(rig.io('write -P 0x5c 1M 4k'), /Input\/output error/);
  rig.cable('up');
  await kernel('UpToDate');
  await rig.io('write -P 0x5d 2M 4k', 'flush');
  await rig.order(attach);
  await rig.settled();
  assert.equal((await rig.equal())[2 * MIB], 0x5d);
});
