/**
 * A network of its own for the two nodes: loopback alone, in a namespace that goes when the bench goes. Both sides of every
 * comparison talk over TCP between the same two addresses.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

export const ADDRESSES = { alfa: '127.0.0.1', bravo: '127.0.0.2' } as const;
export type NodeName = keyof typeof ADDRESSES;

export class Stage {
  readonly folder: string;
  readonly #holder: ChildProcess;
  #ports = 7000;

  private constructor(folder: string, holder: ChildProcess) {
    this.folder = folder;
    this.#holder = holder;
  }
  static async open(folder: string): Promise<Stage> {
    const script = 'ip link set lo up && echo ready && exec cat';
    const holder = spawn('setpriv', ['--pdeathsig', 'KILL', 'unshare', '--net', 'sh', '-c', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(holder.stdout ?? holder, 'data');
    return new Stage(folder, holder);
  }
  /** A port that nobody had yet: a run after another finds no old connections on it. */
  port(): number {
    return this.#ports++;
  }
  /** The command, run in the namespace; it takes the place of what starts it, so that the process is the program itself. */
  inside(argv: readonly string[]): readonly string[] {
    return ['nsenter', `--net=/proc/${this.#holder.pid}/ns/net`, ...argv];
  }
  close(): void {
    this.#holder.kill('SIGKILL');
  }
}
