/**
 * Patterns that were written for PCRE2 or Perl, as far as JavaScript can express them. What it cannot is refused with
 * its name, never taken for something else: possessive quantifiers, atomic groups, recursion, conditionals, \G, \K, \C,
 * \X, callouts, backtracking verbs, and inline options anywhere but at the beginning.
 */
import { err, ok, type Result, type Text, text } from '../../base/index.ts';
import { execWithin } from './bounded.ts';

export type Pattern = {
  /** `subject`: one character a byte; with the option utf it is decoded here. Undefined: it took too long to tell. */
  test(subject: string): boolean | undefined;
};

export type PatternOptions = {
  /** PCRE2's names in lower case. */
  readonly options?: readonly string[];
  /** Where the search begins, and beyond which no match may begin. */
  readonly minOffset?: number;
  readonly maxOffset?: number;
};

const FLAGS: Readonly<Record<string, string>> = { caseless: 'i', multiline: 'm', dotall: 's', utf: 'u', ucp: 'u' };
/** Options that change nothing here: hints to PCRE's optimiser, limits of what a pattern may contain, JavaScript's ways. */
const IGNORED = new Set([
  'auto_callout',
  'no_auto_possess',
  'no_dotstar_anchor',
  'no_start_optimize',
  'no_auto_capture',
  'never_ucp',
  'never_utf',
  'never_backslash_c',
  'use_offset_limit',
  'alt_bsux',
  'allow_empty_class',
  'match_unset_backref',
  'dollar_endonly',
  'extended',
  'ungreedy',
  'firstline',
  'anchored',
  'endanchored',
  'alt_circumflex',
]);

const POSIX: Readonly<Record<string, string>> = {
  alpha: 'A-Za-z',
  digit: '0-9',
  alnum: 'A-Za-z0-9',
  upper: 'A-Z',
  lower: 'a-z',
  space: '\\s',
  blank: ' \\t',
  punct: '!-\\/:-@\\[-`{-~',
  xdigit: '0-9A-Fa-f',
  word: '\\w',
  cntrl: '\\x00-\\x1f\\x7f',
  print: '\\x20-\\x7e',
  graph: '\\x21-\\x7e',
};
/** Escapes of PCRE outside of classes, in JavaScript. */
const ESCAPES: Readonly<Record<string, string>> = {
  A: '(?<![^])',
  z: '(?![^])',
  Z: '(?=\\n?(?![^]))',
  h: '[ \\t]',
  H: '[^ \\t]',
  R: '(?:\\r\\n|[\\n\\v\\f\\r\\x85])',
  N: '[^\\n]',
  e: '\\x1b',
  a: '\\x07',
};
const CLASS_ESCAPES: Readonly<Record<string, string>> = { h: ' \\t', e: '\\x1b', a: '\\x07' };
const UNKNOWN = 'GKCXgUQELlu';

type Modes = {
  readonly extended: boolean;
  readonly ungreedy: boolean;
  readonly plainDollar: boolean;
  readonly unicode: boolean;
};
class Unsupported extends Error {}

/** PCRE's syntax in JavaScript's. Throws `Unsupported` within this file only. */
function translate(p: string, m: Modes): string {
  let out = '';
  let i = 0;
  const no = (what: string): never => {
    throw new Unsupported(what);
  };
  const classAt = (): void => {
    out += '[';
    i++;
    if (p[i] === '^') {
      out += '^';
      i++;
    }
    if (p[i] === ']') {
      out += '\\]';
      i++;
    }
    while (i < p.length && p[i] !== ']') {
      const posix = /^\[:(\^?)(\w+):\]/.exec(p.slice(i, i + 16));
      if (posix) {
        const set = POSIX[posix[2] as string];
        if (set === undefined || posix[1] === '^') no(posix[0]);
        out += set;
        i += posix[0].length;
      } else if (p[i] === '\\') {
        const c = p[i + 1] ?? '';
        if (m.unicode && /[^\w\s\\\]^/.$*+?()[{}|-]/.test(c)) out += c;
        else out += CLASS_ESCAPES[c] ?? `\\${c}`;
        i += 2;
      } else if (p[i] === '[') {
        out += '\\[';
        i++;
      } else out += p[i++];
    }
    if (i >= p.length) no('[');
    out += ']';
    i++;
  };
  const groupAt = (): void => {
    const head = /^\((?:\?(?:#[^)]*\)|P?<[A-Za-z_]\w*>|<?[=!]|:|.?)|\*)?/.exec(p.slice(i, i + 256))?.[0] ?? '(';
    if (head.startsWith('(?#')) i += head.length;
    else if (head === '(' || head === '(?:' || /^\(\?<?[=!]$/.test(head)) {
      out += head;
      i += head.length;
    } else if (/^\(\?P?<\w/.test(head)) {
      out += head.replace('?P<', '?<');
      i += head.length;
    } else no(head);
  };
  while (i < p.length) {
    const c = p[i] as string;
    if (c === '\\') {
      const e = p[i + 1];
      if (e === undefined) no('\\');
      else if (e === 'Q') {
        const stop = p.indexOf('\\E', i);
        const raw = p.slice(i + 2, stop < 0 ? undefined : stop);
        out += raw.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
        i = stop < 0 ? p.length : stop + 2;
      } else if (UNKNOWN.includes(e)) no(`\\${e}`);
      else {
        // In unicode mode JavaScript refuses escapes that mean nothing.
        out += ESCAPES[e] ?? (m.unicode && /[^\w\s^$\\.*+?()[\]{}|/]/.test(e) ? e : `\\${e}`);
        i += 2;
      }
    } else if (c === '[') classAt();
    else if (c === '(') groupAt();
    else if (c === '$' && m.plainDollar) {
      out += '(?=\\n?(?![^]))';
      i++;
    } else if (m.extended && /\s/.test(c)) i++;
    else if (m.extended && c === '#') {
      const stop = p.indexOf('\n', i);
      i = stop < 0 ? p.length : stop + 1;
    } else if (/[*+?]/.test(c) || /^\{\d+(?:,\d*)?\}/.test(p.slice(i, i + 24))) {
      const q = c === '{' ? (/^\{[^}]*\}/.exec(p.slice(i)) as RegExpExecArray)[0] : c;
      i += q.length;
      if (p[i] === '+') no(`${q}+`);
      const lazy = p[i] === '?';
      if (lazy) i++;
      out += q + (lazy !== m.ungreedy ? '?' : '');
    } else if (c === '{' || c === '}' || c === ']') {
      out += `\\${c}`;
      i++;
    } else {
      out += c;
      i++;
    }
  }
  return out;
}

/** Options at the very beginning: `(?i)`, `(?si)`. */
const INLINE: Readonly<Record<string, string>> = {
  i: 'caseless',
  m: 'multiline',
  s: 'dotall',
  x: 'extended',
  U: 'ungreedy',
};

export function compilePattern(pattern: string, o: PatternOptions = {}): Result<Pattern, Text> {
  const inline = /^\(\?([imsxU]+)\)/.exec(pattern);
  const options = new Set([...(o.options ?? []), ...[...(inline?.[1] ?? '')].map((c) => INLINE[c] as string)]);
  const body = inline ? pattern.slice(inline[0].length) : pattern;
  const strange = [...options].find((x) => !(x in FLAGS) && !IGNORED.has(x));
  if (strange !== undefined) return err(text(`option ${strange} cannot be expressed`, `无法实现选项 ${strange}`));
  const unicode = options.has('utf') || options.has('ucp');
  const modes = {
    extended: options.has('extended'),
    ungreedy: options.has('ungreedy'),
    plainDollar: !options.has('dollar_endonly') && !options.has('multiline'),
    unicode,
  };
  const flags = new Set([...options].flatMap((x) => FLAGS[x] ?? []));
  const anchored = options.has('anchored');
  let expression: RegExp;
  try {
    let source = translate(body, modes);
    if (options.has('endanchored')) source = `(?:${source})(?![^])`;
    expression = new RegExp(source, [...flags, anchored ? 'y' : 'g'].join(''));
  } catch (e) {
    if (e instanceof Unsupported)
      return err(text(`${e.message} cannot be expressed in JavaScript`, `JavaScript 无法表达 ${e.message}`));
    if (!(e instanceof SyntaxError)) throw e;
    return err(text(`not a regular expression: ${e.message}`, `不是正则表达式：${e.message}`));
  }
  const from = o.minOffset ?? 0;
  return ok({
    test(raw) {
      const subject = unicode ? Buffer.from(raw, 'latin1').toString('utf8') : raw;
      if (from > subject.length) return false;
      expression.lastIndex = from;
      const m = execWithin(expression, subject);
      if (!m) return m === null ? false : undefined;
      if (options.has('firstline') && subject.slice(from, m.index).includes('\n')) return false;
      return o.maxOffset === undefined || m.index <= o.maxOffset;
    },
  });
}

/** Why a pattern cannot be used here; undefined: it can. For the readers of configuration files. */
export function patternProblem(pattern: string, options: readonly string[] = []): Text | undefined {
  const p = compilePattern(pattern, { options });
  return p.ok ? undefined : p.error;
}
