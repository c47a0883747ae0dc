/** Rows for start, memory and processor time, ours and the peer's in turns. */
import { type Text, text } from '../../src/base/index.ts';
import type { Software } from '../../test/interop/rig.ts';
import { type BenchOptions, median, type Row } from '../bench.ts';
import { type Cost, loadTime, runningCost } from './load.ts';

const SIDES = ['holdfast', 'keepalived'] as const satisfies readonly Software[];
const CPU_WINDOW_MS = 20_000;
const LOAD_RUNS = 5;

const setups = [
  { instances: 1, advertInt: 1 },
  { instances: 100, advertInt: 1 },
  { instances: 1000, advertInt: 1 },
  { instances: 100, advertInt: 0.1 },
] as const;

const costs: readonly { readonly key: keyof Cost; readonly title: Text; readonly unit: string }[] = [
  { key: 'sender', title: text('CPU, master', 'CPU，主机'), unit: '% core' },
  { key: 'receiver', title: text('CPU, backup', 'CPU，备机'), unit: '% core' },
  { key: 'rss', title: text('memory, RSS of all processes', '内存，所有进程 RSS'), unit: 'MiB' },
  { key: 'pss', title: text('memory, PSS of all processes', '内存，所有进程 PSS'), unit: 'MiB' },
];

const fits = (work: Text, only: string | undefined): boolean =>
  only === undefined || work.en.includes(only) || work.zh.includes(only);
const setupName = (n: number, advertInt: number): Text => text(`${n} x ${advertInt} s`, `${n} 个 × ${advertInt} 秒`);

async function measured<T>(run: () => Promise<T>): Promise<T | string> {
  try {
    return await run();
  } catch (e) {
    return e instanceof Error ? (e.message.split('\n')[0] as string) : String(e);
  }
}

export async function* costRows(o: BenchOptions): AsyncGenerator<Row> {
  for (const instances of [1, 100, 1000]) {
    const work = text(`start to last address, ${instances}`, `启动到最后一个地址，${instances} 个`);
    if (!fits(work, o.only)) continue;
    o.progress(work);
    const samples: Record<Software, number[]> = { holdfast: [], keepalived: [] };
    const why: string[] = [];
    const runs = o.runs ?? LOAD_RUNS;
    for (let i = 0; i < runs; i++)
      for (const side of SIDES) {
        const figure = await measured(() => loadTime(side, instances));
        if (typeof figure === 'number') samples[side].push(figure);
        else why.push(`${side}: ${figure}`);
      }
    yield {
      work,
      ours: median(samples.holdfast),
      peer: median(samples.keepalived),
      unit: 'ms',
      runs,
      samples: { ours: samples.holdfast, peer: samples.keepalived },
      ...noteOf(why),
    };
  }
  for (const { instances, advertInt } of setups) {
    const name = setupName(instances, advertInt);
    const works = costs.map((c) => ({
      ...c,
      work: text(`${c.title.en}, ${name.en}`, `${c.title.zh}，${name.zh}`),
    }));
    const wanted = works.filter((w) => fits(w.work, o.only));
    if (wanted.length === 0) continue;
    const found: Partial<Record<Software, Cost>> = {};
    const why: string[] = [];
    for (const side of SIDES) {
      o.progress(
        text(`${side}, ${name.en}, ${CPU_WINDOW_MS / 1000} s`, `${side}，${name.zh}，${CPU_WINDOW_MS / 1000} 秒`),
      );
      const cost = await measured(() => runningCost(side, instances, advertInt, CPU_WINDOW_MS));
      if (typeof cost === 'string') why.push(`${side}: ${cost}`);
      else found[side] = cost;
    }
    for (const w of wanted)
      yield {
        work: w.work,
        ours: found.holdfast?.[w.key],
        peer: found.keepalived?.[w.key],
        unit: w.unit,
        runs: 1,
        ...noteOf(why),
      };
  }
}

const noteOf = (why: readonly string[]): { note?: Text } =>
  why.length === 0 ? {} : { note: text(`runs that failed: ${why.join('; ')}`, `失败的运行：${why.join('；')}`) };
