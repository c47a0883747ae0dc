import type { Language, Text } from './text.ts';

/** Where in a text a value stands. Lines and columns count from 1; a column is a UTF-16 unit of the line as it was typed. */
export type Place = { readonly file: string; readonly line: number; readonly column: number; readonly length: number };

/** One finding about an input: place, fact, way out. `code` is stable and greppable (`vrrp-vrid-range`). */
export type Diagnostic = {
  readonly severity: 'error' | 'warning';
  readonly code: string;
  readonly place: Place | undefined;
  readonly message: Text;
  readonly hint?: Text;
};

const WORDS = {
  error: { en: 'error', zh: '错误' },
  warning: { en: 'warning', zh: '警告' },
  hint: { en: 'hint', zh: '提示' },
} as const;

/** East Asian wide characters take two cells of a terminal; the caret line must count cells, not characters. */
export function cellWidth(s: string): number {
  let cells = 0;
  for (const c of s) {
    const p = c.codePointAt(0) ?? 0;
    const wide =
      (p >= 0x1100 && p <= 0x115f) ||
      (p >= 0x2e80 && p <= 0xa4cf) ||
      (p >= 0xac00 && p <= 0xd7a3) ||
      (p >= 0xf900 && p <= 0xfaff) ||
      (p >= 0xfe30 && p <= 0xfe6f) ||
      (p >= 0xff00 && p <= 0xff60) ||
      (p >= 0xffe0 && p <= 0xffe6) ||
      (p >= 0x1f300 && p <= 0x1faff) ||
      (p >= 0x20000 && p <= 0x3fffd);
    cells += wide ? 2 : 1;
  }
  return cells;
}

/** `file:line:column: error: fact [code]`, the line with a caret under the value, and the hint. `lineAt` may not know the line. */
export function renderDiagnostic(
  d: Diagnostic,
  language: Language,
  lineAt: (file: string, line: number) => string | undefined,
): string {
  const where = d.place ? `${d.place.file}:${d.place.line}:${d.place.column}: ` : '';
  const out = [printable(`${where}${WORDS[d.severity][language]}: ${d.message[language]} [${d.code}]`)];
  const source = d.place ? lineAt(d.place.file, d.place.line) : undefined;
  if (d.place && source !== undefined) {
    const gutter = `${d.place.line} | `;
    const { shown, from, to } = window(source, d.place.column - 1, d.place.length);
    const before = cellWidth(shown.slice(0, from));
    const under = Math.max(1, cellWidth(shown.slice(from, to)));
    out.push(gutter + shown, ' '.repeat(gutter.length + before) + '^'.repeat(under));
  }
  if (d.hint) out.push(printable(`${WORDS.hint[language]}: ${d.hint[language]}`));
  return out.join('\n');
}

/** What a terminal would obey comes from the input, not from us. */
const printable = (s: string): string =>
  s.replaceAll('\t', ' ').replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '\ufffd');

/** Characters of a line that are shown; of a longer one, those around the place. */
const WIDEST = 200;
function window(line: string, at: number, length: number): { shown: string; from: number; to: number } {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line;
  if (text.length <= WIDEST) return { shown: printable(text), from: at, to: at + length };
  const start = Math.max(0, Math.min(at - WIDEST / 4, text.length - WIDEST));
  const head = start > 0 ? '...' : '';
  const part = text.slice(start, start + WIDEST);
  const tail = start + WIDEST < text.length ? '...' : '';
  const from = at - start + head.length;
  return { shown: head + printable(part) + tail, from, to: Math.min(from + length, head.length + part.length) };
}
