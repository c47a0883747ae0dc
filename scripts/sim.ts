/**
 * Worlds from seeds: `npm run sim -- vrrp --seeds 10000` runs many, on all processors, `npm run sim -- vrrp --seed 7` one with
 * its trace. Exit code 1 when a promise was broken, with the seed, what it drew, the last events and how to see it again.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { SIMULATIONS } from '../src/sim/index.ts';
import { reportOf, runSeeds, type Totals, type WorldReport } from './sim-jobs.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    all: { type: 'boolean', default: false },
  },
});
const part = positionals[0] ?? '';
const run = SIMULATIONS[part];
const usage = `usage: npm run sim -- PART [--seeds N [--from N] [--jobs N] [--all] | --seed N]
parts: ${Object.keys(SIMULATIONS).join(' ')}
--jobs: processes, as many as there are processors unless told otherwise; --all: goes on after a broken promise
`;
const count = Number(values.seeds ?? 1000);
const first = Number(values.seed ?? values.from);
const jobs = Number(values.jobs);
const whole = [count, first, jobs].every(Number.isSafeInteger);
if (!run || !whole || count < 1 || jobs < 1) {
  process.stderr.write(usage);
  process.exit(2);
}

const tellBroken = (r: WorldReport): void => {
  const { failure, options, trace } = r.broken as NonNullable<WorldReport['broken']>;
  process.stdout.write(
    `\nseed ${r.seed}: ${failure}\n\ndrawn: ${options}\n\nthe last events:\n${trace}\n\nsee it again: npm run sim -- ${part} --seed ${r.seed}\n`,
  );
};
const started = performance.now();
const tellKept = ({ worlds, events, counts, broken }: Totals): void => {
  const seconds = (performance.now() - started) / 1000;
  const counted = Object.entries(counts).map(([name, n]) => `, ${n} ${name}`);
  const words =
    broken.length === 0
      ? `${worlds} ${worlds === 1 ? 'world' : 'worlds'} of ${part} kept every promise`
      : `\n${broken.length} of ${worlds} worlds of ${part} broke a promise: ${broken.map((r) => r.seed).join(' ')}`;
  process.stdout.write(`${words}: ${events} events${counted.join('')} in ${seconds.toFixed(1)} s\n`);
};
if (values.seed !== undefined) {
  const outcome = run(first);
  if (outcome.failure !== undefined) tellBroken(reportOf(outcome));
  else process.stdout.write(`drawn: ${outcome.options}\n\n${outcome.trace(400)}\n\n`);
  if (outcome.failure !== undefined) process.exit(1);
  tellKept({ worlds: 1, events: outcome.events, counts: outcome.counts, broken: [] });
  process.exit(0);
}
const last = first + count - 1;
let shown = started;
const heard = (r: WorldReport, worlds: number): void => {
  if (values.all && r.broken !== undefined)
    process.stderr.write(`seed ${r.seed}: ${r.broken.failure.split('\n')[0]}\n`);
  if (performance.now() - shown < 2000) return;
  shown = performance.now();
  const rate = Math.round((worlds * 1000) / (shown - started));
  process.stderr.write(`${worlds} of ${last - first + 1} worlds, ${rate} a second\n`);
};
const totals = await runSeeds(part, [first, last], { jobs: Math.min(jobs, last - first + 1), all: values.all, heard });
for (const r of totals.broken) tellBroken(r);
if (totals.broken.length > 0 && !values.all) process.exit(1);
tellKept(totals);
if (totals.broken.length > 0) process.exit(1);
