/** Pid files, where keepalived puts them, so that scripts and unit files find them and a running keepalived is noticed. */
import { closeSync, mkdirSync, openSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { err, ok, type Result, type Text, text } from '../../base/index.ts';

export type PidPlaces = {
  readonly pidFile?: string | undefined;
  readonly vrrpPidFile?: string | undefined;
  /** The root keywords `instance`, `net_namespace` and `use_pid_dir`. */
  readonly instance?: string | undefined;
  readonly namespace?: string | undefined;
  readonly pidDirectory: boolean;
};
export type PidPaths = { readonly main: string; readonly vrrp: string; readonly socket: string };

/**
 * `/run/keepalived.pid` and `/run/vrrp.pid` (Debian's 2.2.7; its manual calls the second keepalived_vrrp.pid); with
 * `use_pid_dir` in /run/keepalived, and a named namespace has a directory of its own in that. The control socket stands beside a given pid file, otherwise in
 * /run/holdfast.
 */
export function pidPaths(p: PidPlaces): PidPaths {
  const suffix = p.instance ? `_${p.instance}` : '';
  const space = p.namespace ? `keepalived_${p.namespace}/` : '';
  const folder = p.pidDirectory || p.namespace ? `/run/keepalived/${space}` : '/run/';
  const main = p.pidFile ?? `${folder}keepalived${suffix}.pid`;
  const vrrp = p.vrrpPidFile ?? (p.pidFile ? `${dropExtension(p.pidFile)}_vrrp.pid` : `${folder}vrrp${suffix}.pid`);
  const socket = p.pidFile
    ? socketBeside(p.pidFile)
    : `/run/holdfast/keepalived${p.namespace ? `@${p.namespace}` : ''}${suffix}.sock`;
  return { main, vrrp, socket };
}
const dropExtension = (pidFile: string): string => pidFile.replace(/\.pid$/, '');
export const socketBeside = (pidFile: string): string => `${dropExtension(pidFile)}.sock`;

/** The pid in the file if such a process runs and is a keepalived or ours: pids are used again, also across a boot. */
export function runningPid(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, 'utf8').trim());
    if (!Number.isSafeInteger(pid) || pid < 1 || pid === process.pid) return undefined;
    return /keepalived/.test(readFileSync(`/proc/${pid}/cmdline`, 'latin1')) ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Refuses where another one runs; takes over a stale file. */
export function takePidFile(path: string): Result<void, Text> {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      mkdirSync(dirname(path), { recursive: true });
      const file = openSync(path, 'wx', 0o644);
      writeFileSync(file, `${process.pid}\n`);
      closeSync(file);
      return ok(undefined);
    } catch (e) {
      const code = (e as NodeJS.ErrnoException).code ?? String(e);
      if (code !== 'EEXIST')
        return err(text(`cannot write pid file ${path}: ${code}`, `无法写入进程号文件 ${path}：${code}`));
      const other = runningPid(path);
      if (other !== undefined)
        return err(text(`already running with pid ${other} (${path})`, `已在运行，进程号为 ${other}（${path}）`));
      removePidFile(path);
    }
  }
  return err(text(`another daemon is starting with pid file ${path}`, `另一个守护进程正在使用进程号文件 ${path} 启动`));
}
/** For the pid file of a child, which only its parent writes. */
export function writePidFile(path: string, pid: number): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${pid}\n`, { mode: 0o644 });
}
export function removePidFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Gone already: that is what was wanted.
  }
}
