/** Runs every fault on pairs of ours and of the peer, in turns, several labs beside each other where the interval leaves room. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Random, type Text, text } from '../../src/base/index.ts';
import { Pair } from '../../test/interop/pair.ts';
import type { Software } from '../../test/interop/rig.ts';
import { type BenchOptions, median, type Row } from '../bench.ts';
import { type Fault, type Figures, faults } from './faults.ts';

/** Seconds, and how many labs run beside each other: fewer where a stall of the machine would be part of the figure. */
const intervals = [
  { advertInt: 1, labs: 3, name: text('1 s', '1 秒') },
  { advertInt: 0.1, labs: 2, name: text('0.1 s', '0.1 秒') },
  { advertInt: 0.01, labs: 1, name: text('0.01 s', '0.01 秒') },
] as const;
type Interval = (typeof intervals)[number];

const SIDES = ['holdfast', 'keepalived'] as const satisfies readonly Software[];
const DEFAULT_RUNS = 10;
const TRIES = 3;
const SEED = 20_260;

const workOf = (figure: Text, i: Interval): Text => text(`${figure.en}, ${i.name.en}`, `${figure.zh}，${i.name.zh}`);
const fits = (work: Text, only: string | undefined): boolean =>
  only === undefined || work.en.includes(only) || work.zh.includes(only);
const secondsOf = (f: Fault, i: Interval): number => f.lasts[0] + f.lasts[1] * i.advertInt;

/** Pairs that are kept from run to run; one that misbehaved is thrown away. */
class Pairs {
  readonly #idle = new Map<Software, Pair[]>();

  async use<T>(software: Software, advertInt: number, run: (p: Pair) => Promise<T>): Promise<T> {
    const pair = this.#idle.get(software)?.pop() ?? (await Pair.start(software, advertInt));
    try {
      const value = await run(pair);
      this.#idle.set(software, [...(this.#idle.get(software) ?? []), pair]);
      return value;
    } catch (e) {
      await pair.stop();
      throw e;
    }
  }
  async stop(): Promise<void> {
    await Promise.all([...this.#idle.values()].flat().map((p) => p.stop()));
    this.#idle.clear();
  }
}

type Sample = { readonly side: Software; readonly figures: Figures | undefined; readonly error: string | undefined };

/** Once, a random part of the advertisement interval behind an advertisement: the same part for both sides. */
async function once(pairs: Pairs, side: Software, fault: Fault, i: Interval, phase: number): Promise<Sample> {
  let error = '';
  for (let tries = 0; tries < TRIES; tries++) {
    try {
      const figures = await pairs.use(side, i.advertInt, async (pair) => {
        if (fault.afterAnnouncements === true) await pair.announced();
        await pair.advertised();
        await sleep(phase * pair.interval);
        return fault.run(pair);
      });
      return { side, figures, error: undefined };
    } catch (e) {
      error = e instanceof Error ? (e.message.split('\n')[0] as string) : String(e);
    }
  }
  return { side, figures: undefined, error };
}

/** How much is left, in seconds of one lab, and what that means in time. */
class Progress {
  readonly #started = performance.now();
  readonly #total: number;
  #done = 0;

  constructor(total: number) {
    this.#total = total;
  }
  /** The line for people; `work` has just been done and was estimated at `seconds` of the total. */
  after(seconds: number, work: Text): Text {
    this.#done += seconds;
    const elapsed = (performance.now() - this.#started) / 1000;
    const left = Math.ceil((elapsed * (this.#total - this.#done)) / this.#done);
    const percent = Math.floor((100 * this.#done) / this.#total);
    const time = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`;
    return text(`${percent} %, ${time} left: ${work.en}`, `${percent}%，剩余 ${time}：${work.zh}`);
  }
}

export async function* outageRows(o: BenchOptions): AsyncGenerator<Row> {
  const runs = o.runs ?? DEFAULT_RUNS;
  const wanted = intervals.map((i) => ({
    interval: i,
    faults: faults.filter((f) => Object.values(f.figures).some((figure) => fits(workOf(figure, i), o.only))),
  }));
  const cost = (f: Fault, i: Interval): number => secondsOf(f, i) / i.labs;
  const total = wanted.flatMap((w) => w.faults.map((f) => 2 * runs * cost(f, w.interval))).reduce((a, b) => a + b, 0);
  const progress = new Progress(total);
  const random = new Random(SEED);

  for (const { interval, faults } of wanted) {
    const pairs = new Pairs();
    try {
      for (const fault of faults) {
        const phases = Array.from({ length: runs }, () => random.unit());
        const samples: Sample[] = [];
        const worker = async (): Promise<void> => {
          for (let phase = phases.pop(); phase !== undefined; phase = phases.pop()) {
            // Who goes first changes from run to run.
            for (const side of phases.length % 2 === 0 ? SIDES : SIDES.toReversed()) {
              const sample = await once(pairs, side, fault, interval, phase);
              samples.push(sample);
              const title = Object.values(fault.figures)[0] as Text;
              const work = workOf(title, interval);
              o.progress(progress.after(cost(fault, interval), text(`${work.en} (${side})`, `${work.zh}（${side}）`)));
            }
          }
        };
        await Promise.all(Array.from({ length: interval.labs }, worker));
        yield* rowsOf(fault, interval, samples, o.only);
      }
    } finally {
      await pairs.stop();
    }
  }
}

function* rowsOf(
  fault: Fault,
  interval: Interval,
  samples: readonly Sample[],
  only: string | undefined,
): Generator<Row> {
  const failed = samples.filter((s) => s.error !== undefined);
  for (const [key, figure] of Object.entries(fault.figures)) {
    const work = workOf(figure, interval);
    if (!fits(work, only)) continue;
    const of = (side: Software): readonly number[] =>
      samples.flatMap((s) => (s.side === side && s.figures ? [s.figures[key] as number] : []));
    const [ours, peer] = SIDES.map(of) as [readonly number[], readonly number[]];
    const why = failed.map((s) => `${s.side}: ${s.error}`).join('; ');
    yield {
      work,
      ours: median(ours),
      peer: median(peer),
      unit: 'ms',
      runs: Math.max(ours.length, peer.length),
      samples: { ours, peer },
      ...(failed.length > 0 ? { note: text(`runs that failed: ${why}`, `失败的运行：${why}`) } : {}),
    };
  }
}
