/** `npm run demo [-- NAME] [--keep] [--lang en|zh]`: a story told with real programs, and exit code 1 if it did not come true. */
import { parseArgs } from 'node:util';
import { languageOf } from '../src/base/index.ts';
import { mirrorDemo } from './demo/mirror.ts';
import { twoDirectors } from './demo/two-directors.ts';

const demos: Readonly<Record<string, typeof twoDirectors>> = {
  'two-directors': twoDirectors,
  mirror: mirrorDemo,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { keep: { type: 'boolean' }, lang: { type: 'string' } },
});
const language = languageOf(process.env, values.lang);
const demo = demos[positionals[0] ?? 'two-directors'];
if (demo === undefined || positionals.length > 1) {
  const names = Object.keys(demos).join(', ');
  process.stderr.write(
    language === 'zh'
      ? `用法：npm run demo [-- NAME] [--keep]\n现有的演示：${names}\n`
      : `usage: npm run demo [-- NAME] [--keep]\ndemos: ${names}\n`,
  );
  process.exit(2);
}
process.exitCode = await demo({
  language,
  keep: values.keep ?? process.stdout.isTTY === true,
  write: (words) => process.stdout.write(words),
});
