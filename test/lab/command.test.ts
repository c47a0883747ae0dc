/** `npm run lab`: one process holds the lab, the others ask it over its socket. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withoutTcpdump } from '../support/tcpdump.ts';

const possible = spawnSync('unshare', ['--net', '--mount', '--pid', '--fork', 'true']).status === 0;
const script = resolve(import.meta.dirname, '../../scripts/lab.ts');
/** Ends with this process, however that ends: what a killed test had started must not stay. */
const start = (argv: readonly string[], env: NodeJS.ProcessEnv, stdio: 'pipe' | 'inherit') =>
  spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, script, ...argv], {
    env,
    stdio: ['ignore', 'pipe', stdio],
  });
const definition = {
  switches: ['lan'],
  hosts: {
    a: { links: { eth0: { to: 'lan', addresses: ['10.0.0.1/24'] } } },
    b: {
      links: { eth0: { to: 'lan', addresses: ['10.0.0.2/24'] } },
      start: [['sh', '-c', 'echo started; sleep 1000']],
    },
    // Up well after b has spoken: what b said then must be shown too.
    late: {
      links: { eth0: { to: 'lan', addresses: Array.from({ length: 3000 }, (_, i) => `10.1.${i >> 8}.${i & 255}/16`) } },
    },
  },
};

test('up, list, run, shell, cut, power-cut, power-on, capture and down, from another process', {
  skip: possible ? false : 'needs root or user namespaces',
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lab-command-'));
  const env = { ...process.env, XDG_RUNTIME_DIR: folder, LC_ALL: 'C', HOLDFAST_LANG: '' };
  const lab = (...argv: string[]) =>
    spawnSync(process.execPath, [script, ...argv], { encoding: 'utf8', env, input: '', timeout: 120_000 });
  const file = join(folder, 'x.lab.json');
  writeFileSync(file, JSON.stringify(definition));

  assert.deepEqual([lab('list').status, /no lab 'lab' is up/.test(lab('list').stderr)], [2, true]);
  const up = start(['up', file], env, 'inherit');
  const ended = new Promise<number | null>((done) => up.once('exit', done));
  try {
    await new Promise<void>((done, fail) => {
      void ended.then((code) => fail(new Error(`up ended with ${code}`)));
      let said = '';
      up.stdout?.on('data', (d: Buffer) => {
        said += d.toString('utf8');
        if (/Ctrl-C/.test(said) && /\[b\] started/.test(said)) done();
      });
    });
    assert.equal(statSync(join(folder, 'holdfast-lab', 'lab.sock')).mode & 0o777, 0o600);
    assert.match(lab('up', file).stderr, /already up/);
    assert.match(lab('list').stdout, /^a +on +eth0 +lan +10\.0\.0\.1\/24 +ok$/m);
    const run = lab('run', 'a', 'sh', '-c', 'hostname; echo no >&2; exit 7');
    assert.deepEqual([run.status, run.stdout, run.stderr], [7, 'a\n', 'no\n']);
    const piped = spawnSync(process.execPath, [script, 'run', 'a', 'cat'], { env, input: 'hello\n', encoding: 'utf8' });
    assert.equal(piped.stdout, 'hello\n');
    const shell = spawnSync(process.execPath, [script, 'shell', 'b'], {
      env,
      input: 'tty && hostname -s; exit 5\n',
      encoding: 'utf8',
      timeout: 120_000,
    });
    assert.match(shell.stdout, /\/dev\/pts\/\d+\r\nb\r\n/);
    assert.equal(shell.status, 5);
    assert.equal(lab('cut', 'a:eth0', 'out').status, 0);
    assert.equal(lab('power-cut', 'b').status, 0);
    assert.equal(lab('partition', 'a').status, 0);
    const list = lab('list').stdout;
    assert.match(list, /^a .* cut-out$/m);
    assert.match(list, /^b +off .* part 1$/m);
    assert.equal(lab('run', 'b', 'true').status, 2);
    assert.equal(lab('power-on', 'b').status, 0);
    assert.equal(lab('heal').status, 0);

    if (!withoutTcpdump) {
      const pcap = join(folder, 'a.pcap');
      const capture = start(['capture', 'a:eth0', pcap, 'udp port 7777'], env, 'inherit');
      const captured = new Promise((done) => capture.once('exit', done));
      await Promise.race([captured, new Promise((done) => capture.stdout?.once('data', done))]);
      lab('run', 'a', 'bash', '-c', 'echo seen > /dev/udp/10.0.0.2/7777');
      // tcpdump drops at its end what it has not read yet.
      for (let i = 0; i < 600 && !/seen\n/.test(readFileSync(pcap, 'latin1')); i++) await sleep(100);
      capture.kill('SIGINT');
      await captured;
      assert.match(readFileSync(pcap, 'latin1'), /seen\n/);
    }

    const wrong = [lab('cut', 'a'), lab('run', 'nobody', 'true'), lab('dance'), lab('slow', 'a:eth0', 'delay=5')];
    assert.deepEqual(
      wrong.map((r) => r.status),
      [2, 2, 2, 2],
    );
    assert.equal(lab('down').status, 0);
    assert.equal(await ended, 0);
  } finally {
    up.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
});

test('a file with mistakes is refused with all of them, in the language of the reader', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lab-command-'));
  const file = join(folder, 'x.lab.json');
  writeFileSync(
    file,
    JSON.stringify({ switches: ['lan'], hosts: { a: { links: { eth0: { to: 'wan' } }, colour: 1 } } }),
  );
  const up = (language: string) =>
    spawnSync(process.execPath, [script, 'up', file], {
      encoding: 'utf8',
      env: { ...process.env, HOLDFAST_LANG: language },
    });
  const en = up('en');
  assert.equal(en.status, 2);
  assert.match(en.stderr, /hosts\.a\.links\.eth0\.to: no switch 'wan'/);
  assert.match(en.stderr, /hosts\.a: unknown key 'colour'/);
  assert.match(up('zh').stderr, /没有交换机“wan”/);
  rmSync(folder, { recursive: true });
});
