/** A program that is measured: a process of its own, which ends with the bench, however that ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const START_MS = 20_000;
const LOOK_MS = 5;
/** Ticks of /proc/PID/stat in a second: USER_HZ, 100 on every Linux. */
const TICKS = 100;

export class Daemon {
  readonly name: string;
  readonly #child: ChildProcess;

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
  }
  /** `log`: a file for what it says; without one it says it to the bench's standard error. */
  static start(name: string, argv: readonly string[], log?: string): Daemon {
    const out = log === undefined ? ('inherit' as const) : openSync(log, 'a');
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...argv], { stdio: ['ignore', 'ignore', out] });
    return new Daemon(name, child);
  }
  /** Milliseconds since the call when the path was there: what a daemon makes last when it starts. */
  async serves(path: string): Promise<number> {
    const from = performance.now();
    for (;;) {
      const waited = performance.now() - from;
      if (existsSync(path)) return waited;
      if (this.#child.exitCode !== null || waited > START_MS) throw new Error(`${this.name} did not start`);
      await sleep(LOOK_MS);
    }
  }
  /** Processor time of all its threads so far, in microseconds, to 10 ms. */
  cpu(): number {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS;
  }
  /** Its share of the memory that is mapped (PSS), in bytes. */
  memory(): number {
    const rollup = readFileSync(`/proc/${this.#child.pid}/smaps_rollup`, 'utf8');
    return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? Number.NaN) * 1024;
  }
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill(signal);
    await gone;
  }
}
