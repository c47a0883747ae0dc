/** `holdfast mirror keep`: starts a mirror process again whenever it dies, until it was asked to end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { EXIT } from '../command/exit-codes.ts';
import { SELF } from './devices.ts';

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5000;
/** Who lived so long did not die of what he was started with. */
const GOOD_LIFE_MS = 60_000;

export type Life = {
  /** It said that it is up. */
  readonly up: boolean;
  /** It ended because somebody asked for `down`. */
  readonly down: boolean;
  readonly code: number;
  readonly livedMs: number;
};
export type Kept = { readonly everUp: boolean; readonly waitMs: number };
export const FRESH: Kept = { everUp: false, waitMs: FIRST_WAIT_MS };
/** Pure: what follows from a death. A process that never came up has a fault that a restart does not cure. */
export function afterDeath(
  k: Kept,
  life: Life,
): { readonly end: number } | { readonly kept: Kept; readonly afterMs: number } {
  if (life.down) return { end: EXIT.done };
  const everUp = k.everUp || life.up;
  if (!everUp) return { end: life.code === 0 ? EXIT.failed : life.code };
  const afterMs = life.livedMs >= GOOD_LIFE_MS ? FIRST_WAIT_MS : k.waitMs;
  return { kept: { everUp, waitMs: Math.min(LONGEST_WAIT_MS, afterMs * 2) }, afterMs };
}

/** `argv`: of `mirror run`. Resolves when the mirror was taken down, could not be started, or this process is told to end. */
export function keepMirror(argv: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    let kept = FRESH;
    let child: ChildProcess | undefined;
    let ending = false;
    const start = (): void => {
      const [program, ...self] = SELF();
      const began = performance.now();
      let [up, down] = [false, false];
      const c = spawn(program, [...self, 'mirror', 'run', ...argv], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
      child = c;
      c.on('message', (m) => {
        up ||= m === 'up';
        down ||= m === 'down';
      });
      c.on('error', () => resolve(EXIT.failed));
      c.on('exit', (code) => {
        child = undefined;
        if (ending) return resolve(EXIT.done);
        const next = afterDeath(kept, { up, down, code: code ?? EXIT.failed, livedMs: performance.now() - began });
        if ('end' in next) return resolve(next.end);
        kept = next.kept;
        setTimeout(() => (ending ? undefined : start()), next.afterMs);
      });
    };
    const end = (): void => {
      ending = true;
      if (child === undefined) resolve(EXIT.done);
      else child.kill('SIGTERM');
    };
    process.on('SIGTERM', end);
    process.on('SIGINT', end);
    start();
  });
}
