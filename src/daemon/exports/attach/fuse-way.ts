/**
 * A loop device on a file of nbdfuse, which speaks to a server of this process, which holds requests for the real one:
 *
 *   file system ── loop ── FUSE ── nbdfuse ── socket ── holder ── socket ── server
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ms, type Text, text, us } from '../../../base/index.ts';
import type { ServerOptions } from '../../../exports/index.ts';
import { blockSizeOf, ExportServer, Holder, Link, type Offer, oddSize } from '../../../exports/index.ts';
import type { BlockQueue, Clock, HostError, Log, StreamServer } from '../../../host/index.ts';
import { becomeIoFlusher } from '../../../host/linux/index.ts';
import type { Carrier, CarrierEvents } from './carrier.ts';
import { type LoopHelper, startLoop } from './device.ts';
import type { AttachCommand } from './options.ts';

const FILE = 'disk';
const LOOK_AGAIN = ms(10);
/** nbdfuse is there in some 20 ms. */
const MOUNT_TIME = ms(15_000);

const said = (e: HostError): Text => text(`${e.doing.en}: ${e.code}`, `${e.doing.zh}：${e.code}`);

export type FuseHost = {
  readonly streams: StreamServer;
  readonly clock: Clock;
  readonly blocks: BlockQueue;
  readonly log: Log;
  readonly options: ServerOptions;
};

export function fuseWay(c: AttachCommand, host: FuseHost, events: CarrierEvents): Carrier {
  const mount = join(c.folders.run, `${c.name}.mnt`);
  const socket = join(c.folders.run, `${c.name}.sock`);
  const { clock } = host;
  let holder: Holder | undefined;
  let server: ExportServer | undefined;
  let nbdfuse: ChildProcess | undefined;
  let loop: LoopHelper | undefined;
  let releasing = false;
  // Not by looking at the file, which nbdfuse might answer only with this process's help.
  const mounted = (): boolean =>
    readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .some((l) => l.split(' ')[4] === mount && / - fuse/.test(l));
  const fail = (why: Text): void => {
    if (!releasing) events.failed(why);
  };

  const serve = (offer: Offer): Holder | undefined => {
    const made = ExportServer.open(host, host.options);
    if (!made.ok) {
      fail(said(made.error));
      return undefined;
    }
    server = made.value;
    const slots = host.options.slots;
    const held = new Holder(host.blocks.slab, slots.small + slots.large, offer, {
      settle: () => made.value.settle(),
      broken: (why) => link.lost(why),
    });
    const added = made.value.add({
      name: c.name,
      description: '',
      readOnly: held.readOnly,
      backend: held,
      clients: undefined,
    });
    const listening = added.ok ? made.value.listen({ kind: 'unix', path: socket }) : added;
    if (listening.ok) return held;
    fail(said(listening.error));
    return undefined;
  };
  const startFuse = (block: number): void => {
    const uri = `nbd+unix:///${encodeURIComponent(c.name)}?socket=${encodeURI(socket)}`;
    const readOnly = holder?.readOnly === true;
    // It must not outlive this process, whoever kills it: its requests would wait for nobody.
    const words = ['--pdeathsig', 'TERM', 'nbdfuse', ...(readOnly ? ['-r'] : []), join(mount, FILE), uri];
    const child = spawn('setpriv', words, { stdio: ['ignore', 'ignore', 'pipe'] });
    nbdfuse = child;
    let last = '';
    child.stderr.on('data', (b: Buffer) => {
      last = b.toString().trim().split('\n').at(-1) ?? last;
    });
    child.on('error', (e) => fail(text(`nbdfuse: ${e.message}`, `nbdfuse：${e.message}`)));
    child.on('exit', (code, signal) => {
      nbdfuse = undefined;
      const how = last || String(signal ?? code);
      fail(text(`nbdfuse ended: ${how}`, `nbdfuse 已退出：${how}`));
    });
    const until = clock.now() + MOUNT_TIME * 1000;
    const look = (): void => {
      if (releasing) return;
      if (mounted()) {
        loop = startLoop({ file: join(mount, FILE), blockSize: block, readOnly }, (d) => events.device(d), fail);
      } else if (clock.now() > until) fail(text('nbdfuse did not mount within 15 s', 'nbdfuse 15 秒内未完成挂载'));
      else clock.at(us(clock.now() + LOOK_AGAIN * 1000), look);
    };
    look();
  };

  const link = new Link(host, c.address, c.exportName, {
    up(stream, offer) {
      if (holder === undefined) {
        const block = blockSizeOf(offer);
        if (block === undefined) {
          fail(oddSize(offer));
          return oddSize(offer);
        }
        holder = serve(offer);
        if (holder === undefined) return text('no server of requests', '无法建立请求服务');
        const wake = holder.connect(stream);
        startFuse(block);
        return wake;
      }
      const why = holder.mismatch(offer);
      if (why) return why;
      const wake = holder.connect(stream);
      events.serverThere();
      return wake;
    },
    down: (why) => events.serverAway(why),
  });
  return {
    leavable: false,
    start() {
      try {
        mkdirSync(c.folders.run, { recursive: true, mode: 0o700 });
        // A predecessor that was killed.
        if (lstatSync(mount, { throwIfNoEntry: false }) === undefined) mkdirSync(mount, { mode: 0o700 });
      } catch (e) {
        if (!(e instanceof Error && 'code' in e && e.code === 'ENOTCONN')) throw e;
      }
      spawnSync('umount', ['--lazy', mount], { stdio: 'ignore' });
      becomeIoFlusher();
      link.start();
    },
    release(done) {
      releasing = true;
      const stopFuse = (): void => {
        const child = nbdfuse;
        if (child === undefined) stopServer();
        else {
          child.once('exit', stopServer);
          child.kill('SIGTERM');
        }
      };
      const stopServer = (): void => {
        if (server) server.stop(end);
        else end();
      };
      const end = (): void => {
        link.stop();
        spawnSync('umount', ['--lazy', mount], { stdio: 'ignore' });
        try {
          rmdirSync(mount);
        } catch {
          // it never was
        }
        rmSync(socket, { force: true });
        done();
      };
      if (loop) loop.close(stopFuse);
      else stopFuse();
    },
  };
}
