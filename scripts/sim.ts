/**
 * Worlds from seeds: `npm run sim -- vrrp --seeds 10000` runs many, `npm run sim -- vrrp --seed 7` one with its trace.
 * Exit code 1 when a promise was broken, with the seed, what it drew, the last events and how to see it again.
 */
import { parseArgs } from 'node:util';
import { SIMULATIONS } from '../src/sim/index.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seeds: { type: 'string' }, seed: { type: 'string' }, from: { type: 'string', default: '1' } },
});
const part = positionals[0] ?? '';
const run = SIMULATIONS[part];
const usage = `usage: npm run sim -- PART [--seeds N [--from N] | --seed N]\nparts: ${Object.keys(SIMULATIONS).join(' ')}\n`;
const count = Number(values.seeds ?? 1000);
const first = Number(values.seed ?? values.from);
if (!run || !Number.isSafeInteger(count) || !Number.isSafeInteger(first) || count < 1) {
  process.stderr.write(usage);
  process.exit(2);
}

const started = performance.now();
const last = values.seed === undefined ? first + count - 1 : first;
let events = 0;
let shown = started;
for (let seed = first; seed <= last; seed++) {
  const outcome = run(seed);
  events += outcome.events;
  if (outcome.failure) {
    process.stdout.write(
      `\nseed ${seed}: ${outcome.failure}\n\ndrawn: ${outcome.options}\n\nthe last events:\n${outcome.trace(30)}\n\nsee it again: npm run sim -- ${part} --seed ${seed}\n`,
    );
    process.exit(1);
  }
  if (values.seed !== undefined) process.stdout.write(`drawn: ${outcome.options}\n\n${outcome.trace(400)}\n\n`);
  if (performance.now() - shown > 2000) {
    shown = performance.now();
    const done = seed - first + 1;
    process.stderr.write(
      `${done} of ${last - first + 1} worlds, ${Math.round((done * 1000) / (shown - started))} a second\n`,
    );
  }
}
const seconds = (performance.now() - started) / 1000;
const worlds = last - first + 1;
process.stdout.write(
  `${worlds} ${worlds === 1 ? 'world' : 'worlds'} of ${part} kept every promise: ${events} events in ${seconds.toFixed(1)} s\n`,
);
