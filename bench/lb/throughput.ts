/**
 * Requests per second of wrk against one nginx behind each way, and asked directly: slice by slice in turns, so that
 * whatever else the machine does meets both. Every run is on fresh hosts. The ratio is what is left of the direct way.
 */
import { type Text, text } from '../../src/base/index.ts';
import { type BenchOptions, median, type Row } from '../bench.ts';
import { hasIpvs, modes, readWrk, Stage, type Way, ways } from './stage.ts';

const RUNS = 3;
const CONNECTIONS = 64;
/** Of each side, a second each, in every run. */
const SLICES = 4;
/** Requests per second of every slice. */
type Sides = { readonly way: number[]; readonly direct: number[] };

async function ask(stage: Stage, more: readonly string[]): Promise<number> {
  const wrk = ['wrk', '-t', '1', '-c', `${CONNECTIONS}`, '-d', '1s', ...more, stage.url];
  const { stdout, stderr } = await stage.lab.host('client').run(wrk);
  return readWrk(stdout + stderr).perSecond;
}

/** One run, by mode. */
async function once(way: Way, straight: Way): Promise<readonly Sides[]> {
  await using behind = await Stage.start({ way, servers: 1, directors: 1 });
  await using direct = await Stage.start({ way: straight, servers: 1, directors: 1 });
  const out: Sides[] = [];
  for (const m of modes) {
    const sides: Sides = { way: [], direct: [] };
    for (const stage of [behind, direct]) await ask(stage, m.argv); // not counted
    for (let i = 0; i < SLICES; i++) {
      sides.way.push(await ask(behind, m.argv));
      sides.direct.push(await ask(direct, m.argv));
    }
    out.push(sides);
  }
  return out;
}

const workOf = (mode: Text, way: Way): Text => text(`${mode.en}: ${way.name}`, `${mode.zh}：${way.name}`);
const fits = (work: Text, only: string | undefined): boolean =>
  only === undefined || work.en.includes(only) || work.zh.includes(only);
const isPeer = (w: Way): boolean => w.name === 'keepalived IPVS DR';
/** They have a comparison of their own: proxy.ts. */
const isProxy = (w: Way): boolean => w.mode === 'proxy';

export async function* throughputRows(o: BenchOptions): AsyncGenerator<Row> {
  const straight = ways.find((w) => w.name === 'direct') as Way;
  for (const way of ways) {
    if (way === straight || isProxy(way) || !modes.some((m) => fits(workOf(m.name, way), o.only))) continue;
    const here = hasIpvs || way.name !== 'keepalived IPVS DR';
    const runs = here ? (o.runs ?? RUNS) : 0;
    const all: (readonly Sides[])[] = [];
    for (let r = 0; r < runs; r++) {
      o.progress(text(`${way.name}, run ${r + 1} of ${runs}`, `${way.name}，第 ${r + 1}/${runs} 次`));
      all.push(await once(way, straight));
    }
    for (const [i, m] of modes.entries()) {
      const work = workOf(m.name, way);
      if (!fits(work, o.only)) continue;
      const of = (side: keyof Sides): number[] => all.flatMap((x) => x[i]?.[side] ?? []);
      const [theirs, direct] = [of('way'), of('direct')];
      const row = { work, unit: '1/s', runs };
      if (!here)
        yield {
          ...row,
          ours: undefined,
          peer: undefined,
          note: text('not here: no ip_vs', '此处没有：内核缺少 ip_vs'),
        };
      else if (isPeer(way)) {
        const share = Math.round((100 * (median(theirs) ?? 0)) / (median(direct) ?? 1));
        const note = text(`the peer's own figure: ${share} % of direct`, `对照自身：直连的 ${share}%`);
        yield { ...row, ours: undefined, peer: median(theirs), samples: { ours: [], peer: theirs }, note };
      } else yield { ...row, ours: median(theirs), peer: median(direct), samples: { ours: theirs, peer: direct } };
    }
  }
}
