/** Virtual machines of the lab: booted, used, cut, and nothing left of them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Vm, VmSwitch } from '../../src/lab/vm/index.ts';
import { withoutGuests } from '../support/vm.ts';

const root = resolve(import.meta.dirname, '../..');
const skip = await withoutGuests();
const running = (pid: number | undefined): boolean => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};
const gone = async (pid: number): Promise<boolean> => {
  for (let i = 0; i < 1200 && running(pid); i++) await sleep(50);
  return !running(pid);
};

describe('two guests on a switch', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-share-'));
  let [a, b]: Vm[] = [];
  before(async () => {
    const lan = new VmSwitch();
    const nic = (address: string) => ({ to: lan, addresses: [address] });
    [a, b] = await Promise.all([
      Vm.start({
        hostname: 'alpha',
        modules: ['dummy', 'ip_vs'],
        nics: [nic('10.7.0.1/24'), { to: 'user' }],
        shares: [{ host: folder, guest: '/mnt/share', writable: true }],
        files: { '/etc/holdfast-test.conf': 'planted\n' },
      }),
      Vm.start({ hostname: 'beta', nics: [nic('10.7.0.2/24')] }),
    ]);
  });
  after(async () => {
    await Promise.all([a?.stop(), b?.stop()]);
    rmSync(folder, { recursive: true });
  });
  const vmA = (): Vm => a ?? assert.fail('no guest');
  const vmB = (): Vm => b ?? assert.fail('no guest');

  test('a guest has another kernel, the modules that were asked for, and finds others by itself', async () => {
    const r = await vmA().run([
      'sh',
      '-c',
      'uname -r; hostname; cat /proc/modules; modprobe -n nbd && echo nbd; modprobe -n drbd && echo drbd',
    ]);
    assert.match(r.stdout, /^\d+\.\d+\.\d+-\d+-amd64\nalpha\n/);
    assert.match(r.stdout, /^dummy /m);
    assert.match(r.stdout, /^ip_vs /m);
    assert.match(r.stdout, /^nbd\ndrbd\n$/m);
    const link = await vmB().run(['ip', 'link', 'add', 'bond7', 'type', 'bond']); // autoloaded
    assert.equal(link.code, 0, link.stderr);
  });

  test('a result has its code or signal, both streams, its input and its time', async () => {
    const failed = await vmA().run(['sh', '-c', 'cat; echo "é $X" >&2; exit 3'], {
      input: 'said\n',
      env: { X: '1' },
      cwd: '/tmp',
    });
    assert.deepEqual(failed, { code: 3, signal: undefined, stdout: 'said\n', stderr: 'é 1\n', timedOut: false });
    assert.equal((await vmA().run(['no-such-program'])).code, 127);
    const slow = await vmA().run(['sleep', '600'], { timeout: 300 });
    assert.deepEqual([slow.signal, slow.timedOut], ['SIGKILL', true]);
    assert.equal((await vmA().run(['sh', '-c', 'sleep 600 & echo up'])).stdout, 'up\n');
    const big = await vmA().run(['head', '-c', '1000000', '/dev/zero']);
    assert.equal(big.stdout.length, 1_000_000);
  });

  test('the project runs in it, on its files', async () => {
    const code = `import { parseIp } from '${root}/src/base/index.ts'; console.log(JSON.stringify(parseIp('2001:DB8::1')))`;
    const r = await vmA().run([process.execPath, '--input-type=module', '-e', code]);
    assert.equal(r.stdout, '{"ok":true,"value":"2001:db8::1"}\n', r.stderr);
  });

  test('what a guest writes is its own; a writable share is seen by both', async () => {
    assert.equal((await vmA().run(['cat', '/etc/holdfast-test.conf'])).stdout, 'planted\n');
    await vmA().run(['sh', '-c', 'echo from the guest | tee /mnt/share/x /usr/holdfast-test']);
    assert.equal(readFileSync(join(folder, 'x'), 'utf8'), 'from the guest\n');
    assert.ok(!existsSync('/etc/holdfast-test.conf') && !existsSync('/usr/holdfast-test'));
  });

  test('guests reach each other until the cable is cut', async () => {
    const server = vmB().spawn([
      process.execPath,
      '-e',
      "require('net').createServer((s) => s.end('hello')).listen(80, () => console.log('ready'))",
    ]);
    await server.line(/^ready$/);
    const ask = `require('net').connect(80, '10.7.0.2').setTimeout(5000, () => process.exit(9)).on('data', (b) => console.log(String(b)))`;
    assert.equal((await vmA().run([process.execPath, '-e', ask])).stdout, 'hello\n');
    const plug = vmB().plugs[0] ?? assert.fail('no plug');
    plug.cut = true;
    assert.equal((await vmA().run([process.execPath, '-e', ask])).code, 9);
    plug.cut = false;
    assert.equal((await vmA().run([process.execPath, '-e', ask])).stdout, 'hello\n');
    server.kill();
  });

  test('a guest reaches a server of this machine', async () => {
    const host = createServer((s) => s.end('from the machine'));
    await new Promise<void>((done) => host.listen(0, '127.0.0.1', done));
    const { port } = host.address() as AddressInfo;
    const ask = `require('net').connect(${port}, '10.0.2.2').on('data', (b) => console.log(String(b)))`;
    assert.equal((await vmA().run([process.execPath, '-e', ask])).stdout, 'from the machine\n');
    host.close();
  });

  test('a paused guest says nothing, and goes on where it was', async () => {
    const p = vmA().spawn(['sh', '-c', 'for i in $(seq 100000); do echo $i; sleep 0.1; done']);
    await p.line(/^3$/);
    await vmA().pause();
    // What it had said before may be on its way still.
    const quiet = async (): Promise<boolean> => {
      const said = p.text('stdout');
      await sleep(2000);
      return p.text('stdout') === said;
    };
    for (let tries = 1; !(await quiet()); tries++) assert.ok(tries < 20, p.text('stdout'));
    const last = Number(p.text('stdout').trim().split('\n').at(-1));
    await vmA().resume();
    await p.line(new RegExp(`^${last + 1}$`));
    p.kill();
  });

  test('a cut takes all with it: the programs, the process, what it wrote; power on brings a fresh guest, and so does a reset', async () => {
    const sleeper = vmA().spawn(['sleep', '600']);
    const pid = vmA().pid ?? assert.fail('no process');
    await vmA().powerCut();
    assert.ok(!running(pid));
    assert.deepEqual(await sleeper.exited, { code: undefined, signal: 'SIGKILL' });
    assert.throws(() => vmA().spawn(['true']), { code: 'lab-no-power' });
    await vmA().powerOn();
    assert.equal((await vmA().run(['ls', '/usr/holdfast-test'])).code, 2);
    await vmA().run(['touch', '/usr/holdfast-test']);
    await vmA().reset();
    const r = await vmA().run([
      'sh',
      '-c',
      'ls /usr/holdfast-test; cat /etc/holdfast-test.conf; ip -brief address show eth0',
    ]);
    assert.match(r.stdout, /^planted\neth0 +UP +10\.7\.0\.1\/24/);
  });
});

test('nothing is left of a guest whose controller was killed', { skip }, async () => {
  const before = new Set(readdirSync(tmpdir()).filter((f) => f.startsWith('holdfast-vm-')));
  const code = `import { Vm } from '${root}/src/lab/vm/index.ts'; await Vm.start();`;
  const controller = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', code], {
    stdio: 'inherit',
  });
  const children = (): number[] =>
    readFileSync(`/proc/${controller.pid}/task/${controller.pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .filter(Boolean)
      .map(Number);
  const isQemu = (pid: number): boolean => readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('qemu');
  let qemu: number | undefined;
  for (let i = 0; i < 2400 && qemu === undefined; i++) {
    await sleep(50);
    qemu = children().find(isQemu);
  }
  assert.ok(qemu !== undefined, 'no emulator was started');
  await sleep(500);
  controller.kill('SIGKILL');
  assert.ok(await gone(qemu), `qemu ${qemu} still runs`);
  assert.deepEqual(
    readdirSync(tmpdir()).filter((f) => f.startsWith('holdfast-vm-') && !before.has(f)),
    [],
  );
});

test('a module that the kernel does not have is named', { skip }, async () => {
  await assert.rejects(Vm.start({ modules: ['no_such_module'] }), /cannot load no_such_module/);
});
