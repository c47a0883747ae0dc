/**
 * What a volume costs as it grows, on sparse files: memory of a node (PSS, the larger of the two) when both are connected and
 * idle, the time until a clean volume is served again after a restart (the start of Node.js included), and bitmap handling:
 * from a forced promotion, which marks every block, to the beginning of the resync, when both sides have written their
 * bitmaps and exchanged them.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Text, text } from '../../src/base/index.ts';
import { type BenchOptions, median, type Row } from '../bench.ts';
import { sparseDisk } from '../shared/disk.ts';
import { HoldfastPair } from './ours.ts';
import type { NodeName, Stage } from './stage.ts';

const RUNS = 3;
const MIB = 1 << 20;
const GIB = 1 << 30;
const SIZES: readonly (readonly [name: string, bytes: number])[] = [
  ['1 GiB', GIB],
  ['10 GiB', 10 * GIB],
  ['100 GiB', 100 * GIB],
  ['1 TiB', 1024 * GIB],
];
/** The goal: 64 MiB and 1/30,000 of the volume. */
export const mostMemory = (bytes: number): number => 64 + bytes / 30_000 / MIB;
const MOST_START_MS = 1000;
type Sample = { readonly memory: number; readonly start: number; readonly bitmap: number };

export async function* sizeRows(stage: Stage, o: BenchOptions): AsyncIterable<Row> {
  for (const [name, bytes] of SIZES) {
    const work = (en: string, zh: string): Text => text(`${name}: ${en}`, `${name}：${zh}`);
    const words = [
      work('memory (goal)', '内存（目标）'),
      work('start (goal)', '启动（目标）'),
      work('bitmap', '位图'),
    ] as const;
    if (o.only !== undefined && !words.some((w) => w.en.includes(o.only ?? ''))) continue;
    const samples: Sample[] = [];
    for (let i = 0; i < (o.runs ?? RUNS); i++) {
      o.progress(text(`volume of ${name}, run ${i + 1}`, `${name} 的卷，第 ${i + 1} 次`));
      samples.push(await once(stage, `v${bytes / GIB}x${i}`, bytes));
    }
    const [memory, start, bitmap] = words;
    const row = (w: Text, unit: string, f: keyof Sample, goal: number | undefined): Row => {
      const ours = samples.map((s) => s[f]);
      return { work: w, ours: median(ours), peer: goal, unit, runs: ours.length, samples: { ours, peer: [] } };
    };
    yield row(memory, 'MiB', 'memory', mostMemory(bytes));
    yield row(start, 'ms', 'start', MOST_START_MS);
    yield row(bitmap, 'ms', 'bitmap', undefined);
  }
}

async function once(stage: Stage, name: string, bytes: number): Promise<Sample> {
  const disk = (n: NodeName): string => sparseDisk(join(stage.folder, `${name}-${n}.disk`), bytes);
  const disks = { alfa: disk('alfa'), bravo: disk('bravo') };
  try {
    const pair = await HoldfastPair.start(stage, { name, protocol: 'C', disks });
    try {
      const memory = Math.max(pair.alfa.daemon.memory(), pair.bravo.daemon.memory()) / MIB;
      await pair.alfa.daemon.stop();
      const start = await pair.alfa.start();
      await pair.alfa.until((s) => s.connection === 'Connected', 5);
      const from = performance.now();
      const answer = await pair.alfa.ask({ verb: 'primary', force: true });
      if (!answer.ok) throw new Error(answer.text.en);
      await pair.alfa.until((s) => s.volumes.some((v) => v.connection === 'SyncSource'), 5);
      return { memory, start, bitmap: performance.now() - from };
    } finally {
      await pair.stop('SIGKILL');
    }
  } finally {
    for (const d of Object.values(disks)) rmSync(d);
  }
}
