/**
 * QEMU's own mirror: a qemu-storage-daemon that exports a disk and runs blockdev-mirror in write-blocking mode, so that a
 * write is answered when both disks have it, onto an NBD export of a qemu-nbd as the other node. Nothing is copied
 * beforehand (sync none): only what is written while it runs.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Daemon } from '../shared/daemon.ts';
import { ADDRESSES, type NodeName, type Stage } from './stage.ts';

export type QemuOptions = { readonly name: string; readonly disks: Readonly<Record<NodeName, string>> };

export class QemuMirror {
  readonly uri: string;
  readonly #source: Daemon;
  readonly #target: Daemon;
  readonly #monitor: Socket;

  private constructor(uri: string, source: Daemon, target: Daemon, monitor: Socket) {
    this.uri = uri;
    this.#source = source;
    this.#target = target;
    this.#monitor = monitor;
  }
  static async start(stage: Stage, o: QemuOptions): Promise<QemuMirror> {
    const port = `${stage.port()}`;
    const host = ADDRESSES.bravo;
    const at = (kind: string): string => join(stage.folder, `${o.name}.${kind}`);
    const pid = at('pid');
    const cached = ['--cache=none', '--aio=native'];
    const listen = ['-b', host, '-p', port, '-x', 'x', '-t', '-e', '8', `--pid-file=${pid}`];
    const target = Daemon.start(
      'qemu-nbd',
      stage.inside(['qemu-nbd', '-f', 'raw', ...listen, ...cached, o.disks.bravo]),
    );
    await target.serves(pid);
    const disk = `driver=file,node-name=file,filename=${o.disks.alfa},cache.direct=on,aio=native`;
    const argv = [
      ...['qemu-storage-daemon', '--blockdev', disk, '--blockdev', 'driver=raw,node-name=disk,file=file'],
      ...['--blockdev', `driver=nbd,node-name=peer,server.type=inet,server.host=${host},server.port=${port},export=x`],
      ...['--nbd-server', `addr.type=unix,addr.path=${at('nbd')}`],
      ...['--export', 'type=nbd,id=e,node-name=disk,name=x,writable=on'],
      ...['--chardev', `socket,id=c,path=${at('qmp')},server=on,wait=off`, '--monitor', 'chardev=c'],
    ];
    const source = Daemon.start('qemu-storage-daemon', stage.inside(argv));
    await source.serves(at('qmp'));
    const monitor = connect(at('qmp'));
    await once(monitor, 'connect');
    const lines = createInterface({ input: monitor });
    const said: string[] = [];
    lines.on('line', (l) => said.push(l));
    const tell = (execute: string, values?: object): void =>
      void monitor.write(`${JSON.stringify({ execute, ...(values && { arguments: values }) })}\n`);
    tell('qmp_capabilities');
    tell('blockdev-mirror', {
      'job-id': 'm',
      device: 'disk',
      target: 'peer',
      sync: 'none',
      'copy-mode': 'write-blocking',
    });
    for (let waited = 0; !said.some((l) => l.includes('BLOCK_JOB_READY')); waited += 20) {
      const refused = said.find((l) => l.includes('"error"'));
      if (refused !== undefined || waited > 10_000)
        throw new Error(`qemu's mirror did not begin: ${refused ?? said.join()}`);
      await sleep(20);
    }
    return new QemuMirror(`nbd+unix:///x?socket=${at('nbd')}`, source, target, monitor);
  }
  /** Of both nodes together. */
  cpu(): number {
    return this.#source.cpu() + this.#target.cpu();
  }
  async stop(): Promise<void> {
    this.#monitor.destroy();
    await this.#source.stop('SIGKILL');
    await this.#target.stop('SIGKILL');
  }
}
