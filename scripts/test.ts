/**
 * All tests. Types and lint first; then what needs only a processor, side by side; then what meets real kernels and
 * peers, one file after the other, since those measure time and must not disturb each other; then what runs in guests,
 * side by side again: a guest has one processor and a clock of its own.
 * Arguments are files or globs to run instead: `npm test -- test/lab/lab.test.ts`.
 */
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { runAll, type Step } from './run.ts';

const root = join(import.meta.dirname, '..');
const chosen = process.argv.slice(2);
// Hostile packets for each codec; `npm run check` has time for a few thousand.
process.env['HOLDFAST_FUZZ'] ??= '1000000';
const runner = (name: string, concurrency: number, files: readonly string[]): Step => {
  const failures = join(root, `build/failed-${name.replaceAll(' ', '-')}.txt`);
  return {
    name,
    failures,
    // A test that waits for ever, or fails before it closes what it opened, is a failure with a name, not a hanging machine.
    argv: [
      process.execPath,
      '--test',
      '--test-force-exit',
      '--test-timeout=300000',
      `--test-concurrency=${concurrency}`,
      '--test-reporter=spec',
      '--test-reporter-destination=stdout',
      '--test-reporter=./scripts/failures.ts',
      `--test-reporter-destination=${failures}`,
      ...files,
    ],
  };
};
// Whatever else there is under test/ meets real hosts: a new folder is run without being named here.
const pure = ['golden', 'sim'];
const guests = 'vm';
const onHosts = readdirSync(join(root, 'test'), { withFileTypes: true })
  .filter((e) => e.isDirectory() && !pure.includes(e.name) && e.name !== guests)
  .map((e) => `test/${e.name}/*.test.ts`);
const all: readonly Step[] = [
  { name: 'types', argv: ['node_modules/.bin/tsc', '--noEmit'] },
  { name: 'lint', argv: ['node_modules/.bin/biome', 'check', '--diagnostic-level=warn', '--error-on-warnings'] },
  runner('tests of the code', availableParallelism(), [
    'src/**/*.test.ts',
    'test/*.test.ts',
    ...pure.map((folder) => `test/${folder}/*.test.ts`),
  ]),
  runner('tests on hosts', 1, onHosts),
  runner('tests in guests', availableParallelism(), [`test/${guests}/*.test.ts`]),
];
process.exitCode = await runAll(chosen.length > 0 ? [runner('tests', 1, chosen)] : all);
