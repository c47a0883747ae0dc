/** What serves a disk, measured under fio in turns with others: figures of each run, and the rows that compare two of them. */
import { type Text, text } from '../../src/base/index.ts';
import { type BenchOptions, median, type Row } from '../bench.ts';
import { type Figures, fio, type Load } from './fio.ts';

/** Processor time in microseconds so far, of all processes that it takes. */
export interface Subject {
  readonly uri: string;
  cpu(): number;
  stop(): Promise<void>;
}
export type Measured = Figures & { readonly cpu: number };

export async function measure(s: Subject, load: Load): Promise<Measured> {
  const before = s.cpu();
  const figures = await fio(s.uri, load);
  return { ...figures, cpu: (s.cpu() - before) / figures.requests };
}

/** Each in turn, run by run, so that what else the machine does falls on all. The first run of each warms it, and is not counted. */
export async function interleaved<K extends string>(
  subjects: ReadonlyMap<K, Subject>,
  load: Load,
  o: BenchOptions,
  runs: number,
): Promise<ReadonlyMap<K, readonly Measured[]>> {
  const name = nameOf(load);
  const samples = new Map<K, Measured[]>([...subjects.keys()].map((k) => [k, []]));
  for (let run = 0; run <= (o.runs ?? runs); run++)
    for (const [k, subject] of subjects) {
      o.progress(text(`${name.en}: ${k}, run ${run}`, `${name.zh}：${k}，第 ${run} 次`));
      const measured = await measure(subject, load);
      if (run > 0) samples.get(k)?.push(measured);
    }
  return samples;
}

const kilo = (n: number): string => `${n / 1024} KiB`;
export const nameOf = (l: Load): Text => {
  const write = l.rw.endsWith('write');
  return text(
    `${kilo(l.block)} ${write ? 'write' : 'read'}, ${l.depth} deep`,
    `${kilo(l.block)} ${write ? '写' : '读'}，深度 ${l.depth}`,
  );
};

export type Figure = { readonly of: (m: Measured) => number; readonly words: Text; readonly unit: string };
export const FIGURES: readonly Figure[] = [
  { of: (m) => m.cpu, words: text('CPU', 'CPU'), unit: 'us' },
  { of: (m) => m.p50us, words: text('p50', 'p50'), unit: 'us' },
  { of: (m) => m.iops, words: text('IOPS', 'IOPS'), unit: '/s' },
];

export function figureRow(
  en: string,
  zh: string,
  peer: string,
  f: Figure,
  ours: readonly Measured[],
  theirs: readonly Measured[],
): Row {
  const a = ours.map(f.of);
  const b = theirs.map(f.of);
  return {
    work: text(`${en} ${f.words.en} (${peer})`, `${zh}${f.words.zh}（${peer}）`),
    ours: median(a),
    peer: median(b),
    unit: f.unit,
    runs: a.length,
    samples: { ours: a, peer: b },
  };
}
