/** Reads a drbd.conf with all that it includes, and tells everything that is wrong with it at once. */
import { type Diagnostic, type IpAddress, type Place, type Text, text } from '../../base/index.ts';
import type { MirrorConfig } from '../../mirror/config.ts';
import { Report } from '../keepalived/report.ts';
import type { FileSource } from '../keepalived/text/includes.ts';
import { Files } from './includes.ts';
import { buildRun, type Claim, type DrbdResource } from './mirror.ts';
import { type FileGiven, noSections } from './model.ts';
import { optionRow, optionsOf } from './options.ts';
import { readResource } from './resource.ts';
import { resolveResyncAfter } from './resync-after.ts';
import { type Context, live, needSection, readCommonPart, unknown } from './sections.ts';
import type { Statement, Word } from './tree.ts';
import { readOption } from './values.ts';

export type DrbdReadOptions = {
  /** What this host is called (`uname -n`). Default `localhost`. */
  readonly hostName?: string;
  /** Its addresses: `floating` sections are found by them. */
  readonly addresses?: readonly IpAddress[];
  /** Permission bits of a file, where they can be had: one that others may read should hold no secret. */
  readonly mode?: (path: string) => number | undefined;
};
export type DrbdConfig = {
  readonly written: FileGiven;
  /** In the order of the file. */
  readonly resources: readonly DrbdResource[];
  /** Those that this host runs. */
  readonly mirrors: readonly MirrorConfig[];
};
export type DrbdResult = {
  /** Absent when there are errors. */
  readonly config?: DrbdConfig;
  /** In the order of the files and their lines. */
  readonly diagnostics: readonly Diagnostic[];
  /** Secrets are masked. */
  readonly sources: ReadonlyMap<string, string>;
};

export function readDrbdConf(o: {
  readonly file: string;
  readonly files: FileSource;
  readonly options?: DrbdReadOptions;
}): DrbdResult {
  const report = new Report(false);
  const files = new Files(o.files, report);
  const c: Context = { report };
  const written = readFile(c, files.read(o.file));
  const me = { hostName: o.options?.hostName ?? 'localhost', addresses: o.options?.addresses ?? [] };
  const claims: Claim[] = [];
  const read = written.resources.map((r) => ({
    name: r.name,
    at: r.at,
    written: r,
    run: buildRun(r, written, me, report, claims),
  }));
  checkTwice(claims, report);
  const resources = resolveResyncAfter(read, report);
  warnReadableSecrets(written, o.options?.mode, report);
  const mirrors = resources.flatMap(({ run }) => (run.kind === 'here' ? [run.mirror] : []));
  return {
    ...(report.refused ? {} : { config: { written, resources, mirrors } }),
    diagnostics: inOrder(report, [...files.sources.keys()]),
    sources: files.sources,
  };
}

const TOP = ['global', 'common', 'resource', 'include', 'skip'];
function readFile(c: Context, all: readonly Statement[]): FileGiven {
  const out: FileGiven = { global: new Map(), common: noSections(), resources: [] };
  let common: Place | undefined;
  for (const s of live(all)) {
    const [word, ...values] = s.words;
    switch (true) {
      case word.text === 'global':
        for (const inner of live(needSection(c, s))) readGlobal(c, out, inner);
        break;
      case word.text === 'common':
        if (common)
          c.report.error(
            'drbd-twice',
            word.at,
            text(`common is in line ${common.line} already`, `common 已在第 ${common.line} 行`),
          );
        common = word.at;
        for (const inner of live(needSection(c, s)))
          if (!readCommonPart(c, out.common, inner))
            unknown(c, inner.words[0], 'common', [
              'options',
              'disk',
              'net',
              'startup',
              'handlers',
              'proxy',
              'protocol',
              'syncer',
            ]);
        break;
      case word.text === 'resource': {
        const r = readResource(c, s);
        const before = r && out.resources.find((x) => x.name === r.name);
        if (r && before)
          c.report.error(
            'drbd-resource-twice',
            r.at,
            text(
              `resource ${r.name} is in ${before.at.file}:${before.at.line} already`,
              `资源 ${r.name} 已在 ${before.at.file}:${before.at.line}`,
            ),
          );
        else if (r) out.resources.push(r);
        break;
      }
      case /^require-drbd-module-version-(eq|ne|gt|ge|lt|le)$/.test(word.text): {
        requireVersion(c, word, values[0]);
        break;
      }
      default:
        unknown(c, word, 'drbd.conf', TOP);
    }
  }
  return out;
}
/** The kernel driver that the mirror is a peer of. */
const STANDS_FOR = [8, 4, 11];
function requireVersion(c: Context, word: Word, asked: Word | undefined): void {
  if (!asked || !/^\d+(\.\d+){0,2}$/.test(asked.text)) {
    c.report.error('drbd-value', asked?.at ?? word.at, text(`${word.text} needs a version`, `${word.text} 缺少版本号`));
    return;
  }
  const wanted = asked.text.split('.').map(Number);
  const order = STANDS_FOR.map((n, i) => n - (wanted[i] ?? 0)).find((d) => d !== 0) ?? 0;
  const holds: Readonly<Record<string, boolean>> = {
    eq: order === 0,
    ne: order !== 0,
    gt: order > 0,
    ge: order >= 0,
    lt: order < 0,
    le: order <= 0,
  };
  if (holds[word.text.slice(-2)]) return;
  c.report.error(
    'drbd-version',
    asked.at,
    text(
      `this file asks for another version of DRBD than ${STANDS_FOR.join('.')}, which the mirror stands for`,
      `该文件要求的 DRBD 版本与镜像所代表的 ${STANDS_FOR.join('.')} 不符`,
    ),
  );
}
function readGlobal(c: Context, out: FileGiven, s: Statement): void {
  const [name, ...values] = s.words;
  const row = optionRow('global', name.text);
  if (!row) {
    unknown(c, name, 'global', optionsOf('global'));
    return;
  }
  const given = readOption(row, name, values, c.report);
  if (given) out.global.set(row.name, given);
}

const CLAIMED: Readonly<Record<Claim['what'], Text>> = {
  minor: text('minor number', '次设备号'),
  disk: text('disk', '磁盘'),
  'meta-disk': text('metadata place', '元数据位置'),
  address: text('address and port', '地址和端口'),
};
function checkTwice(claims: readonly Claim[], report: Report): void {
  const first = new Map<string, Claim>();
  for (const x of claims) {
    const key = `${x.what} ${x.value}`;
    const before = first.get(key);
    if (!before) first.set(key, x);
    else {
      const where = `${before.at.file}:${before.at.line}`;
      report.error(
        `drbd-${x.what}-twice`,
        x.at,
        text(`this ${CLAIMED[x.what].en} is taken in ${where} already`, `该${CLAIMED[x.what].zh}已在 ${where} 使用`),
      );
    }
  }
}
const OTHERS_READ = 0o004;
function warnReadableSecrets(w: FileGiven, mode: DrbdReadOptions['mode'], report: Report): void {
  const sets = [
    w.common.net,
    ...w.resources.flatMap((r) => [r.sections.net, ...r.connections.map((x) => x.net), ...r.meshes.map((m) => m.net)]),
  ];
  const told = new Set<string>();
  for (const set of sets) {
    const at = set.get('shared-secret')?.at;
    if (!at || told.has(at.file) || ((mode?.(at.file) ?? 0) & OTHERS_READ) === 0) continue;
    told.add(at.file);
    report.warn(
      'drbd-secret-readable',
      at,
      text('every user of this machine can read this shared-secret', '本机所有用户都能读取此 shared-secret'),
      text(`chmod 600 ${at.file}`, `chmod 600 ${at.file}`),
    );
  }
}

/** What is inherited is judged for every resource, and told once. */
function inOrder(report: Report, files: readonly string[]): Diagnostic[] {
  const rank = new Map(files.map((f, i) => [f, i]));
  const key = (d: Diagnostic): readonly [number, number, number] =>
    d.place ? [rank.get(d.place.file) ?? 0, d.place.line, d.place.column] : [-1, 0, 0];
  const once = [...new Map(report.diagnostics.map((d) => [JSON.stringify([d.code, d.place, d.message]), d])).values()];
  return once.sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    return x[0] - y[0] || x[1] - y[1] || x[2] - y[2];
  });
}
