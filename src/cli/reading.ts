/** What `status` and `explain` have in common: arguments, the question, and what to do when nobody answers. */
import type { StatusDocument } from '../api/index.ts';
import { EXIT } from '../daemon/index.ts';
import { type Arguments, readArguments } from './arguments.ts';
import { ask } from './ask.ts';
import { languageIn } from './parse-error.ts';

export async function withStatus(
  argv: readonly string[],
  show: (d: StatusDocument, a: Arguments) => number,
): Promise<number> {
  const parsed = readArguments(argv);
  if (!parsed.ok) {
    process.stderr.write(`holdfast: ${parsed.error[languageIn(argv)]}\n`);
    return EXIT.wrong;
  }
  const a = parsed.value;
  const answer = await ask(a.socket, { ask: 'status' });
  if (answer.ok) return show(answer.value as StatusDocument, a);
  process.stderr.write(`holdfast: ${answer.error.text[a.language]}\n`);
  switch (answer.error.kind) {
    case 'not-running':
      return EXIT.notRunning;
    case 'not-permitted':
      return EXIT.notPermitted;
    case 'no-answer':
      return EXIT.noAnswer;
  }
}
