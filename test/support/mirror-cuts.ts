/**
 * Live power cuts: a writer stamps random blocks of the primary's device, the primary loses its power in the middle of it, the
 * other is promoted, and every block must have the last stamp that was acknowledged, or one that was under way. Then the
 * other one comes back, is resynchronised under the same load, and is the next to be promoted.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MirrorPair, PairHost, Program } from '../../src/lab/index.ts';
import { good, inSync, until, volumeOf } from './mirror-pair.ts';

const WRITER = join(import.meta.dirname, 'verified-writer-main.ts');
export const CUT_BLOCKS = 4096;
const DEVICE = '/dev/holdfast/data';
const LINE = /^(\d+) (-?\d+)$/;
/** The shortest and the longest time that is written before a cut. Milliseconds. */
const WRITTEN_MS = [400, 2500] as const;
/** So many writes are acknowledged before it, however slow the machine is. */
const WRITTEN = 50;

export type Round = { readonly acknowledged: number; readonly lost: readonly string[] };

export class Cuts {
  readonly #pair: MirrorPair;
  readonly #random: () => number;
  #primary: PairHost = 'ha1';
  #first = 1;
  /** By place: the number that was acknowledged last. */
  readonly #promised = new Map<number, number>();

  /** `random`: 0 to 1. The pair is up, and ha1 is primary. */
  constructor(pair: MirrorPair, random: () => number) {
    this.#pair = pair;
    this.#random = random;
  }
  get #other(): PairHost {
    return this.#primary === 'ha1' ? 'ha2' : 'ha1';
  }
  async round(): Promise<Round> {
    const writer = await this.#write();
    const [least, most] = WRITTEN_MS;
    await sleep(least + this.#random() * (most - least));
    for (const end = performance.now() + 60_000; writer.lines.length < WRITTEN && performance.now() < end; )
      await sleep(20);
    await this.#pair.host(this.#primary).powerCut();
    await writer.exited;
    const acknowledged = this.#note(writer);
    const dead = this.#primary;
    this.#primary = this.#other;
    await until(this.#pair, this.#primary, (v) => v.connection === 'WFConnection', 'alone');
    await good(this.#pair.mirror(this.#primary, 'primary', 'data'));
    const lost = await this.#verify();
    // The dead one comes back while the other is written to, so that writes and resync meet.
    const load = await this.#write();
    await this.#pair.powerOn(dead);
    await good(this.#pair.up(dead));
    await until(this.#pair, this.#primary, inSync, 'in sync again');
    await load.kill('SIGKILL');
    await load.exited;
    this.#note(load);
    return { acknowledged, lost: [...lost, ...(await this.#verify())] };
  }
  /** Both disks, byte by byte, when both are down. Empty where they are equal. */
  async end(): Promise<string> {
    const v = await volumeOf(this.#pair, this.#primary);
    for (const h of [this.#primary, this.#other]) await good(this.#pair.mirror(h, 'down', 'data'));
    const { stdout, stderr } = await this.#pair.run('ha1', [
      'cmp',
      '-n',
      String(v?.size ?? 0),
      this.#pair.disk('ha1'),
      this.#pair.disk('ha2'),
    ]);
    return `${stdout}${stderr}`;
  }
  async #write(): Promise<Program> {
    const seed = String(Math.floor(this.#random() * 0xffff_ffff));
    const words = [WRITER, DEVICE, String(CUT_BLOCKS), seed, String(this.#first)];
    const p = this.#pair
      .host(this.#primary)
      .spawn([process.execPath, '--disable-warning=ExperimentalWarning', ...words]);
    await p.line(LINE, 60_000);
    return p;
  }
  /** What it acknowledged is promised from now on. Numbers that it may have used are not used again. */
  #note(p: Program): number {
    let count = 0;
    for (const l of p.lines) {
      const m = LINE.exec(l.text);
      if (m === null) continue;
      count++;
      this.#promised.set(Number(m[1]), Number(m[2]));
      this.#first = Math.max(this.#first, Number(m[2]) + 1000);
    }
    return count;
  }
  async #verify(): Promise<readonly string[]> {
    const p = this.#pair
      .host(this.#primary)
      .spawn([process.execPath, '--disable-warning=ExperimentalWarning', WRITER, 'check', DEVICE, String(CUT_BLOCKS)]);
    await p.exited;
    const there = new Map(
      p.lines.flatMap((l) => {
        const m = LINE.exec(l.text);
        return m === null ? [] : [[Number(m[1]), Number(m[2])] as const];
      }),
    );
    const lost: string[] = [];
    if (there.size !== CUT_BLOCKS)
      lost.push(`only ${there.size} of ${CUT_BLOCKS} blocks could be read: ${p.text('stderr')}`);
    for (const [place, n] of this.#promised) {
      const now = there.get(place) ?? 0;
      if (now < n) lost.push(`block ${place}: ${n} was acknowledged, ${now === -1 ? 'it is torn' : `${now} is there`}`);
    }
    return lost;
  }
}
