/** Rewrites the golden files from what the code does now; the diff is what a reviewer reads. */
import { runAll } from './run.ts';

process.env['HOLDFAST_GOLDEN'] = 'update';
process.exitCode = await runAll([
  { name: 'golden', argv: [process.execPath, '--test', 'test/{golden,sim}/*.test.ts', 'src/**/*.test.ts'] },
]);
