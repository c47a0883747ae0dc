import { text } from '../../base/index.ts';
import { LabError } from '../error.ts';
import type { Exit } from '../program.ts';

/** A program that runs inside a guest. */
export class GuestProgram {
  readonly argv: readonly string[];
  /** Resolves once; code 127 where it could not be started, signal `SIGKILL` where the guest lost its power. */
  readonly exited: Promise<Exit>;
  readonly #output = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  readonly #listeners = new Set<() => void>();
  readonly #end: (e: Exit) => void;
  readonly #signal: (name: NodeJS.Signals) => void;
  #running = true;

  constructor(argv: readonly string[], signal: (name: NodeJS.Signals) => void) {
    this.argv = argv;
    this.#signal = signal;
    const { promise, resolve } = Promise.withResolvers<Exit>();
    this.exited = promise;
    this.#end = resolve;
  }
  get running(): boolean {
    return this.#running;
  }
  text(from: 'stdout' | 'stderr'): string {
    return Buffer.concat(this.#output[from]).toString();
  }
  /** To it and to all that it started. Waits for nothing: see `exited`. */
  kill(name: NodeJS.Signals = 'SIGTERM'): void {
    if (this.#running) this.#signal(name);
  }
  /** The first whole line of standard output, past or to come, that matches; rejects with LabError. */
  async line(pattern: RegExp, timeoutMs = 120_000): Promise<string> {
    const find = (): string | undefined =>
      this.text('stdout')
        .split('\n')
        .slice(0, this.#running ? -1 : undefined)
        .find((l) => pattern.test(l));
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const look = (): void => {
      const found = find();
      if (found !== undefined || !this.#running) resolve(found);
    };
    this.#listeners.add(look);
    const timer = setTimeout(() => resolve(undefined), timeoutMs);
    look();
    const found = await promise;
    clearTimeout(timer);
    this.#listeners.delete(look);
    if (found !== undefined) return found;
    const said = (this.text('stdout') + this.text('stderr')).trim().split('\n').slice(-5).join(' | ');
    const command = this.argv.join(' ');
    throw new LabError(
      'lab-no-such-line',
      text(`${command}: no line matches ${pattern}: ${said}`, `${command}：没有匹配 ${pattern} 的行：${said}`),
    );
  }

  /** For the Vm: what came over the channel. */
  printed(from: 'stdout' | 'stderr', bytes: Buffer): void {
    this.#output[from].push(bytes);
    for (const look of [...this.#listeners]) look();
  }
  ended(e: Exit): void {
    if (!this.#running) return;
    this.#running = false;
    this.#end(e);
    for (const look of [...this.#listeners]) look();
  }
}
