/** What verified writers were promised: by place, the number that was acknowledged last, beside what a device has. */
import { join } from 'node:path';
import type { MirrorPair, PairHost, Program } from '../../src/lab/index.ts';
import { good } from './mirror-pair.ts';

const WRITER = join(import.meta.dirname, 'verified-writer-main.ts');
const DEVICE = '/dev/holdfast/data';
const LINE = /^(\d+) (-?\d+)(?: (\d+))?$/;

export class Promises {
  readonly #pair: MirrorPair;
  readonly #blocks: number;
  #first = 1;
  readonly #promised = new Map<number, number>();

  /** Of so many blocks of the device. */
  constructor(pair: MirrorPair, blocks: number) {
    this.#pair = pair;
    this.#blocks = blocks;
  }
  /** Begins to write there, up to `largest` blocks at once, and has written when it resolves. */
  async write(h: PairHost, seed: number, largest = 1): Promise<Program> {
    const p = this.#run(h, [DEVICE, this.#blocks, seed, this.#first, largest]);
    await p.line(LINE, 60_000);
    return p;
  }
  /** What it acknowledged is promised from now on. Numbers that it may have used are not used again. Returns how many writes. */
  note(p: Program): number {
    let count = 0;
    for (const l of p.lines) {
      const m = LINE.exec(l.text);
      if (m === null) continue;
      count++;
      const [place, n] = [Number(m[1]), Number(m[2])];
      for (let i = 0; i < Number(m[3] ?? 1); i++) this.#promised.set(place + i, n);
      this.#first = Math.max(this.#first, n + 1000);
    }
    return count;
  }
  /** What the device lacks of it. */
  async lost(h: PairHost): Promise<readonly string[]> {
    const p = this.#run(h, ['check', DEVICE, this.#blocks]);
    await p.exited;
    const there = new Map(
      p.lines.flatMap((l) => {
        const m = LINE.exec(l.text);
        return m === null ? [] : [[Number(m[1]), Number(m[2])] as const];
      }),
    );
    const lost: string[] = [];
    if (there.size !== this.#blocks)
      lost.push(`only ${there.size} of ${this.#blocks} blocks could be read: ${p.text('stderr')}`);
    for (const [place, n] of this.#promised) {
      const now = there.get(place) ?? 0;
      if (now < n) lost.push(`block ${place}: ${n} was acknowledged, ${now === -1 ? 'it is torn' : `${now} is there`}`);
    }
    return lost;
  }
  #run(h: PairHost, words: readonly (string | number)[]): Program {
    return this.#pair
      .host(h)
      .spawn([process.execPath, '--disable-warning=ExperimentalWarning', WRITER, ...words.map(String)]);
  }
}
/** Both are taken down, and their disks compared byte by byte. Empty where they are equal. */
export async function differences(pair: MirrorPair, size: number): Promise<string> {
  for (const h of ['ha1', 'ha2'] as const) await good(pair.mirror(h, 'down', 'data'));
  const words = ['cmp', '-n', String(size), pair.disk('ha1'), pair.disk('ha2')];
  const { stdout, stderr } = await pair.run('ha1', words);
  return `${stdout}${stderr}`;
}
