import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Microseconds, text, us } from '../base/index.ts';
import { LabError } from './error.ts';

/** CLOCK_MONOTONIC, which all processes of all hosts of a lab share: times taken in different hosts can be compared. */
export const now = (): Microseconds => us(Number(process.hrtime.bigint() / 1000n));

export type Exit = { readonly code: number | undefined; readonly signal: string | undefined };
export type Line = { readonly from: 'stdout' | 'stderr'; readonly text: string; readonly at: Microseconds };
export type SpawnOptions = {
  /** Added to the controller's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Inside the host; `/` unless said. */
  readonly cwd?: string;
};

/** Older lines are forgotten, so that a daemon that talks for hours does not fill the controller's memory. */
const KEPT_LINES = 50_000;
/** A daemon that left may have inherited its parent's pipes: this long after the exit they are not waited for. */
const PIPE_GRACE_MS = 100;
/** What a busy machine may need until the wrapper has started the program. */
const FORK_MS = 30_000;
/** What a busy machine may need until a program has started and says something. */
const LINE_MS = 60_000;

/** A program that runs inside a host (or in the fabric), seen through the `nsenter` that brought it there. */
export class Program {
  /** Resolves once, also for a program that could not be started (code 127). Never rejects. */
  readonly exited: Promise<Exit>;
  readonly argv: readonly string[];
  readonly #child: ChildProcess;
  readonly #lines: Line[] = [];
  readonly #listeners = new Set<(l: Line) => void>();
  readonly #chunks = new Set<(from: Line['from'], chunk: string) => void>();
  #running = true;

  constructor(child: ChildProcess, argv: readonly string[]) {
    this.argv = argv;
    this.#child = child;
    child.stdin?.on('error', () => {}); // EPIPE: the program left first, which its exit tells
    const pipes = [this.#follow(child.stdout, 'stdout'), this.#follow(child.stderr, 'stderr')];
    this.exited = new Promise((resolve) => {
      child.once('error', () => resolve({ code: 127, signal: undefined }));
      child.once('exit', async (code, signal) => {
        this.#running = false;
        await Promise.race([Promise.all(pipes), sleep(PIPE_GRACE_MS)]);
        resolve({ code: code ?? undefined, signal: signal ?? undefined });
      });
    });
  }

  get running(): boolean {
    return this.#running;
  }
  /** What it printed so far, both streams in the order of arrival. */
  get lines(): readonly Line[] {
    return this.#lines;
  }
  text(from: Line['from']): string {
    return this.#lines
      .filter((l) => l.from === from)
      .map((l) => `${l.text}\n`)
      .join('');
  }
  /** Calls back for every further line; returns how to stop that. */
  onLine(listen: (l: Line) => void): () => void {
    this.#listeners.add(listen);
    return () => this.#listeners.delete(listen);
  }
  /** Everything it prints from now on, as it comes: for what is not made of lines, such as a prompt. */
  onOutput(listen: (from: Line['from'], chunk: string) => void): void {
    this.#chunks.add(listen);
  }
  /** The first line, past or to come, that matches; rejects with LabError when the time is over or the program ended without it. */
  async line(pattern: RegExp, timeoutMs = LINE_MS): Promise<Line> {
    const there = this.#lines.find((l) => pattern.test(l.text));
    if (there) return there;
    const { promise, resolve, reject } = Promise.withResolvers<Line>();
    const listen = (l: Line): void => {
      if (pattern.test(l.text)) resolve(l);
    };
    const fail = (en: string, zh: string): void => {
      const last = this.#lines.slice(-5).map((l) => l.text);
      const said = last.length > 0 ? `: ${last.join(' | ')}` : '';
      const command = this.argv.join(' ');
      reject(
        new LabError(
          'lab-no-such-line',
          text(`${command}: ${en} ${pattern}${said}`, `${command}：${zh} ${pattern}${said}`),
        ),
      );
    };
    this.#listeners.add(listen);
    const timer = setTimeout(
      () => fail(`no line within ${timeoutMs} ms matches`, `${timeoutMs} 毫秒内没有匹配的行`),
      timeoutMs,
    );
    void this.exited.then(() => fail('ended without a line that matches', '结束前没有输出匹配的行'));
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#listeners.delete(listen);
    }
  }
  write(input: string | Uint8Array): void {
    this.#child.stdin?.write(input);
  }
  endInput(): void {
    this.#child.stdin?.end();
  }
  /** Of the wrapper that brought it there. */
  get entrancePid(): number | undefined {
    return this.#child.pid;
  }
  /** The program's own process id in the controller's view: for /proc, and for signals. Undefined once it has ended. */
  pid(): number | undefined {
    return this.#running && this.#child.pid !== undefined ? childOf(this.#child.pid) : undefined;
  }
  /** To the program itself, not to what it started. Waits for nothing: see `exited`. */
  async kill(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    for (const end = performance.now() + FORK_MS; this.#running && performance.now() < end; ) {
      const pid = this.pid();
      if (pid !== undefined) {
        signalTo(pid, signal);
        return;
      }
      await sleep(2); // nsenter has not forked yet
    }
  }
  /** nsenter stops itself when its child is stopped (util-linux, continue_as_child), and is not in the host to be continued there. */
  continueEntrance(): void {
    if (this.#running && this.#child.pid !== undefined) signalTo(this.#child.pid, 'SIGCONT');
  }

  async #follow(stream: Readable | null, from: Line['from']): Promise<void> {
    if (stream === null) return;
    let rest = '';
    stream.setEncoding('utf8');
    const take = (line: string): void => {
      const l: Line = { from, text: line, at: now() };
      this.#lines.push(l);
      if (this.#lines.length > KEPT_LINES) this.#lines.splice(0, KEPT_LINES / 10);
      for (const listen of [...this.#listeners]) listen(l);
    };
    stream.on('data', (chunk: string) => {
      for (const listen of this.#chunks) listen(from, chunk);
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      parts.forEach(take);
    });
    await new Promise<void>((resolve) => stream.once('close', resolve).once('error', () => resolve()));
    if (rest !== '') take(rest);
  }
}

/** The first child of a process, from /proc. */
export function childOf(pid: number): number | undefined {
  try {
    const first = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0];
    return first ? Number(first) : undefined;
  } catch {
    return undefined;
  }
}

/** Sends a signal to a process that may have ended already. */
export function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // ESRCH: it ended on its own, which is what a signal mostly wants
  }
}

/**
 * Starts a program through wrappers such as nsenter. It has a session of its own, so that Ctrl-C in the controller's
 * terminal is the controller's alone, and the wrapper is killed with the controller even while it is stopped.
 */
export function start(
  wrapper: readonly string[],
  argv: readonly string[],
  options: SpawnOptions & { readonly input?: 'pipe' | 'ignore' } = {},
): Program {
  const away = options.cwd === undefined ? [] : ['env', '-C', options.cwd];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...wrapper, ...away, ...argv], {
    stdio: [options.input ?? 'ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    detached: true,
  });
  return new Program(child, argv);
}
