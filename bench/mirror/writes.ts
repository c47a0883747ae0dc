/**
 * Writes of 4 KiB to a replicated disk, by protocol, against QEMU's mirror; and what they cost beside a plain export, ours
 * and those of others. All in turns within one run. Both disks are files of one machine, each node past the page cache where
 * it can (nbdkit cannot); the network is loopback. Processor time is that of both nodes together.
 */
import { join } from 'node:path';
import { text } from '../../src/base/index.ts';
import type { BenchOptions, Row } from '../bench.ts';
import { FIGURES, type Figure, figureRow, interleaved, nameOf, type Subject } from '../exports/measure.ts';
import { Server } from '../exports/servers.ts';
import { writtenDisk } from '../shared/disk.ts';
import { HoldfastPair, type Protocol } from './ours.ts';
import { QemuMirror } from './qemu.ts';
import type { Stage } from './stage.ts';

const RUNS = 5;
const SECONDS = 3;
const DISK_BYTES = 256 << 20;
/** Beside the data. */
const METADATA_BYTES = 1 << 20;
const PROTOCOLS: readonly Protocol[] = ['C', 'B', 'A'];
const PLAIN = ['holdfast', 'qemu-nbd', 'nbdkit'] as const;
const QEMU = 'qemu mirror';

export async function* writeRows(stage: Stage, o: BenchOptions): AsyncIterable<Row> {
  const loads = [32, 1].map((depth) => ({ rw: 'randwrite', block: 4096, depth, seconds: SECONDS }) as const);
  const wanted = loads.filter((l) => o.only === undefined || nameOf(l).en.includes(o.only));
  if (wanted.length === 0) return;
  const subjects = new Map<string, Subject>();
  const disk = (name: string, more = 0): string => writtenDisk(join(stage.folder, `${name}.disk`), DISK_BYTES + more);
  try {
    for (const p of PROTOCOLS) {
      o.progress(text(`first copy of the pair with protocol ${p}`, `协议 ${p} 的首次复制`));
      const name = `r${p}`;
      const disks = { alfa: disk(`${name}-alfa`, METADATA_BYTES), bravo: disk(`${name}-bravo`, METADATA_BYTES) };
      const pair = await HoldfastPair.start(stage, {
        name,
        protocol: p,
        disks,
        disk: 'c-plan-ahead 0; resync-rate 1G;',
      });
      subjects.set(p, pair);
      await pair.copyAll();
    }
    const disks = { alfa: disk('qemu-alfa'), bravo: disk('qemu-bravo') };
    subjects.set(QEMU, await QemuMirror.start(stage, { name: 'qemu', disks }));
    for (const kind of PLAIN) subjects.set(kind, await Server.start(kind, disk(`plain-${kind}`), stage.folder));
    for (const load of wanted) {
      const name = nameOf(load);
      const samples = await interleaved(subjects, load, o, RUNS);
      const of = (k: string) => samples.get(k) ?? [];
      for (const p of PROTOCOLS)
        for (const f of FIGURES) yield figureRow(`${name.en}, ${p}:`, `${name.zh}，${p}：`, QEMU, f, of(p), of(QEMU));
      // The goal is told as a ratio: 30 us where a plain write of qemu-nbd takes 14, that is 2.15 times.
      const [cpu] = FIGURES as readonly [Figure];
      const goal = text('must be at most 2.15 times', '须不超过 2.15 倍');
      const row = figureRow(`${name.en}, C:`, `${name.zh}，C：`, 'plain qemu-nbd', cpu, of('C'), of('qemu-nbd'));
      yield load.depth === 32 ? { ...row, note: goal } : row;
      for (const peer of PLAIN.slice(1))
        for (const f of FIGURES)
          yield figureRow(`${name.en}, plain:`, `${name.zh}，普通导出：`, peer, f, of('holdfast'), of(peer));
    }
  } finally {
    for (const s of subjects.values()) await s.stop();
  }
}
