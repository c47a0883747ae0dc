/** YAML read by the schema: every finding with its place. YAML's own types play no part: each scalar is the text that was typed. */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
  type YAMLMap,
  type Node as YamlNode,
} from 'yaml';
import { type Place, type Text, text } from '../../base/index.ts';
import type { Report } from '../keepalived/report.ts';
import { nearest } from '../keepalived/suggest.ts';
import { NAME, readScalar, type ScalarValue } from './scalars.ts';
import type { Schema } from './schema.ts';

/** What was read: a value, its place, and the place of its key. */
export type Tree = {
  readonly at: Place;
  readonly keyAt: Place;
  readonly value: ScalarValue | undefined;
  readonly keys: ReadonlyMap<string, Tree>;
  readonly items: readonly Tree[];
};

const MOST_DEPTH = 32;
const YAML_WORDS: Readonly<Record<string, Text>> = {
  BAD_INDENT: text('the indentation does not fit', '缩进不一致'),
  MISSING_CHAR: text('a character is missing', '缺少字符'),
  UNEXPECTED_TOKEN: text('this does not belong here', '此处不应出现该内容'),
  BLOCK_AS_IMPLICIT_KEY: text('two keys in one line', '一行中有两个键'),
  MULTILINE_IMPLICIT_KEY: text('a key goes over several lines; is a colon missing?', '键跨越多行；是否缺少冒号？'),
  MULTIPLE_DOCS: text('one file holds one document', '一个文件只能有一个文档'),
};

/** `shown`: the text for lines beside findings, with stars where a secret stood. */
export type Parsed = { readonly tree: Tree | undefined; readonly shown: string };
export function parseYaml(file: string, source: string, schema: Schema, report: Report): Parsed {
  const counter = new LineCounter();
  const at = (from: number, to: number): Place => {
    const p = counter.linePos(from);
    const line = p.line === 0 ? 1 : p.line;
    const end = source.indexOf('\n', from);
    return { file, line, column: Math.max(1, p.col), length: Math.max(1, Math.min(to, end < 0 ? to : end) - from) };
  };
  const doc = parseDocument(source, {
    schema: 'failsafe',
    lineCounter: counter,
    prettyErrors: false,
    uniqueKeys: true,
  });
  for (const e of [...doc.errors, ...doc.warnings]) {
    const place = at(e.pos[0], e.pos[1]);
    if (e.code === 'TAB_AS_INDENT')
      report.error(
        'SYN-01',
        place,
        text('this line starts with a tab', '此行以制表符开头'),
        text('use spaces', '请使用空格'),
      );
    else if (e.code === 'DUPLICATE_KEY')
      report.error('SYN-04', place, text('this key stands here twice', '该键重复出现'));
    else
      report.error(
        'SYN-02',
        place,
        YAML_WORDS[e.code] ?? text(e.message, `YAML 语法错误（${e.code}）`),
        YAML_WORDS[e.code] && text(e.message, e.message),
      );
  }
  if (!doc.contents) {
    if (doc.errors.length === 0) report.error('SYN-02', at(0, 1), text('the file is empty', '文件为空'));
    return { tree: undefined, shown: source };
  }
  // What is broken as YAML would only be followed by its own consequences.
  if (doc.errors.some((e) => e.code !== 'DUPLICATE_KEY')) return { tree: undefined, shown: masked(source) };
  const walk = new Walk(at, report);
  const root = { name: text('the file', '文件'), keyAt: at(0, 1) };
  const tree = walk.read(doc.contents as YamlNode, schema, root, 0);
  let shown = source;
  for (const [from, to] of walk.secrets)
    shown = shown.slice(0, from) + shown.slice(from, to).replaceAll(/\S/g, '*') + shown.slice(to);
  return { tree, shown };
}

/** Where nothing can be read in detail, what stands behind `secret` or `password` is hidden. */
const masked = (source: string): string =>
  source.replaceAll(
    /((?:secret|password)["']?\s*:\s*)(\S[^\n]*)/g,
    (_, key: string, rest: string) => key + rest.replaceAll(/\S/g, '*'),
  );

type Where = { readonly name: Text; readonly keyAt: Place };
const kindOf = (n: YamlNode | null | undefined): Text => {
  if (isMap(n)) return text('a map', '映射');
  if (isSeq(n)) return text('a list', '列表');
  return text('one value', '单个值');
};

class Walk {
  readonly #at: (from: number, to: number) => Place;
  readonly #report: Report;
  /** Offsets of secrets that stand in the file. */
  readonly secrets: [number, number][] = [];
  constructor(at: (from: number, to: number) => Place, report: Report) {
    this.#at = at;
    this.#report = report;
  }
  #place(n: YamlNode | null | undefined, otherwise: Place): Place {
    return n?.range ? this.#at(n.range[0], n.range[1]) : otherwise;
  }

  read(n: YamlNode | null | undefined, schema: Schema, where: Where, depth: number): Tree | undefined {
    const at = this.#place(n, where.keyAt);
    if (isAlias(n) || (n && 'anchor' in n && n.anchor !== undefined)) {
      this.#report.error(
        'SYN-05',
        at,
        text('anchors and aliases are not read', '不支持锚点和别名'),
        text('write the values out', '请直接写出内容'),
      );
      return undefined;
    }
    if (n?.tag !== undefined) {
      this.#report.error('SYN-05', at, text(`the tag ${n.tag} is not read`, `不支持标签 ${n.tag}`));
      return undefined;
    }
    if (depth > MOST_DEPTH) return undefined;
    const tree = (part: Partial<Tree>): Tree => ({
      at,
      keyAt: where.keyAt,
      value: undefined,
      keys: new Map(),
      items: [],
      ...part,
    });
    switch (schema.is) {
      case 'scalar': {
        if (!isScalar(n)) return this.#other(n, at, where, text('one value', '单个值'));
        const typed = n.value === null || n.value === undefined ? '' : String(n.value);
        if (typed === '') {
          this.#report.error('SYN-09', at, text(`${where.name.en} has no value`, `${where.name.zh} 没有值`));
          return undefined;
        }
        const r = readScalar(schema.type, typed);
        if (r.ok) return tree({ value: r.value });
        this.#report.error(
          r.error.code,
          at,
          text(`${where.name.en}: ${r.error.message.en}`, `${where.name.zh}：${r.error.message.zh}`),
          r.error.hint,
        );
        return undefined;
      }
      case 'list':
        if (!isSeq(n)) return this.#other(n, at, where, text('a list', '列表'));
        return tree({
          items: n.items.flatMap((i) => this.read(i as YamlNode, schema.of, { ...where, keyAt: at }, depth + 1) ?? []),
        });
      case 'map':
        if (!isMap(n)) return this.#other(n, at, where, text('a map', '映射'));
        return tree({ keys: this.#named(n, schema.of, schema.what, depth) });
      case 'object':
        if (!isMap(n)) return this.#other(n, at, where, text('a map', '映射'));
        return tree({ keys: this.#object(n, schema, where, at, depth) });
      case 'either':
        return this.read(n, isScalar(n) ? schema.short : schema.long, where, depth);
      case 'secret':
        return this.#secret(n, where, tree);
    }
  }
  #other(n: YamlNode | null | undefined, at: Place, where: Where, wanted: Text): undefined {
    const have = kindOf(n);
    this.#report.error(
      'SYN-09',
      at,
      text(
        `${where.name.en} is ${wanted.en}, and this is ${have.en}`,
        `${where.name.zh} 应为${wanted.zh}，此处为${have.zh}`,
      ),
    );
    return undefined;
  }
  #pairs(n: YAMLMap): { readonly key: string; readonly keyAt: Place; readonly node: YamlNode | null }[] {
    return (n.items as Pair<YamlNode, YamlNode | null>[]).flatMap((p) => {
      const keyAt = this.#place(p.key, this.#place(n, { file: '', line: 1, column: 1, length: 1 }));
      if (isScalar(p.key) && p.key.value === '<<') {
        this.#report.error('SYN-05', keyAt, text('merge keys are not read', '不支持合并键'));
        return [];
      }
      if (isScalar(p.key)) return [{ key: String(p.key.value ?? ''), keyAt, node: p.value }];
      this.#report.error('SYN-02', keyAt, text('a key is one word', '键须为单个词'));
      return [];
    });
  }
  #named(n: YAMLMap, of: Schema, what: Text, depth: number): Map<string, Tree> {
    const out = new Map<string, Tree>();
    for (const { key, keyAt, node } of this.#pairs(n)) {
      if (!NAME.test(key))
        this.#report.error(
          'SYN-07',
          keyAt,
          text(`'${key}' is no name of ${what.en}`, `'${key}' 不能作为${what.zh}名称`),
        );
      const t = this.read(node, of, { name: text(`${what.en} ${key}`, `${what.zh} ${key}`), keyAt }, depth + 1);
      if (t) out.set(key, t);
    }
    return out;
  }
  #object(
    n: YAMLMap,
    schema: Extract<Schema, { is: 'object' }>,
    where: Where,
    at: Place,
    depth: number,
  ): Map<string, Tree> {
    const out = new Map<string, Tree>();
    const seen = new Set<string>();
    for (const { key, keyAt, node } of this.#pairs(n)) {
      seen.add(key);
      const known = Object.hasOwn(schema.keys, key) ? schema.keys[key] : undefined;
      if (!known) {
        const near = nearest(key, Object.keys(schema.keys));
        this.#report.error(
          'SYN-03',
          keyAt,
          text(`unknown key '${key}' in ${where.name.en}`, `${where.name.zh} 中没有键 '${key}'`),
          near === undefined ? undefined : text(`did you mean '${near}'?`, `是否想写 '${near}'？`),
        );
      } else if (known.later)
        this.#report.warn(
          'VER-02',
          keyAt,
          text(
            `'${key}' is not yet read by this version; nothing in it has an effect`,
            `此版本尚不读取 '${key}'；其中内容不起作用`,
          ),
        );
      else {
        const t = this.read(node, known.schema, { name: text(key, key), keyAt }, depth + 1);
        if (t) out.set(key, t);
      }
    }
    for (const [key, k] of Object.entries(schema.keys))
      if (k.required && !seen.has(key))
        this.#report.error(
          'SYN-10',
          { ...where.keyAt, file: at.file },
          text(`${where.name.en} needs '${key}'`, `${where.name.zh} 缺少 '${key}'`),
          k.help,
        );
    return out;
  }
  /** `{file: PATH}`; the secret itself in the file is an error, and is not repeated. */
  #secret(n: YamlNode | null | undefined, where: Where, tree: (p: Partial<Tree>) => Tree): Tree | undefined {
    const how = text(
      'write it into a file that root alone can read, and here: secret: {file: /etc/holdfast/NAME.secret}',
      '请写入仅 root 可读的文件，并在此写：secret: {file: /etc/holdfast/NAME.secret}',
    );
    const pairs = isMap(n) ? this.#pairs(n) : [];
    const [only] = pairs;
    const named = pairs.length === 1 && (only?.key === 'file' || only?.key === 'secret');
    if (!named && n?.range) this.secrets.push([n.range[0], n.range[1]]);
    if (pairs.length === 1 && only?.key === 'file') {
      const t = this.read(
        only.node,
        { is: 'scalar', type: { kind: 'path' } },
        { name: text('file', 'file'), keyAt: only.keyAt },
        1,
      );
      return t && tree({ value: t.value });
    }
    if (pairs.length === 1 && only?.key === 'secret')
      this.#report.error(
        'SEC-02',
        only.keyAt,
        text(
          "secrets by name need the cluster's store, which this version does not have",
          '按名称引用密钥需要集群密钥库，此版本尚无',
        ),
        how,
      );
    else
      this.#report.error(
        'SEC-01',
        where.keyAt,
        text(`${where.name.en} is in the file`, `${where.name.zh} 写在了文件中`),
        how,
      );
    return undefined;
  }
}
