/** Types, lint and unit tests, in that order of telling, all three run even if one fails. Under a minute. */
import { runAll } from './run.ts';

process.exitCode = await runAll([
  { name: 'types', argv: ['node_modules/.bin/tsc', '--noEmit'] },
  { name: 'lint', argv: ['node_modules/.bin/biome', 'check', '--diagnostic-level=warn', '--error-on-warnings'] },
  {
    name: 'unit tests',
    argv: [
      process.execPath,
      '--test',
      // After a failure, a handle that the test did not come to close must not keep the run from ending.
      '--test-force-exit',
      '--test-timeout=60000',
      '--test-reporter=dot',
      'src/**/*.test.ts',
      'test/*.test.ts',
    ],
  },
]);
