import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { text } from '../../base/index.ts';
import type { Command, Exit, Processes, Running } from '../index.ts';
import type { Addon } from './addon.ts';
import { withOrdinaryAffinity } from './priority.ts';
import { watchProcesses } from './proc-connector.ts';
import { systemError } from './system-error.ts';

/**
 * libuv drops all supplementary groups together with the user; a list of them is set by setpriv of util-linux, which
 * Debian counts as essential.
 */
function argvOf({ argv, credentials: c }: Command): readonly [string, ...string[]] {
  if (!c?.groups || c.groups.length === 0) return argv;
  return ['setpriv', `--reuid=${c.uid}`, `--regid=${c.gid}`, `--groups=${c.groups.join(',')}`, '--', ...argv];
}

function run(addon: Addon, command: Command, exited: (e: Exit) => void): Running {
  const [program, ...rest] = argvOf(command);
  const doing = text(`run ${command.argv.join(' ')}`, `运行 ${command.argv.join(' ')}`);
  const c = command.credentials;
  let over = false;
  const finish = (e: Exit): void => {
    if (over) return;
    over = true;
    exited(e);
  };
  let child: ChildProcess;
  try {
    child = withOrdinaryAffinity(addon, () =>
      spawn(program, rest, {
        detached: true, // a session and process group of its own
        stdio: 'ignore',
        ...(command.environment && { env: command.environment }),
        ...(command.directory !== undefined && { cwd: command.directory }),
        ...(c && program === command.argv[0] && { uid: c.uid, gid: c.gid }),
      }),
    );
  } catch (e) {
    const failed = systemError(e, doing);
    setImmediate(() => finish({ failed }));
    return { pid: undefined, signal: () => {} };
  }
  child.on('error', (e) => finish({ failed: systemError(e, doing) }));
  child.on('exit', (code, signal) => finish(code === null ? { signal: signal as string } : { code }));
  return {
    pid: child.pid,
    signal(name) {
      // Not once it has ended: by then the number may be another's.
      if (over || child.pid === undefined) return;
      try {
        process.kill(-child.pid, name);
      } catch (e) {
        systemError(e, doing); // gone in between, or it changed its user
      }
    },
  };
}

function list(only?: number): { pid: number; name: string; argv: string[] }[] {
  const out: { pid: number; name: string; argv: string[] }[] = [];
  for (const entry of only === undefined ? readdirSync('/proc') : [String(only)]) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    try {
      const name = readFileSync(`/proc/${pid}/comm`, 'utf8').replace(/\n$/, '');
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      out.push({ pid, name, argv: line === '' ? [] : line.replace(/\0$/, '').split('\0') });
    } catch (e) {
      systemError(e, text(`read /proc/${pid}`, `读取 /proc/${pid}`)); // ended in between
    }
  }
  return out;
}

export const linuxProcesses = (addon: Addon): Processes => ({
  run: (command, exited) => run(addon, command, exited),
  list,
  watch: (changed) => watchProcesses(addon, changed),
});
