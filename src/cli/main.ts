/** The command `holdfast`. Each verb loads only what it needs: a status must appear at once. */
import { languageOf, text } from '../base/index.ts';
import { version } from './version.ts';

const argv = process.argv.slice(2);
const verb = argv[0];
const rest = argv.slice(1);

async function run(): Promise<number> {
  switch (verb) {
    case 'keepalived':
      return (await import('../daemon/index.ts')).runKeepalived(rest, version());
    case 'status':
      return (await import('./status.ts')).status(rest);
    case 'explain':
      return (await import('./explain.ts')).explain(rest);
    case 'version':
    case '--version':
      process.stdout.write(`Holdfast ${version()}\n`);
      return 0;
    case 'help':
    case '--help':
    case '-h':
      process.stdout.write((await import('./help.ts')).help(languageOf(process.env)));
      return 0;
    case undefined:
      process.stderr.write((await import('./help.ts')).help(languageOf(process.env)));
      return 2;
    default: {
      const words = text(
        `holdfast: unknown verb ${verb}; "holdfast help" lists them`,
        `holdfast：未知命令 ${verb}；"holdfast help" 列出全部命令`,
      );
      process.stderr.write(`${words[languageOf(process.env)]}\n`);
      return 2;
    }
  }
}

process.exit(await run());
