import { spawn } from 'node:child_process';
import { join } from 'node:path';

export type Step = { readonly name: string; readonly argv: readonly [string, ...string[]] };
const root = join(import.meta.dirname, '..');

/**
 * A step is a process group of its own, with a guard in it that holds one end of a pipe from here: however this process
 * ends, the pipe closes and the guard kills the group, so that no test goes on behind a runner that was killed.
 */
const GUARDED = 'exec 3<&0; (cat <&3; kill -KILL -$$) >/dev/null 2>&1 & exec "$@" 3<&- </dev/null';

/** Runs the steps one after the other with their output passed on, says how long each took, and returns the exit code: 0 when all were 0. */
export async function runAll(steps: readonly Step[]): Promise<number> {
  let failed = 0;
  for (const step of steps) {
    const started = performance.now();
    const [program, ...rest] = step.argv;
    const code = await new Promise<number>((resolve) => {
      const child = spawn('sh', ['-c', GUARDED, 'sh', program, ...rest], {
        cwd: root,
        stdio: ['pipe', 'inherit', 'inherit'],
        detached: true,
      });
      child
        .on('error', () => resolve(127))
        .on('exit', (c, signal) => {
          child.stdin?.destroy();
          resolve(c ?? (signal ? 128 : 1));
        });
    });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stderr.write(`${code === 0 ? '✓' : '✗'} ${step.name} (${seconds} s)\n`);
    if (code !== 0) failed = 1;
  }
  return failed;
}
