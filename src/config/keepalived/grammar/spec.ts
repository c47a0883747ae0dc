/**
 * The machinery under the grammar tables: a block is a table of keywords, each with what reads its arguments. From the
 * table come the parser, the types of its result, the list of words for suggestions, and the test that no word of the
 * reference is missing.
 */
import { type Place, type Text, text } from '../../../base/index.ts';
import type { Report } from '../report.ts';
import { nearest } from '../suggest.ts';
import type { Statement } from '../text/tree.ts';
import { Args, type Reader } from './args.ts';

/** A value with where it stands (`at`: the value, or the keyword where there is none) and its keyword. */
export type Got<T> = { readonly value: T; readonly at: Place; readonly keyword: Place };

/** The keepalived release that brought a word; absent: 2.2.7 or older. `holdfast`: our own. */
export type Since = '2.3.0' | '2.3.4' | '2.4' | 'holdfast';
export type Options = {
  readonly since?: Since;
  /** Accepted with a warning; the text says what to write instead. */
  readonly deprecated?: Text;
};
export type Spec<T> = Options & {
  readonly read: Reader<T>;
  readonly opens: 'block' | 'nothing';
  readonly many: boolean;
  /** The words inside, for suggestions and for the completeness test. */
  readonly inside?: AnyBlock;
};
type One<T> = Spec<T> & { readonly many: false };
type Many<T> = Spec<T> & { readonly many: true };

// biome-ignore lint/suspicious/noExplicitAny: the element types of a heterogeneous table are recovered by ValuesOf
export type Words = Readonly<Record<string, Spec<any>>>;
export type Alias<K> = Options & { readonly of: K };
export type Block<W extends Words> = {
  /** As it is called in messages: `vrrp_instance`. */
  readonly name: string;
  readonly words: W;
  readonly aliases: Readonly<Record<string, Alias<keyof W & string>>>;
  /** What to say of a word that nobody knows, where it is likely to be an old way of writing. */
  readonly strange?: Text;
};
export type AnyBlock = Block<Words>;
export type ValuesOf<W extends Words> = {
  readonly [K in keyof W]?: W[K] extends Many<infer T> ? readonly Got<T>[] : W[K] extends One<infer T> ? Got<T> : never;
};

export const word = <T>(read: Reader<T>, o: Options = {}): One<T> => ({ read, opens: 'nothing', many: false, ...o });
/** May stand several times; the values are kept in order. */
export const words = <T>(read: Reader<T>, o: Options = {}): Many<T> => ({ read, opens: 'nothing', many: true, ...o });

export const block = <W extends Words>(
  name: string,
  table: W,
  aliases: Readonly<Record<string, Alias<keyof W & string>>> = {},
  strange?: Text,
): Block<W> => ({ name, words: table, aliases, ...(strange ? { strange } : {}) });

/** A block of keywords; `head` reads what stands before the brace. */
export type Nested<H, W extends Words> = {
  readonly head: H;
  readonly values: ValuesOf<W>;
  /** Words that are there with a value that was refused: not to be reported as missing again. */
  readonly refused: ReadonlySet<string>;
};
export const nested = <H, W extends Words>(b: Block<W>, head: Reader<H>, o: Options = {}): Many<Nested<H, W>> => ({
  read: (a) => {
    const h = head(a);
    noMore(a);
    // The inside is read even when the head was refused, so that all errors are told at once.
    const refused = new Set<string>();
    const values = readBlock(b, a.statement.body ?? [], a.report, refused);
    return h === undefined ? undefined : { head: h, values, refused };
  },
  opens: 'block',
  many: true,
  inside: b as unknown as AnyBlock,
  ...o,
});

/** The lines of a block that are not keywords. One that is refused is left out. */
function readLines<T>(a: Args, read: Reader<T>): readonly Got<T>[] {
  return (a.statement.body ?? []).flatMap((s) => {
    noBody(s, a.report);
    const line = new Args(s, a.report, 0);
    const value = read(line);
    if (value !== undefined) noMore(line);
    const at = s.words[0].place;
    return value === undefined ? [] : [{ value, at, keyword: at }];
  });
}
/** A block whose lines are not keywords. */
export const lines = <T>(read: Reader<T>, o: Options = {}): Many<readonly Got<T>[]> => ({
  read: (a) => {
    noMore(a);
    return readLines(a, read);
  },
  opens: 'block',
  many: true,
  ...o,
});
/** The same with something before the brace. */
export const headedLines = <H, T>(
  head: Reader<H>,
  read: Reader<T>,
): Many<{ readonly head: H; readonly lines: readonly Got<T>[] }> => ({
  read: (a) => {
    const h = head(a);
    noMore(a);
    const all = readLines(a, read);
    return h === undefined ? undefined : { head: h, lines: all };
  },
  opens: 'block',
  many: true,
});
/** A block that lists names, any number on each line. */
export const names = (o: Options = {}): Many<readonly Got<string>[]> => ({
  read: (a) => {
    noMore(a);
    return (a.statement.body ?? []).flatMap((s) => {
      noBody(s, a.report);
      return s.words.map((w) => ({ value: w.text, at: w.place, keyword: w.place }));
    });
  },
  opens: 'block',
  many: true,
  ...o,
});

function noMore(a: Args): void {
  const extra = a.rest();
  const [first] = extra;
  if (!first) return;
  a.report.fault(
    'words-left-over',
    first.place,
    text(
      `'${first.text}' is one word too many behind '${a.keyword.text}'`,
      `'${a.keyword.text}' 后面多了 '${first.text}'`,
    ),
    text(
      'put the next statement on its own line, or quote what belongs together',
      '每条语句单独一行，需要合在一起的词请加引号',
    ),
  );
}
function noBody(s: Statement, report: Report): void {
  if (s.body !== undefined)
    report.fault(
      'block-unexpected',
      s.words[0].place,
      text(`'${s.words[0].text}' takes no block; it is skipped`, `'${s.words[0].text}' 后面不能有块，已跳过`),
    );
}

/** Every block that has a word, by the word: what the hint for a word in the wrong place says. */
export function homesOf(root: AnyBlock): ReadonlyMap<string, readonly string[]> {
  const homes = new Map<string, string[]>();
  const seen = new Set<AnyBlock>();
  const visit = (b: AnyBlock): void => {
    if (seen.has(b)) return;
    seen.add(b);
    for (const w of [...Object.keys(b.words), ...Object.keys(b.aliases)])
      homes.set(w, [...(homes.get(w) ?? []), b.name]);
    for (const spec of Object.values(b.words)) if (spec.inside) visit(spec.inside);
  };
  visit(root);
  return homes;
}

/** Reads the statements of one block by its table. All findings are reported; what was refused is absent. */
export function readBlock<W extends Words>(
  b: Block<W>,
  body: readonly Statement[],
  report: Report,
  refused: Set<string> = new Set(),
): ValuesOf<W> {
  const values: Record<string, Got<unknown> | Got<unknown>[]> = {};
  for (const s of body) {
    const typed = s.words[0];
    const alias = Object.hasOwn(b.aliases, typed.text) ? b.aliases[typed.text] : undefined;
    const key = alias?.of ?? typed.text;
    const spec = Object.hasOwn(b.words, key) ? b.words[key] : undefined;
    if (!spec) {
      unknownWord(b as unknown as AnyBlock, s, report);
      continue;
    }
    const deprecated = alias?.deprecated ?? spec.deprecated;
    if (deprecated)
      report.warn(
        'word-deprecated',
        typed.place,
        text(`'${typed.text}' is deprecated`, `'${typed.text}' 已被弃用`),
        deprecated,
      );
    if (spec.opens === 'block' && s.body === undefined) {
      report.fault(
        'block-missing',
        typed.place,
        text(`'${typed.text}' needs a block { ... }`, `'${typed.text}' 后面需要块 { ... }`),
      );
      continue;
    }
    if (spec.opens === 'nothing') noBody(s, report);
    const a = new Args(s, report, 1);
    const value: unknown = spec.read(a);
    if (value === undefined) {
      refused.add(key);
      continue;
    }
    if (spec.opens === 'nothing') noMore(a);
    const got: Got<unknown> = { value, at: (s.words[1] ?? typed).place, keyword: typed.place };
    if (spec.many) {
      const list = values[key] as Got<unknown>[] | undefined;
      if (list) list.push(got);
      else values[key] = [got];
    } else {
      const first = values[key] as Got<unknown> | undefined;
      if (first)
        report.warn(
          'word-repeated',
          typed.place,
          text(
            `'${typed.text}' is given again; line ${first.keyword.line} is overridden`,
            `'${typed.text}' 重复出现，第 ${first.keyword.line} 行的值被覆盖`,
          ),
        );
      values[key] = got;
    }
  }
  return values as ValuesOf<W>;
}

function unknownWord(b: AnyBlock, s: Statement, report: Report): void {
  const typed = s.words[0];
  const homes = report.homes.get(typed.text);
  const near = nearest(typed.text, [...Object.keys(b.words), ...Object.keys(b.aliases)]);
  const skipped = s.body === undefined ? text('', '') : text('; its block is skipped', '，整个块被跳过');
  report.fault(
    'word-unknown',
    typed.place,
    text(
      `'${typed.text}' is not a word of ${b.name}${skipped.en}`,
      `${b.name} 中没有关键字 '${typed.text}'${skipped.zh}`,
    ),
    homes
      ? text(`it belongs in ${homes.join(', ')}`, `它属于 ${homes.join('、')}`)
      : near === undefined
        ? b.strange
        : text(`did you mean '${near}'?`, `是不是想写 '${near}'?`),
  );
}
