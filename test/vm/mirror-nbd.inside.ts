/** The device of a mirror through the kernel's nbd module: a file system on it outlives the process of its mirror, and moves. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type HostName, MirrorHosts, sh } from './mirror-hosts.ts';

spawnSync('modprobe', ['nbd', 'nbds_max=0']);
const MIB = 1 << 20;

test('ext4 on a mirror by the nbd module: held while the process is dead, refused while mounted, and moved to the other host', async (t) => {
  const m = new MirrorHosts(48 * MIB);
  const mount = join(m.folder, 'mnt');
  t.after(async () => {
    spawnSync('umount', ['-l', mount], { stdio: 'ignore' });
    await m.down().catch(() => {});
    m.end();
  });
  const device = (h: HostName): string => join(m.devices(h), 'data');
  const connected = (nbd: string): boolean => existsSync(`/sys/block/${basename(nbd)}/pid`);
  await m.create('ha1', 'ha2');
  await Promise.all([
    m.start('ha1', 'keep', '--attach', '--way', 'kernel'),
    m.start('ha2', 'keep', '--attach', '--way', 'kernel'),
  ]);
  await m.until('both are connected', async () => (await m.status('ha1')).connection === 'Connected');
  await m.order('ha1', { verb: 'primary', force: true });
  await m.settled('ha1');
  const nbd = readlinkSync(device('ha1'));
  assert.match(nbd, /^\/dev\/nbd\d+$/);
  assert.ok(connected(nbd) && !existsSync(device('ha2')));
  await sh(`mkdir ${mount}; mkfs.ext4 -q ${device('ha1')}; mount ${device('ha1')} ${mount}`);

  let over = false;
  const copy = sh(
    `dd if=/dev/urandom of=${mount}/copy bs=64k count=160 oflag=direct conv=fsync status=none; sha256sum < ${mount}/copy`,
  ).finally(() => {
    over = true;
  });
  await sleep(300);
  // Not its keeper.
  await sh(`pkill -KILL -f 'mirror run data .*--host ha1'`);
  await sleep(500);
  assert.ok(!over, 'the copy went on without a mirror');
  assert.ok(connected(nbd));
  const sum = await copy;
  await m.settled('ha1');
  assert.equal((await m.status('ha1')).role, 'Primary');
  assert.equal(readlinkSync(device('ha1')), nbd, 'it is the same device');

  const busy = await m.ask('ha1', { verb: 'secondary' });
  assert.ok(!busy.ok && busy.code === 'device-in-use', JSON.stringify(busy));
  assert.match(busy.text.en, /^data is mounted on .*: umount .* first$/);
  assert.equal((await m.status('ha1')).role, 'Primary');

  await sh(`umount ${mount}`);
  await m.order('ha1', { verb: 'secondary' });
  assert.ok(!existsSync(device('ha1')) && !connected(nbd), 'the device is gone, and the kernel has let go of it');
  await m.order('ha2', { verb: 'primary', force: false });
  const other = readlinkSync(device('ha2'));
  assert.equal(await sh(`mount ${other} ${mount}; sha256sum < ${mount}/copy; umount ${mount}`), sum);
  await m.down();
  assert.ok(!existsSync(device('ha2')) && !connected(other));
  assert.equal(spawnSync('pgrep', ['-f', 'mirror (run|keep)|attach data']).stdout.toString(), '', 'nothing is left');
  await sh(`e2fsck -fn ${m.disk('ha1')}`);
  const [a, b] = [m.disk('ha1'), m.disk('ha2')].map((f) => readFileSync(f).subarray(0, 47 * MIB));
  assert.ok(a && b && a.equals(b));
});
