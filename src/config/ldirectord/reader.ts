/** Reads an ldirectord.cf into what the director is told, and tells everything that is wrong with it at once. */
import { type Diagnostic, type Family, type IpAddress, type Place, type Text, text } from '../../base/index.ts';
import type { DirectorConfig } from '../../director/config.ts';
import { Report } from '../keepalived/report.ts';
import { nearest } from '../keepalived/suggest.ts';
import type { FileSource } from '../keepalived/text/includes.ts';
import { type Directive, directivesOf } from './lines.ts';
import { portNames } from './services.ts';
import { type Context, readYesNo } from './values.ts';
import { buildVirtual, type Section } from './virtual.ts';
import { WORDS } from './words.ts';

export type LdirectordConfig = {
  readonly director: DirectorConfig;
  /** Read the file again when it changes on disk. */
  readonly autoReload: boolean;
  /** The first that a virtual server or the file as a whole names. */
  readonly mail?: { readonly to: readonly string[]; readonly from?: string; readonly server?: string };
};
export type LdirectordResult = {
  /** Absent when there are errors. */
  readonly config?: LdirectordConfig;
  readonly diagnostics: readonly Diagnostic[];
  readonly sources: ReadonlyMap<string, string>;
};

export function readLdirectordCf(o: {
  readonly file: string;
  /** Also asked for /etc/services. */
  readonly files: FileSource;
  /** What this host is called: default `localhost`. */
  readonly hostName?: string;
  /** Addresses of host names; without it names are errors. */
  readonly resolve?: (name: string, family: Family) => IpAddress | undefined;
}): LdirectordResult {
  const report = new Report(false);
  const source = o.files.read(o.file);
  if (source === undefined) {
    const why: Text = o.files.why?.(o.file) ?? text('it cannot be read', '无法读取');
    report.error('file-unreadable', undefined, text(`${o.file}: ${why.en}`, `${o.file}：${why.zh}`));
    return { diagnostics: report.diagnostics, sources: new Map() };
  }
  const context: Context = {
    report,
    names: { host: o.resolve ?? (() => undefined), port: portNames(o.files.read('/etc/services')) },
  };
  const { global, virtuals } = sectionsOf(directivesOf(o.file, source, report), report);
  const mail = mailOf([global, ...virtuals]);
  const seen = new Map<string, number>();
  const virtualServers = virtuals.flatMap((section) => {
    const v = buildVirtual(section, global, o.hostName ?? 'localhost', context);
    if (!v) return [];
    const key = JSON.stringify(v.service);
    const first = seen.get(key);
    seen.set(key, first ?? section.head.at.line);
    if (first === undefined) return [v];
    report.error(
      'virtual-server-repeated',
      section.head.valueAt,
      text(`this virtual server is in line ${first} already`, `该虚拟服务器已在第 ${first} 行`),
    );
    return [];
  });
  const yes = (name: string, usual: boolean): boolean => {
    const d = global.words.get(name);
    return (d && readYesNo(context, d)) ?? usual;
  };
  for (const name of ['fork', 'supervised']) yes(name, false);
  const director: DirectorConfig = {
    virtualServers,
    groups: [],
    timeouts: {},
    flushAtStart: false,
    flushAtStop: yes('cleanstop', true) ? 'virtual-servers' : 'no',
    notifyAtStart: false,
    noCheckerMails: false,
    fifos: [],
  };
  const config = { director, autoReload: yes('autoreload', false), ...(mail && { mail }) };
  return {
    ...(report.refused ? {} : { config }),
    diagnostics: once(report.diagnostics).sort((a, b) => byPlace(a.place, b.place)),
    sources: new Map([[o.file, source]]),
  };
}

/** A global line is read for every virtual server, and a check made for every real server: what is wrong is told once. */
const once = (all: readonly Diagnostic[]): Diagnostic[] => [
  ...new Map(all.map((d) => [JSON.stringify([d.code, d.place, d.message]), d])).values(),
];
const byPlace = (a: Place | undefined, b: Place | undefined): number =>
  (a?.line ?? 0) - (b?.line ?? 0) || (a?.column ?? 0) - (b?.column ?? 0);

function sectionsOf(
  all: readonly Directive[],
  report: Report,
): { readonly global: Section; readonly virtuals: readonly Section[] } {
  const nothing: Directive = { name: '', at: place0, value: '', valueAt: place0, indented: false };
  const global: Section = { head: nothing, words: new Map(), reals: [] };
  const virtuals: Section[] = [];
  let section: Section | undefined;
  for (const d of all) {
    if (!d.indented) section = undefined;
    const word = Object.hasOwn(WORDS, d.name) ? WORDS[d.name] : undefined;
    if (!word) {
      const near = nearest(d.name, Object.keys(WORDS));
      report.error(
        'word-unknown',
        d.at,
        text(`there is no directive '${d.name}'`, `没有指令 '${d.name}'`),
        near === undefined ? undefined : text(`did you mean '${near}'?`, `是否想写 '${near}'？`),
      );
      continue;
    }
    if (!d.indented && word.use === 'server' && d.name.startsWith('virtual')) {
      section = { head: d, words: new Map(), reals: [] };
      virtuals.push(section);
      continue;
    }
    const inside = d.indented && virtuals.length > 0;
    if (!fits(d, word.scope, inside, report)) continue;
    if (word.use === 'none') noEffect(d, report);
    const target = inside ? (virtuals.at(-1) as Section) : global;
    if (word.use === 'server') target.reals.push(d);
    else {
      const before = target.words.get(d.name);
      if (before)
        report.warn(
          'word-repeated',
          d.at,
          text(
            `${d.name} is in line ${before.at.line} already; this one counts`,
            `${d.name} 已在第 ${before.at.line} 行；以此处为准`,
          ),
        );
      target.words.set(d.name, d);
    }
  }
  return { global, virtuals };
}
const place0: Place = { file: '', line: 0, column: 1, length: 1 };

function fits(d: Directive, scope: string, inside: boolean, report: Report): boolean {
  if (scope === 'both' || (scope === 'virtual') === inside) return true;
  if (scope === 'virtual')
    report.error(
      'word-misplaced',
      d.at,
      text(`${d.name} belongs below a virtual server`, `${d.name} 应写在 virtual 之下`),
      text('indent it below a virtual line', '请在 virtual 行之下缩进书写'),
    );
  else
    report.error(
      'word-misplaced',
      d.at,
      text(`${d.name} does not belong below a virtual server`, `${d.name} 不能写在 virtual 之下`),
      text('write it at the beginning of a line', '请从行首开始书写'),
    );
  return false;
}

const INSTEAD: Readonly<Record<string, Text>> = {
  checkcount: text('failurecount says how many failures count', '失败次数由 failurecount 决定'),
  maintenancedir: text("'holdfast lb drain' takes a server out", "用 'holdfast lb drain' 摘除服务器"),
  monitorfile: text(
    "every change and its reason is in the log and in 'holdfast lb status'",
    "每次变化及原因见日志和 'holdfast lb status'",
  ),
  logfile: text('the log goes to the journal and to syslog', '日志写入 journal 与 syslog'),
  execute: text('start one holdfast for each file', '每个文件启动一个 holdfast'),
  emailalertfreq: text('one mail is sent for each change', '每次变化发送一封邮件'),
};
function noEffect(d: Directive, report: Report): void {
  report.warn(
    'ldirectord-no-effect',
    d.at,
    text(`${d.name} has no effect here`, `${d.name} 在此不起作用`),
    INSTEAD[d.name],
  );
}

function mailOf(sections: readonly Section[]): LdirectordConfig['mail'] {
  for (const { words } of sections) {
    const to = words
      .get('emailalert')
      ?.value.split(/\s*,\s*/)
      .filter((a) => a !== '');
    if (!to || to.length === 0) continue;
    const value = (name: string): string | undefined => (words.get(name) ?? sections[0]?.words.get(name))?.value;
    const [from, server] = [value('emailalertfrom'), value('smtp')];
    return { to, ...(from !== undefined && { from }), ...(server !== undefined && { server }) };
  }
  return undefined;
}
