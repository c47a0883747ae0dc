/** `holdfast export` and `holdfast attach` for tests of devices, in a folder of their own. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Program, signalTo, start } from '../../src/lab/program.ts';

const main = join(import.meta.dirname, '../../src/cli/main.ts');
/** A guest is slow, and a machine with many tests at once too. */
const PATIENCE_MS = 90_000;
const SUM = /^[0-9a-f]{64}/;

const holdfast = (argv: readonly string[]): Program =>
  start([], ['env', 'HOLDFAST_LANG=en', process.execPath, '--disable-warning=ExperimentalWarning', main, ...argv]);

/** One disk, the server that may be killed and started again, and the device made of it. */
export class AttachBench {
  readonly folder = mkdtempSync(join(tmpdir(), 'attach-'));
  readonly disk = join(this.folder, 'disk');
  readonly socket = join(this.folder, 's');
  readonly mount = join(this.folder, 'mnt');
  readonly folders = ['--devices', join(this.folder, 'dev'), '--run', join(this.folder, 'run')];
  readonly device = join(this.folder, 'dev/d');
  server: Program | undefined;
  attached: Program | undefined;

  constructor(t: TestContext, size: number) {
    writeFileSync(this.disk, '');
    truncateSync(this.disk, size);
    mkdirSync(this.mount);
    t.after(async () => {
      spawnSync('umount', ['-l', this.mount], { stdio: 'ignore' });
      if (this.attached?.running) await this.detach('--force');
      this.kill(this.attached, 'SIGKILL');
      this.kill(this.server, 'SIGKILL');
      rmSync(this.folder, { recursive: true, force: true });
    });
  }
  /** The program took its wrapper's place, so it has the wrapper's number. */
  kill(p: Program | undefined, signal: NodeJS.Signals): void {
    if (p?.running && p.entrancePid !== undefined) signalTo(p.entrancePid, signal);
  }
  async serve(): Promise<void> {
    this.server = holdfast(['export', `d=${this.disk}`, '--socket', this.socket]);
    await this.server.line(/^served by/, PATIENCE_MS);
  }
  async attach(way: 'kernel' | 'fuse'): Promise<void> {
    this.attached = holdfast(['attach', 'd', '--socket', this.socket, '--way', way, ...this.folders]);
    await this.attached.line(/ -> \/dev\//, PATIENCE_MS);
  }
  async detach(...more: readonly string[]): Promise<{ readonly code: number | undefined; readonly said: string }> {
    const p = holdfast(['detach', 'd', ...more, ...this.folders]);
    return { code: (await p.exited).code, said: p.text('stderr') };
  }
  /** A program that must succeed; it may wait for the device, so this process never waits for it. */
  async run(argv: readonly string[]): Promise<string> {
    const p = start([], argv);
    const { code } = await p.exited;
    assert.equal(code, 0, `${argv.join(' ')}: ${p.text('stderr')}`);
    return p.text('stdout');
  }
  /** Random bytes in a file, and their checksum. */
  data(name: string, size: number): { readonly path: string; readonly sum: string } {
    const path = join(this.folder, name);
    writeFileSync(path, randomBytes(size));
    return { path, sum: createHash('sha256').update(readFileSync(path)).digest('hex') };
  }
  async sumOf(path: string): Promise<string> {
    return (await this.run(['sha256sum', path])).match(SUM)?.[0] ?? '';
  }
}

/** An ext4 is written on the device while its server is killed, stopped, and started again; nothing fails and nothing is lost. */
export async function survivesRestarts(t: TestContext, way: 'kernel' | 'fuse', megabytes: number): Promise<void> {
  const b = new AttachBench(t, 96 << 20);
  await b.serve();
  await b.attach(way);
  await b.run(['mkfs.ext4', '-q', b.device]);
  await b.run(['mount', b.device, b.mount]);
  const source = b.data('source', megabytes << 20);
  const copies: string[] = [];
  // In a guest each start of a program takes long: there the harder of the two is enough.
  for (const signal of way === 'kernel' ? (['SIGKILL'] as const) : (['SIGKILL', 'SIGTERM'] as const)) {
    const to = join(b.mount, `copy-${signal}`);
    copies.push(to);
    // Past the page cache, so that the program itself waits for every block.
    const copy = b.run(['dd', `if=${source.path}`, `of=${to}`, 'bs=64k', 'oflag=direct', 'conv=fsync', 'status=none']);
    let done = false;
    void copy.then(() => {
      done = true;
    });
    await sleep(way === 'kernel' ? 300 : 30);
    assert.ok(!done, 'the copy was over before the server went');
    b.kill(b.server, signal);
    await b.server?.exited;
    await sleep(500);
    assert.ok(!done, 'a copy went on without a server');
    await b.serve();
    await copy;
  }
  await b.attached?.line(/the server is back/, PATIENCE_MS);
  for (const c of copies) assert.equal(await b.sumOf(c), source.sum);

  const busy = await b.detach();
  assert.equal(busy.code, 4, busy.said);
  assert.match(busy.said, /d is mounted on .*: umount .* first/);
  assert.ok(lstatSync(b.device, { throwIfNoEntry: false }));

  await b.run(['umount', b.mount]);
  const gone = await b.detach();
  assert.equal(gone.code, 0, gone.said);
  assert.equal((await b.attached?.exited)?.code, 0);
  assert.ok(lstatSync(b.device, { throwIfNoEntry: false }) === undefined);
  b.kill(b.server, 'SIGTERM');
  assert.equal((await b.server?.exited)?.code, 0);
  // What is in the file now is a clean file system with all of it.
  await b.run(['e2fsck', '-fn', b.disk]);
}
