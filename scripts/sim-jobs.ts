/**
 * Many worlds by several processes. Seeds are handed out in order; what is told depends on the seeds alone, not on who ran
 * which: sums, and the broken worlds by seed. Without `all`, no seed above the lowest broken one is begun any more.
 */
import { fork } from 'node:child_process';
import { type Outcome, SIMULATIONS } from '../src/sim/index.ts';

/** What a process tells of one world. */
export type WorldReport = {
  readonly seed: number;
  readonly events: number;
  readonly counts: Readonly<Record<string, number>>;
  /** Of a broken one, with the last lines of what happened. */
  readonly broken?: { readonly failure: string; readonly options: string; readonly trace: string };
};
export type Batch = { readonly part: string; readonly seeds: readonly number[] };
export type Totals = {
  worlds: number;
  events: number;
  readonly counts: Record<string, number>;
  readonly broken: WorldReport[];
};

const TRACE_LINES = 30;
/** Worlds of a batch at most: enough that handing out costs nothing, and few enough that all processes end together. */
const BATCH = 16;

export function reportOf(o: Outcome): WorldReport {
  const { seed, events, counts, failure, options } = o;
  if (failure === undefined) return { seed, events, counts };
  return { seed, events, counts, broken: { failure, options, trace: o.trace(TRACE_LINES) } };
}
export function simulate(part: string, seed: number): WorldReport {
  const run = SIMULATIONS[part];
  if (run === undefined) throw new Error(`bug: no part ${part}`);
  return reportOf(run(seed));
}

export async function runSeeds(
  part: string,
  [first, last]: readonly [number, number],
  o: { readonly jobs: number; readonly all: boolean; readonly heard: (r: WorldReport, worlds: number) => void },
): Promise<Totals> {
  const reports = new Map<number, WorldReport>();
  let next = first;
  let lowest = last;
  const hear = (r: WorldReport): void => {
    reports.set(r.seed, r);
    if (r.broken !== undefined && !o.all) lowest = Math.min(lowest, r.seed);
    o.heard(r, reports.size);
  };
  const size = Math.max(1, Math.min(BATCH, Math.ceil((last - first + 1) / (o.jobs * 8))));
  const batch = (): readonly number[] => {
    const seeds: number[] = [];
    while (seeds.length < size && next <= lowest) seeds.push(next++);
    return seeds;
  };
  if (o.jobs === 1) for (; next <= lowest; next++) hear(simulate(part, next));
  else await Promise.all(Array.from({ length: o.jobs }, () => work(part, batch, hear)));

  const totals: Totals = { worlds: 0, events: 0, counts: {}, broken: [] };
  for (const r of [...reports.values()].sort((a, b) => a.seed - b.seed)) {
    if (r.seed > lowest) break;
    totals.worlds++;
    totals.events += r.events;
    for (const [name, n] of Object.entries(r.counts)) totals.counts[name] = (totals.counts[name] ?? 0) + n;
    if (r.broken !== undefined) totals.broken.push(r);
  }
  return totals;
}
/** One process: it dies with this one, since its channel closes. */
function work(part: string, batch: () => readonly number[], hear: (r: WorldReport) => void): Promise<void> {
  return new Promise((ended, failed) => {
    const child = fork(new URL('sim-worker.ts', import.meta.url), { execArgv: [] });
    let over = false;
    const give = (): void => {
      const seeds = batch();
      over = seeds.length === 0;
      if (over) child.disconnect();
      else child.send({ part, seeds } satisfies Batch);
    };
    child.on('message', (m: WorldReport | 'done') => (m === 'done' ? give() : hear(m)));
    child.on('error', failed);
    child.on('exit', (code, signal) =>
      over ? ended() : failed(new Error(`a simulating process ended with ${signal ?? code}`)),
    );
    give();
  });
}
