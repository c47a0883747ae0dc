/**
 * What many health checks cost, and whether they hold their intervals: 5,000 of each kind, one a second each, in one
 * process. The servers are addresses of 127.0.0.0/8 behind one nginx. keepalived's checkers do not run without ip_vs.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Text, text } from '../../src/base/index.ts';
import { type BenchOptions, median, type Row } from '../bench.ts';
import { nodeAsDaemon } from '../shared/node.ts';
import type { CheckCost, CheckLoad } from './checks-main.ts';

const CHECKS = 5000;
const WINDOW_S = 20;
const PORT = 18_080;
const KINDS = ['tcp', 'http'] as const;

const nginxConf = (folder: string): string => `
daemon off; worker_processes 1; pid ${folder}/pid; error_log /dev/null;
events { worker_connections 20000; }
http { access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f;
  uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  server { listen ${PORT} backlog=8192; location / { return 200 "ok"; } } }
`;

async function reachable(): Promise<void> {
  for (let i = 0; i < 100; i++) {
    const up = await new Promise<boolean>((resolve) => {
      const s = connect(PORT, '127.0.0.1');
      s.on('connect', () => resolve(true)).on('error', () => resolve(false));
      s.on('connect', () => s.destroy());
    });
    if (up) return;
    await sleep(50);
  }
  throw new Error('nginx does not answer');
}

async function measure(load: CheckLoad): Promise<CheckCost> {
  const script = join(import.meta.dirname, 'checks-main.ts');
  const [node = '', ...argv] = nodeAsDaemon(script, JSON.stringify(load));
  const { stdout } = await promisify(execFile)(node, argv);
  return JSON.parse(stdout) as CheckCost;
}

const FIGURES: readonly { readonly title: Text; readonly unit: string; readonly of: (c: CheckCost) => number }[] = [
  { title: text('processor', '处理器'), unit: '% core', of: (c) => c.cpu },
  { title: text('attempts in a second', '每秒尝试次数'), unit: '1/s', of: (c) => c.rate },
  { title: text('late, 99 of 100', '延迟启动，99%'), unit: 'ms', of: (c) => c.late.p99 },
  { title: text('late, the latest', '延迟启动，最大'), unit: 'ms', of: (c) => c.late.max },
  { title: text('memory, RSS', '内存，RSS'), unit: 'MiB', of: (c) => c.rss },
];

export async function* checkRows(o: BenchOptions): AsyncGenerator<Row> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-checks-'));
  writeFileSync(join(folder, 'nginx.conf'), nginxConf(folder));
  let nginx: ChildProcess | undefined;
  try {
    for (const kind of KINDS) {
      const name = `${CHECKS} x 1 s, ${kind.toUpperCase()}`;
      const rows = FIGURES.map((f) => ({ ...f, work: text(`${name}: ${f.title.en}`, `${name}：${f.title.zh}`) }));
      const wanted = rows.filter((r) => o.only === undefined || r.work.en.includes(o.only));
      if (wanted.length === 0) continue;
      if (!nginx) {
        nginx = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], { stdio: 'ignore' });
        await reachable();
      }
      o.progress(text(name, name));
      const runs = o.runs ?? 1;
      const costs: CheckCost[] = [];
      for (let i = 0; i < runs; i++) costs.push(await measure({ kind, checks: CHECKS, port: PORT, seconds: WINDOW_S }));
      const failures = costs.reduce((sum, c) => sum + c.failures, 0);
      for (const r of wanted) {
        const ours = costs.map(r.of);
        yield {
          work: r.work,
          ours: median(ours),
          peer: undefined,
          unit: r.unit,
          runs,
          samples: { ours, peer: [] },
          note: text(
            `keepalived's checkers need ip_vs; ${failures} attempts failed`,
            `keepalived 的检查进程需要 ip_vs；失败 ${failures} 次`,
          ),
        };
      }
    }
  } finally {
    nginx?.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}
