/** NBD servers of one file, each a process of its own on a unix socket: ours, and those it is measured against. */
import { join } from 'node:path';
import { Daemon } from '../shared/daemon.ts';
import { nodeAsDaemon } from '../shared/node.ts';

const root = join(import.meta.dirname, '../..');

/** The second and third are Holdfast with one of its parts exchanged. */
export type ServerKind = 'holdfast' | 'node:net' | 'thread pool' | 'qemu-nbd' | 'nbdkit';

/** Past the page cache where the server can: nbdkit's file plugin only goes through it. */
function command(kind: ServerKind, file: string, socket: string): readonly string[] {
  switch (kind) {
    case 'holdfast':
      return [join(root, 'bin/holdfast'), 'export', `x=${file}`, '--socket', socket];
    case 'node:net':
      return nodeAsDaemon(join(import.meta.dirname, 'node-net.ts'), file, socket);
    case 'thread pool':
      return [join(root, 'bin/holdfast'), 'export', `x=${file}`, '--socket', socket, '--engine', 'fs'];
    case 'qemu-nbd':
      return ['qemu-nbd', '-f', 'raw', '-x', 'x', '-t', '-e', '8', '-k', socket, '--cache=none', '--aio=native', file];
    case 'nbdkit':
      return ['nbdkit', '-f', '-e', 'x', '-U', socket, 'file', file];
  }
}

export class Server {
  readonly socket: string;
  readonly #daemon: Daemon;

  private constructor(socket: string, daemon: Daemon) {
    this.socket = socket;
    this.#daemon = daemon;
  }
  /** `folder` is the caller's, and empty of sockets of this kind. */
  static async start(kind: ServerKind, file: string, folder: string): Promise<Server> {
    const socket = join(folder, `${kind.replace(/\W/g, '-')}.sock`);
    const daemon = Daemon.start(kind, command(kind, file, socket));
    await daemon.serves(socket);
    return new Server(socket, daemon);
  }
  get uri(): string {
    return `nbd+unix:///x?socket=${this.socket}`;
  }
  /** Processor time of all its threads so far, in microseconds, to 10 ms. */
  cpu(): number {
    return this.#daemon.cpu();
  }
  /** Its share of the memory that is mapped (PSS), in bytes. */
  memory(): number {
    return this.#daemon.memory();
  }
  stop(): Promise<void> {
    return this.#daemon.stop();
  }
}
