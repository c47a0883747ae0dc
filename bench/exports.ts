/**
 * `npm run bench -- exports`: a file over NBD, served by Holdfast, qemu-nbd and nbdkit in turns within one run, under fio's nbd
 * engine. Ratios and the processor time of a request say something; IOPS alone move with whatever else the machine does.
 *
 * Holdfast and qemu-nbd go past the page cache; nbdkit cannot, so its writes end in memory and its rows flatter it, unless
 * HOLDFAST_BENCH_FOLDER is in memory too (/dev/shm), where what is left is the servers' own cost. `node:net` and `thread pool`
 * are Holdfast with its sockets or its io_uring exchanged for Node's: the reason why it has its own.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from '../src/base/index.ts';
import type { Bench, BenchOptions, Row } from './bench.ts';
import type { Load } from './exports/fio.ts';
import { FIGURES, figureRow, interleaved, nameOf } from './exports/measure.ts';
import { Server, type ServerKind } from './exports/servers.ts';
import { writtenDisk } from './shared/disk.ts';

const MIB = 1 << 20;
const FILE_BYTES = 256 * MIB;
const RUNS = 5;
const SECONDS = 3;

const WORKS: readonly Load[] = (
  [
    ['randwrite', 4096, 32],
    ['randwrite', 4096, 1],
    ['randread', 4096, 32],
    ['randread', 4096, 1],
    ['write', 131072, 8],
    ['read', 131072, 8],
  ] as const
).map(([rw, block, depth]) => ({ rw, block, depth, seconds: SECONDS }));
const PEERS = ['qemu-nbd', 'nbdkit', 'node:net', 'thread pool'] as const satisfies readonly ServerKind[];

async function* rows(o: BenchOptions, folder: string): AsyncIterable<Row> {
  const ours = 'holdfast' satisfies ServerKind;
  const kinds: readonly ServerKind[] = [ours, ...PEERS];
  const servers = new Map<ServerKind, Server>();
  try {
    for (const kind of kinds) {
      const file = writtenDisk(join(folder, `${kind.replace(/\W/g, '-')}.disk`), FILE_BYTES);
      servers.set(kind, await Server.start(kind, file, folder));
    }
    for (const load of WORKS) {
      const name = nameOf(load);
      if (o.only !== undefined && !name.en.includes(o.only)) continue;
      const samples = await interleaved(servers, load, o, RUNS);
      for (const peer of PEERS)
        for (const f of FIGURES)
          yield figureRow(`${name.en}:`, `${name.zh}：`, peer, f, samples.get(ours) ?? [], samples.get(peer) ?? []);
    }
  } finally {
    for (const s of servers.values()) await s.stop();
  }
}

export const bench: Bench = {
  title: text(
    'Exports: a file over NBD on a unix socket; CPU is the processor time of the server for one request',
    '导出：经 unix 套接字以 NBD 提供一个文件；CPU 指服务器处理一个请求所用的处理器时间',
  ),
  peer: 'peer',
  async *run(o) {
    const folder = mkdtempSync(join(process.env['HOLDFAST_BENCH_FOLDER'] ?? tmpdir(), 'holdfast-bench-'));
    try {
      yield* rows(o, folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
