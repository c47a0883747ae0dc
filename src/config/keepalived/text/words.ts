import { type Place, text } from '../../../base/index.ts';
import type { Report } from '../report.ts';
import { placeOf, type Traced } from './traced.ts';

/** One word: quotes taken away, escapes resolved. A quoted `"{"` is no brace. */
export type Word = { readonly text: string; readonly place: Place; readonly quoted: boolean };

const PLAIN = /[^ \t\r\f\v"'\\{}$]+/y;
const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  E: '\x1b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** What the escape at `at` (behind the backslash) stands for, and how many characters it takes. */
function unescaped(s: string, at: number): { readonly text: string; readonly length: number } {
  const c = s[at];
  if (c === undefined) return { text: '', length: 0 };
  const simple = SIMPLE_ESCAPES[c];
  if (simple !== undefined) return { text: simple, length: 1 };
  const octal = /^[0-7]{1,3}/.exec(s.slice(at, at + 3));
  if (octal) return { text: String.fromCharCode(Number.parseInt(octal[0], 8) & 255), length: octal[0].length };
  const hex = /^x([0-9a-fA-F]+)/.exec(s.slice(at));
  if (hex) return { text: String.fromCharCode(Number.parseInt(hex[1]!.slice(-2), 16)), length: hex[0].length };
  if (c === 'c' && at + 1 < s.length) return { text: String.fromCharCode(s.charCodeAt(at + 1) & 31), length: 2 };
  return { text: c, length: 1 };
}

/** Where the comment begins, or the length of the text. Double quotes protect `#` and `!`, single ones do not. */
export function commentStart(s: string): number {
  let inside = false;
  for (let i = 0; i < s.length; i++) {
    const c = s[i];
    if (c === '\\') i++;
    else if (c === '"') inside = !inside;
    else if (!inside && (c === '#' || c === '!')) return i;
  }
  return s.length;
}

/**
 * Splits a line into words. A comment begins at `#` or `!`, also in the middle of a word; `{` and `}` are
 * words of their own, glued or not; quotes of either kind join what is between them to the word they touch.
 */
export function wordsOf(line: Traced, report: Report): Word[] {
  const s = /[#!]/.test(line.text) ? line.text.slice(0, commentStart(line.text)) : line.text;
  const words: Word[] = [];
  let start = -1;
  let word = '';
  let quoted = false;
  const end = (at: number): void => {
    if (start >= 0) words.push({ text: word, place: placeOf(line, start, at), quoted });
    start = -1;
    word = '';
    quoted = false;
  };
  let i = 0;
  while (i < s.length) {
    const c = s[i] as string;
    PLAIN.lastIndex = i;
    const plain = PLAIN.exec(s);
    if (plain) {
      if (start < 0) start = i;
      word += plain[0];
      i += plain[0].length;
    } else if (c === '{' || c === '}') {
      end(i);
      words.push({ text: c, place: placeOf(line, i, i + 1), quoted: false });
      i++;
    } else if (c === '"' || c === "'") {
      if (start < 0) start = i;
      quoted = true;
      const opened = i++;
      while (i < s.length && s[i] !== c) {
        if (s[i] === '\\') {
          const e = unescaped(s, i + 1);
          word += e.text;
          i += 1 + e.length;
        } else word += s[i++];
      }
      if (i >= s.length)
        report.fault(
          'quote-unterminated',
          placeOf(line, opened, s.length),
          text(`a ${c} is opened and not closed on this line`, `引号 ${c} 在本行没有结束`),
          text('close it, or escape it with a backslash', '请补上结束引号，或用反斜杠转义'),
        );
      i++;
    } else if (c === '\\') {
      if (start < 0) start = i;
      const e = unescaped(s, i + 1);
      word += e.text;
      i += 1 + e.length;
    } else if (c === '$') {
      // `${NAME}` of an unknown parameter stays as it is: its braces open no block.
      if (start < 0) start = i;
      const kept = /^\$(?:\{[^{} \t]*\})?/.exec(s.slice(i))!;
      word += kept[0];
      i += kept[0].length;
    } else {
      end(i);
      i++;
    }
  }
  end(Math.min(i, s.length));
  return words;
}
