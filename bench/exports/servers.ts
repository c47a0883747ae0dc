/** NBD servers of one file, each a process of its own on a unix socket: ours, and those it is measured against. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const root = join(import.meta.dirname, '../..');
const START_MS = 20_000;
/** Ticks of /proc/PID/stat in a second: USER_HZ, 100 on every Linux. */
const TICKS = 100;

/** The second and third are Holdfast with one of its parts exchanged. */
export type ServerKind = 'holdfast' | 'node:net' | 'thread pool' | 'qemu-nbd' | 'nbdkit';

/** Past the page cache where the server can: nbdkit's file plugin only goes through it. */
function command(kind: ServerKind, file: string, socket: string): readonly string[] {
  switch (kind) {
    case 'holdfast':
      return [join(root, 'bin/holdfast'), 'export', `x=${file}`, '--socket', socket];
    case 'node:net':
      return [process.execPath, '--max-semi-space-size=1', join(import.meta.dirname, 'node-net.ts'), file, socket];
    case 'thread pool':
      return [join(root, 'bin/holdfast'), 'export', `x=${file}`, '--socket', socket, '--engine', 'fs'];
    case 'qemu-nbd':
      return ['qemu-nbd', '-f', 'raw', '-x', 'x', '-t', '-e', '8', '-k', socket, '--cache=none', '--aio=native', file];
    case 'nbdkit':
      return ['nbdkit', '-f', '-e', 'x', '-U', socket, 'file', file];
  }
}

export class Server {
  readonly kind: ServerKind;
  readonly socket: string;
  readonly #child: ChildProcess;

  private constructor(kind: ServerKind, socket: string, child: ChildProcess) {
    this.kind = kind;
    this.socket = socket;
    this.#child = child;
  }
  /** `folder` is the caller's, and empty of sockets of this kind. */
  static async start(kind: ServerKind, file: string, folder: string): Promise<Server> {
    const socket = join(folder, `${kind.replace(/\W/g, '-')}.sock`);
    const [program = '', ...argv] = command(kind, file, socket);
    // Of a bench that is killed nothing stays behind.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...argv], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const server = new Server(kind, socket, child);
    for (let waited = 0; !existsSync(socket); waited += 20) {
      if (child.exitCode !== null || waited > START_MS) throw new Error(`${kind} did not start`);
      await sleep(20);
    }
    return server;
  }
  get uri(): string {
    return `nbd+unix:///x?socket=${this.socket}`;
  }
  /** Processor time of all its threads so far, in microseconds, to 10 ms. */
  cpu(): number {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS;
  }
  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    await gone;
  }
}
