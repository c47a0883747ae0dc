/**
 * `npm run bench -- NAME [--json] [--runs N] [--only TEXT] [--lang en|zh]`: one benchmark, a table row by row as it is measured; with --json one
 * document on standard output. Progress goes to standard error.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Bench, formatFigure, formatRow, type Row, ratioOf } from '../bench/bench.ts';
import { languageOf } from '../src/base/index.ts';

const folder = join(import.meta.dirname, '../bench');
const names = readdirSync(folder)
  .filter((f) => f.endsWith('.ts') && f !== 'bench.ts' && !f.endsWith('.test.ts'))
  .map((f) => f.slice(0, -3));

/** Anything that cannot be understood is answered with the usage, never with a stack trace. */
function words(): {
  values: { json?: boolean; runs?: string; only?: string; lang?: string };
  name: string | undefined;
} {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        json: { type: 'boolean' },
        runs: { type: 'string' },
        only: { type: 'string' },
        lang: { type: 'string' },
      },
    });
    const [name] = positionals;
    const fits = positionals.length === 1 && (values.runs === undefined || /^[1-9]\d{0,5}$/.test(values.runs));
    return { values, name: fits ? name : undefined };
  } catch {
    return { values: {}, name: undefined };
  }
}
const { values, name } = words();
const language = languageOf(process.env, values.lang);
if (name === undefined || !names.includes(name)) {
  process.stderr.write(
    language === 'zh'
      ? `用法：npm run bench -- NAME [--json] [--runs N] [--only TEXT]\n现有的基准测试：${names.join(', ')}\n`
      : `usage: npm run bench -- NAME [--json] [--runs N] [--only TEXT]\nbenchmarks: ${names.join(', ')}\n`,
  );
  process.exit(2);
}

const { bench } = (await import(join(folder, `${name}.ts`))) as { bench: Bench };
const rows: Row[] = [];
if (!values.json) {
  process.stdout.write(`${bench.title[language]}\n`);
  const head =
    language === 'zh'
      ? ['项目', 'Holdfast', bench.peer, '比值', '单位', '次数']
      : ['work', 'Holdfast', bench.peer, 'ratio', 'unit', 'runs'];
  process.stdout.write(`${formatRow(head)}\n`);
}
const run = bench.run({
  runs: values.runs === undefined ? undefined : Number(values.runs),
  only: values.only,
  progress: (line) => process.stderr.write(`${line[language]}\n`),
});
for await (const row of run) {
  rows.push(row);
  if (values.json) continue;
  const ratio = ratioOf(row);
  const cells = [
    row.work[language],
    formatFigure(row.ours),
    formatFigure(row.peer),
    formatFigure(ratio),
    row.unit,
    String(row.runs),
  ];
  process.stdout.write(`${formatRow(cells)}\n`);
  if (row.note) process.stdout.write(`    ${row.note[language]}\n`);
}
if (values.json) {
  const document = {
    bench: name,
    peer: bench.peer,
    rows: rows.map((r) => ({ ...r, work: r.work.en, note: r.note?.en, ratio: ratioOf(r) })),
  };
  process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
}
