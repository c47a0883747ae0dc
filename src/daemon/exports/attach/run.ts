/** `holdfast attach` and `holdfast detach`. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Language, languageOf, type Text, text } from '../../../base/index.ts';
import {
  type AttachEvent,
  type Attachment,
  attachStep,
  CONNECTING,
  chooseWay,
  DEFAULT_OPTIONS,
  KernelNbd,
  requirementsOf,
} from '../../../exports/index.ts';
import type { Log, Netlink } from '../../../host/index.ts';
import {
  linuxBlocks,
  linuxClock,
  linuxLog,
  linuxNetlink,
  linuxStreamServer,
  loadAddon,
} from '../../../host/linux/index.ts';
import { EXIT } from '../../command/exit-codes.ts';
import type { Carrier, CarrierEvents } from './carrier.ts';
import { askUses } from './device.ts';
import { isHeldExclusively } from './exclusive.ts';
import { fuseWay } from './fuse-way.ts';
import { kernelWay } from './kernel-way.ts';
import { type AttachCommand, attachHelp, detachHelp, type Folders, parseAttach, parseDetach } from './options.ts';
import { forget, isHeld, linkOf, publish, readEntry, usesOf } from './register.ts';

/** How long `detach` waits for the process that holds the device. */
const DETACH_MS = 30_000;
const OPTIONS = {
  ...DEFAULT_OPTIONS,
  list: false,
  // One client, which may use all there is.
  slots: { small: 64, smallBytes: 16_384, large: 24, largeBytes: 262_144 },
};

const onPath = (program: string): boolean =>
  `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin`.split(delimiter).some((d) => {
    try {
      accessSync(join(d, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

/** The family, where the module is loaded or can be. */
function openKernel(netlink: Netlink): KernelNbd | undefined {
  const there = KernelNbd.open(netlink);
  if (there.ok) return there.value;
  // nbds_max: devices are made when they are asked for.
  spawnSync('modprobe', ['-q', 'nbd', 'nbds_max=0'], { stdio: 'ignore' });
  const now = KernelNbd.open(netlink);
  return now.ok ? now.value : undefined;
}

function complain(verb: string, words: string): void {
  process.stderr.write(`holdfast ${verb}: ${words}\n`);
}

/** Resolves with the exit status when the device is gone, or left to the kernel. */
export async function runAttach(argv: readonly string[]): Promise<number> {
  const language = languageOf(process.env);
  const parsed = parseAttach(argv);
  if (!parsed.ok) {
    complain('attach', parsed.error[language]);
    process.stderr.write(`${attachHelp[language].split('\n')[0]}\n`);
    return EXIT.wrong;
  }
  if (parsed.value === undefined) {
    process.stdout.write(`${attachHelp[language]}\n`);
    return EXIT.done;
  }
  const c = parsed.value;
  const other = readEntry(c.folders, c.name);
  if (other && other.pid !== process.pid && isHeld(c.name, other.pid)) {
    complain(
      'attach',
      text(
        `${c.name} is attached already, by process ${other.pid}: holdfast detach ${c.name}`,
        `${c.name} 已由进程 ${other.pid} 挂接：holdfast detach ${c.name}`,
      )[language],
    );
    return EXIT.refused;
  }
  const addon = loadAddon();
  const streams = linuxStreamServer();
  if (!addon.ok || !streams.ok) {
    const e = addon.ok ? streams : addon;
    if (!e.ok) complain('attach', `${e.error.doing[language]}: ${e.error.code}`);
    return EXIT.failed;
  }
  const kernel = c.way === 'fuse' ? undefined : openKernel(linuxNetlink(addon.value));
  const means = {
    nbd: kernel !== undefined,
    nbdfuse: onPath('nbdfuse'),
    fuseDevice: existsSync('/dev/fuse'),
    loopControl: existsSync('/dev/loop-control'),
  };
  const way = chooseWay(c.way, means);
  if (!way.ok) {
    complain('attach', way.error[language]);
    return EXIT.failed;
  }
  if (process.getuid?.() !== 0) {
    complain('attach', text('it takes root to make a block device', '建立块设备需要 root')[language]);
    return EXIT.notPermitted;
  }
  const log = linuxLog(addon.value, { language, least: 'notice', console: { fd: 2, details: false } });
  const host = { streams: streams.value, clock: linuxClock(addon.value), log };
  return await new Promise<number>((resolve) => {
    const make = (events: CarrierEvents): Carrier | undefined => {
      if (way.value === 'kernel' && kernel) return kernelWay(c, kernel, host, events);
      const needs = requirementsOf(OPTIONS);
      // Only memory is wanted of it: no disk is read or written here.
      const blocks = linuxBlocks({ requests: needs.requests, slabBytes: needs.slabBytes + (1 << 20), engine: 'fs' });
      if (blocks.ok) return fuseWay(c, { ...host, blocks: blocks.value, options: OPTIONS }, events);
      complain('attach', `${blocks.error.doing[language]}: ${blocks.error.code}`);
      return undefined;
    };
    live(c, way.value, log, make, resolve);
  });
}

/** Joins machine, carrier and signals. */
function live(
  c: AttachCommand,
  way: 'kernel' | 'fuse',
  log: Log,
  make: (events: CarrierEvents) => Carrier | undefined,
  resolve: (status: number) => void,
): void {
  let state: Attachment = CONNECTING;
  const feed = (e: AttachEvent): void => {
    const next = attachStep(c.name, state, e);
    state = next.state;
    const run = (i: number): void => {
      const effect = next.effects[i];
      if (effect === undefined) return;
      switch (effect.kind) {
        case 'say':
          log.write({ level: effect.level, code: 'attach', text: effect.text });
          break;
        case 'publish':
          publish(c.folders, c.name, { pid: process.pid, way, device: effect.device });
          process.stdout.write(`${linkOf(c.folders, c.name)} -> ${effect.device}\n`);
          // For `detach`, which loads the same: this process may stay for months, and be killed.
          flushCompileCache();
          break;
        case 'release':
          forget(c.folders, c.name);
          carrier?.release(() => run(i + 1));
          return;
        case 'exit':
          resolve(effect.failed ? EXIT.failed : EXIT.done);
          break;
      }
      run(i + 1);
    };
    run(0);
  };
  const carrier = make({
    device: (device) => feed({ kind: 'device', device }),
    serverThere: () => feed({ kind: 'server-there' }),
    serverAway: (why: Text) => feed({ kind: 'server-away', why }),
    failed: (why: Text) => feed({ kind: 'failed', why }),
  });
  if (carrier === undefined) {
    resolve(EXIT.failed);
    return;
  }
  const end = (force: boolean): void => {
    const tell = (uses: Text | undefined): void => feed({ kind: 'end', uses, force, leavable: carrier.leavable });
    if (state.is === 'attached') askUses(c.name, state.device, tell);
    else tell(undefined);
  };
  process.on('SIGTERM', () => end(false));
  process.on('SIGINT', () => end(false));
  process.on('SIGUSR2', () => end(true)); // detach --force
  carrier.start();
}

export async function runDetach(argv: readonly string[]): Promise<number> {
  const language = languageOf(process.env);
  const parsed = parseDetach(argv);
  if (!parsed.ok) {
    complain('detach', parsed.error[language]);
    process.stderr.write(`${detachHelp[language].split('\n')[0]}\n`);
    return EXIT.wrong;
  }
  if (parsed.value === undefined) {
    process.stdout.write(`${detachHelp[language]}\n`);
    return EXIT.done;
  }
  const { name, force, folders } = parsed.value;
  const entry = readEntry(folders, name);
  if (entry === undefined) {
    complain('detach', text(`${name} is not attached`, `${name} 未挂接`)[language]);
    return EXIT.notRunning;
  }
  const uses = usesOf(name, entry.device, isHeldExclusively(entry.device));
  if (uses && !force) {
    complain('detach', uses[language]);
    return EXIT.refused;
  }
  if (!isHeld(name, entry.pid)) return detachAlone(folders, name, entry.device, language);
  process.kill(entry.pid, force ? 'SIGUSR2' : 'SIGTERM');
  for (let waited = 0; waited < DETACH_MS; waited += 20) {
    if (!isHeld(name, entry.pid)) return EXIT.done;
    await sleep(20);
  }
  complain('detach', text(`process ${entry.pid} does not let go of it`, `进程 ${entry.pid} 未释放设备`)[language]);
  return EXIT.noAnswer;
}
/** The process is gone: what it left in the kernel is taken away. */
function detachAlone(folders: Folders, name: string, device: string, language: Language): number {
  const index = /^\/dev\/nbd(\d+)$/.exec(device)?.[1];
  const addon = loadAddon();
  if (index !== undefined && addon.ok) {
    const kernel = KernelNbd.open(linuxNetlink(addon.value));
    const r = kernel.ok ? kernel.value.disconnect(Number(index)) : kernel;
    if (!r.ok && r.error.code !== 'EINVAL') {
      complain('detach', `${r.error.doing[language]}: ${r.error.code}`);
      return EXIT.failed;
    }
  }
  forget(folders, name);
  return EXIT.done;
}
