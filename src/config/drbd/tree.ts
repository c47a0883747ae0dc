/** Tokens as statements: words up to a `;`, or words with a section in braces. A missing `;` is told once, and read as if it were there. */
import { type Place, text } from '../../base/index.ts';
import type { Report } from '../keepalived/report.ts';
import type { Token } from './tokens.ts';

export type Word = { readonly text: string; readonly quoted: boolean; readonly at: Place };
export type Statement = {
  /** At least one. */
  readonly words: readonly [Word, ...Word[]];
  /** Undefined: ended with `;`. */
  readonly body: readonly Statement[] | undefined;
};

const DEEPEST = 16;
/** Words that continue a `host` line and are keywords elsewhere. */
const CONTINUES_HOST: ReadonlySet<string> = new Set(['address', 'port', 'via', 'proxy', 'on']);

/** `keywords`: words that begin a statement; one of them at the beginning of a line shows where a `;` was forgotten. */
export function treeOf(tokens: readonly Token[], keywords: ReadonlySet<string>, report: Report): Statement[] {
  const root: Statement[] = [];
  const open: { readonly into: Statement[]; readonly head: Word }[] = [];
  let words: Word[] = [];
  const into = (): Statement[] => open.at(-1)?.into ?? root;
  const close = (): void => {
    const [first, ...rest] = words;
    if (first) into().push({ words: [first, ...rest], body: undefined });
    words = [];
  };
  const forgotten = (): void => {
    const last = words.at(-1);
    if (!last) return;
    const column = last.at.column + last.at.length + (last.quoted ? 1 : 0);
    report.error(
      'drbd-semicolon',
      { ...last.at, column: Math.max(1, column - 1), length: 1 },
      text("';' is missing here", "此处缺少 ';'"),
      text('every option ends with a semicolon', '每个选项以分号结束'),
    );
    close();
  };
  for (const t of tokens) {
    switch (t.kind) {
      case 'word': {
        const last = words.at(-1);
        const continued = words[0]?.text === 'host' && CONTINUES_HOST.has(t.text);
        if (last && last.at.line !== t.at.line && !t.quoted && keywords.has(t.text) && !continued) forgotten();
        words.push(t);
        break;
      }
      case 'end':
        close();
        break;
      case 'open': {
        const [first, ...rest] = words;
        if (!first) {
          report.error('drbd-section-name', t.at, text('a section without a name', '小节没有名称'));
        }
        if (open.length >= DEEPEST) {
          report.error('drbd-too-deep', t.at, text('sections are nested too deeply', '小节嵌套过深'));
          return root;
        }
        const head = first ?? { text: '', quoted: false, at: t.at };
        const body: Statement[] = [];
        if (first) into().push({ words: [head, ...rest], body });
        open.push({ into: body, head });
        words = [];
        break;
      }
      case 'close':
        if (words.length > 0) forgotten();
        if (!open.pop())
          report.error(
            'drbd-brace',
            t.at,
            text("there is no section for this '}' to close", "没有可由此 '}' 结束的小节"),
          );
        break;
    }
  }
  if (words.length > 0) forgotten();
  for (const { head } of open)
    report.error(
      'drbd-brace',
      head.at,
      text(`section ${head.text} is not closed at the end of the file`, `小节 ${head.text} 到文件末尾仍未结束`),
      text("each '{' needs its '}'", "每个 '{' 都需要对应的 '}'"),
    );
  return root;
}
