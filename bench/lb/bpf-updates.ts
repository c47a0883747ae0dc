/** What a change costs the bpf plane alone, among ten thousand services of ten servers, each with servers of its own. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Text, text } from '../../src/base/index.ts';
import { type BenchOptions, median, type Row } from '../bench.ts';
import { nodeAsDaemon } from '../shared/node.ts';
import type { BpfUpdateLoad, BpfUpdateTimes } from './bpf-updates-main.ts';

const LOAD: BpfUpdateLoad = { services: 10_000, servers: 10, changes: 50 };
const RUNS = 3;

/** Namespaces of its own, with a device for direct routing, that end with the process. */
async function measure(): Promise<BpfUpdateTimes> {
  const setup = [
    'mount -t tmpfs tmpfs /run',
    'ip link set lo up',
    'ip link add e0 type veth peer name e1',
    'ip link set e0 up',
    'ip link set e1 up',
    'ip address add 10.0.0.254/16 dev e0',
    'exec "$@"',
  ].join(' && ');
  const main = nodeAsDaemon(join(import.meta.dirname, 'bpf-updates-main.ts'), JSON.stringify(LOAD));
  const argv = ['--net', '--mount', '--kill-child', '--fork', 'sh', '-c', setup, 'sh', ...main];
  const { stdout } = await promisify(execFile)('unshare', argv, { maxBuffer: 64 << 20 });
  return JSON.parse(stdout) as BpfUpdateTimes;
}

const figures: readonly { readonly title: Text; readonly of: (t: BpfUpdateTimes) => readonly number[] }[] = [
  { title: text('load', '装载'), of: (t) => [t.load.wall] },
  { title: text('load, CPU', '装载，CPU'), of: (t) => [t.load.cpu] },
  { title: text('a weight', '修改一个权重'), of: (t) => t.weight.wall },
  { title: text('a weight, CPU', '修改一个权重，CPU'), of: (t) => t.weight.cpu },
  { title: text('one service more', '增加一个服务'), of: (t) => t.service.wall },
  { title: text('one service more, CPU', '增加一个服务，CPU'), of: (t) => t.service.cpu },
  { title: text('taken over', '接管'), of: (t) => [t.adopt.wall] },
  { title: text('taken over, CPU', '接管，CPU'), of: (t) => [t.adopt.cpu] },
];

export async function* bpfUpdateRows(o: BenchOptions): AsyncGenerator<Row> {
  const [en, zh] = [`bpf, ${LOAD.services} x ${LOAD.servers}`, `bpf，${LOAD.services} × ${LOAD.servers}`];
  const rows = figures.map((f) => ({ ...f, work: text(`${en}: ${f.title.en}`, `${zh}：${f.title.zh}`) }));
  const wanted = rows.filter((r) => o.only === undefined || r.work.en.includes(o.only) || r.work.zh.includes(o.only));
  if (wanted.length === 0) return;
  const runs = o.runs ?? RUNS;
  const times: BpfUpdateTimes[] = [];
  for (let i = 0; i < runs; i++) {
    o.progress(text(`${en}, run ${i + 1}`, `${zh}，第 ${i + 1} 次`));
    times.push(await measure());
  }
  for (const w of wanted) {
    const ours = times.flatMap(w.of);
    yield { work: w.work, ours: median(ours), peer: undefined, unit: 'ms', runs, samples: { ours, peer: [] } };
  }
}
