import { type Place, type Text, text } from '../../../base/index.ts';
import type { Report } from '../report.ts';
import { placeOf, sliceOf, type Traced, traced } from './traced.ts';
import { commentStart } from './words.ts';

/** The files that a configuration is made of, as the caller has them. */
export interface FileSource {
  /** Undefined where there is no such file or it may not be read. */
  read(path: string): string | undefined;
  /** Why `read` has nothing to give, where more can be said than that. */
  why?(path: string): Text | undefined;
  /** Paths that match, sorted; braces are expanded here already, so the pattern has none. Without wildcards: the path itself, if it exists. */
  glob(pattern: string): readonly string[];
}

type Check = 'readable' | 'match' | 'wildcard_match' | 'brace_match';
const ALL: readonly Check[] = ['readable', 'match', 'wildcard_match', 'brace_match'];
const INCLUDES: Readonly<Record<string, readonly Check[]>> = {
  include: [],
  includer: ['readable'],
  includem: ['readable', 'match'],
  includew: ['readable', 'wildcard_match'],
  includeb: ['readable', 'brace_match'],
  includea: ALL,
};

const DEEPEST = 32;
const MOST_FILES = 4096;
/** Characters of all files together. */
const MOST_TEXT = 16 * 1024 * 1024;

export const directoryOf = (path: string): string => {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '.' : slash === 0 ? '/' : path.slice(0, slash);
};
const resolve = (from: string, path: string): string =>
  path.startsWith('/') || directoryOf(from) === '.' ? path : `${directoryOf(from)}/${path}`;
/** For telling a file that includes itself: `.` and `..` taken away, links are not followed. */
const normal = (path: string): string => {
  const out: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..' && out.length > 0 && out.at(-1) !== '..' && out.at(-1) !== '') out.pop();
    else if (part !== '.') out.push(part);
  }
  return out.join('/');
};

const MOST_ALTERNATIVES = 256;
const MOST_BRACES = 64;
/** csh braces: `a{b,c{d,e}}` to `ab`, `acd`, `ace`. Without a comma or a closing brace they stay. At most 256 results. */
export function expandBraces(pattern: string): string[] {
  if (pattern.split('{').length - 1 > MOST_BRACES) return [pattern];
  const out: string[] = [];
  expandInto(pattern, out);
  return out;
}
function expandInto(pattern: string, out: string[]): void {
  if (out.length >= MOST_ALTERNATIVES) return;
  const open = pattern.indexOf('{');
  let depth = 0;
  const cuts = [open];
  for (let i = Math.max(0, open); open >= 0 && i < pattern.length; i++) {
    if (pattern[i] === '{') depth++;
    else if (pattern[i] === ',' && depth === 1) cuts.push(i);
    else if (pattern[i] === '}' && --depth === 0) {
      cuts.push(i);
      const [head, tail] = [pattern.slice(0, open), pattern.slice(i + 1)];
      for (const [n, cut] of cuts.slice(1).entries()) expandInto(head + pattern.slice(cuts[n]! + 1, cut) + tail, out);
      return;
    }
  }
  out.push(pattern);
}

/**
 * The lines of a file with those of the files that it includes in their places. This comes before conditions and
 * parameters, so an include line can have neither. `visit` is told each file as it is read.
 */
export class Includes {
  readonly #files: FileSource;
  readonly #report: Report;
  readonly sources = new Map<string, string>();
  #count = 0;
  #size = 0;

  constructor(files: FileSource, report: Report) {
    this.#files = files;
    this.#report = report;
  }

  /** Undefined: the main file cannot be read, which is reported. */
  read(file: string): Traced[] | undefined {
    const out: Traced[] = [];
    if (this.#file(file, [], new Set(), out)) return out;
    this.#report.error(
      'file-unreadable',
      undefined,
      this.#cannotRead(file),
      text('is the path right, and may this user read it?', '路径是否正确，当前用户是否有权限读取？'),
    );
    return undefined;
  }

  #file(file: string, above: readonly string[], inherited: ReadonlySet<Check>, out: Traced[]): boolean {
    const content = this.#files.read(file);
    if (content === undefined) return false;
    this.#count++;
    if (this.#unfit(file, content)) return true;
    this.sources.set(file, content);
    let checks = inherited;
    const body = content.charCodeAt(0) === 0xfeff ? content.slice(1) : content;
    body.split('\n').forEach((line, i) => {
      const t = traced(file, i + 1, line);
      const m = /^[ \t]*(include\w*)(?:[ \t\r]+|$)/.exec(line);
      const word = m?.[1];
      if (word === 'include_check') checks = this.#checks(t, checks);
      const own = word === undefined ? undefined : INCLUDES[word];
      if (own === undefined) out.push(t);
      else this.#include(sliceOf(t, m![0].length), [...above, file], new Set([...checks, ...own]), out);
    });
    return true;
  }

  /** `include_check [+|-]CHECK ...`: without a sign the list is new, without words it is all. */
  #checks(t: Traced, before: ReadonlySet<Check>): ReadonlySet<Check> {
    const given = t.text.slice(0, commentStart(t.text)).trim().split(/\s+/).slice(1);
    const [first] = given;
    const now = new Set(first === undefined ? ALL : /^[+-]/.test(first) ? before : []);
    let add = true;
    for (const g of given) {
      if (/^[+-]/.test(g)) add = g.startsWith('+');
      const check = ALL.find((c) => c === g.replace(/^[+-]/, ''));
      if (check && add) now.add(check);
      else if (check) now.delete(check);
    }
    return now;
  }

  #include(t: Traced, above: readonly string[], checks: ReadonlySet<Check>, out: Traced[]): void {
    const typed = t.text.slice(0, commentStart(t.text)).trim();
    const pattern = typed.replace(/^(["'])(.*)\1$/, '$2');
    const place = placeOf(t, 0, Math.max(1, typed.length));
    const including = above.at(-1)!;
    if (pattern === '') {
      this.#report.fault('value-missing', place, text('include needs a file', 'include 缺少文件名'));
      return;
    }
    const tooMuch = (): void =>
      this.#report.error(
        'include-too-deep',
        place,
        text(
          `includes are nested deeper than ${DEEPEST}, or more than ${MOST_FILES} files`,
          `包含嵌套超过 ${DEEPEST} 层，或超过 ${MOST_FILES} 个文件`,
        ),
      );
    if (above.length >= DEEPEST) {
      tooMuch();
      return;
    }
    const alternatives = expandBraces(pattern).map((p) => resolve(including, p));
    const found = alternatives.map((p) => this.#files.glob(p));
    if (this.#count + found.flat().length > MOST_FILES) {
      tooMuch();
      return;
    }
    const wild = /[*?[]/.test(pattern);
    const none = found.every((f) => f.length === 0);
    const empty = alternatives.filter((_, i) => found[i]!.length === 0);
    if (none && (checks.has('wildcard_match') || (checks.has('match') && !wild))) this.#missing(place, pattern, true);
    else if (empty.length > 0 && alternatives.length > 1 && checks.has('brace_match'))
      this.#missing(place, empty.join(', '), true);
    else if (none && !wild) this.#missing(place, pattern, checks.has('readable'));
    for (const file of found.flat()) {
      const chain = [...above, file];
      if (above.some((f) => normal(f) === normal(file)))
        this.#report.error(
          'include-cycle',
          place,
          text(`a file includes itself: ${chain.join(' -> ')}`, `文件循环包含:${chain.join(' -> ')}`),
        );
      else if (!this.#file(file, above, checks, out)) this.#unreadable(place, file, checks.has('readable'));
    }
  }

  #missing(place: Place, what: string, wrong: boolean): void {
    this.#report[wrong ? 'fault' : 'warn'](
      'include-no-match',
      place,
      text(`no file matches ${what}`, `没有文件匹配 ${what}`),
      text('a relative path begins at the including file', '相对路径以包含它的文件所在目录为起点'),
    );
  }
  #unreadable(place: Place, file: string, wrong: boolean): void {
    this.#report[wrong ? 'fault' : 'warn']('include-unreadable', place, this.#cannotRead(file));
  }
  #cannotRead(file: string): Text {
    const why = this.#files.why?.(file);
    return why
      ? text(`${file} cannot be read: ${why.en}`, `无法读取 ${file}：${why.zh}`)
      : text(`${file} cannot be read`, `无法读取 ${file}`);
  }
  /** One clear word instead of a thousand about every line of an image or of an archive. */
  #unfit(file: string, content: string): boolean {
    const nul = content.indexOf('\0');
    if (nul >= 0) {
      const line = content.slice(0, nul).split('\n').length;
      this.#report.error(
        'file-not-text',
        { file, line, column: 1, length: 1 },
        text('this is no text: it has a byte 0', '不是文本文件：含有值为 0 的字节'),
        text('UTF-16 is not read; save the file as UTF-8', '不支持 UTF-16，请将文件保存为 UTF-8'),
      );
      return true;
    }
    this.#size += content.length;
    if (this.#size <= MOST_TEXT) return false;
    const most = MOST_TEXT / 1024 / 1024;
    this.#report.error(
      'file-too-large',
      { file, line: 1, column: 1, length: 1 },
      text(`with this file the configuration is larger than ${most} MiB`, `加上此文件后，配置超过 ${most} MiB`),
    );
    return true;
  }
}
