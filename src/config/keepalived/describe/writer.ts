import { formatSeconds, type Microseconds } from '../../../base/index.ts';

const PLAIN = /^[A-Za-z0-9_.:/,+*%^=-][A-Za-z0-9_.:/,+*%^=@-]*$/;

/** A word as the reader takes it back: quoted where it holds what would end it, begin a comment or a block, or name a parameter. */
export function quoted(s: string): string {
  if (PLAIN.test(s)) return s;
  const body = s.replaceAll(/["\\$\n\r\t\f\v]/g, (c) => {
    const named = (
      { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\f': '\\f', '\v': '\\v', $: '\\044' } as Record<string, string>
    )[c];
    return named ?? `\\${c}`;
  });
  return `"${body}"`;
}
type Script = { readonly argv: readonly string[]; readonly user?: string; readonly group?: string };
/** `SCRIPT [user [group]]`, with blanks inside an argument kept. */
export function scriptText(s: Script): string {
  const line = s.argv.map((w) => (w === '' ? "''" : w.replaceAll(/['\\\s]/g, (c) => `\\${c}`))).join(' ');
  const user = s.user === undefined ? '' : ` ${quoted(s.user)}`;
  return `${quoted(line)}${user}${s.group === undefined ? '' : ` ${quoted(s.group)}`}`;
}
export const secondsText = (t: Microseconds): string => formatSeconds(t);
export const millisecondsText = (t: Microseconds): string => formatSeconds((t * 1000) as Microseconds);

/** Lines of a configuration, indented by block. */
export class Writer {
  readonly #lines: string[] = [];
  #indent = '';

  line(word: string, ...args: readonly (string | number | undefined)[]): void {
    const given = args.filter((a) => a !== undefined && a !== '');
    this.#lines.push(`${this.#indent}${[word, ...given].join(' ')}`);
  }
  /** Only where there is a value. */
  maybe(word: string, value: string | number | undefined): void {
    if (value !== undefined) this.line(word, value);
  }
  flag(word: string, on: boolean): void {
    if (on) this.line(word);
  }
  bool(word: string, on: boolean): void {
    this.line(word, on ? 'on' : 'off');
  }
  script(word: string, s: Script | undefined): void {
    if (s) this.line(word, scriptText(s));
  }
  block(head: string, inside: () => void): void {
    this.line(head, '{');
    this.#indent += '  ';
    inside();
    this.#indent = this.#indent.slice(2);
    this.line('}');
  }
  /** A block of lines; nothing where there are none. */
  list(head: string, lines: readonly string[]): void {
    if (lines.length === 0) return;
    this.block(head, () => {
      for (const l of lines) this.line(l);
    });
  }
  toString(): string {
    return `${this.#lines.join('\n')}\n`;
  }
}
