/** What is attached: one small file for each name, and the device's name itself. Both are this program's alone. */
import { lstatSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Text } from '../../../base/index.ts';
import { explainUses, mountsOf } from '../../../exports/index.ts';
import { replaceFile } from '../../safe-file.ts';
import type { Folders } from './options.ts';

export type Entry = { readonly pid: number; readonly way: 'kernel' | 'fuse'; readonly device: string };

const fileOf = (f: Folders, name: string): string => join(f.run, `${name}.json`);
export const linkOf = (f: Folders, name: string): string => join(f.devices, name);

export function readEntry(f: Folders, name: string): Entry | undefined {
  try {
    const e = JSON.parse(readFileSync(fileOf(f, name), 'utf8')) as Partial<Entry>;
    const known = typeof e.pid === 'number' && (e.way === 'kernel' || e.way === 'fuse') && typeof e.device === 'string';
    return known ? (e as Entry) : undefined;
  } catch {
    return undefined;
  }
}
/** Throws the system's error. What is there already must be a link, which only this program makes. */
export function publish(f: Folders, name: string, e: Entry): void {
  mkdirSync(f.run, { recursive: true, mode: 0o700 });
  mkdirSync(f.devices, { recursive: true });
  replaceFile(fileOf(f, name), JSON.stringify(e));
  const link = linkOf(f, name);
  if (lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink()) unlinkSync(link);
  symlinkSync(e.device, link);
}
export function forget(f: Folders, name: string): void {
  const link = linkOf(f, name);
  if (lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink()) unlinkSync(link);
  rmSync(fileOf(f, name), { force: true });
}
/** Whether that process still holds the device. Numbers of processes are used again: it must be an `attach` of this name. */
export function isHeld(name: string, pid: number): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return words.includes('attach') && words.includes(name);
  } catch {
    return false;
  }
}
/** By whom a device is used: where it is mounted here, or that somebody holds it exclusively. Undefined: by nobody. */
export function usesOf(name: string, device: string, held: boolean): Text | undefined {
  let mounts: readonly string[] = [];
  try {
    const rdev = statSync(device).rdev;
    const number = `${(rdev >> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >> 12) & 0xfff00)}`;
    mounts = mountsOf(readFileSync('/proc/self/mountinfo', 'utf8'), number);
  } catch {
    // There is no such device any more.
  }
  return explainUses(name, mounts, held);
}
