/** Starts a mirror that goes on by itself, with a keeper that starts its process again when it dies. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { mirrorsOf } from '../mirror-files.ts';
import { SELF } from './devices.ts';

const TAIL = 20;

/** The mirrors of this host that a file names. */
export const namesIn = async (file: string, host: string | undefined): Promise<readonly string[]> =>
  (await mirrorsOf(file, host)).map((m) => m.name);

/** `argv` of `mirror run`; what it says goes to `log`. `ended` is told when it could not be started, with its last words. */
export function startKept(argv: readonly string[], log: string, ended: (code: number, words: string) => void): void {
  mkdirSync(dirname(log), { recursive: true });
  const out = openSync(log, 'w', 0o640);
  const [program, ...self] = SELF();
  const child = spawn(program, [...self, 'mirror', 'keep', ...argv], { stdio: ['ignore', out, out], detached: true });
  closeSync(out);
  child.unref();
  child.on('exit', (code) => ended(code ?? 1, readFileSync(log, 'utf8').trimEnd().split('\n').slice(-TAIL).join('\n')));
}
