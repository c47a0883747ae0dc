import { spawn } from 'node:child_process';
import { join } from 'node:path';

export type Step = { readonly name: string; readonly argv: readonly [string, ...string[]] };
const root = join(import.meta.dirname, '..');

/** Runs the steps one after the other with their output passed on, says how long each took, and returns the exit code: 0 when all were 0. */
export async function runAll(steps: readonly Step[]): Promise<number> {
  let failed = 0;
  for (const step of steps) {
    const started = performance.now();
    const [program, ...rest] = step.argv;
    const code = await new Promise<number>((resolve) => {
      spawn(program, rest, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
        .on('error', () => resolve(127))
        .on('exit', (c, signal) => resolve(c ?? (signal ? 128 : 1)));
    });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stderr.write(`${code === 0 ? '✓' : '✗'} ${step.name} (${seconds} s)\n`);
    if (code !== 0) failed = 1;
  }
  return failed;
}
