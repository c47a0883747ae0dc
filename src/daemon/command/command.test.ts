import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { getopt } from './getopt.ts';
import { helpText, type KeepalivedOptions, OPTIONS, parseOptions, SIGNALS } from './options.ts';
import { readPeerKey } from './peer-key.ts';
import { missingCapabilities } from './permission.ts';
import { isDaemon, pidPaths, runningPid, takePidFile } from './pidfile.ts';
import { testStatus } from './test.ts';

const parse = (...argv: string[]): KeepalivedOptions => {
  const r = parseOptions(argv);
  assert.ok(r.ok, r.ok ? '' : r.error.en);
  return r.value;
};

test('short options may be joined, and a value may follow at once, as the next word, or behind an equals sign', () => {
  for (const argv of [
    ['-nlD', '-f', 'x'],
    ['-n', '-l', '-D', '-fx'],
    ['-nlDfx'],
    ['--dont-fork', '--log-console', '--log-detail', '--use-file=x'],
  ]) {
    const o = parse(...argv);
    assert.deepEqual([o.foreground, o.console, o.detail, o.file], [true, true, true, 'x']);
  }
});
test('a long option may be shortened as long as one alone fits, and an exact name is never ambiguous', () => {
  assert.equal(parse('--dont-f').foreground, true);
  const r = parseOptions(['--dont-release']);
  assert.ok(!r.ok && r.error.en.includes('--dont-release-vrrp, --dont-release-ipvs'));
  assert.equal(parse('--vrrp').only, 'vrrp');
});
test('-t takes its file only behind an equals sign or at once', () => {
  assert.deepEqual([parse('-t').do, parse('-t').testOutput], ['test', undefined]);
  assert.equal(parse('-tlog').testOutput, 'log');
  assert.equal(parse('--config-test=log').testOutput, 'log');
  assert.ok(!parseOptions(['-t', 'log']).ok, 'a word that belongs to nothing is an error');
});
test('every option of keepalived 2.2.7 is taken', () => {
  const letters = 'f:PCBlDS:g:Gu:XVIRndp:r:c:b:ax:A:s:mM:ei:tvh'.replace('x:', 'x');
  for (const m of letters.matchAll(/([a-zA-Z])(:?)/g)) {
    const [, letter, value] = m;
    const argv = value ? [`-${letter}`, letter === 'S' ? '1' : letter === 'u' ? '022' : 'x'] : [`-${letter}`];
    const words = letter === 'M' ? ['-Mx'] : argv;
    assert.ok(parseOptions(words).ok, words.join(' '));
  }
  for (const long of ['all', 'flush-log-file', 'perf', 'perf=all', 'debug=Dv', 'no-mem-check', 'signum=JSON'])
    assert.ok(parseOptions([`--${long}`]).ok, long);
});
test('--signum knows the numbers that keepalived 2.2.7 prints', () => {
  assert.deepEqual(SIGNALS, { STOP: 15, RELOAD: 1, DATA: 10, STATS: 12, STATS_CLEAR: 63, JSON: 36 });
  assert.deepEqual(parse('--signum=STATS').do, { signum: 12 });
  assert.ok(!parseOptions(['--signum=toString']).ok);
});
test('masks are octal with a leading zero, facilities are numbers or names, -G means none', () => {
  assert.equal(parse('-u', '022').umask, 0o22);
  assert.equal(parse('-u', '18').umask, 18);
  assert.ok(!parseOptions(['-u', '9z']).ok);
  assert.deepEqual(
    ['3', 'local7', 'user', 'daemon'].map((f) => parse('-S', f).facility),
    [19, 23, 1, 3],
  );
  assert.equal(parse('-G').facility, undefined);
});
test('wrong options say what is wrong', () => {
  const fails = (...argv: string[]): string => {
    const r = parseOptions(argv);
    return r.ok ? '' : r.error.en;
  };
  assert.match(fails('-Z'), /unknown option -Z/);
  assert.match(fails('--nonsense'), /unknown option --nonsense/);
  assert.match(fails('-f'), /-f needs a value/);
  assert.match(fails('--vrrp=1'), /takes no value/);
});
test('no words make the option reader throw, and the help names every option in both languages', () => {
  fc.assert(fc.property(fc.array(fc.string()), (argv) => typeof getopt(OPTIONS, argv).ok === 'boolean'));
  for (const language of ['en', 'zh'] as const)
    for (const o of OPTIONS) assert.ok(helpText(language).includes(`--${o.long}`));
});

test('pid files are where keepalived 2.2.7 of Debian has them, and the control socket follows', () => {
  assert.deepEqual(pidPaths({ pidDirectory: false }), {
    main: '/run/keepalived.pid',
    vrrp: '/run/vrrp.pid',
    checkers: '/run/checkers.pid',
    socket: '/run/holdfast/keepalived.sock',
    ledger: '/run/holdfast/keepalived.ipvs',
  });
  assert.equal(pidPaths({ pidDirectory: true, instance: 'a' }).main, '/run/keepalived/keepalived_a.pid');
  assert.equal(pidPaths({ pidDirectory: false, namespace: 'n' }).main, '/run/keepalived/keepalived_n/keepalived.pid');
  assert.equal(pidPaths({ pidDirectory: false, pidFile: '/x/a.pid' }).socket, '/x/a.sock');
});
test('a stale pid file is taken over; one of a running process that is no keepalived too', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hf-pid-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'a.pid');
  for (const stale of ['999999999\n', '1\n', 'nonsense', '']) {
    writeFileSync(path, stale);
    assert.equal(runningPid(path), undefined);
    assert.ok(takePidFile(path).ok);
    assert.equal(readFileSync(path, 'utf8'), `${process.pid}\n`);
  }
});
test('of many that start at once with a stale pid file one alone gets it, and nothing else is left', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hf-pid-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'a.pid');
  const module = JSON.stringify(join(import.meta.dirname, 'pidfile.ts'));
  const program = `const { takePidFile } = await import(${module}); const r = takePidFile(${JSON.stringify(path)});
    console.log(r.ok); if (r.ok) setTimeout(() => {}, 60_000); process.stdin.resume().on('end', () => process.exit())`;
  writeFileSync(path, '999999999\n');
  // The pid file believes in processes whose arguments name the verb; node leaves them in the command line.
  const children = Array.from({ length: 6 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', program, 'holdfast', 'keepalived'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  );
  const answers = await Promise.all(
    children.map((c) => new Promise<string>((done) => c.stdout.once('data', (d) => done(String(d).trim())))),
  );
  assert.equal(answers.filter((a) => a === 'true').length, 1, answers.join());
  assert.equal(Number(readFileSync(path, 'utf8')), children[answers.indexOf('true')]?.pid);
  assert.deepEqual(readdirSync(folder), ['a.pid']);
  for (const c of children) c.stdin.end();
});
test('a device or a link in the place of the pid file is left alone', () => {
  const taken = takePidFile('/dev/null');
  assert.ok(!taken.ok && taken.error.kind === 'unwritable' && taken.error.text.en.includes('not a regular file'));
});
test('a process that only has keepalived in its arguments is no daemon', () => {
  assert.ok(!isDaemon(['vim', '/etc/keepalived/keepalived.conf']));
  assert.ok(!isDaemon(['journalctl', '-fu', 'keepalived']));
  assert.ok(isDaemon(['/usr/sbin/keepalived', '-n']));
  assert.ok(isDaemon(['holdfast keepalived']));
  assert.ok(isDaemon(['/opt/node', '/opt/holdfast/src/cli/main.ts', 'keepalived', '-n']));
});
test('missing capabilities are named from the effective set', () => {
  assert.deepEqual(missingCapabilities('CapEff:\t0000003fffffffff\n'), []);
  assert.deepEqual(missingCapabilities('CapEff:\t0000000000001000\n'), ['CAP_NET_RAW']);
  assert.deepEqual(missingCapabilities(''), ['CAP_NET_ADMIN', 'CAP_NET_RAW']);
});
test('the status of -t is 0 or 2, and with --lenient those of keepalived', () => {
  const good = {} as NonNullable<Parameters<typeof testStatus>[0]['config']>;
  const warning = { severity: 'warning', code: 'x', place: undefined, message: { en: '', zh: '' } } as const;
  const status = (config: typeof good | undefined, found: number, lenient: boolean, unguarded = false): number =>
    testStatus({ config, diagnostics: Array(found).fill(warning) }, lenient, () => unguarded);
  assert.deepEqual([status(good, 0, false), status(good, 2, false), status(undefined, 1, false)], [0, 0, 2]);
  assert.deepEqual([status(good, 0, true), status(good, 1, true), status(undefined, 1, true)], [0, 5, 4]);
  assert.equal(status(good, 0, true, true), 6);
});

test('--lb-peer names the other director, with a key from a file unless the link is said to be trusted', () => {
  const file = '--lb-peer-key=/k';
  assert.deepEqual(parse('--lb-peer=192.0.2.2', file).peer, { address: '192.0.2.2', port: 8849, keyFile: '/k' });
  assert.deepEqual(parse('--lb-peer', '192.0.2.2:90', '--lb-peer-trusted').peer, {
    address: '192.0.2.2',
    port: 90,
    keyFile: undefined,
  });
  assert.equal(parse('--lb-peer=2001:db8::2', file).peer?.address, '2001:db8::2');
  assert.deepEqual(parse('--lb-peer=[2001:DB8::2]:7', file).peer, { address: '2001:db8::2', port: 7, keyFile: '/k' });
  for (const wrong of [
    ['--lb-peer=192.0.2.2'],
    ['--lb-peer=192.0.2.2', file, '--lb-peer-trusted'],
    ['--lb-peer=lb2', file],
    ['--lb-peer=192.0.2.2:0', file],
    ['--lb-peer=192.0.2.2:70000', file],
    [file],
    ['--lb-peer-trusted'],
  ])
    assert.ok(!parseOptions(wrong).ok, wrong.join(' '));
});
test('a key of the link is at least 16 bytes, without the end of its line', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-key-'));
  try {
    const key = (content: string) => {
      writeFileSync(join(folder, 'k'), content);
      return readPeerKey(join(folder, 'k'));
    };
    const good = key('0123456789abcdef\n');
    assert.equal(good.ok && Buffer.from(good.value).toString(), '0123456789abcdef');
    assert.ok(!key('0123456789abcde\n').ok);
    assert.ok(!readPeerKey(join(folder, 'none')).ok);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
