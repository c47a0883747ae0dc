import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Command, Exit } from '../index.ts';
import { loadAddon } from './addon.ts';
import { SCHED_OTHER, SCHED_RR, setPriority } from './priority.ts';
import { linuxProcesses } from './processes.ts';

const loaded = loadAddon();
assert.ok(loaded.ok, 'npm run setup builds the addon');
const addon = loaded.value;
const processes = linuxProcesses(addon);
const folder = mkdtempSync(join(tmpdir(), 'holdfast-processes-'));
test.after(() => rmSync(folder, { recursive: true }));
const ended = (c: Command): Promise<Exit> => new Promise((r) => processes.run(c, r));
const root = process.getuid?.() === 0;
/** Runs a shell line and gives back what it wrote to $OUT. */
async function output(line: string, o: Omit<Command, 'argv'> = {}): Promise<string> {
  const out = join(folder, 'out');
  rmSync(out, { force: true });
  const environment = { PATH: process.env['PATH'] ?? '', OUT: out, ...o.environment };
  assert.deepEqual(await ended({ argv: ['sh', '-c', line], ...o, environment }), { code: 0 });
  return readFileSync(out, 'utf8').trim();
}

test('the end of a program: its code, its signal, or why it did not start', async () => {
  assert.deepEqual(await ended({ argv: ['sh', '-c', 'exit 7'] }), { code: 7 });
  assert.deepEqual(await ended({ argv: ['sh', '-c', 'kill -9 $$'] }), { signal: 'SIGKILL' });
  const none = await ended({ argv: ['/no/such/program'] });
  assert.ok('failed' in none);
  assert.equal(none.failed.code, 'ENOENT');
  const not = await ended({ argv: ['/etc/passwd'] });
  assert.equal('failed' in not && not.failed.code, 'EACCES');
});

test('environment, directory, empty standard input, and a process group of its own', async () => {
  assert.equal(await output('echo "$WORD $(pwd)" > $OUT', { environment: { WORD: 'w' }, directory: '/usr' }), 'w /usr');
  assert.equal(await output('cat | wc -c > $OUT'), '0');
  assert.equal(await output('test "$(cut -d " " -f 5 /proc/$$/stat)" = $$ && echo own > $OUT'), 'own');
});

test('a signal ends the children of a script too', async () => {
  const out = join(folder, 'child');
  const exit = new Promise<Exit>((r) => {
    const running = processes.run({ argv: ['sh', '-c', `sleep 300 & echo $! > ${out}; wait`] }, r);
    const poll = setInterval(() => {
      try {
        if (!readFileSync(out, 'utf8').endsWith('\n')) return;
      } catch {
        return;
      }
      clearInterval(poll);
      running.signal('SIGTERM');
    }, 5);
  });
  assert.deepEqual(await exit, { signal: 'SIGTERM' });
  const pid = Number(readFileSync(out, 'utf8'));
  for (let i = 0; i < 6000; i++) {
    if (!processes.list().some((p) => p.pid === pid && p.argv[0] === 'sleep')) return;
    await new Promise((r) => setTimeout(r, 10));
  }
  assert.fail('the child of the script lives');
});

test('user, group and supplementary groups', { skip: !root && 'needs root' }, async () => {
  const who = 'id -u > $OUT; id -g >> $OUT; id -G >> $OUT';
  chmodSync(folder, 0o777);
  assert.equal(await output(who, { credentials: { uid: 65534, gid: 65534 } }), '65534\n65534\n65534');
  assert.equal(
    await output(who, { credentials: { uid: 65534, gid: 65534, groups: [4, 5] } }),
    '65534\n65534\n65534 4 5',
  );
});

test('the list has this process with its whole command line', () => {
  const own = processes.list().find((p) => p.pid === process.pid);
  assert.ok(own?.argv.some((a) => a.endsWith('processes.test.ts')));
  assert.equal(own?.name, readFileSync('/proc/self/comm', 'utf8').trim());
});

test('starts and ends of processes are told', async (t) => {
  const seen: string[] = [];
  const r = processes.watch((c) => seen.push(c.kind === 'lost' ? 'lost' : `${c.kind} ${c.pid}`));
  if (!r.ok) {
    assert.ok(['EPERM', 'ECONNREFUSED', 'EPROTONOSUPPORT'].includes(r.error.code), r.error.code);
    t.skip(`the kernel does not tell this namespace: ${r.error.code}`);
    return;
  }
  let pid: number | undefined;
  // On a machine that starts very many programs the kernel may drop notices, and says so: then once more.
  do {
    seen.length = 0;
    await new Promise<void>((done) => {
      pid = processes.run({ argv: ['true'] }, () => done()).pid;
    });
    for (let i = 0; i < 6000 && !seen.includes(`ended ${pid}`) && !seen.includes('lost'); i++)
      await new Promise((x) => setTimeout(x, 10));
  } while (seen.includes('lost'));
  r.value();
  const own = seen.filter((s) => s.endsWith(` ${pid}`));
  assert.equal(own[0], `started ${pid}`);
  assert.ok(own.includes(`changed ${pid}`));
  assert.equal(own.at(-1), `ended ${pid}`);
});

test('priority: each wish has its own answer, and programs get none of it', async (t) => {
  const before = new Uint8Array(128);
  addon.getAffinity(before);
  const allowed = Array.from({ length: 1024 }, (_, i) => i).filter((i) => ((before[i >> 3] as number) >> (i & 7)) & 1);
  const one = allowed[0] as number;
  const affinity = (): string =>
    readFileSync('/proc/thread-self/status', 'utf8').match(/Cpus_allowed:\s*\S+/)?.[0] ?? '';
  const ordinary = affinity();
  const report = setPriority(addon, { realtime: 5, nice: -3, processors: [one] });
  try {
    assert.ok(report.processors?.ok);
    const mine = new Uint8Array(128);
    addon.getAffinity(mine);
    assert.equal(mine[one >> 3], 1 << (one & 7));
    const status = await output('grep Cpus_allowed: /proc/self/status > $OUT; chrt -p $$ >> $OUT; nice >> $OUT');
    assert.equal(status.split('\n')[0], ordinary, 'the program has all processors');
    assert.match(status, /SCHED_OTHER/);
    if (!report.realtime?.ok || !report.nice?.ok) return t.skip('real-time priority is not permitted here');
    assert.equal(addon.getScheduler(), SCHED_RR * 256 + 5);
    assert.match(status, /\n0$/);
  } finally {
    addon.setScheduler(SCHED_OTHER, 0);
    addon.setNice(0);
    addon.setAffinity(before);
  }
});

test('a processor that does not exist is refused and named', () => {
  const r = setPriority(addon, { processors: [1023] }).processors;
  assert.ok(r && !r.ok);
  assert.equal(r.error.code, 'EINVAL');
  assert.match(r.error.doing.en, /1023/);
});
