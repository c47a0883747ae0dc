/**
 * `npm run bench -- exports`: a file over NBD, served by Holdfast, qemu-nbd and nbdkit in turns within one run, under fio's nbd
 * engine. Ratios and the processor time of a request say something; IOPS alone move with whatever else the machine does.
 *
 * Holdfast and qemu-nbd go past the page cache; nbdkit cannot, so its writes end in memory and its rows flatter it, unless
 * HOLDFAST_BENCH_FOLDER is in memory too (/dev/shm), where what is left is the servers' own cost. `node:net` and `thread pool`
 * are Holdfast with its sockets or its io_uring exchanged for Node's: the reason why it has its own.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Text, text } from '../src/base/index.ts';
import { type Bench, type BenchOptions, median, type Row } from './bench.ts';
import { type Figures, fio, type Load } from './exports/fio.ts';
import { Server, type ServerKind } from './exports/servers.ts';

const MIB = 1 << 20;
const FILE_BYTES = 256 * MIB;
const RUNS = 5;
const SECONDS = 3;

const kilo = (n: number): string => `${n / 1024} KiB`;
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

const nameOf = (l: Load): Text => {
  const write = l.rw.endsWith('write');
  return text(
    `${kilo(l.block)} ${write ? 'write' : 'read'}, ${l.depth} deep`,
    `${kilo(l.block)} ${write ? '写' : '读'}，深度 ${l.depth}`,
  );
};

type Measured = Figures & { readonly cpu: number };
async function measure(server: Server, load: Load): Promise<Measured> {
  const before = server.cpu();
  const figures = await fio(server.uri, load);
  return { ...figures, cpu: (server.cpu() - before) / figures.requests };
}

type Figure = { readonly of: (m: Measured) => number; readonly words: Text; readonly unit: string };
const FIGURES: readonly Figure[] = [
  { of: (m) => m.cpu, words: text('CPU', 'CPU'), unit: 'us' },
  { of: (m) => m.p50us, words: text('p50', 'p50'), unit: 'us' },
  { of: (m) => m.iops, words: text('IOPS', 'IOPS'), unit: '/s' },
];

async function* rows(o: BenchOptions, folder: string): AsyncIterable<Row> {
  const ours = 'holdfast' satisfies ServerKind;
  const kinds: readonly ServerKind[] = [ours, ...PEERS];
  const servers = new Map<ServerKind, Server>();
  try {
    for (const kind of kinds) {
      // A file for each: what one leaves in the page cache, the others would have to drive out. Written past it, likewise.
      const file = join(folder, `${kind.replace(/\W/g, '-')}.disk`);
      execFileSync('dd', [
        'if=/dev/zero',
        `of=${file}`,
        'bs=1M',
        `count=${FILE_BYTES / MIB}`,
        'oflag=direct',
        'status=none',
      ]);
      servers.set(kind, await Server.start(kind, file, folder));
    }
    for (const load of WORKS) {
      const name = nameOf(load);
      if (o.only !== undefined && !name.en.includes(o.only)) continue;
      const samples = new Map<ServerKind, Measured[]>(kinds.map((k) => [k, []]));
      for (let run = 0; run <= (o.runs ?? RUNS); run++) {
        for (const kind of kinds) {
          o.progress(text(`${name.en}: ${kind}, run ${run}`, `${name.zh}：${kind}，第 ${run} 次`));
          const measured = await measure(servers.get(kind) as Server, load);
          // The first warms the compiler and the caches of each.
          if (run > 0) samples.get(kind)?.push(measured);
        }
      }
      for (const peer of PEERS)
        for (const f of FIGURES) yield row(name, peer, f, samples.get(ours) ?? [], samples.get(peer) ?? []);
    }
  } finally {
    for (const s of servers.values()) await s.stop();
  }
}

function row(name: Text, peer: string, f: Figure, ours: readonly Measured[], theirs: readonly Measured[]): Row {
  const a = ours.map(f.of);
  const b = theirs.map(f.of);
  return {
    work: text(`${name.en}: ${f.words.en} (${peer})`, `${name.zh}：${f.words.zh}（${peer}）`),
    ours: median(a),
    peer: median(b),
    unit: f.unit,
    runs: a.length,
    samples: { ours: a, peer: b },
  };
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
