/**
 * The block devices of a mirror, each held by a process of its own (`holdfast attach`). That one outlives this one: while no
 * mirror process answers it holds the requests, so that a file system on the device only waits.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Text, text, verbatim } from '../../base/index.ts';
import { askUses } from '../exports/attach/device.ts';
import type { Folders } from '../exports/attach/options.ts';
import { isHeld, linkOf, readEntry } from '../exports/attach/register.ts';

export type DevicePlan = {
  /** Where the exports are served. */
  readonly socket: string;
  readonly folders: Folders;
  readonly way: 'auto' | 'kernel' | 'fuse';
};
/** Making one takes the start of two or three programs. */
const ATTACH_MS = 60_000;
const LOOK_MS = 20;

/** The command itself, as it was started. */
export const SELF = (): readonly [string, ...string[]] => [
  process.execPath,
  ...process.execArgv,
  process.argv[1] as string,
];
/** `pid` is there while the nbd module has the device connected; a FUSE one is gone with its process. */
const isLeftInKernel = (device: string): boolean => existsSync(`/sys/block/${basename(device)}/pid`);
function lastLine(file: string): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').at(-1) ?? '';
  } catch {
    return '';
  }
}

export class Devices {
  readonly #plan: DevicePlan;
  #names: readonly string[] = [];

  constructor(plan: DevicePlan) {
    this.#plan = plan;
  }
  /** The names of all volumes from now on. */
  use(names: readonly string[]): void {
    this.#names = names;
  }
  isThere(name: string): boolean {
    const e = readEntry(this.#plan.folders, name);
    return e !== undefined && (isHeld(name, e.pid) || isLeftInKernel(e.device));
  }
  /** Devices that are there, also those that another process of this mirror left. */
  get attached(): readonly string[] {
    return this.#names.filter((n) => this.isThere(n));
  }
  /** Those of these names; `done` with the reason where one could not be made. */
  attach(names: readonly string[], done: (failed: Text | undefined) => void): void {
    each(names, (name, next) => this.#attach(name, next), done);
  }
  /** None of them, where none is in use; else `done` with the reason, and those before it are gone. */
  detach(done: (refused: Text | undefined) => void): void {
    each(this.#names, (name, next) => this.#detach(name, next), done);
  }
  #attach(name: string, done: (failed: Text | undefined) => void): void {
    const { folders, socket, way } = this.#plan;
    const there = readEntry(folders, name);
    if (there !== undefined && isHeld(name, there.pid)) {
      done(undefined);
      return;
    }
    mkdirSync(folders.run, { recursive: true, mode: 0o700 });
    const log = join(folders.run, `${name}.log`);
    const out = openSync(log, 'w', 0o600);
    const [program, ...self] = SELF();
    const words = [
      'attach',
      name,
      '--socket',
      socket,
      '--way',
      way,
      '--devices',
      folders.devices,
      '--run',
      folders.run,
    ];
    const child = spawn(program, [...self, ...words], { stdio: ['ignore', 'ignore', out], detached: true });
    closeSync(out);
    child.unref();
    let over = false;
    const end = (failed: Text | undefined): void => {
      if (over) return;
      over = true;
      clearInterval(timer);
      done(failed);
    };
    const began = performance.now();
    const timer = setInterval(() => {
      if (readEntry(folders, name)?.pid === child.pid) end(undefined);
      else if (performance.now() - began > ATTACH_MS)
        end(text(`the device is not there after ${ATTACH_MS / 1000} s`, `${ATTACH_MS / 1000} 秒后设备仍未出现`));
    }, LOOK_MS);
    child.on('error', (e) => end(verbatim(e.message)));
    child.on('exit', (code) => end(verbatim(lastLine(log) || `holdfast attach: ${code}`)));
  }
  #detach(name: string, done: (refused: Text | undefined) => void): void {
    const { folders } = this.#plan;
    const there = readEntry(folders, name);
    if (there === undefined) {
      done(undefined);
      return;
    }
    askUses(name, linkOf(folders, name), (uses) => {
      if (uses !== undefined) return done(uses);
      const [program, ...self] = SELF();
      const words = ['detach', name, '--devices', folders.devices, '--run', folders.run];
      const child = spawn(program, [...self, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
      let said = '';
      child.stderr.on('data', (b: Buffer) => {
        said += b.toString();
      });
      child.on('error', (e) => done(verbatim(e.message)));
      child.on('close', (code) => done(code === 0 ? undefined : verbatim(said.trim() || `holdfast detach: ${code}`)));
    });
  }
}
/** One after the other, up to the first that says something. */
function each(
  names: readonly string[],
  work: (name: string, next: (said: Text | undefined) => void) => void,
  done: (said: Text | undefined) => void,
): void {
  const [first, ...rest] = names;
  if (first === undefined) done(undefined);
  else work(first, (said) => (said === undefined ? each(rest, work, done) : done(said)));
}
