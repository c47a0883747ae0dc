/** A disk that answers nothing any more: a device of the device mapper that is suspended beneath a mirror of two hosts of ours. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { NbdWriter } from './drbd-writers.ts';
import { MirrorHosts, sh } from './mirror-hosts.ts';

for (const m of ['dm_mod', 'loop']) spawnSync('modprobe', [m]);
const MIB = 1 << 20;
const SIZE = 24 * MIB;
/** As devtmpfs names it: there is no udev in the guest. */
const LOW = '/dev/dm-0';
/** Seconds. */
const LIMIT = 3;
const hangs = (): Promise<string> => sh('dmsetup suspend --noudevsync --noflush --nolockfs low');
const answers = (): Promise<string> => sh('dmsetup resume --noudevrules --noudevsync low');

let m: MirrorHosts;
let w: NbdWriter;
before(async () => {
  m = new MirrorHosts(SIZE, { ha1: LOW }, `disk-timeout ${LIMIT * 10};`);
  await sh(`truncate -s ${SIZE} ${m.folder}/low.img
    loop=$(losetup --find --show --direct-io=off ${m.folder}/low.img)
    dmsetup create low --noudevrules --noudevsync --table "0 ${SIZE / 512} linear $loop 0"`);
  await m.create('ha1', 'ha2');
  await Promise.all([m.start('ha1', 'run'), m.start('ha2', 'run')]);
  await m.until('both are connected', async () => (await m.status('ha1')).connection === 'Connected');
  await m.order('ha1', { verb: 'primary', force: true });
  await m.settled('ha1');
  w = new NbdWriter(m.nbd('ha1'));
  await goesOn();
});
after(async () => {
  w?.kill();
  await answers().catch(() => {});
  m?.end();
});
/** Writes are acknowledged. */
async function goesOn(): Promise<void> {
  const seen = w.acknowledged;
  await m.until('the writer goes on', () => w.acknowledged > seen + 20);
}
const told = (why: RegExp): Promise<void> =>
  m.until(`${why} is told`, async () => (await m.status('ha1')).reasons.some((r) => why.test(r.text.en)));
const disks = async (): Promise<string> => {
  const v = (await m.status('ha1')).volumes[0];
  return `${v?.disk}/${v?.peerDisk}`;
};

test('a disk that hangs is given up after disk-timeout, and who writes goes on by the disk of the peer', async () => {
  const began = performance.now();
  await hangs();
  await m.until('the disk is given up', async () => (await disks()) === 'Diskless/UpToDate');
  const seconds = (performance.now() - began) / 1000;
  assert.ok(seconds >= LIMIT, `after ${seconds} s`);
  await told(/the disk did not answer within 3000 ms \(disk-timeout\) and was detached; \d+ requests are still there/);
  const seen = (await m.status('ha2')).volumes[0];
  assert.deepEqual([seen?.peerDisk, seen?.peerRole], ['Diskless', 'Primary']);
  await goesOn();
});
test('while requests are still in it, it is not attached', async () => {
  const a = await m.ask('ha1', { verb: 'attach', volume: undefined });
  assert.ok(!a.ok);
  assert.match(a.text.en, /\d+ requests from before the detach are still at the disk of volume 0: attach it when they/);
  await goesOn();
});
test('when it answers again it is attached and gets what it missed, and both disks have all that was acknowledged', async () => {
  await answers();
  await told(/the disk has answered all that was asked of it/);
  await m.order('ha1', { verb: 'attach', volume: undefined });
  await m.settled('ha1');
  await goesOn();
  await w.stop();
  await m.order('ha1', { verb: 'secondary' });
  const size = (await m.status('ha1')).volumes[0]?.size ?? 0;
  await sh('blockdev --flushbufs /dev/dm-0');
  const [a, b] = [readFileSync(LOW).subarray(0, size), m.data('ha2', size)];
  assert.ok(a.equals(b));
  w.onDisk(a);
  w.onDisk(b);
});
test('EXPLORE: exit', async () => {
  await m.order('ha1', { verb: 'primary', force: false });
  w = new NbdWriter(m.nbd('ha1'));
  await goesOn();
  await hangs();
  await m.until('the disk is given up', async () => (await disks()) === 'Diskless/UpToDate');
  await w.stop();
  const p = m.process('ha1');
  let ended = false;
  p.once('exit', () => {
    ended = true;
  });
  p.kill('SIGTERM');
  await sleep(8000);
  const state = spawnSync('sh', [
    '-c',
    `ps -eLo pid,stat,wchan:32,comm | grep -E "node|holdfast|MainThread"; cat /proc/${p.pid}/stack; ss -ltnp; ss -tnp`,
  ]).stdout.toString();
  const peer = JSON.stringify((await m.status('ha2')).volumes[0]);
  await answers();
  await sleep(3000);
  assert.fail(`ended ${ended} then ${p.exitCode}\n${state}\n${peer}\n${m.said('ha1')}`);
});
