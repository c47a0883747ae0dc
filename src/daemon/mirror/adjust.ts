/**
 * What the control socket is asked about the file: what has changed in it, and to take that over. The file is the one that
 * the mirror was started from, whoever asks: it names programs that run here, so no client may bring another.
 */
import { createHash } from 'node:crypto';
import type { MirrorAdjustChange, MirrorAdjustment, MirrorAsk } from '../../api/index.ts';
import { renderDiagnostic, type Text, text, verbatim } from '../../base/index.ts';
import { type AdjustPlan, type MirrorConfig, takesWords, unsupported } from '../../mirror/index.ts';
import { checkFile } from '../mirror-files.ts';
import type { MirrorProcess } from './process.ts';
import { secretOf } from './secret.ts';

/** Absolute path of the file, and the host that it is read as. */
export type Origin = { readonly file: string; readonly host: string };
type Question = MirrorAsk & { readonly ask: 'adjust' };

export async function answerAdjust(
  { file, host }: Origin,
  mirror: MirrorProcess,
  q: Question,
  reply: (a: MirrorAdjustment) => void,
): Promise<void> {
  const none = { findings: [], changes: [], plan: '' };
  if (q.file !== undefined && q.file !== file) {
    const words = text(
      `${q.name} was started from ${file}: to run it from ${q.file}, holdfast mirror down ${q.name}, then up`,
      `${q.name} 由 ${file} 启动：若要改用 ${q.file}，请先 holdfast mirror down ${q.name}，再启动`,
    );
    reply({ ...none, ok: false, code: 'other-file', text: words });
    return;
  }
  const read = await readAgain(file, host, q.name);
  const { findings } = read;
  if (read.config === undefined) {
    const words = text(`${file} is wrong: nothing was changed`, `${file} 有误：未作任何更改`);
    reply({ ...none, findings, ok: false, code: 'wrong-file', text: words });
    return;
  }
  const { secret } = read;
  const plan = mirror.planAdjust(read.config, secret);
  const shown = {
    findings: [...findings, ...unsupported(plan.config).idle],
    changes: plan.changes.map((c): MirrorAdjustChange => ({ ...c, when: takesWords(c.takes, q.name) })),
    plan: nameOf(plan),
  };
  if (plan.refused) {
    const words = text(
      'not all of this can be taken over while it runs: nothing was changed',
      '其中有些无法在运行时采用：未作任何更改',
    );
    reply({ ...shown, ok: false, code: 'not-while-running', text: words });
    return;
  }
  if (q.plan === undefined || plan.changes.length === 0) {
    const words =
      plan.changes.length === 0 ? text('nothing has changed', '没有变化') : text('nothing was changed', '未作任何更改');
    reply({ ...shown, ok: true, done: false, text: words });
    return;
  }
  if (q.plan !== shown.plan) {
    const words = text('the file has just changed again: nothing was changed', '文件刚刚又有变化：未作任何更改');
    reply({ ...shown, ok: false, code: 'plan-changed', text: words });
    return;
  }
  const { config, reconnects } = plan;
  mirror.adjust({ config, secret, reconnects, words: logged(plan) }, (a) =>
    reply(a.ok ? { ...shown, ok: true, done: true, text: a.text } : { ...shown, ...a }),
  );
}

type Again = {
  readonly findings: readonly Text[];
  /** Undefined: the file is wrong. */
  readonly config: MirrorConfig | undefined;
  readonly secret: Uint8Array | undefined;
};
async function readAgain(file: string, host: string, name: string): Promise<Again> {
  const checked = await checkFile(file, host);
  const lineAt = (f: string, line: number): string | undefined => checked.sources.get(f)?.split('\n')[line - 1];
  const findings = checked.diagnostics.map((d) =>
    text(renderDiagnostic(d, 'en', lineAt), renderDiagnostic(d, 'zh', lineAt)),
  );
  if (checked.diagnostics.some((d) => d.severity === 'error'))
    return { findings, config: undefined, secret: undefined };
  const config = checked.mirrors.find((m) => m.name === name);
  const gone = text(
    `${file} has no mirror ${name} of ${host} any more: holdfast mirror down ${name} ends it`,
    `${file} 中已没有 ${host} 的镜像 ${name}：holdfast mirror down ${name} 可结束它`,
  );
  if (config === undefined) return { findings: [...findings, gone], config, secret: undefined };
  try {
    return { findings, config, secret: secretOf(config) };
  } catch (e) {
    const why = verbatim(`shared-secret: ${e instanceof Error ? e.message : String(e)}`);
    return { findings: [...findings, why], config: undefined, secret: undefined };
  }
}
const nameOf = (p: AdjustPlan): string =>
  createHash('sha256').update(JSON.stringify(p.changes)).digest('hex').slice(0, 16);
function logged(p: AdjustPlan): Text {
  const all = p.changes
    .map((c) => `${c.volume === undefined ? '' : `${c.volume}/`}${c.option} ${c.from} -> ${c.to}`)
    .join(', ');
  return text(`adjusted to its file: ${all}`, `已按配置文件调整：${all}`);
}
