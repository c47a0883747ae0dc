/** The helper processes of `device-main.ts` and `held-main.ts`, asked and answered without waiting. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { type Text, verbatim } from '../../../base/index.ts';
import { usesOf } from './register.ts';

const helper = (name: string): string =>
  join(import.meta.dirname, `${name}${import.meta.filename.endsWith('.ts') ? '.ts' : '.js'}`);
const NODE_OPTIONS = ['--disable-warning=ExperimentalWarning'];

export type LoopHelper = {
  /** Takes the device away; then `done`. */
  close(done: () => void): void;
};
/** `gone`: it ended by itself, and why. */
export function startLoop(
  o: { readonly file: string; readonly blockSize: number; readonly readOnly: boolean },
  made: (device: string) => void,
  gone: (why: Text) => void,
): LoopHelper {
  const words = [...NODE_OPTIONS, helper('device-main'), o.file, String(o.blockSize), o.readOnly ? 'ro' : 'rw'];
  const child: ChildProcess = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'pipe'] });
  let closing: (() => void) | undefined;
  let ended = false;
  let said = '';
  let last = '';
  child.stdout?.on('data', (b: Buffer) => {
    said += b.toString();
    if (said.endsWith('\n')) made(said.trim());
  });
  child.stderr?.on('data', (b: Buffer) => {
    last = b.toString().trim() || last;
  });
  child.on('error', (e) => gone(verbatim(e.message)));
  child.on('exit', (code) => {
    ended = true;
    if (closing) closing();
    else gone(verbatim(last || `loop: ${code}`));
  });
  return {
    close(done) {
      closing = done;
      if (ended) done();
      else child.stdin?.end();
    },
  };
}
/** By whom the device is used; undefined: by nobody. */
export function askUses(name: string, device: string, answer: (uses: Text | undefined) => void): void {
  execFile(process.execPath, [...NODE_OPTIONS, helper('held-main'), device], (failed, out) => {
    // Whoever cannot be asked may be using it.
    if (failed) answer(verbatim(`${name}: ${failed.message.trim()}`));
    else answer(usesOf(name, device, out === 'held'));
  });
}
