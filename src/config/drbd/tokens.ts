/** The text of a drbd.conf as words and marks with their places: `#` comments, "strings", `{`, `}`, `;`. */
import { type Place, text } from '../../base/index.ts';
import type { Report } from '../keepalived/report.ts';

export type Token = {
  readonly kind: 'word' | 'open' | 'close' | 'end';
  readonly text: string;
  readonly quoted: boolean;
  readonly at: Place;
};

const MARKS: Readonly<Record<string, Token['kind']>> = { '{': 'open', '}': 'close', ';': 'end' };

export function tokensOf(file: string, source: string, report: Report): Token[] {
  const out: Token[] = [];
  const body = source.charCodeAt(0) === 0xfeff ? ` ${source.slice(1)}` : source;
  for (const [i, line] of body.split('\n').entries()) {
    const place = (from: number, length: number): Place => ({ file, line: i + 1, column: from + 1, length });
    const pattern = /\s+|#.*|"((?:[^"\\]|\\.)*)"|"|[{};]|[^\s{};"#]+/g;
    for (const m of line.matchAll(pattern)) {
      const [all, string] = m;
      if (/^[\s#]/.test(all)) continue;
      if (all === '"') {
        report.error(
          'drbd-string-open',
          place(m.index, line.length - m.index),
          text('a string begins here and does not end on its line', '字符串在此开始，但在本行内没有结束'),
          text('close it with "', '请用 " 结束'),
        );
        out.push({ kind: 'word', text: line.slice(m.index + 1), quoted: true, at: place(m.index, 1) });
        break;
      }
      if (string !== undefined)
        out.push({ kind: 'word', text: string, quoted: true, at: place(m.index + 1, Math.max(1, string.length)) });
      else out.push({ kind: MARKS[all] ?? 'word', text: all, quoted: false, at: place(m.index, all.length) });
    }
  }
  return out;
}
