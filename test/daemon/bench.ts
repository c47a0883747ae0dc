/** A network namespace with an interface `ens33` and the daemon in it, for tests that meet the real kernel. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadAddon } from '../../src/host/linux/index.ts';

const root = resolve(import.meta.dirname, '../..');
export const holdfast = join(root, 'bin/holdfast');

/** Why tests in namespaces cannot run here; undefined: they can. */
export function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  if (!loadAddon().ok) return 'needs the native addon (npm run setup)';
  try {
    execFileSync('unshare', ['--net', 'true'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'needs network namespaces';
  }
}

let count = 0;
/** An address that nobody else has. */
const SIGN = '127.255.255.254';
/** Waits for the end of the process that made a namespace, however it ends, and takes the namespace and all that runs in it away. */
const GUARD = 'tail --pid="$1" -f /dev/null; ip netns pids "$2" | xargs -r kill -KILL; ip netns del "$2"';
export type Line = { readonly at: number; readonly text: string };

export class Bench {
  readonly name = `hfd${process.pid}-${count++}`;
  readonly folder = mkdtempSync(join(tmpdir(), 'hf-daemon-'));
  readonly pidFile = join(this.folder, 'a.pid');
  readonly #children: ChildProcess[] = [];
  readonly #guard: ChildProcess;

  constructor(t: Pick<TestContext, 'after'>) {
    t.after(() => this.#cleanUp());
    this.ip('netns', 'add', this.name);
    // Not with the mark of this run: what has it is ended with the run.
    const { HOLDFAST_RUN: _, ...env } = process.env;
    const guarded = ['-c', GUARD, 'sh', String(process.pid), this.name];
    this.#guard = spawn('sh', guarded, { detached: true, stdio: 'ignore', env });
    this.#guard.unref();
    this.inside('ip', 'link', 'set', 'lo', 'up');
    this.inside('ip', 'link', 'add', 'ens33', 'type', 'veth', 'peer', 'name', 'wire');
    this.inside('ip', 'addr', 'add', '192.168.1.5/24', 'dev', 'ens33');
    this.inside('ip', 'link', 'set', 'ens33', 'up');
    this.inside('ip', 'link', 'set', 'wire', 'up');
  }
  ip(...argv: string[]): string {
    return execFileSync('ip', argv, { encoding: 'utf8' });
  }
  inside(...argv: string[]): string {
    return this.ip('netns', 'exec', this.name, ...argv);
  }
  write(name: string, content: string, mode = 0o644): string {
    const path = join(this.folder, name);
    writeFileSync(path, content, { mode });
    return path;
  }
  read(name: string): string {
    const path = join(this.folder, name);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }
  /** What the program prints, line by line with the time of arrival. */
  start(argv: readonly string[]): { readonly child: ChildProcess; readonly lines: Line[] } {
    const child = spawn('ip', ['netns', 'exec', this.name, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#children.push(child);
    const lines: Line[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      let rest = '';
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        const at = performance.now();
        const parts = (rest + chunk).split('\n');
        rest = parts.pop() ?? '';
        for (const text of parts) if (text !== '') lines.push({ at, text });
      });
    }
    return { child, lines };
  }
  /** Changes of addresses as the kernel tells them, from when this resolves. */
  async monitor(): Promise<() => readonly Line[]> {
    const { lines } = this.start(['ip', 'monitor', 'address']);
    // It does not say when it has begun to listen: it is shown a sign until it reports it.
    await until('ip monitor listens', () => {
      this.inside('ip', 'addr', 'add', `${SIGN}/32`, 'dev', 'lo');
      this.inside('ip', 'addr', 'del', `${SIGN}/32`, 'dev', 'lo');
      return lines.some((l) => l.text.includes(SIGN));
    });
    return () => lines.filter((l) => !l.text.includes(SIGN));
  }
  /** Adverts on the far end of the wire, from when this resolves; `at` is when they passed, not when tcpdump came to tell. */
  async capture(): Promise<() => readonly Line[]> {
    const { lines } = this.start(['tcpdump', '-l', '-n', '-tt', '--immediate-mode', '-i', 'wire', 'vrrp']);
    await until('tcpdump listens', () => lines.some((l) => l.text.includes('listening')));
    // The kernel stamps packets by the wall clock.
    const offset = Date.now() - performance.now();
    return () =>
      lines.flatMap(({ text }) => {
        const stamp = /^\d+\.\d+(?= )/.exec(text)?.[0];
        return stamp === undefined ? [] : [{ at: Number(stamp) * 1000 - offset, text }];
      });
  }
  /** In the foreground, logging in English. */
  daemon(file: string, ...more: string[]): { readonly child: ChildProcess; readonly lines: Line[] } {
    return this.start([holdfast, 'keepalived', '-n', '-l', '--lang=en', '-p', this.pidFile, '-f', file, ...more]);
  }
  /** From outside, by the option that names the namespace. */
  daemonBySwitch(file: string): ChildProcess {
    const argv = ['keepalived', '-n', '-G', '-s', this.name, '-p', this.pidFile, '-f', file];
    const child = spawn(holdfast, argv, { stdio: 'ignore' });
    this.#children.push(child);
    return child;
  }
  get pid(): number {
    return Number(readFileSync(this.pidFile, 'utf8'));
  }
  get beatPid(): number {
    return Number(readFileSync(this.pidFile.replace('.pid', '_vrrp.pid'), 'utf8'));
  }
  /** Of all processes in the namespace. */
  get pids(): readonly number[] {
    return this.ip('netns', 'pids', this.name).split('\n').filter(Boolean).map(Number);
  }
  command(...argv: string[]): { readonly status: number; readonly output: string } {
    try {
      const output = execFileSync(holdfast, argv, { encoding: 'utf8', stdio: 'pipe' });
      return { status: 0, output };
    } catch (e) {
      const failed = e as { status: number; stdout: string; stderr: string };
      return { status: failed.status, output: failed.stdout + failed.stderr };
    }
  }
  holds(address: string): boolean {
    return this.inside('ip', '-o', 'addr', 'show').includes(` ${address}/`);
  }
  async #cleanUp(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((done) => child.on('exit', done));
      child.kill('SIGTERM');
      await Promise.race([ended, sleep(3000, undefined, { ref: false })]);
      child.kill('SIGKILL');
    }
    await until('nothing runs in the namespace any more', () => {
      const left = this.pids;
      for (const pid of left) kill(pid, 'SIGKILL');
      return left.length === 0;
    });
    this.ip('netns', 'del', this.name);
    if (this.#guard.pid !== undefined) kill(-this.#guard.pid, 'SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Waits until something is so; fails with what it was waiting for. */
export async function until(what: string, so: () => boolean, limit = 60_000): Promise<void> {
  const end = performance.now() + limit;
  while (!so()) {
    if (performance.now() > end) throw new Error(`waited ${limit} ms in vain: ${what}`);
    await sleep(50);
  }
}
/** The exit status of a program, when all that it said has been read. */
export const exitOf = (child: ChildProcess): Promise<number | null> =>
  new Promise((done) => {
    const ended = child.exitCode !== null || child.signalCode !== null;
    if (ended && [child.stdout, child.stderr].every((s) => s === null || s.closed)) done(child.exitCode);
    else child.on('close', (code) => done(code));
  });
/** A signal to a process that may have ended by itself meanwhile. */
function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== 'ESRCH') throw e;
  }
}
