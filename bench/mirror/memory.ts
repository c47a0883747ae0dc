/**
 * What a node takes while it works (PSS, the larger of the two, the highest of many looks): during a whole resync, under a
 * load of writes, large and small, and seconds after it. The same of a plain export; the goal is that of a volume. Compiled code is there from before: of
 * each a first run, which compiles, is not counted.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Text, text } from '../../src/base/index.ts';
import { type BenchOptions, median, type Row } from '../bench.ts';
import { fio, type Load } from '../exports/fio.ts';
import { nameOf } from '../exports/measure.ts';
import { Server } from '../exports/servers.ts';
import { writtenDisk } from '../shared/disk.ts';
import { HoldfastPair } from './ours.ts';
import { mostMemory } from './sizes.ts';
import type { NodeName, Stage } from './stage.ts';

const RUNS = 3;
const SECONDS = 5;
const MIB = 1 << 20;
const DISK_BYTES = 256 * MIB;
const METADATA_BYTES = MIB;
const LOOK_MS = 100;
const AFTER_MS = 3000;
const LOADS: readonly Load[] = (
  [
    [4096, 32],
    [MIB, 8],
  ] as const
).map(([block, depth]) => ({ rw: 'randwrite', block, depth, seconds: SECONDS }));

type Process = { memory(): number };
type Sample = { readonly work: Text; readonly memory: number };

/** The highest while `work` is done, in MiB. */
async function highest(of: readonly Process[], work: () => Promise<unknown>): Promise<number> {
  let most = 0;
  const look = (): void => {
    for (const p of of) most = Math.max(most, p.memory());
  };
  const timer = setInterval(look, LOOK_MS);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  look();
  return most / MIB;
}
async function loads(uri: string, of: readonly Process[], where: Text): Promise<Sample[]> {
  const found: Sample[] = [];
  for (const load of LOADS) {
    const name = nameOf(load);
    const during = await highest(of, () => fio(uri, load));
    found.push({ work: text(`${where.en}: during ${name.en}`, `${where.zh}：${name.zh}期间`), memory: during });
    await sleep(AFTER_MS);
    const after = await highest(of, async () => {});
    found.push({ work: text(`${where.en}: 3 s after ${name.en}`, `${where.zh}：${name.zh} 3 秒后`), memory: after });
  }
  return found;
}

const MIRROR = text('memory of a mirror', '镜像的内存');
async function ofMirror(stage: Stage, name: string): Promise<Sample[]> {
  const disk = (n: NodeName): string =>
    writtenDisk(join(stage.folder, `${name}-${n}.disk`), DISK_BYTES + METADATA_BYTES);
  const disks = { alfa: disk('alfa'), bravo: disk('bravo') };
  const fast = 'c-plan-ahead 0; resync-rate 4G;';
  try {
    const pair = await HoldfastPair.start(stage, { name, protocol: 'C', disks, disk: fast });
    try {
      const both = [pair.alfa.daemon, pair.bravo.daemon];
      const copy = await highest(both, () => pair.copyAll());
      const first = {
        work: text(`${MIRROR.en}: during a whole resync`, `${MIRROR.zh}：整卷重新同步期间`),
        memory: copy,
      };
      return [first, ...(await loads(pair.uri, both, MIRROR))];
    } finally {
      await pair.stop();
    }
  } finally {
    for (const d of Object.values(disks)) rmSync(d);
  }
}
const EXPORT = text('memory of an export', '导出的内存');
async function ofExport(stage: Stage, name: string): Promise<Sample[]> {
  const disk = writtenDisk(join(stage.folder, `${name}.disk`), DISK_BYTES);
  const server = await Server.start('holdfast', disk, stage.folder);
  try {
    return await loads(server.uri, [server], EXPORT);
  } finally {
    await server.stop();
    for (const left of [disk, server.socket]) rmSync(left, { force: true });
  }
}

export async function* memoryRows(stage: Stage, o: BenchOptions): AsyncIterable<Row> {
  const works = { mirror: ofMirror, export: ofExport };
  for (const kind of ['mirror', 'export'] as const) {
    const title = kind === 'mirror' ? MIRROR : EXPORT;
    if (o.only !== undefined && !title.en.includes(o.only)) continue;
    const runs: Sample[][] = [];
    for (let run = 0; run <= (o.runs ?? RUNS); run++) {
      o.progress(text(`${title.en}, run ${run}`, `${title.zh}，第 ${run} 次`));
      const samples = await works[kind](stage, `m${kind}${run}`);
      if (run > 0) runs.push(samples);
    }
    for (const [i, { work }] of (runs[0] ?? []).entries()) {
      const ours = runs.flatMap((samples) => samples[i]?.memory ?? []);
      const samples = { ours, peer: [] };
      yield { work, ours: median(ours), peer: mostMemory(DISK_BYTES), unit: 'MiB', runs: ours.length, samples };
    }
  }
}
