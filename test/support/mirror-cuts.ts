/**
 * Live power cuts: a writer stamps random blocks of the primary's device, the primary loses its power in the middle of it, the
 * other is promoted, and every block must have the last stamp that was acknowledged, or one that was under way. Then the
 * other one comes back, is resynchronised under the same load, and is the next to be promoted.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { MirrorPair, PairHost, Program } from '../../src/lab/index.ts';
import { good, inSync, until, volumeOf } from './mirror-pair.ts';
import { differences, Promises } from './promises.ts';

const CUT_BLOCKS = 4096;
/** The shortest and the longest time that is written before a cut. Milliseconds. */
const WRITTEN_MS = [400, 2500] as const;
/** So many writes are acknowledged before it, however slow the machine is. */
const WRITTEN = 50;

export type Round = { readonly acknowledged: number; readonly lost: readonly string[] };

export class Cuts {
  readonly #pair: MirrorPair;
  readonly #random: () => number;
  readonly #promises: Promises;
  #primary: PairHost = 'ha1';

  /** `random`: 0 to 1. The pair is up, and ha1 is primary. */
  constructor(pair: MirrorPair, random: () => number) {
    this.#pair = pair;
    this.#random = random;
    this.#promises = new Promises(pair, CUT_BLOCKS);
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
    const acknowledged = this.#promises.note(writer);
    const dead = this.#primary;
    this.#primary = this.#other;
    await until(this.#pair, this.#primary, (v) => v.connection === 'WFConnection', 'alone');
    await good(this.#pair.mirror(this.#primary, 'primary', 'data'));
    const lost = await this.#promises.lost(this.#primary);
    // The dead one comes back while the other is written to, so that writes and resync meet.
    const load = await this.#write();
    await this.#pair.powerOn(dead);
    await good(this.#pair.up(dead));
    await until(this.#pair, this.#primary, inSync, 'in sync again');
    await load.kill('SIGKILL');
    await load.exited;
    this.#promises.note(load);
    return { acknowledged, lost: [...lost, ...(await this.#promises.lost(this.#primary))] };
  }
  /** Takes both down and compares their disks. Empty where they are equal. */
  async end(): Promise<string> {
    const v = await volumeOf(this.#pair, this.#primary);
    return differences(this.#pair, v?.size ?? 0);
  }
  #write(): Promise<Program> {
    return this.#promises.write(this.#primary, Math.floor(this.#random() * 0xffff_ffff));
  }
}
