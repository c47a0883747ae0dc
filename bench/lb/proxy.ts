/**
 * The TCP proxy beside HAProxy in TCP mode, and the server asked directly: requests per second of wrk, a second of each in
 * turns, so that whatever else the machine does meets all three. With it what a request costs in the director's processes
 * (their own time in user space and in the kernel; not what the kernel does for them on other processors).
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type Text, text } from '../../src/base/index.ts';
import { type BenchOptions, formatFigure, median, type Row } from '../bench.ts';
import { type Mode, modes, readWrk, Stage, type Way, ways } from './stage.ts';

const RUNS = 3;
/** Of each way, a second each, in every run. */
const SLICES = 6;
const CONNECTIONS = 64;
const names = ['direct', 'proxy', 'HAProxy TCP'] as const;
type Name = (typeof names)[number];

/** Microseconds. */
type Cost = { readonly user: number; readonly system: number };
type Slice = { readonly perSecond: number; readonly cost: Cost };
type Measured = Readonly<Record<Name, Slice[]>>;
const TICK_US = 10_000; // USER_HZ is 100 on every Linux

/** All processes in the network namespace of the director. */
function processesOf(stage: Stage): readonly string[] {
  const namespace = (pid: string): string | undefined => {
    try {
      return readlinkSync(`/proc/${pid}/ns/net`);
    } catch {
      return undefined; // it ended
    }
  };
  const wanted = namespace(String(stage.lab.host('d1').pid));
  return readdirSync('/proc').filter((p) => /^\d+$/.test(p) && namespace(p) === wanted);
}
function spent(pids: readonly string[]): Cost {
  let [user, system] = [0, 0];
  for (const pid of pids) {
    let stat: string;
    try {
      stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    } catch {
      continue;
    }
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    user += Number(fields[11]) * TICK_US;
    system += Number(fields[12]) * TICK_US;
  }
  return { user, system };
}

async function ask(stage: Stage, more: readonly string[], director: boolean): Promise<Slice> {
  const pids = director ? processesOf(stage) : [];
  const before = spent(pids);
  const wrk = ['wrk', '-t', '1', '-c', `${CONNECTIONS}`, '-d', '1s', ...more, stage.url];
  const { stdout, stderr } = await stage.lab.host('client').run(wrk);
  const after = spent(pids);
  const { perSecond } = readWrk(stdout + stderr);
  const of = (kind: keyof Cost): number => (after[kind] - before[kind]) / perSecond;
  return { perSecond, cost: { user: of('user'), system: of('system') } };
}
const wayOf = (name: Name): Way => ways.find((w) => w.name === name) as Way;

/** One run on fresh hosts, by mode. */
async function once(wanted: readonly Mode[]): Promise<readonly Measured[]> {
  await using direct = await Stage.start({ way: wayOf('direct'), servers: 1, directors: 1 });
  await using proxy = await Stage.start({ way: wayOf('proxy'), servers: 1, directors: 1 });
  await using peer = await Stage.start({ way: wayOf('HAProxy TCP'), servers: 1, directors: 1 });
  const stages: Readonly<Record<Name, Stage>> = { direct, proxy, 'HAProxy TCP': peer };
  const out: Measured[] = [];
  for (const mode of wanted) {
    const measured: Measured = { direct: [], proxy: [], 'HAProxy TCP': [] };
    for (let i = 0; i <= SLICES; i++)
      for (const name of names) {
        const slice = await ask(stages[name], mode.argv, name !== 'direct');
        if (i > 0) measured[name].push(slice); // the first is not counted
      }
    out.push(measured);
  }
  return out;
}

const works = (m: Mode): { readonly direct: Text; readonly peer: Text } => ({
  direct: text(`${m.name.en}: proxy`, `${m.name.zh}：proxy`),
  peer: text(`${m.name.en}: proxy, peer HAProxy TCP`, `${m.name.zh}：proxy，对照 HAProxy TCP`),
});

export async function* proxyRows(o: BenchOptions): AsyncGenerator<Row> {
  const fits = (t: Text): boolean => o.only === undefined || t.en.includes(o.only) || t.zh.includes(o.only);
  const wanted = modes.filter((m) => fits(works(m).direct) || fits(works(m).peer));
  if (wanted.length === 0) return;
  const runs = o.runs ?? RUNS;
  const all: (readonly Measured[])[] = [];
  for (let r = 0; r < runs; r++) {
    o.progress(text(`proxy and HAProxy TCP, run ${r + 1} of ${runs}`, `proxy 与 HAProxy TCP，第 ${r + 1}/${runs} 次`));
    all.push(await once(wanted));
  }
  for (const [i, m] of wanted.entries()) {
    const of = (name: Name): readonly Slice[] => all.flatMap((x) => x[i]?.[name] ?? []);
    const rates = (name: Name): readonly number[] => of(name).map((s) => s.perSecond);
    const rate = (name: Name): number => median(rates(name)) ?? 0;
    const share = (name: Name): number => Math.round((100 * rate(name)) / rate('direct'));
    const cost = (name: Name): Text => {
      const [user, system] = (['user', 'system'] as const).map((k) => median(of(name).map((s) => s.cost[k])) ?? 0);
      const figures = [formatFigure(user), formatFigure(system)] as const;
      return text(
        `${figures[0]} us in user space and ${figures[1]} in the kernel for a request`,
        `每请求用户态 ${figures[0]} 微秒、内核 ${figures[1]} 微秒`,
      );
    };
    const row = (work: Text, peer: Name, note: Text): Row => ({
      work,
      ours: rate('proxy'),
      peer: rate(peer),
      unit: '1/s',
      runs,
      samples: { ours: rates('proxy'), peer: rates(peer) },
      note,
    });
    const theirs = cost('HAProxy TCP');
    const note = text(
      `HAProxy: ${share('HAProxy TCP')} % of direct; ${theirs.en}`,
      `HAProxy：直连的 ${share('HAProxy TCP')}%；${theirs.zh}`,
    );
    yield row(works(m).direct, 'direct', cost('proxy'));
    yield row(works(m).peer, 'HAProxy TCP', note);
  }
}
