/**
 * How fast a mirror copies itself: a first resync alone; a second one with writes of 4 KiB, 8 deep, going on; an online verify.
 * The measure is a plain copy by nbdcopy: from the one file, over TCP on the same loopback, to a qemu-nbd that writes the
 * other file past the page cache. The rate of the resync is not limited (c-plan-ahead 0).
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { MirrorRequest } from '../../src/api/index.ts';
import { bytes, text } from '../../src/base/index.ts';
import { type BenchOptions, median, type Row } from '../bench.ts';
import { fio, fioUntil, type Load } from '../exports/fio.ts';
import { Daemon } from '../shared/daemon.ts';
import { writtenDisk } from '../shared/disk.ts';
import { equal, HoldfastPair } from './ours.ts';
import { ADDRESSES, type NodeName, type Stage } from './stage.ts';

const RUNS = 3;
const MIB = 1 << 20;
/** Asking is work for the mirror too: two hundred times a second it took a tenth of what a node's process did. */
const LOOK_MS = 20;
const DISK_BYTES = 512 * MIB;
const METADATA_BYTES = MIB;
const VERIFIED_BYTES = 64 * MIB;
const WRITES: Load = { rw: 'randwrite', block: 4096, depth: 8, seconds: 3 };
const run = promisify(execFile);

type Sample = {
  /** MiB/s. */
  readonly alone: number;
  readonly busy: number;
  readonly plain: number;
  readonly verify: number;
  /** Writes a second: beside the resync, and with nothing else. */
  readonly writes: number;
  readonly writesAlone: number;
};
const rate = (ms: number): number => DISK_BYTES / MIB / (ms / 1000);

export async function* copyRows(stage: Stage, o: BenchOptions): AsyncIterable<Row> {
  const words = {
    alone: text('resync, nothing else (nbdcopy)', '仅同步（nbdcopy）'),
    busy: text('resync, writes going on (nbdcopy)', '同步并有写入（nbdcopy）'),
    writes: text('writes beside a resync (alone)', '同步时的写入（单独写入）'),
    verify: text('verify', '校验'),
  };
  if (o.only !== undefined && !Object.values(words).some((w) => w.en.includes(o.only ?? ''))) return;
  const samples: Sample[] = [];
  for (let i = 0; i <= (o.runs ?? RUNS); i++) {
    o.progress(text(`resync and verify, run ${i}`, `同步与校验，第 ${i} 次`));
    const sample = await once(stage, i);
    if (i > 0) samples.push(sample);
  }
  const row = (work: Row['work'], unit: string, ours: keyof Sample, peer?: keyof Sample): Row => {
    const a = samples.map((s) => s[ours]);
    const b = peer === undefined ? [] : samples.map((s) => s[peer]);
    return { work, ours: median(a), peer: median(b), unit, runs: a.length, samples: { ours: a, peer: b } };
  };
  yield { ...row(words.alone, 'MiB/s', 'alone', 'plain'), note: text('must be at least 0.8 times', '须不低于 0.8 倍') };
  yield { ...row(words.busy, 'MiB/s', 'busy', 'plain'), note: text('must be at least 0.8 times', '须不低于 0.8 倍') };
  yield { ...row(words.writes, '/s', 'writes', 'writesAlone'), note: text('must be at least half', '须不低于一半') };
  yield row(words.verify, 'MiB/s', 'verify');
}

async function once(stage: Stage, i: number): Promise<Sample> {
  const disk = (n: NodeName): string => writtenDisk(join(stage.folder, `copy-${n}.disk`), DISK_BYTES + METADATA_BYTES);
  const plain = await copyPlainly(stage, i, { alfa: disk('alfa'), bravo: disk('bravo') });
  const pair = await HoldfastPair.start(stage, {
    name: `copy${i}`,
    protocol: 'C',
    disks: { alfa: disk('alfa'), bravo: disk('bravo') },
    disk: 'c-plan-ahead 0; resync-rate 4G;',
    net: 'verify-alg crc32c;',
  });
  try {
    const alone = await resync(pair, { verb: 'primary', force: true });
    // The first time their code is compiled, as it is for the writes by those that are alone.
    await verified(pair);
    const verify = await verified(pair);
    const writesAlone = (await fio(pair.uri, WRITES)).iops;
    let busy = 0;
    const beside = await fioUntil(pair.uri, WRITES, async () => {
      busy = await resync(pair, { verb: 'invalidate-remote', volume: undefined });
    });
    return {
      alone: rate(alone),
      busy: rate(busy),
      plain: rate(plain),
      verify: VERIFIED_BYTES / MIB / (verify / 1000),
      writes: beside.iops,
      writesAlone,
    };
  } finally {
    await pair.stop();
  }
}
async function asked(pair: HoldfastPair, request: MirrorRequest): Promise<void> {
  const answer = await pair.alfa.ask(request);
  if (!answer.ok) throw new Error(answer.text.en);
}
/** Milliseconds that a verify took. */
async function verified(pair: HoldfastPair): Promise<number> {
  const from = performance.now();
  await asked(pair, { verb: 'verify', volume: undefined, start: bytes(0), stop: bytes(VERIFIED_BYTES) });
  await pair.alfa.until((s) => s.volumes.some((v) => v.connection === 'VerifyS'), 2);
  await pair.alfa.until(equal, LOOK_MS);
  return performance.now() - from;
}
/** Milliseconds from what starts it to two equal disks. */
async function resync(pair: HoldfastPair, start: MirrorRequest): Promise<number> {
  const from = performance.now();
  await asked(pair, start);
  await pair.alfa.until(equal, LOOK_MS);
  return performance.now() - from;
}
async function copyPlainly(stage: Stage, i: number, disks: Readonly<Record<NodeName, string>>): Promise<number> {
  const port = `${stage.port()}`;
  const pid = join(stage.folder, `copy${i}.pid`);
  const listen = ['-b', ADDRESSES.bravo, '-p', port, '-t', '-e', '8', `--pid-file=${pid}`];
  const argv = ['qemu-nbd', '-f', 'raw', ...listen, '--cache=none', '--aio=native', disks.bravo];
  const target = Daemon.start('qemu-nbd', stage.inside(argv));
  try {
    await target.serves(pid);
    const from = performance.now();
    const [program = '', ...rest] = stage.inside(['nbdcopy', disks.alfa, `nbd://${ADDRESSES.bravo}:${port}`]);
    await run(program, rest);
    return performance.now() - from;
  } finally {
    await target.stop('SIGKILL');
  }
}
