/**
 * Requests per second of wrk against one nginx behind each way: the same client, server and page, in turns, every run on
 * fresh hosts. The peer of each row is the server asked directly, so that the ratio is what is left of it.
 */
import { type Text, text } from '../../src/base/index.ts';
import { type BenchOptions, median, type Row } from '../bench.ts';
import { hasIpvs, readWrk, Stage, type Way, ways } from './stage.ts';

const RUNS = 5;
const CONNECTIONS = 64;
const SECONDS = 3;
const modes = [
  { name: text('keep-alive', '长连接'), argv: [] },
  { name: text('one connection per request', '每请求一个连接'), argv: ['-H', 'Connection: close'] },
] as const;
type Figures = readonly number[];

/** Requests per second, by mode. */
async function once(way: Way): Promise<Figures> {
  await using stage = await Stage.start({ way, servers: 1, directors: 1 });
  const out: number[] = [];
  for (const m of modes) {
    const wrk = ['wrk', '-t', '1', '-c', `${CONNECTIONS}`, ...m.argv];
    await stage.lab.host('client').run([...wrk, '-d', '1s', stage.url]);
    const { stdout, stderr } = await stage.lab.host('client').run([...wrk, '-d', `${SECONDS}s`, stage.url]);
    out.push(readWrk(stdout + stderr).perSecond);
  }
  return out;
}

const workOf = (mode: Text, way: Way): Text => text(`${mode.en}: ${way.name}`, `${mode.zh}：${way.name}`);
const fits = (work: Text, only: string | undefined): boolean =>
  only === undefined || work.en.includes(only) || work.zh.includes(only);
const isPeer = (w: Way): boolean => w.name === 'HAProxy TCP' || w.name === 'keepalived IPVS DR';

export async function* throughputRows(o: BenchOptions): AsyncGenerator<Row> {
  const runs = o.runs ?? RUNS;
  const asked = ways.filter((w) => w.name !== 'direct' && modes.some((m) => fits(workOf(m.name, w), o.only)));
  if (asked.length === 0) return;
  const taking = ways.filter((w) => w.name === 'direct' || (asked.includes(w) && (hasIpvs || !needsIpvs(w))));
  const figures = new Map<Way, Figures[]>(taking.map((w) => [w, []]));
  for (let r = 0; r < runs; r++)
    // Who goes first changes from run to run.
    for (const way of r % 2 === 0 ? taking : taking.toReversed()) {
      o.progress(text(`${way.name}, run ${r + 1} of ${runs}`, `${way.name}，第 ${r + 1}/${runs} 次`));
      figures.get(way)?.push(await once(way));
    }
  const direct = figures.get(taking[0] as Way) ?? [];
  for (const [i, m] of modes.entries())
    for (const way of asked) {
      const work = workOf(m.name, way);
      if (!fits(work, o.only)) continue;
      const of = (f: readonly Figures[]): number[] => f.map((x) => x[i] as number);
      const [theirs, straight] = [of(figures.get(way) ?? []), of(direct)];
      const row = { work, unit: '1/s', runs: theirs.length };
      if (!figures.has(way))
        yield {
          ...row,
          ours: undefined,
          peer: undefined,
          note: text('not here: no ip_vs', '此处没有：内核缺少 ip_vs'),
        };
      else if (isPeer(way)) {
        const share = Math.round((100 * (median(theirs) ?? 0)) / (median(straight) ?? 1));
        const note = text(`the peer's own figure: ${share} % of direct`, `对照自身：直连的 ${share}%`);
        yield { ...row, ours: undefined, peer: median(theirs), samples: { ours: [], peer: theirs }, note };
      } else yield { ...row, ours: median(theirs), peer: median(straight), samples: { ours: theirs, peer: straight } };
    }
}
const needsIpvs = (w: Way): boolean => w.name === 'keepalived IPVS DR';
