/** `holdfast export` as a process of the test, with a folder of its own; both are gone when the test ends, however it ends. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';

const main = join(import.meta.dirname, '../../src/cli/main.ts');
const run = promisify(execFile);

export type Ran = { readonly code: number; readonly out: string; readonly err: string };
/** Another program, to its end. A non-zero status is an answer, not an exception. */
export async function program(name: string, argv: readonly string[]): Promise<Ran> {
  try {
    const { stdout, stderr } = await run(name, [...argv], { timeout: 200_000 });
    return { code: 0, out: stdout, err: stderr };
  } catch (e) {
    const failed = e as { code?: unknown; stdout?: string; stderr?: string };
    if (typeof failed.code !== 'number') throw e;
    return { code: failed.code, out: failed.stdout ?? '', err: failed.stderr ?? '' };
  }
}

export class ExportProcess {
  readonly folder: string;
  readonly uris: readonly string[];
  readonly log: string[];
  readonly #child: ReturnType<typeof spawn>;

  private constructor(folder: string, uris: readonly string[], log: string[], child: ReturnType<typeof spawn>) {
    this.folder = folder;
    this.uris = uris;
    this.log = log;
    this.#child = child;
  }
  /** `argv` may name things in the folder, which has a sparse file `disk` of `size` bytes and what `prepare` puts there. */
  static async start(
    t: TestContext,
    argv: (folder: string) => readonly string[],
    o: { readonly size?: number; readonly prepare?: (folder: string) => void | Promise<void> } = {},
  ): Promise<ExportProcess> {
    const folder = mkdtempSync(join(tmpdir(), 'exports-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, 'disk'), '');
    truncateSync(join(folder, 'disk'), o.size ?? 64 << 20);
    await o.prepare?.(folder);
    const words = ['--pdeathsig', 'KILL', process.execPath, main, 'export', '--verbose', ...argv(folder)];
    const child = spawn('setpriv', words, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, HOLDFAST_LANG: 'en' },
    });
    t.after(() => child.kill('SIGKILL'));
    const closed = once(child, 'close');
    const log: string[] = [];
    createInterface({ input: child.stderr }).on('line', (l) => log.push(l));
    const uris: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      if (line.startsWith('served by')) return new ExportProcess(folder, uris, log, child);
      uris.push(line);
    }
    await closed; // what it complained of is read by then
    assert.fail(`it did not start: ${log.join('\n')}`);
  }
  get uri(): string {
    return this.uris[0] ?? assert.fail('no URI');
  }
  get disk(): string {
    return join(this.folder, 'disk');
  }
  get pid(): number {
    return this.#child.pid ?? assert.fail();
  }
  signal(s: NodeJS.Signals): void {
    this.#child.kill(s);
  }
  /** Its exit status, after SIGTERM or what is said. */
  async stop(s: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const gone = once(this.#child, 'exit');
    this.#child.kill(s);
    return (await gone)[0] as number | null;
  }
  async logged(what: RegExp): Promise<void> {
    for (let i = 0; i < 6000; i++) {
      if (this.log.some((l) => what.test(l))) return;
      await new Promise((r) => setTimeout(r, 10));
    }
    assert.fail(`never logged ${what}: ${this.log.join('\n')}`);
  }
}
