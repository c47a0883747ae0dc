/**
 * From lines as they stand in the files to lines of words: conditions, definitions, repetitions, parameters. Order
 * matters, since a definition counts from where it stands; so lines are worked through one by one, and what a
 * multi-line parameter stands for is worked through in its place.
 */
import { type Place, Random, text } from '../../../base/index.ts';
import type { Report } from '../report.ts';
import { directoryOf } from './includes.ts';
import { wholeNumber } from './numbers.ts';
import { parseSequence } from './sequences.ts';
import { joined, placeOf, sliceOf, standingAt, type Traced } from './traced.ts';
import { commentStart, type Word, wordsOf } from './words.ts';

export type ExpandOptions = {
  /** What `@id` is compared with, and `${_INSTANCE}`. */
  readonly configId: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** For `${_RANDOM}` until a `random_seed` line is met. */
  readonly seed: number;
  /** Lines after expansion; more are an error. */
  readonly maxLines: number;
};

type Definition =
  | { readonly kind: 'value'; readonly value: string }
  | { readonly kind: 'lines'; readonly lines: readonly string[] };
const DEFINE = /^\$([A-Za-z_][A-Za-z0-9_]*)=/;
const USE = /\$(?:\{([^{}]*)\}|([A-Za-z_][A-Za-z0-9_]*)(?=\s|$))/g;
const DEEPEST = 32;
const MOST_REPLACEMENTS = 1000;
const LONGEST_LINE = 65_536;

export class Expander {
  readonly #report: Report;
  readonly #options: ExpandOptions;
  readonly #definitions = new Map<string, Definition>();
  #random: Random;
  /** A definition whose lines are still being collected. */
  #open: { readonly name: string; readonly lines: string[]; readonly place: Place } | undefined;
  #emitted = 0;
  #worked = 0;
  #overflow = false;
  readonly #out: Word[][] = [];

  constructor(options: ExpandOptions, report: Report) {
    this.#options = options;
    this.#report = report;
    this.#random = new Random(options.seed);
  }

  words(lines: readonly Traced[]): readonly Word[][] {
    for (const line of lines) this.#line(line, 0);
    if (this.#open)
      this.#report.fault(
        'definition-unfinished',
        this.#open.place,
        text(`the definition of $${this.#open.name} has no last line`, `$${this.#open.name} 的定义没有最后一行`),
        text('its last line must not end in a backslash', '最后一行不能以反斜杠结尾'),
      );
    return this.#out;
  }

  #line(line: Traced, depth: number): void {
    if (this.#overflow) return;
    if (this.#open) {
      this.#collect(line);
      return;
    }
    const s = line.text;
    let first = 0;
    while (first < s.length && (s[first] === ' ' || s[first] === '\t')) first++;
    const c = s[first];
    if (c === undefined) return;
    if (c !== '@' && c !== '~' && !s.includes('$')) {
      this.#emit(line);
      return;
    }
    if (++this.#worked > this.#options.maxLines) this.#tooMuch(line);
    else this.#special(sliceOf(line, first, commentStart(s)), depth);
  }

  #special(line: Traced, depth: number): void {
    const s = line.text;
    if (depth > DEEPEST) {
      this.#report.error(
        'expansion-too-deep',
        placeOf(line, 0, s.length),
        text('parameters stand for one another without end', '参数之间无限循环引用'),
      );
      return;
    }
    const condition = /^@(\^?)(\S*)[ \t]*/.exec(s);
    if (condition) {
      const same = condition[2] === this.#options.configId;
      if (same !== (condition[1] === '^')) this.#line(sliceOf(line, condition[0].length), depth + 1);
      return;
    }
    const definition = DEFINE.exec(s);
    if (definition) {
      this.#define(definition[1]!, sliceOf(line, definition[0].length), placeOf(line, 0, definition[0].length - 1));
      return;
    }
    if (s.startsWith('~')) {
      const filled = this.#substitute(line, /^~(?:SEQx?|LST)\([^)]*\)/.exec(s)?.[0].length ?? 0);
      const sequence = parseSequence(filled.text);
      if (sequence && 'malformed' in sequence) {
        this.#report.fault(
          'sequence-malformed',
          placeOf(line, 0, s.length),
          text(
            'this is no ~SEQ(var, [start, [step,]] end) or ~LST(var, value, ...)',
            '不是 ~SEQ(var, [start, [step,]] end) 或 ~LST(var, value, ...) 的形式',
          ),
        );
        return;
      }
      if (sequence) {
        this.#repeat(sequence.repetition, sliceOf(filled, sequence.length), depth);
        return;
      }
    }
    const use = /^\$(?:\{([A-Za-z0-9_]+)\}|([A-Za-z0-9_]+))\s*$/.exec(s);
    const meant = use && this.#definitions.get((use[1] ?? use[2])!);
    if (meant?.kind === 'lines') {
      const place = placeOf(line, 0, s.trimEnd().length);
      for (const body of meant.lines) this.#line(standingAt(body, place), depth + 1);
      return;
    }
    const filled = this.#substitute(line, s.length);
    // What a parameter stood for may begin with a condition: `$IF_MAIN priority 240`.
    if (/^\s*[@~]/.test(filled.text) && filled.text !== s) this.#line(filled, depth + 1);
    else this.#emit(filled);
  }

  #repeat(
    r: { readonly names: readonly string[]; readonly rows: readonly (readonly string[])[] },
    rest: Traced,
    depth: number,
  ): void {
    const before = r.names.map((n) => this.#definitions.get(n));
    for (const row of r.rows) {
      r.names.forEach((n, i) => {
        this.#definitions.set(n, { kind: 'value', value: row[i]! });
      });
      this.#line(rest, depth + 1);
    }
    r.names.forEach((n, i) => {
      const old = before[i];
      if (old) this.#definitions.set(n, old);
      else this.#definitions.delete(n);
    });
  }

  #define(name: string, value: Traced, place: Place): void {
    if (name.startsWith('_')) {
      this.#report.fault(
        'parameter-reserved',
        place,
        text(`names that begin with _ are predefined: $${name}`, `以 _ 开头的名称是预定义的:$${name}`),
      );
      return;
    }
    const s = value.text.trimEnd();
    if (!s.endsWith('\\')) {
      this.#definitions.set(name, { kind: 'value', value: s.trim() });
      return;
    }
    const head = s.slice(0, -1).trim();
    this.#open = { name, lines: head === '' ? [] : [head], place };
  }

  #collect(line: Traced): void {
    const open = this.#open!;
    const s = line.text.slice(0, commentStart(line.text)).trim();
    if (s === '') return;
    const more = s.endsWith('\\');
    const body = more ? s.slice(0, -1).trim() : s;
    if (body !== '') open.lines.push(body);
    if (more) return;
    this.#open = undefined;
    this.#definitions.set(open.name, { kind: 'lines', lines: open.lines });
  }

  /** Replaces what stands before `end`, again and again until nothing is left to replace. */
  #substitute(line: Traced, end: number): Traced {
    let t = line;
    let limit = end;
    const kept = new Set<string>();
    for (let n = 0; n < MOST_REPLACEMENTS && t.text.length <= LONGEST_LINE; n++) {
      USE.lastIndex = 0;
      let m = USE.exec(t.text);
      while (m && m.index < limit && kept.has(m[0])) m = USE.exec(t.text);
      if (!m || m.index >= limit) return t;
      const place = placeOf(t, m.index, m.index + m[0].length);
      const value = this.#valueOf((m[1] ?? m[2])!, m[1] !== undefined, t, place);
      if (value === undefined) {
        kept.add(m[0]);
        continue;
      }
      const after = sliceOf(t, m.index + m[0].length);
      t = joined([sliceOf(t, 0, m.index), standingAt(value, place), after]);
      limit += value.length - m[0].length;
    }
    this.#report.error(
      'expansion-too-deep',
      placeOf(line, 0, line.text.length),
      text('parameters stand for one another without end', '参数之间无限循环引用'),
    );
    return sliceOf(line, 0, 0);
  }

  /** Undefined: unknown, stays as it is. */
  #valueOf(name: string, braced: boolean, line: Traced, place: Place): string | undefined {
    const known = this.#definitions.get(name);
    if (known?.kind === 'value') return known.value;
    if (known) {
      this.#report.fault(
        'parameter-lines-inline',
        place,
        text(`$${name} stands for several lines and must stand alone on its line`, `$${name} 代表多行，必须单独占一行`),
      );
      return '';
    }
    const [builtin, ...args] = name.split(/[ \t]+/);
    switch (builtin) {
      case '_PWD':
        return directoryOf(line.file);
      case '_INSTANCE':
        return this.#options.configId;
      case '_HASH':
        return '\\#'; // escaped, so that it begins no comment
      case '_BANG':
        return '\\!';
      case '_ENV': {
        const value = braced ? this.#options.environment[args[0] ?? ''] : undefined;
        if (value !== undefined) return value.replaceAll(/[\r\n]/g, ' ');
        this.#report.fault(
          'environment-unset',
          place,
          text(`the environment has no ${args[0] ?? 'such variable'}`, `环境变量 ${args[0] ?? ''} 不存在`),
        );
        return '';
      }
      case '_RANDOM': {
        const [low = 0, high = 32767] = args.map(wholeNumber);
        if (low <= high && args.every((a) => wholeNumber(a) !== undefined))
          return String(this.#random.between(low, high));
        this.#report.fault(
          'random-range',
          place,
          text('_RANDOM [MIN [MAX]] needs whole numbers, the lower first', '_RANDOM [MIN [MAX]] 需要整数，小者在前'),
        );
        return '';
      }
      default:
        return undefined;
    }
  }

  #emit(line: Traced): void {
    const words = wordsOf(line, this.#report);
    if (words.length === 0) return;
    if (++this.#emitted > this.#options.maxLines) {
      this.#tooMuch(line);
      return;
    }
    if (words[0]!.text === 'random_seed') this.#random = new Random(wholeNumber(words[1]?.text ?? '') ?? 0);
    this.#out.push(words);
  }

  #tooMuch(line: Traced): void {
    this.#overflow = true;
    this.#report.error(
      'expansion-too-long',
      placeOf(line, 0, line.text.length),
      text(`repetitions make more than ${this.#options.maxLines} lines`, `重复展开超过 ${this.#options.maxLines} 行`),
    );
  }
}
