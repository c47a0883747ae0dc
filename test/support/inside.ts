/**
 * Tests that need kernel modules: run in a guest where this machine's kernel lacks them, else in a network namespace of
 * their own on this machine. The file that runs inside is an ordinary test file with another ending (`.inside.ts`).
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { start } from '../../src/lab/program.ts';
import { Vm } from '../../src/lab/vm/index.ts';
import type { Reported } from './json-reporter.ts';
import { withoutGuests } from './vm.ts';

/** What the runner leaves of its five minutes once a guest is up. */
const INSIDE_MS = 230_000;
/**
 * What the guests' processor has compiled is kept for the next guest: it takes half a minute for the director's source, and
 * what this machine has compiled is of no use to it (Node.js keeps them apart by the abilities of the processor).
 */
const COMPILED = { host: resolve(import.meta.dirname, '../../build/vm/compile-cache'), guest: '/run/compile-cache' };
const MARK = 'HOLDFAST-TEST ';
const PATH = `${process.env['PATH']}:/usr/sbin:/sbin`;
const here = (module: string): boolean =>
  existsSync(`/sys/module/${module}`) ||
  spawnSync('modprobe', ['-n', '-q', module], { env: { ...process.env, PATH } }).status === 0;

const runner = (files: readonly string[]): string[] => [
  process.execPath,
  '--no-warnings',
  '--test',
  '--test-force-exit',
  '--test-isolation=none',
  `--test-reporter=${resolve(import.meta.dirname, 'json-reporter.ts')}`,
  ...files.map((f) => resolve(import.meta.dirname, '../vm', f)),
];
/** `whole`: it came to its end by itself. */
type Said = { readonly stdout: string; readonly stderr: string; readonly whole: boolean };

async function inNamespace(argv: readonly string[]): Promise<Said> {
  const space = ['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  // Without what would make it report to the runner of this process in the runner's own format.
  const first = 'mount -t tmpfs tmpfs /run; ip link set lo up; exec env -u NODE_TEST_CONTEXT "$@"';
  const program = start(space, ['sh', '-c', first, 'sh', ...argv]);
  const { signal } = await program.exited;
  return { stdout: program.text('stdout'), stderr: program.text('stderr'), whole: signal === undefined };
}

/** Runs the files inside, all in one process, and each of their tests counts as one of `t`. */
export async function runInside(
  t: TestContext,
  files: string | readonly string[],
  o: {
    readonly modules: readonly string[];
    /** What is tested is the guests' older kernel: this machine's is no place for it. */
    readonly guestOnly?: boolean;
  },
): Promise<void> {
  const all = [files].flat();
  if (!o.guestOnly && o.modules.every(here) && process.getuid?.() === 0) {
    t.diagnostic('in a network namespace of this machine');
    await tell(t, all.join(', '), await inNamespace(runner(all)));
    return;
  }
  const missing = await withoutGuests();
  if (missing !== false) {
    t.skip(missing);
    return;
  }
  t.diagnostic('in a guest');
  mkdirSync(COMPILED.host, { recursive: true });
  await using vm = await Vm.start({ memory: 1024, shares: [{ ...COMPILED, writable: true }] });
  const r = await vm.run(runner(all), { timeout: INSIDE_MS, env: { NODE_COMPILE_CACHE: COMPILED.guest } });
  await tell(t, all.join(', '), { ...r, whole: !r.timedOut && r.signal === undefined });
}
/**
 * Runs the file in a network namespace of this machine, where it starts guests by itself (a tap device leads to them), and
 * each of its tests counts as one of `t`.
 */
export async function runBesideGuests(t: TestContext, file: string): Promise<void> {
  const missing = await withoutGuests();
  const noTap = process.getuid?.() !== 0 || !existsSync('/dev/net/tun') ? 'needs root and /dev/net/tun' : false;
  if (missing !== false || noTap !== false) t.skip(missing || noTap || undefined);
  else await tell(t, file, await inNamespace(runner([file])));
}
async function tell(t: TestContext, file: string, said: Said): Promise<void> {
  const lines = said.stdout.split('\n').filter((l) => l.startsWith(MARK));
  const results = lines.map((l) => JSON.parse(l.slice(MARK.length)) as Reported);
  assert.ok(results.length > 0, `${file} reported nothing: ${said.stdout}${said.stderr}`);
  for (const r of results)
    await t.test(r.name, { skip: r.skip ?? false }, (inner) => {
      inner.diagnostic(`${r.ms} ms inside`);
      if (r.failure !== undefined) assert.fail(r.failure);
    });
  assert.ok(said.whole, `${file} was ended behind its test ${results.length}: ${said.stderr.slice(-2000)}`);
}
