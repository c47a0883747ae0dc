import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** `failures`: a file in which the step leaves what failed; it is empty before. */
export type Step = {
  readonly name: string;
  readonly argv: readonly [string, ...string[]];
  readonly failures?: string;
};
const root = join(import.meta.dirname, '..');

/**
 * A step is a process group of its own, with a guard in it that holds one end of a pipe from here: however this process
 * ends, the pipe closes and the guard kills the group, so that no test goes on behind a runner that was killed.
 */
const GUARDED = 'exec 3<&0; (cat <&3; kill -KILL -$$) >/dev/null 2>&1 & exec "$@" 3<&- </dev/null';

/** Runs the steps one after the other with their output passed on, says how long each took and, at the end, all that failed. Returns the exit code: 0 when all were 0. */
export async function runAll(steps: readonly Step[]): Promise<number> {
  let failed = 0;
  let told = '';
  for (const step of steps) {
    const started = performance.now();
    if (step.failures !== undefined) rmSync(step.failures, { force: true });
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
    if (code === 0) continue;
    failed = 1;
    told += `✗ ${step.name}\n${failuresOf(step)}`;
  }
  process.stderr.write(told);
  return failed;
}
const failuresOf = ({ failures }: Step): string =>
  failures !== undefined && existsSync(failures) ? readFileSync(failures, 'utf8') : '';
