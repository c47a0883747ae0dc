/**
 * All tests: types and lint first, then unit, golden, simulator, lab and interoperation tests by node's own runner.
 * Arguments are passed on as files or globs: `npm test -- test/lab/*.test.ts`.
 */
import { availableParallelism } from 'node:os';
import { runAll } from './run.ts';

const files = process.argv.slice(2);
const all = ['src/**/*.test.ts', 'test/**/*.test.ts'];
const runner = [
  process.execPath,
  '--test',
  `--test-concurrency=${Math.max(1, availableParallelism())}`,
  '--test-reporter=spec',
] as const;
process.exitCode = await runAll([
  ...(files.length > 0
    ? []
    : ([
        { name: 'types', argv: ['node_modules/.bin/tsc', '--noEmit'] },
        { name: 'lint', argv: ['node_modules/.bin/biome', 'check', '--diagnostic-level=warn', '--error-on-warnings'] },
      ] as const)),
  { name: 'tests', argv: [...runner, ...(files.length > 0 ? files : all)] },
]);
