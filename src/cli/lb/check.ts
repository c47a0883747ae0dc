/** `holdfast lb check`: a probe through the real path, or of this host as a real server. */
import type { LbFinding } from '../../api/index.ts';
import { err, type Language, ok, type Result, type Text, text } from '../../base/index.ts';
import { EXIT, lbProbe } from '../../daemon/index.ts';
import type { LbArguments } from './arguments.ts';
import { findService } from './names.ts';
import { askDocument, type Failure, type Outcome } from './talk.ts';

export async function check(a: LbArguments): Promise<Outcome> {
  const [name] = a.names;
  if (name === undefined || a.names.length !== 1)
    return err({
      text: text(
        'usage: holdfast lb check SERVICE, or on a real server: holdfast lb check --real-server VIP',
        '用法：holdfast lb check SERVICE，或在真实服务器上：holdfast lb check --real-server VIP',
      ),
      code: EXIT.wrong,
    });
  const found = a.realServer ? await thisHost(name) : await service(a, name);
  if (!found.ok) return found;
  process.stdout.write(a.json ? `${JSON.stringify(found.value)}\n` : renderFindings(found.value, a.language));
  return ok(found.value.some((f) => f.severity === 'error') ? EXIT.degraded : EXIT.done);
}
const failed = (words: Text): Result<never, Failure> => err({ text: words, code: EXIT.failed });

async function service(a: LbArguments, name: string): Promise<Result<readonly LbFinding[], Failure>> {
  const d = await askDocument(a);
  if (!d.ok) return d;
  const s = findService(d.value, name);
  if (!s.ok) return err({ text: s.error, code: EXIT.wrong });
  const found = await (await lbProbe()).probeService(s.value, d.value.sync);
  return found.ok ? found : failed(found.error);
}
async function thisHost(vip: string): Promise<Result<readonly LbFinding[], Failure>> {
  const found = (await lbProbe()).checkRealServer(vip);
  return found.ok ? found : failed(found.error);
}

const MARK = { good: '✓', warning: '!', error: '✗' } as const;
export const renderFindings = (found: readonly LbFinding[], language: Language): string =>
  found
    .map((f) => {
      const where = f.server === undefined ? '' : `${f.server}: `;
      const hint = f.hint === undefined ? '' : `    ${f.hint[language]}\n`;
      return `${MARK[f.severity]} ${where}${f.text[language]} [${f.code}]\n${hint}`;
    })
    .join('');
