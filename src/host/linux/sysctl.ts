import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { err, ok, text } from '../../base/index.ts';
import type { Sysctl } from '../index.ts';
import { systemError } from './system-error.ts';

/**
 * The path below /proc/sys; undefined for what is no name of a value. As sysctl(8) reads names: the first separator
 * decides, and the other character stands for it inside a part (`net.ipv4.conf.eth0/100.rp_filter` is VLAN eth0.100).
 */
export function sysctlPath(name: string): string | undefined {
  const first = /[./]/.exec(name)?.[0];
  const slashed = first === '.' ? name.replace(/[./]/g, (c) => (c === '.' ? '/' : '.')) : name;
  const parts = slashed.split('/');
  if (parts.some((p) => p === '' || p === '.' || p === '..' || p.includes('\0'))) return undefined;
  return `/proc/sys/${slashed}`;
}

/** Those under `net` are the ones of the calling thread's network namespace. */
export const linuxSysctl: Sysctl = {
  get(name) {
    const path = sysctlPath(name);
    if (!path) return undefined;
    try {
      return readFileSync(path, 'latin1').replace(/\n$/, '');
    } catch (e) {
      systemError(e, text(`read ${path}`, `读取 ${path}`));
      return undefined;
    }
  },
  set(name, value) {
    const path = sysctlPath(name);
    const doing = text(`set ${name} to ${value}`, `将 ${name} 设为 ${value}`);
    if (!path) return err({ code: 'EINVAL', doing });
    let fd: number | undefined;
    try {
      fd = openSync(path, 'r+');
      writeSync(fd, `${value}\n`);
      return ok(undefined);
    } catch (e) {
      return err(systemError(e, doing));
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  },
};
