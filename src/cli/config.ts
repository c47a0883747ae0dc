/** `holdfast config schema`. */
import { languageOf, text } from '../base/index.ts';
import { EXIT, mirrorFiles } from '../daemon/index.ts';

export async function config([word]: readonly string[]): Promise<number> {
  const language = languageOf(process.env);
  if (word !== 'schema') {
    process.stderr.write(`${text('usage: holdfast config schema', '用法：holdfast config schema')[language]}\n`);
    return EXIT.wrong;
  }
  const { holdfastJsonSchema } = await (await mirrorFiles()).holdfastFormat();
  process.stdout.write(`${JSON.stringify(holdfastJsonSchema(language), null, 2)}\n`);
  return EXIT.done;
}
