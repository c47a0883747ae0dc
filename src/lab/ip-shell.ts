import { text } from '../base/index.ts';
import { LabError } from './error.ts';
import type { Program } from './program.ts';

/** Printed by `ip link show dev lo` as its last line: everything before has been carried out, since ip works line by line. */
const DONE = /^\s+link\/loopback /;

/**
 * One `ip -force -batch -` that stays: a port goes down a fifth of a millisecond after it was asked for, where starting
 * ip anew takes five. Groups of lines are carried out in the order of the calls.
 */
export class IpShell {
  readonly #ip: Program;
  #last: Promise<void> = Promise.resolve();

  /** `ip` must have been started with stderr joined to stdout, so that an error stands before the end mark. */
  constructor(ip: Program) {
    this.#ip = ip;
  }

  /** Rejects with LabError and ip's own words if a line was refused; the lines behind it have been tried all the same. */
  run(lines: readonly string[]): Promise<void> {
    return this.#queue(lines, () => false);
  }

  /** Deletes links; one that is gone already counts as deleted. */
  remove(links: readonly string[]): Promise<void> {
    return this.#queue(
      links.map((l) => `link delete ${l}`),
      (words) => words.startsWith('Cannot find device'),
    );
  }

  #queue(lines: readonly string[], harmless: (words: string) => boolean): Promise<void> {
    if (lines.length === 0) return this.#last;
    const done = this.#last.then(() => this.#batch(lines, harmless));
    this.#last = done.catch(() => {});
    return done;
  }

  async #batch(lines: readonly string[], harmless: (words: string) => boolean): Promise<void> {
    const said: string[] = [];
    const finished = new Promise<boolean>((resolve) => {
      const stop = this.#ip.onLine((l) => {
        if (!DONE.test(l.text)) said.push(l.text);
        else {
          stop();
          resolve(true);
        }
      });
      void this.#ip.exited.then(() => resolve(false));
    });
    this.#ip.write(`${lines.join('\n')}\nlink show dev lo\n`);
    if (!(await finished)) throw new LabError('lab-gone', text('the lab has been stopped', '实验环境已停止'));
    const refused = said.filter((l) => l !== '' && !/^(\d+: lo: |Command failed )/.test(l) && !harmless(l));
    if (refused.length === 0) return;
    const words = refused.join('; ');
    throw new LabError('lab-ip', text(`ip refused: ${words}`, `ip 拒绝：${words}`));
  }
}
