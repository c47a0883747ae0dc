/** What a change costs: ten thousand services put at once, one of them changed, and taken over by another process. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Text, text } from '../../src/base/index.ts';
import { type BenchOptions, median, type Row } from '../bench.ts';
import { nodeAsDaemon } from '../shared/node.ts';
import type { UpdateLoad, UpdateTimes } from './updates-main.ts';

const SERVICES = 10_000;
/** Direct routing hashes: each service has seats for its servers. */
const LOADS: readonly Omit<UpdateLoad, 'services' | 'changes'>[] = [
  { method: 'nat', servers: 3 },
  { method: 'direct-routing', servers: 3 },
  { method: 'direct-routing', servers: 10 },
];
const CHANGES = 50;
const RUNS = 3;

/** A namespace of its own, with a device for direct routing, that ends with the process. */
async function measure(load: UpdateLoad): Promise<UpdateTimes> {
  const setup = [
    'ip link set lo up',
    'ip link add e0 type veth peer name e1',
    'ip link set e0 up',
    'ip link set e1 up',
    'ip address add 10.0.0.254/16 dev e0',
    'exec "$@"',
  ].join(' && ');
  const main = nodeAsDaemon(join(import.meta.dirname, 'updates-main.ts'), JSON.stringify(load));
  const argv = ['--net', '--kill-child', '--fork', 'sh', '-c', setup, 'sh', ...main];
  const { stdout } = await promisify(execFile)('unshare', argv, { maxBuffer: 64 << 20 });
  return JSON.parse(stdout) as UpdateTimes;
}

type Figure = {
  readonly title: Text;
  readonly of: (t: UpdateTimes) => { readonly ours: readonly number[]; readonly peer: readonly number[] };
};
const figures: readonly Figure[] = [
  { title: text('load', '装载'), of: (t) => ({ ours: [t.load.ours], peer: [t.load.peer] }) },
  { title: text('load, CPU', '装载，CPU'), of: (t) => ({ ours: [t.load.cpu], peer: [] }) },
  { title: text('a weight', '修改一个权重'), of: (t) => t.weight },
  { title: text('one service more', '增加一个服务'), of: (t) => t.service },
  { title: text('taken over', '接管'), of: (t) => ({ ours: [t.adopt], peer: [] }) },
];

export async function* updateRows(o: BenchOptions): AsyncGenerator<Row> {
  for (const load of LOADS) {
    const mode = load.method === 'nat' ? 'NAT' : 'DR';
    const [en, zh] = [`nft ${mode}, ${SERVICES} x ${load.servers}`, `nft ${mode}，${SERVICES} × ${load.servers}`];
    const rows = figures.map((f) => ({ ...f, work: text(`${en}: ${f.title.en}`, `${zh}：${f.title.zh}`) }));
    const wanted = rows.filter((r) => o.only === undefined || r.work.en.includes(o.only) || r.work.zh.includes(o.only));
    if (wanted.length === 0) continue;
    const runs = o.runs ?? RUNS;
    const times: UpdateTimes[] = [];
    for (let i = 0; i < runs; i++) {
      o.progress(text(`${en}, run ${i + 1}`, `${zh}，第 ${i + 1} 次`));
      times.push(await measure({ ...load, services: SERVICES, changes: CHANGES }));
    }
    for (const w of wanted) {
      const samples = { ours: times.flatMap((t) => w.of(t).ours), peer: times.flatMap((t) => w.of(t).peer) };
      yield { work: w.work, ours: median(samples.ours), peer: median(samples.peer), unit: 'ms', runs, samples };
    }
  }
}
