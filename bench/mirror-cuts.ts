/**
 * `npm run bench -- mirror-cuts --runs 50`: live power cuts of the primary under a verified writer, one row when all are done.
 * The number is how many acknowledged writes were lost.
 */
import { join } from 'node:path';
import { Random, text } from '../src/base/index.ts';
import { MirrorPair } from '../src/lab/index.ts';
import { Cuts } from '../test/support/mirror-cuts.ts';
import { begin, FAST, MIB } from '../test/support/mirror-pair.ts';
import type { Bench } from './bench.ts';

const ROUNDS = 50;
export const bench: Bench = {
  title: text('Mirror: power cuts of the primary under load', '镜像：负载下主节点断电'),
  peer: '-',
  async *run(o) {
    const runs = o.runs ?? ROUNDS;
    const seed = Date.now() >>> 0;
    const random = new Random(seed);
    const root = join(import.meta.dirname, '..');
    const pair = await MirrorPair.start({
      name: 'data',
      size: 64 * MIB,
      sections: FAST,
      holdfast: join(root, 'bin/holdfast'),
      folder: join(root, 'build'),
    });
    try {
      await begin(pair);
      const cuts = new Cuts(pair, () => random.unit());
      const [lost, written]: [string[], number[]] = [[], []];
      for (let i = 0; i < runs; i++) {
        const r = await cuts.round();
        lost.push(...r.lost);
        written.push(r.acknowledged);
        o.progress(
          text(
            `cut ${i + 1} of ${runs}: ${r.acknowledged} acknowledged, ${r.lost.length} lost ${r.lost[0] ?? ''}`,
            `第 ${i + 1}/${runs} 次断电：已确认 ${r.acknowledged}，丢失 ${r.lost.length} ${r.lost[0] ?? ''}`,
          ),
        );
      }
      const differ = await cuts.end();
      const all = written.reduce((a, b) => a + b, 0);
      yield {
        work: text('acknowledged writes that were lost', '丢失的已确认写入'),
        ours: lost.length,
        peer: undefined,
        unit: 'writes',
        runs,
        note: text(
          `of ${all} before ${runs} cuts (seed ${seed}); the disks are ${differ === '' ? 'equal' : `different: ${differ}`}`,
          `${runs} 次断电前共 ${all} 次写入（种子 ${seed}）；两个磁盘${differ === '' ? '一致' : `不同：${differ}`}`,
        ),
      };
    } finally {
      await pair.stop();
    }
  },
};
