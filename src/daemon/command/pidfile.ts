/** Pid files, where keepalived puts them, so that scripts and unit files find them and a running keepalived is noticed. */
import { linkSync, mkdirSync, readFileSync, renameSync, unlinkSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { err, ok, type Result, type Text, text } from '../../base/index.ts';
import { refuseSpecial, replaceFile, writeBeside } from '../safe-file.ts';

export type PidPlaces = {
  readonly pidFile?: string | undefined;
  readonly vrrpPidFile?: string | undefined;
  readonly checkersPidFile?: string | undefined;
  /** The root keywords `instance`, `net_namespace` and `use_pid_dir`. */
  readonly instance?: string | undefined;
  readonly namespace?: string | undefined;
  readonly pidDirectory: boolean;
};
export type PidPaths = {
  readonly main: string;
  readonly vrrp: string;
  readonly checkers: string;
  readonly socket: string;
  readonly ledger: string;
};

/**
 * `/run/keepalived.pid` and `/run/vrrp.pid` (Debian's 2.2.7; its manual calls the second keepalived_vrrp.pid); with
 * `use_pid_dir` in /run/keepalived, and a named namespace has a directory of its own in that. The control socket stands beside a given pid file, otherwise in
 * /run/holdfast, and the ledger of what is ours in the kernel's IPVS table stands beside it.
 */
export function pidPaths(p: PidPlaces): PidPaths {
  const suffix = p.instance ? `_${p.instance}` : '';
  const space = p.namespace ? `keepalived_${p.namespace}/` : '';
  const folder = p.pidDirectory || p.namespace ? `/run/keepalived/${space}` : '/run/';
  const main = p.pidFile ?? `${folder}keepalived${suffix}.pid`;
  const vrrp = p.vrrpPidFile ?? (p.pidFile ? `${dropExtension(p.pidFile)}_vrrp.pid` : `${folder}vrrp${suffix}.pid`);
  const checkers =
    p.checkersPidFile ?? (p.pidFile ? `${dropExtension(p.pidFile)}_checkers.pid` : `${folder}checkers${suffix}.pid`);
  const socket = p.pidFile
    ? socketBeside(p.pidFile)
    : `/run/holdfast/keepalived${p.namespace ? `@${p.namespace}` : ''}${suffix}.sock`;
  return { main, vrrp, checkers, socket, ledger: socket.replace(/\.sock$/, '.ipvs') };
}
const dropExtension = (pidFile: string): string => pidFile.replace(/\.pid$/, '');
const socketBeside = (pidFile: string): string => `${dropExtension(pidFile)}.sock`;

/** The pid in the file if such a process runs and is a keepalived or ours: pids are used again, also across a boot. */
export function runningPid(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, 'utf8').trim());
    if (!Number.isSafeInteger(pid) || pid < 1 || pid === process.pid) return undefined;
    return isDaemon(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')) ? pid : undefined;
  } catch {
    return undefined;
  }
}
/** Not an editor that happens to have keepalived.conf open. Ours is named by its title, or not yet: then by its verb. */
export const isDaemon = (argv: readonly string[]): boolean =>
  basename(argv[0] ?? '') === 'keepalived' ||
  argv[0]?.startsWith('holdfast keepalived') === true ||
  argv.some(
    (a, i) => (a === 'keepalived' || a === 'ldirectord') && /(^|\/)(holdfast|main\.[jt]s)$/.test(argv[i - 1] ?? ''),
  );

export type PidFileError = { readonly kind: 'running' | 'unwritable'; readonly text: Text };
const running = (words: Text): Result<void, PidFileError> => err({ kind: 'running', text: words });

/** Refuses where another one runs; takes over a stale file. */
export function takePidFile(path: string): Result<void, PidFileError> {
  let own: string | undefined;
  try {
    mkdirSync(dirname(path), { recursive: true });
    refuseSpecial(path);
    own = writeBeside(path, `${process.pid}\n`, 0o644);
    for (let attempt = 0; attempt < 3; attempt++) {
      // A link either takes the name with its content, or fails: nobody ever sees an empty file.
      if (linked(own, path)) return ok(undefined);
      const other = runningPid(path);
      if (other !== undefined)
        return running(text(`already running with pid ${other} (${path})`, `已在运行，进程号为 ${other}（${path}）`));
      discardStale(path, own);
    }
    return running(
      text(`another daemon is starting with pid file ${path}`, `另一个守护进程正在使用进程号文件 ${path} 启动`),
    );
  } catch (e) {
    const code = (e as NodeJS.ErrnoException).code ?? (e as Error).message;
    const words = text(`cannot write pid file ${path}: ${code}`, `无法写入进程号文件 ${path}：${code}`);
    return err({ kind: 'unwritable', text: words });
  } finally {
    if (own !== undefined) removePidFile(own);
  }
}
function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw e;
  }
}
/** Another one that starts may have put its own file there since we looked: what was moved away is looked at again. */
function discardStale(path: string, own: string): void {
  const aside = `${own}.stale`;
  try {
    renameSync(path, aside);
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== 'ENOENT') throw e;
    return; // discarded already by another one
  }
  if (runningPid(aside) !== undefined) linked(aside, path);
  removePidFile(aside);
}
/** For the pid file of a child, which only its parent writes. Throws the system's error. */
export function writePidFile(path: string, pid: number): void {
  mkdirSync(dirname(path), { recursive: true });
  replaceFile(path, `${pid}\n`, 0o644);
}
export function removePidFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Gone already: that is what was wanted.
  }
}
