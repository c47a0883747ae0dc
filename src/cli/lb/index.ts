/** `holdfast lb VERB`, and `holdfast ipvsadm`. */
import { languageOf, text } from '../../base/index.ts';
import { EXIT } from '../../daemon/index.ts';
import { languageIn } from '../parse-error.ts';
import { readLbArguments } from './arguments.ts';
import { LB_VERBS } from './verbs.ts';

export async function lb([word, ...argv]: readonly string[]): Promise<number> {
  const verb = LB_VERBS.find((v) => v.name === word);
  if (verb === undefined) {
    const language = languageOf(process.env);
    const asked = word === undefined || word === 'help' || word === '--help';
    const unknown = text(`holdfast lb: unknown verb ${word}`, `holdfast lb：未知命令 ${word}`);
    if (!asked) process.stderr.write(`${unknown[language]}\n`);
    process[asked && word !== undefined ? 'stdout' : 'stderr'].write(lbHelp(language));
    return asked && word !== undefined ? EXIT.done : EXIT.wrong;
  }
  const a = readLbArguments(argv, verb.options);
  if (!a.ok) {
    process.stderr.write(`holdfast: ${a.error[languageIn(argv)]}\n`);
    return EXIT.wrong;
  }
  const outcome = await verb.run(a.value);
  if (outcome.ok) return outcome.value;
  process.stderr.write(`holdfast: ${outcome.error.text[a.value.language]}\n`);
  return outcome.error.code;
}

export function lbHelp(language: 'en' | 'zh'): string {
  const usage = text(
    'Usage: holdfast lb VERB [...] [--lang LANG] [-p PIDFILE]',
    '用法：holdfast lb 命令 [...] [--lang LANG] [-p PIDFILE]',
  );
  const width = Math.max(...LB_VERBS.map((v) => v.name.length + v.arguments.length + 1));
  const lines = LB_VERBS.map((v) => `  ${`${v.name} ${v.arguments}`.padEnd(width)}  ${v.help[language]}`);
  return `${usage[language]}\n\n${lines.join('\n')}\n`;
}
