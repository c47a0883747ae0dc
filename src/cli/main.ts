/** The command `holdfast`. */
import { languageOf, text } from '../base/index.ts';
import { helpText, VERBS } from './verbs.ts';

const ALIASES: Readonly<Record<string, string>> = { '--help': 'help', '-h': 'help', '--version': 'version' };
const WRONG_USAGE = 2;

async function run([word, ...argv]: readonly string[]): Promise<number> {
  if (word === undefined) {
    process.stderr.write(helpText());
    return WRONG_USAGE;
  }
  const verb = VERBS.find((v) => v.name === (ALIASES[word] ?? word));
  if (verb) return verb.run(argv);
  const words = text(
    `holdfast: unknown verb ${word}; "holdfast help" lists them`,
    `holdfast：未知命令 ${word}；"holdfast help" 列出全部命令`,
  );
  process.stderr.write(`${words[languageOf(process.env)]}\n`);
  return WRONG_USAGE;
}

// Without a handler Node.js would open a debugger to every user of the machine. The daemon adds its own.
process.on('SIGUSR1', () => {});
// `holdfast lb top | head`: who reads has had enough.
process.stdout.on('error', () => process.exit(0));
process.exit(await run(process.argv.slice(2)));
