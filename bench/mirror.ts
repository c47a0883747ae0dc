/**
 * `npm run bench -- mirror`: what replication costs. Two nodes of Holdfast, each a process as an operator starts it, in a
 * network of their own; beside them QEMU's mirror between two of its processes over the same loopback, and plain exports.
 * Every comparison is made in turns within one run: on a machine that does other things, figures of their own say little,
 * and ratios, with the processor time of a request beside its latency and rate, say something.
 *
 * writes: `bench/mirror/writes.ts`; resync and verify: `copies.ts`; as the volume grows: `sizes.ts`; memory under load:
 * `memory.ts`; pings: `pings.ts`.
 * The disks are files, by default in the folder for temporary files; HOLDFAST_BENCH_FOLDER=/dev/shm leaves the disk out, and
 * with it what flushes cost: QEMU's mirror flushes only when it is asked, a DRBD peer at the end of epochs too.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from '../src/base/index.ts';
import type { Bench } from './bench.ts';
import { copyRows } from './mirror/copies.ts';
import { memoryRows } from './mirror/memory.ts';
import { pingRows } from './mirror/pings.ts';
import { sizeRows } from './mirror/sizes.ts';
import { Stage } from './mirror/stage.ts';
import { writeRows } from './mirror/writes.ts';

export const bench: Bench = {
  title: text(
    'Mirror: two nodes on one machine; CPU is the processor time of both for one request',
    '镜像：同一台机器上的两个节点；CPU 指两个节点处理一个请求所用的处理器时间之和',
  ),
  peer: 'peer',
  async *run(o) {
    const folder = mkdtempSync(join(process.env['HOLDFAST_BENCH_FOLDER'] ?? tmpdir(), 'holdfast-bench-'));
    const stage = await Stage.open(folder);
    try {
      yield* writeRows(stage, o);
      yield* copyRows(stage, o);
      yield* sizeRows(stage, o);
      yield* memoryRows(stage, o);
      yield* pingRows(stage, o);
    } finally {
      stage.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
