/** The lab's command: `npm run lab -- help`. */
import { main } from '../src/lab/cli.ts';

process.exitCode = await main(process.argv.slice(2));
