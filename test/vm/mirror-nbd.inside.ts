/**
 * A mirror's volume as a device of the kernel's nbd module, which is a guest's: the mirror's two hosts are processes of this
 * machine, and what they export is reached over the cable to the guest, where `holdfast attach` makes the device.
 *
 * ```
 *  ext4 ── /dev/nbd0 ── 10.99.0.2 ═══ tap0 10.99.0.1 ── relay ── ha1.nbd ── ha1 (127.0.0.1) ═══ ha2 (127.0.0.2)
 *  (guest)
 * ```
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import type { GuestProgram } from '../../src/lab/vm/guest-program.ts';
import { Vm } from '../../src/lab/vm/index.ts';
import { MirrorHosts } from '../support/mirror-hosts.ts';

const MIB = 1 << 20;
const SIZE = 48 * MIB;
const PORT = 10809;
const HERE = '10.99.0.1';
const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
const cache = { host: resolve(import.meta.dirname, '../../build/vm/compile-cache'), guest: '/run/compile-cache' };
/** Of an emulated guest on a busy machine. */
const PATIENCE = 200_000;

/** Prints a line for each block that is on the device, and when it is told to stop the checksum of all. */
const WRITER = `
n=0
while [ ! -e /run/stop ]; do
  dd if=/dev/urandom of=/srv/data/copy bs=64k count=1 seek=$((n % 256)) conv=notrunc oflag=direct status=none
  n=$((n + 1))
  echo $n
done
sha256sum < /srv/data/copy`;
const written = (w: GuestProgram): number => w.text('stdout').split('\n').length - 1;

/** Whoever calls the port speaks with the exports of ha1; when one side ends the other does. */
function relay(m: MirrorHosts): { close(): void } {
  const server = createServer((guest) => {
    const exports = connect(join(m.folder, 'ha1.nbd'));
    for (const [from, to] of [
      [guest, exports],
      [exports, guest],
    ] as const)
      from
        .on('data', (b: Buffer) => to.write(b))
        .on('error', () => {})
        .on('close', () => to.destroy());
  });
  server.listen(PORT, HERE);
  return server;
}

/** Both are there and equal, and ha1 is primary. */
async function founded(m: MirrorHosts): Promise<void> {
  await m.create('ha1', 'ha2');
  await Promise.all([m.start('ha1'), m.start('ha2')]);
  await m.until('both are connected', async () => (await m.status('ha1')).connection === 'Connected');
  await m.order('ha1', { verb: 'primary', force: true });
  await m.settled('ha1');
}

test('ext4 on a mirror by the nbd module: held while its process is dead, and moved to the other host', async (t) => {
  execFileSync('sh', [
    '-e',
    '-c',
    `ip tuntap add dev tap0 mode tap; ip address add ${HERE}/24 dev tap0; ip link set tap0 up`,
  ]);
  const m = new MirrorHosts(SIZE);
  t.after(() => m.end());
  const [vm] = await Promise.all([
    Vm.start({
      modules: ['nbd'],
      nics: [{ to: { tap: 'tap0' }, addresses: ['10.99.0.2/24'] }],
      shares: [{ ...cache, writable: true }],
    }),
    founded(m),
  ]);
  const between = relay(m);
  t.after(async () => {
    between.close();
    await vm.stop();
  });
  const env = { HOLDFAST_LANG: 'en', NODE_COMPILE_CACHE: cache.guest };
  const holdfast = (...words: string[]): string[] => [process.execPath, '--no-warnings', main, ...words];
  const sh = async (script: string): Promise<string> => {
    const r = await vm.run(['sh', '-e', '-c', script], { timeout: PATIENCE });
    assert.equal(r.code, 0, `${script}: ${r.stdout}${r.stderr}`);
    return r.stdout;
  };
  const attach = async () => {
    const p = vm.spawn(holdfast('attach', 'data', '--connect', `${HERE}:${PORT}`, '--way', 'kernel'), { env });
    const line = await p.line(/ -> \/dev\/nbd\d+$/, PATIENCE);
    return { program: p, device: line.split(' ').at(-1) ?? '' };
  };
  const first = await attach();
  await sh('mkdir /srv/data; mkfs.ext4 -q /dev/holdfast/data; mount /dev/holdfast/data /srv/data');
  const w = vm.spawn(['sh', '-e', '-c', WRITER]);
  const goesOn = (): Promise<void> => {
    const seen = written(w);
    return m.until(`the writer goes on: ${w.text('stderr')}`, () => written(w) > seen + 3);
  };
  await goesOn();
  await m.kill('ha1');
  const before = written(w);
  await m.start('ha1');
  await m.settled('ha1');
  // A secondary lets nobody write: what was acknowledged before may have been told late.
  assert.ok(w.running && written(w) <= before + 1, `${written(w)} writes, of ${before}: ${w.text('stderr')}`);
  await m.order('ha1', { verb: 'primary', force: false });
  await goesOn();
  await sh('touch /run/stop');
  assert.deepEqual(await w.exited, { code: 0, signal: undefined }, w.text('stderr'));
  const sum = w.text('stdout').trim().split('\n').at(-1) ?? '';
  await m.until('attach has seen it', () => /the server is back/.test(first.program.text('stderr')));

  const used = await m.ask('ha1', { verb: 'secondary' });
  assert.ok(!used.ok && /^data is in use over NBD by /.test(used.text.en), JSON.stringify(used));
  await sh('umount /srv/data');
  const gone = await vm.run(holdfast('detach', 'data'), { timeout: PATIENCE, env });
  assert.equal(gone.code, 0, gone.stderr);
  await sh(`test ! -e /dev/holdfast/data; test ! -e /sys/block/${first.device.slice(5)}/pid`);
  assert.equal((await first.program.exited).code, 0);

  await m.order('ha1', { verb: 'secondary' });
  await m.order('ha2', { verb: 'primary', force: false });
  // What is mounted is nobody's any more: the file is read from the file system as it lies on the disk of the other host.
  const dumped = join(m.folder, 'copy');
  execFileSync('debugfs', ['-R', `dump copy ${dumped}`, m.disk('ha2')], { stdio: 'pipe' });
  assert.equal(createHash('sha256').update(readFileSync(dumped)).digest('hex'), sum.slice(0, 64));
  await m.down();
  const [a, b] = [m.data('ha1', SIZE - MIB), m.data('ha2', SIZE - MIB)];
  assert.ok(a.equals(b), 'both disks are equal');
  execFileSync('e2fsck', ['-fn', m.disk('ha2')], { stdio: 'pipe' });
});
