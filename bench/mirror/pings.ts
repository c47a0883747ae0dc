/**
 * How long a primary takes to answer a peer's ping under full load: writes of 4 KiB, 32 deep, with protocol C, through a relay
 * between the nodes that asks every 10 ms. The figure is the longest wait of each run, relay and scheduler included.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { text } from '../../src/base/index.ts';
import { type BenchOptions, median, type Row } from '../bench.ts';
import { fio } from '../exports/fio.ts';
import { Daemon } from '../shared/daemon.ts';
import { writtenDisk } from '../shared/disk.ts';
import { HoldfastPair } from './ours.ts';
import { ADDRESSES, type Stage } from './stage.ts';

const RUNS = 5;
const SECONDS = 5;
const DISK_BYTES = 65 << 20;
const GOAL_MS = 100;
const RELAYS = { alfa: '127.0.0.3', bravo: '127.0.0.4' } as const;

export async function* pingRows(stage: Stage, o: BenchOptions): AsyncIterable<Row> {
  const work = text('longest wait for a ping under load (goal)', '满载时 ping 应答的最长等待（目标）');
  if (o.only !== undefined && !work.en.includes(o.only)) return;
  const file = join(stage.folder, 'waits.json');
  const disk = (n: string): string => writtenDisk(join(stage.folder, `ping-${n}.disk`), DISK_BYTES);
  let relay: Daemon | undefined;
  const pair = await HoldfastPair.start(stage, {
    name: 'ping',
    protocol: 'C',
    disks: { alfa: disk('alfa'), bravo: disk('bravo') },
    disk: 'c-plan-ahead 0; resync-rate 1G;',
    peers: RELAYS,
    between: async (port) => {
      const main = join(import.meta.dirname, 'relay-main.ts');
      const where = [RELAYS.alfa, ADDRESSES.alfa, RELAYS.bravo, ADDRESSES.bravo];
      relay = Daemon.start('relay', stage.inside([process.execPath, main, `${port}`, ...where, file]));
      await sleep(1000);
    },
  });
  const longest: number[] = [];
  let asked = 0;
  try {
    await pair.copyAll();
    for (let run = 0; run <= (o.runs ?? RUNS); run++) {
      o.progress(text(`pings under load, run ${run}`, `满载下的 ping，第 ${run} 次`));
      await fio(pair.uri, { rw: 'randwrite', block: 4096, depth: 32, seconds: SECONDS });
      relay?.signal('SIGUSR2');
      while (!existsSync(file)) await sleep(20);
      await sleep(100);
      const waits = JSON.parse(readFileSync(file, 'utf8')) as number[];
      rmSync(file);
      if (run === 0) continue;
      if (waits.length === 0) throw new Error('no ping was answered');
      asked += waits.length;
      longest.push(Math.max(...waits));
    }
  } finally {
    await pair.stop('SIGKILL');
    await relay?.stop('SIGKILL');
  }
  const note = text(
    `${asked} pings; the longest of all: ${Math.max(...longest).toFixed(1)} ms`,
    `共 ${asked} 次 ping；最长 ${Math.max(...longest).toFixed(1)} 毫秒`,
  );
  yield {
    work,
    ours: median(longest),
    peer: GOAL_MS,
    unit: 'ms',
    runs: longest.length,
    samples: { ours: longest, peer: [] },
    note,
  };
}
