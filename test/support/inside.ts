/**
 * Tests that need kernel modules: run in a guest where this machine's kernel lacks them, else in a network namespace of
 * their own on this machine. The file that runs inside is an ordinary test file with another ending (`.inside.ts`).
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { start } from '../../src/lab/program.ts';
import { Vm } from '../../src/lab/vm/index.ts';
import type { Reported } from './json-reporter.ts';
import { withoutGuests } from './vm.ts';

const MARK = 'HOLDFAST-TEST ';
const PATH = `${process.env['PATH']}:/usr/sbin:/sbin`;
const here = (module: string): boolean =>
  existsSync(`/sys/module/${module}`) ||
  spawnSync('modprobe', ['-n', '-q', module], { env: { ...process.env, PATH } }).status === 0;

/** Runs the file inside, and each of its tests counts as one of `t`. */
export async function runInside(
  t: TestContext,
  file: string,
  o: { readonly modules: readonly string[] },
): Promise<void> {
  const own = o.modules.every(here) && process.getuid?.() === 0;
  const argv = [
    process.execPath,
    '--no-warnings',
    '--test',
    '--test-force-exit',
    '--test-isolation=none',
    `--test-reporter=${resolve(import.meta.dirname, 'json-reporter.ts')}`,
    resolve(import.meta.dirname, '../vm', file),
  ];
  let said: { readonly stdout: string; readonly stderr: string };
  if (own) {
    const space = ['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
    const program = start(space, [
      'sh',
      '-c',
      'mount -t tmpfs tmpfs /run; ip link set lo up; exec "$@"',
      'sh',
      ...argv,
    ]);
    await program.exited;
    said = { stdout: program.text('stdout'), stderr: program.text('stderr') };
  } else {
    const missing = await withoutGuests();
    if (missing !== false) {
      t.skip(missing);
      return;
    }
    await using vm = await Vm.start({ memory: 1024 });
    said = await vm.run(argv, { timeout: 280_000 });
  }
  t.diagnostic(own ? 'in a network namespace of this machine' : 'in a guest');
  const lines = said.stdout.split('\n');
  const results = lines.filter((l) => l.startsWith(MARK)).map((l) => JSON.parse(l.slice(MARK.length)) as Reported);
  assert.ok(results.length > 0, `nothing was reported: ${said.stdout}${said.stderr}`);
  for (const r of results)
    await t.test(r.name, { skip: r.skip ?? false }, () => {
      if (r.failure !== undefined) assert.fail(r.failure);
    });
}
