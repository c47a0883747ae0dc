/** The text of an ldirectord.cf as directives with their places: `name = value`, indented below the `virtual` that they belong to. */
import { type Place, text } from '../../base/index.ts';
import type { Report } from '../keepalived/report.ts';

export type Directive = {
  readonly name: string;
  readonly at: Place;
  /** Without the quotes around it and without the comment behind it. */
  readonly value: string;
  readonly valueAt: Place;
  readonly indented: boolean;
};

const MOST_LINES = 1_000_000;
/** Where a comment begins: at a `#` that is not in quotes and has a blank before it. */
function commentStart(s: string): number {
  let quoted = false;
  for (let i = 0; i < s.length; i++) {
    if (s[i] === '"' && s[i - 1] !== '\\') quoted = !quoted;
    else if (s[i] === '#' && !quoted && (i === 0 || /\s/.test(s[i - 1] as string))) return i;
  }
  return s.length;
}
/** One pair of quotes around all of a value. */
const unquoted = (s: string): { readonly value: string; readonly skipped: number } =>
  /^"(?:[^"\\]|\\.)*"$/.test(s)
    ? { value: s.slice(1, -1).replaceAll('\\"', '"'), skipped: 1 }
    : { value: s, skipped: 0 };

export function directivesOf(file: string, source: string, report: Report): Directive[] {
  const out: Directive[] = [];
  const lines = source.split('\n');
  for (const [i, raw] of lines.slice(0, MOST_LINES).entries()) {
    const line = raw.slice(0, commentStart(raw)).trimEnd();
    const place = (column: number, length: number): Place => ({ file, line: i + 1, column: column + 1, length });
    const start = line.length - line.trimStart().length;
    if (start === line.length) continue;
    const equals = line.indexOf('=');
    const name = line.slice(start, equals < 0 ? undefined : equals).trimEnd();
    if (equals < 0 || !/^[\w-]+$/.test(name)) {
      report.error(
        'ldirectord-syntax',
        place(start, line.length - start),
        text('this is no directive', '不是指令'),
        text("write 'name = value'", "请写成 '名称 = 值'"),
      );
      continue;
    }
    const rest = line.slice(equals + 1);
    const from = equals + 1 + (rest.length - rest.trimStart().length);
    const { value, skipped } = unquoted(rest.trim());
    out.push({
      name: name.toLowerCase(),
      at: place(start, name.length),
      value,
      valueAt: place(Math.min(from + skipped, line.length), Math.max(1, value.length)),
      indented: start > 0,
    });
  }
  return out;
}
