/** `holdfast mirror create NAME`: fresh metadata on this host's devices, and never over what somebody may still want. */
import { parseArgs } from 'node:util';
import { type Language, languageOf, renderDiagnostic, type Text, text } from '../../base/index.ts';
import { EXIT, mirrorCreate } from '../../daemon/index.ts';
import { wordsOf } from '../words.ts';
import { size } from './amounts.ts';

const USAGE = text(
  'usage: holdfast mirror create NAME --file FILE [--host NAME] [--dry-run] [--accept-data-loss=NAME]',
  '用法：holdfast mirror create 名称 --file 文件 [--host 名称] [--dry-run] [--accept-data-loss=名称]',
);
export const THERE_ARE_CHANGES = 9;
type Planned = Awaited<ReturnType<Awaited<ReturnType<typeof mirrorCreate>>['planCreate']>>;
type Plan = Extract<Planned, { ok: true }>['value'];

export async function create(argv: readonly string[]): Promise<number> {
  const parsed = wordsOf(() => options(argv));
  if (parsed === undefined) return EXIT.wrong;
  const { values, positionals } = parsed;
  const language = languageOf(process.env, values.lang);
  const complain = (t: Text): void => void process.stderr.write(`${t[language]}\n`);
  const [name] = positionals;
  if (name === undefined || positionals.length > 1 || values.file === undefined) {
    complain(USAGE);
    return EXIT.wrong;
  }
  const { planCreate } = await mirrorCreate();
  const plan = await planCreate(name, values.file, values.host, values['accept-data-loss']);
  if (!plan.ok) {
    const { checked } = plan.error;
    for (const d of checked?.diagnostics ?? [])
      process.stderr.write(`${renderDiagnostic(d, language, (f, n) => checked?.sources.get(f)?.split('\n')[n - 1])}\n`);
    complain(plan.error.text);
    return checked ? EXIT.wrong : EXIT.failed;
  }
  process.stdout.write(describePlan(plan.value, language));
  if (plan.value.steps.some((s) => s.overwrite.kind !== 'free')) return EXIT.refused;
  if (values['dry-run']) return THERE_ARE_CHANGES;
  try {
    for (const s of plan.value.steps) s.write();
  } catch (e) {
    complain(
      text(
        `nothing more was written: ${e instanceof Error ? e.message : e}`,
        `已停止写入：${e instanceof Error ? e.message : e}`,
      ),
    );
    return EXIT.failed;
  }
  const next = text(
    `created. The same on the other host, then on both: holdfast mirror up ${name} -f ${values.file}`,
    `已创建。请在另一台主机上执行相同操作，然后在两台上：holdfast mirror up ${name} -f ${values.file}`,
  );
  process.stdout.write(`${next[language]}\n`);
  return EXIT.done;
}
const options = (argv: readonly string[]) =>
  parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      file: { type: 'string', short: 'f' },
      host: { type: 'string' },
      lang: { type: 'string' },
      'dry-run': { type: 'boolean' },
      'accept-data-loss': { type: 'string' },
    },
  });

export function describePlan(p: Plan, language: Language): string {
  const one = (s: Plan['steps'][number]): string => {
    const head = text(
      `${p.name}/${s.volume}: metadata on ${s.device} (${size(s.facts.size)}), ${size(s.usable)} for data`,
      `${p.name}/${s.volume}：元数据位于 ${s.device}（${size(s.facts.size)}），数据可用 ${size(s.usable)}`,
    )[language];
    switch (s.overwrite.kind) {
      case 'free':
        return `✓ ${head}\n`;
      case 'confirm': {
        const lines = s.overwrite.loses.map((l) => `    ${text(`it holds ${l.en}`, `其中有${l.zh}`)[language]}\n`);
        const how = text(`to overwrite it: --accept-data-loss=${p.name}`, `若要覆盖：--accept-data-loss=${p.name}`)[
          language
        ];
        return `! ${head}\n${lines.join('')}    ${how}\n`;
      }
      case 'refused':
        return `✗ ${head}\n    ${s.overwrite.why[language]}\n    ${s.overwrite.hint[language]}\n`;
    }
  };
  return p.steps.map(one).join('');
}
