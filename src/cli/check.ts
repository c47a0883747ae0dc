/** `holdfast check FILE...`: everything that is wrong with a configuration, in whichever format it is. */
import { parseArgs } from 'node:util';
import { languageOf, renderDiagnostic, type Text, text } from '../base/index.ts';
import { EXIT, mirrorFiles } from '../daemon/index.ts';
import { wordsOf } from './words.ts';

const USAGE = text(
  'usage: holdfast check FILE [--host NAME] [--json]',
  '用法：holdfast check FILE [--host 名称] [--json]',
);

export async function check(argv: readonly string[]): Promise<number> {
  const parsed = wordsOf(() => options(argv));
  if (parsed === undefined) return EXIT.wrong;
  const { values, positionals } = parsed;
  const language = languageOf(process.env, values.lang);
  const [file] = positionals;
  if (file === undefined || positionals.length > 1) {
    process.stderr.write(`${USAGE[language]}\n`);
    return EXIT.wrong;
  }
  const { checkFile } = await mirrorFiles();
  const r = await checkFile(file, values.host);
  const lineAt = (path: string, line: number): string | undefined => r.sources.get(path)?.split('\n')[line - 1];
  const errors = r.diagnostics.filter((d) => d.severity === 'error').length;
  const warnings = r.diagnostics.length - errors;
  if (values.json)
    process.stdout.write(
      `${JSON.stringify({ file, format: r.format, errors, warnings, diagnostics: r.diagnostics })}\n`,
    );
  else {
    for (const d of r.diagnostics) process.stdout.write(`${renderDiagnostic(d, language, lineAt)}\n\n`);
    process.stdout.write(`${verdict(file, errors, warnings)[language]}\n`);
  }
  return errors > 0 ? EXIT.wrong : warnings > 0 ? EXIT.degraded : EXIT.done;
}
const options = (argv: readonly string[]) =>
  parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { host: { type: 'string' }, json: { type: 'boolean' }, lang: { type: 'string' } },
  });
const several = (n: number, one: string): string => `${n} ${one}${n === 1 ? '' : 's'}`;
function verdict(file: string, errors: number, warnings: number): Text {
  if (errors + warnings === 0) return text(`${file}: no findings`, `${file}：没有问题`);
  return text(
    `${file}: ${several(errors, 'error')}, ${several(warnings, 'warning')}`,
    `${file}：${errors} 个错误，${warnings} 个警告`,
  );
}
