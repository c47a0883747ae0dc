/**
 * What clients lose: connections that break when the active director loses its power under `wrk -c 256`, the time for
 * which new ones get no answer, packets to a server that its checks have given up, and connections of a service while
 * another one changes.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LbDocument } from '../../src/api/index.ts';
import { type Text, text } from '../../src/base/index.ts';
import { startLoad, startProbe } from '../../src/lab/index.ts';
import { type BenchOptions, median, type Row } from '../bench.ts';
import { lastRequest, refusedChecks } from './packets-to-server.ts';
import { bin, confOf, hasIpvs, readWrk, Stage, serverAddress, VIP, type Way, ways } from './stage.ts';

const RUNS = 3;
const CONNECTIONS = 256;
const fits = (work: Text, only: string | undefined): boolean =>
  only === undefined || work.en.includes(only) || work.zh.includes(only);

// ------------------------------------------------------------------------------------------ power cut

/** wrk begins, the power goes, and it ends: seconds. A kept connection asks again after at most 6.4 s of silence. */
const [BEFORE, WHOLE] = [2, 14];
const cutWays = [
  { way: 'bpf tc', scheduler: 'wrr' },
  { way: 'nft DR', scheduler: 'wrr' },
  { way: 'nft DR', scheduler: 'sh' },
  { way: 'proxy', scheduler: 'wrr' },
  { way: 'keepalived IPVS DR', scheduler: 'wrr' },
] as const satisfies readonly { readonly way: Way['name']; readonly scheduler: string }[];
type Cut = { readonly broken: number; readonly gap: number };

const wayOf = (name: Way['name']): Way => ways.find((w) => w.name === name) as Way;

async function powerCut(way: Way, scheduler: string): Promise<Cut> {
  await using stage = await Stage.start({ way, servers: 2, directors: 2, conf: { scheduler } });
  const client = stage.lab.host('client');
  // The second director has started too, and the first has the address for good.
  await sleep(3000);
  const probe = await startProbe(client, { http: stage.url }, { intervalMs: 20, patienceMs: 2000 });
  const wrk = ['wrk', '-t', '1', '-c', `${CONNECTIONS}`, '-d', `${WHOLE}s`, '--timeout', '30s', stage.url];
  const running = client.run(wrk);
  await sleep(BEFORE * 1000);
  const cut = await stage.lab.host('d1').powerCut();
  const { stdout, stderr } = await running;
  const gap = (probe.outage(cut)?.length ?? 0) / 1000;
  await probe.stop();
  return { broken: readWrk(stdout + stderr).broken, gap };
}

async function* cutRows(o: BenchOptions): AsyncGenerator<Row> {
  for (const { way, scheduler } of cutWays) {
    const name = `${way} ${scheduler}`;
    const rows = [
      {
        work: text(`power cut: broken, ${name}`, `断电：中断的连接，${name}`),
        unit: `of ${CONNECTIONS}`,
        of: (c: Cut) => c.broken,
      },
      { work: text(`power cut: gap, ${name}`, `断电：中断时间，${name}`), unit: 'ms', of: (c: Cut) => c.gap },
    ].filter((r) => fits(r.work, o.only));
    if (rows.length === 0) continue;
    const here = way !== 'keepalived IPVS DR' || hasIpvs;
    const runs = here ? (o.runs ?? RUNS) : 0;
    const cuts: Cut[] = [];
    for (let r = 0; r < runs; r++) {
      o.progress(text(`power cut, ${name}: run ${r + 1} of ${runs}`, `断电，${name}：第 ${r + 1}/${runs} 次`));
      cuts.push(await powerCut(wayOf(way), scheduler));
    }
    for (const r of rows) {
      const values = cuts.map(r.of);
      const peer = way === 'keepalived IPVS DR';
      yield {
        work: r.work,
        ours: peer ? undefined : median(values),
        peer: peer ? median(values) : undefined,
        unit: r.unit,
        runs,
        samples: peer ? { ours: [], peer: values } : { ours: values, peer: [] },
        ...(!here && { note: text('not here: no ip_vs', '此处没有：内核缺少 ip_vs') }),
      };
    }
  }
}

// ------------------------------------------------------------------------------------------ a server's death

const RETRY = 1;
const CHECKED = { service: 'delay_loop 0.5', check: `retry ${RETRY}\n      delay_before_retry 0.2` };

/** Milliseconds from the check that gave the server up to the last new connection that reached it. */
async function death(way: Way): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-death-'));
  const file = join(folder, 's1.pcap');
  try {
    await using stage = await Stage.start({ way, servers: 2, directors: 1, conf: CHECKED });
    const capture = await stage.lab.link('s1', 'eth0').capture({ file, filter: 'tcp port 80' });
    const probe = await startProbe(stage.lab.host('client'), { http: stage.url }, { intervalMs: 5, patienceMs: 1000 });
    await sleep(1500);
    await stage.lab.host('s1').run(['sh', '-c', 'kill -TERM "$(cat /run/nginx.pid)"']);
    await sleep(3000);
    await probe.stop();
    await capture.stop();
    const packets = readFileSync(file);
    const given = refusedChecks(packets, serverAddress(1))[RETRY];
    const last = lastRequest(packets);
    if (given === undefined || last === undefined) throw new Error('the capture has no failed checks');
    return (last - given) / 1000;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function* deathRows(o: BenchOptions): AsyncGenerator<Row> {
  for (const name of ['bpf tc', 'nft DR'] as const) {
    const work = text(`dead server: last packet after, ${name}`, `服务器故障：最后一个数据包，${name}`);
    if (!fits(work, o.only)) continue;
    const runs = o.runs ?? RUNS;
    const values: number[] = [];
    for (let r = 0; r < runs; r++) {
      o.progress(
        text(`death of a server, ${name}: run ${r + 1} of ${runs}`, `服务器故障，${name}：第 ${r + 1}/${runs} 次`),
      );
      values.push(await death(wayOf(name)));
    }
    const note = text('after the check that gave it up', '从判定故障的那次检查算起');
    yield { work, ours: median(values), peer: undefined, unit: 'ms', runs, samples: { ours: values, peer: [] }, note };
  }
}

// ------------------------------------------------------------------------------------------ a reload

type Reload = { readonly broken: number; readonly longest: number };
/** Connections to one service while another one is changed by a reload. */
async function reload(way: Way): Promise<Reload> {
  const other = (weight: number): string =>
    `virtual_server ${VIP} 81 {\n  lb_algo wrr\n  lb_kind DR\n  protocol TCP\n` +
    `  real_server ${serverAddress(1)} 81 {\n    weight ${weight}\n  }\n}\n`;
  await using stage = await Stage.start({ way, servers: 2, directors: 1, conf: { more: other(1) } });
  const d = stage.lab.host('d1');
  const load = await startLoad(stage.lab.host('client'), { address: VIP, port: 80, connections: 64, pauseMs: 10 });
  d.write('/etc/keepalived/keepalived.conf', confOf({ kind: 'DR', servers: 2, more: other(2) }));
  const pid = d.read('/run/keepalived.pid')?.trim();
  if (pid === undefined) throw new Error('no pid file');
  await d.run(['kill', '-HUP', pid]);
  await sleep(3000);
  const { stdout } = await d.run([bin, 'lb', 'status', '--json']);
  const changed = (JSON.parse(stdout) as LbDocument).services.find((x) => x.key.endsWith(':81'));
  if (changed?.servers[0]?.weight !== 2) throw new Error('the reload changed nothing');
  const { broken, longest } = load.state;
  await load.stop();
  return { broken, longest: longest / 1000 };
}

async function* reloadRows(o: BenchOptions): AsyncGenerator<Row> {
  for (const name of ['bpf tc', 'nft DR'] as const) {
    const rows = [
      {
        work: text(`reload of another service: broken, ${name}`, `重载其他服务：中断，${name}`),
        unit: 'of 64',
        of: (x: Reload) => x.broken,
      },
      {
        work: text(`reload of another: longest wait, ${name}`, `重载其他服务：最长等待，${name}`),
        unit: 'ms',
        of: (x: Reload) => x.longest,
      },
    ].filter((r) => fits(r.work, o.only));
    if (rows.length === 0) continue;
    const runs = o.runs ?? RUNS;
    const all: Reload[] = [];
    for (let r = 0; r < runs; r++) {
      o.progress(text(`reload, ${name}: run ${r + 1} of ${runs}`, `重载，${name}：第 ${r + 1}/${runs} 次`));
      all.push(await reload(wayOf(name)));
    }
    for (const r of rows) {
      const values = all.map(r.of);
      yield {
        work: r.work,
        ours: median(values),
        peer: undefined,
        unit: r.unit,
        runs,
        samples: { ours: values, peer: [] },
      };
    }
  }
}

export async function* failoverRows(o: BenchOptions): AsyncGenerator<Row> {
  yield* cutRows(o);
  yield* deathRows(o);
  yield* reloadRows(o);
}
