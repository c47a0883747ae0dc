/** The files that a drbd.conf is made of. `include "glob";` stands outside of all sections; a path begins at the including file. */
import { type Text, text } from '../../base/index.ts';
import type { Report } from '../keepalived/report.ts';
import { directoryOf, type FileSource } from '../keepalived/text/includes.ts';
import { KEYWORDS } from './sections.ts';
import { type Token, tokensOf } from './tokens.ts';
import { type Statement, treeOf } from './tree.ts';

const MOST_FILES = 4096;
const MOST_TEXT = 16 * 1024 * 1024;
const resolve = (from: string, path: string): string =>
  path.startsWith('/') || directoryOf(from) === '.' ? path : `${directoryOf(from)}/${path}`;

/** Secrets as stars: the line below a finding shows what else stands there. */
function maskSecrets(source: string, tokens: readonly Token[]): string {
  const lines = source.split('\n');
  for (const [i, t] of tokens.entries()) {
    const secret = tokens[i + 1];
    if (t.text !== 'shared-secret' || secret?.kind !== 'word') continue;
    const { line, column } = secret.at;
    const whole = lines[line - 1] ?? '';
    const stars = '*'.repeat(secret.text.length);
    lines[line - 1] = whole.slice(0, column - 1) + whole.slice(column - 1).replace(secret.text, () => stars);
  }
  return lines.join('\n');
}

export class Files {
  readonly #files: FileSource;
  readonly #report: Report;
  /** For showing lines beside findings; secrets are masked. */
  readonly sources = new Map<string, string>();
  #size = 0;
  constructor(files: FileSource, report: Report) {
    this.#files = files;
    this.#report = report;
  }

  /** The statements of a file with those of the files that it includes in their places. */
  read(file: string): Statement[] {
    const source = this.#files.read(file);
    if (source === undefined) {
      this.#report.error(
        'file-unreadable',
        undefined,
        this.#cannotRead(file),
        text('is the path right, and may this user read it?', '路径是否正确，当前用户是否有权限读取？'),
      );
      return [];
    }
    return this.#statements(file, source);
  }
  #statements(file: string, source: string): Statement[] {
    this.#size += source.length;
    this.sources.set(file, '');
    const start = { file, line: 1, column: 1, length: 1 };
    if (this.#size > MOST_TEXT) {
      this.#report.error(
        'file-too-large',
        start,
        text('with this file the configuration is larger than 16 MiB', '加上此文件后，配置超过 16 MiB'),
      );
      return [];
    }
    if (source.includes('\0')) {
      this.#report.error(
        'file-not-text',
        start,
        text('this is no text: it has a byte 0', '不是文本文件：含有值为 0 的字节'),
      );
      return [];
    }
    const tokens = tokensOf(file, source, this.#report);
    this.sources.set(file, maskSecrets(source, tokens));
    return treeOf(tokens, KEYWORDS, this.#report).flatMap((s) =>
      s.words[0].text === 'include' && !s.body ? this.#include(file, s) : [s],
    );
  }
  #include(file: string, s: Statement): Statement[] {
    const [word, pattern] = s.words;
    if (!pattern || s.words.length > 2) {
      this.#report.error(
        'drbd-include',
        word.at,
        text('include needs one path', 'include 须有一个路径'),
        text('write include "drbd.d/*.res";', '请写 include "drbd.d/*.res";'),
      );
      return [];
    }
    const found = this.#files.glob(resolve(file, pattern.text));
    if (found.length === 0 && !/[*?[]/.test(pattern.text))
      this.#report.error(
        'include-no-match',
        pattern.at,
        text(`no file matches ${pattern.text}`, `没有文件匹配 ${pattern.text}`),
        text('a relative path begins at the including file', '相对路径以包含它的文件所在目录为起点'),
      );
    const out: Statement[] = [];
    for (const path of found) {
      if (this.sources.has(path)) {
        this.#report.error('include-twice', pattern.at, text(`${path} is read already`, `${path} 已被读取`));
        continue;
      }
      const source = this.sources.size >= MOST_FILES ? undefined : this.#files.read(path);
      if (source === undefined) this.#report.error('include-unreadable', pattern.at, this.#cannotRead(path));
      else out.push(...this.#statements(path, source));
    }
    return out;
  }
  #cannotRead(file: string): Text {
    const why = this.#files.why?.(file);
    return why
      ? text(`${file} cannot be read: ${why.en}`, `无法读取 ${file}：${why.zh}`)
      : text(`${file} cannot be read`, `无法读取 ${file}`);
  }
}
