/** Builds dist/: what an installed package runs, since Node strips no types inside node_modules. */
import { runAll } from './run.ts';

process.exitCode = await runAll([{ name: 'dist', argv: ['node_modules/.bin/tsc', '-p', 'tsconfig.build.json'] }]);
