/** Child processes of our own program, from a checkout (.ts) as from dist (.js), with a typed channel. */
import { type ChildProcess, fork } from 'node:child_process';
import { flushCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';
import { err, type Microseconds, ok, type Result, us } from '../base/index.ts';

/**
 * Where bin/holdfast has Node.js keep compiled code. It is for our own processes: taken out of the environment, so that
 * scripts that happen to be written for Node.js neither use it nor write there.
 */
const COMPILE_CACHE = 'NODE_COMPILE_CACHE';
const compileCache = process.env[COMPILE_CACHE];
delete process.env[COMPILE_CACHE];

/** Keeps what was compiled so far for the next start: at its end a process may be killed. Nothing new costs nothing. */
export const keepCompiled = (): void => flushCompileCache();

/**
 * As in bin/holdfast. What is allocated lives either for ever or not beyond a turn, and a small young generation holds
 * pauses short. It is collected by the thread that allocates: with helper threads a process of real-time priority waits
 * for ordinary ones (with both processors busy up to 19 ms, alone 0.4 ms). SIGUSR1 would open a debugger to every user of
 * the machine until the process has a handler for it.
 */
const NODE_OPTIONS = [
  '--max-semi-space-size=1',
  '--no-parallel-scavenge',
  '--disable-sigusr1',
  '--disable-warning=ExperimentalWarning',
];

/**
 * `path` is relative to this folder, without extension: `beat/main`. The error is the system's code: no more processes,
 * memory or file descriptors are to be had.
 */
export function forkPart(path: string): Result<ChildProcess, string> {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const file = fileURLToPath(new URL(`./${path}${extension}`, import.meta.url));
  try {
    const child = fork(file, ['keepalived'], {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: NODE_OPTIONS,
      env: { ...process.env, ...(compileCache !== undefined && { [COMPILE_CACHE]: compileCache }) },
    });
    child.on('error', () => {}); // its exit follows, or a message could not be sent because it is gone
    return child.pid === undefined ? err('EAGAIN') : ok(child);
  } catch (e) {
    return err((e as NodeJS.ErrnoException).code ?? String(e));
  }
}

/** CLOCK_MONOTONIC: the same in all our processes. */
export const commonNow = (): Microseconds => us(Number(process.hrtime.bigint() / 1000n));

/** The end of the channel in a child. A message that cannot be sent is dropped: the other side is gone, and that is noticed elsewhere. */
export function parentPort<Out, In>(): {
  /** `sent`: this and all before it are on their way, so that the process may end. */
  send(m: Out, sent?: () => void): void;
  receive(on: (m: In) => void): void;
  closed(on: () => void): void;
} {
  return {
    send: (m, sent = () => {}) => {
      if (process.connected) process.send?.(m, undefined, {}, () => sent());
      else sent();
    },
    receive: (on) => void process.on('message', (m) => on(m as In)),
    closed: (on) => void process.on('disconnect', on),
  };
}
