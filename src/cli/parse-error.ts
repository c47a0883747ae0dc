/** What is wrong with the words of a command, in both languages; Node.js tells it in English and at length. */
import { type Language, languageOf, type Text, text, verbatim } from '../base/index.ts';

/** `e`: as parseArgs of node:util throws it. */
export function parseProblem(e: unknown): Text {
  const { code, message } = e as { code?: unknown; message?: unknown };
  const option = /'(-[^' ]*)/.exec(String(message))?.[1] ?? '';
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return text(`there is no option ${option}`, `没有选项 ${option}`);
  if (code !== 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') return verbatim(String(message));
  return /does not take/.test(String(message))
    ? text(`${option} takes no value`, `${option} 不带参数值`)
    : text(`${option} needs a value`, `${option} 需要参数值`);
}

/** Of a command whose words could not all be read. */
export function languageIn(argv: readonly string[]): Language {
  const at = argv.findIndex((w) => w === '--lang' || w.startsWith('--lang='));
  const word = at < 0 ? undefined : argv[at] === '--lang' ? argv[at + 1] : argv[at]?.slice('--lang='.length);
  return languageOf(process.env, word);
}
