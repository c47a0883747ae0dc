/** Formats and applies the linter's safe fixes. */
import { runAll } from './run.ts';

process.exitCode = await runAll([
  { name: 'biome', argv: ['node_modules/.bin/biome', 'check', '--write', ...process.argv.slice(2)] },
]);
