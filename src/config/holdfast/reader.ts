/** Reads the first part of a holdfast.yaml, as one of its hosts sees it, and tells everything that is wrong with it at once. */
import { type Diagnostic, type Place, text } from '../../base/index.ts';
import type { MirrorConfig } from '../../mirror/config.ts';
import { Report } from '../keepalived/report.ts';
import type { FileSource } from '../keepalived/text/includes.ts';
import { type ClusterHost, type ClusterLink, readHosts, readLinks } from './hosts.ts';
import { buildMirror } from './mirrors.ts';
import { ROOT } from './root.ts';
import { parseYaml } from './tree.ts';

export type HoldfastConfig = {
  readonly cluster: string;
  readonly language: 'en' | 'zh-CN';
  readonly hosts: readonly ClusterHost[];
  readonly links: readonly ClusterLink[];
  /** Those that this host has a copy of. */
  readonly mirrors: readonly MirrorConfig[];
};
export type HoldfastResult = {
  /** Absent when there are errors. */
  readonly config?: HoldfastConfig;
  readonly diagnostics: readonly Diagnostic[];
  /** Secrets that stand in the file by mistake are masked. */
  readonly sources: ReadonlyMap<string, string>;
};
const VERSION = 1;
const LARGEST = 4 * 1024 * 1024;

export function readHoldfastYaml(o: {
  readonly file: string;
  readonly files: FileSource;
  readonly options?: { readonly hostName?: string };
}): HoldfastResult {
  const report = new Report(false);
  const done = (shown: string | undefined, config?: HoldfastConfig): HoldfastResult => ({
    ...(config && !report.refused ? { config } : {}),
    diagnostics: [...report.diagnostics].sort((a, b) => byPlace(a.place, b.place)),
    sources: new Map(shown === undefined ? [] : [[o.file, shown]]),
  });
  const source = o.files.read(o.file);
  if (source === undefined) {
    const why = o.files.why?.(o.file);
    report.error(
      'file-unreadable',
      undefined,
      why
        ? text(`${o.file} cannot be read: ${why.en}`, `无法读取 ${o.file}：${why.zh}`)
        : text(`${o.file} cannot be read`, `无法读取 ${o.file}`),
    );
    return done(undefined);
  }
  if (source.length > LARGEST) {
    report.error('file-too-large', undefined, text(`${o.file} is larger than 4 MiB`, `${o.file} 超过 4 MiB`));
    return done(undefined);
  }
  const { tree, shown } = parseYaml(o.file, source, ROOT, report);
  if (!tree) return done(shown);
  const version = tree.keys.get('version');
  if (version && Number(version.value) > VERSION)
    report.error(
      'VER-01',
      version.at,
      text(
        `version ${version.value} needs a newer Holdfast; this one reads ${VERSION}`,
        `版本 ${version.value} 需要更新的 Holdfast；当前读取 ${VERSION}`,
      ),
    );
  const hosts = readHosts(tree.keys.get('hosts'), report);
  const links = readLinks(tree.keys.get('links'), hosts, tree.keys.get('hosts')?.keyAt, report);
  const taken = new Map<string, Place>();
  const claim = (what: string, value: string, at: Place): void => {
    const key = `${what} ${value}`;
    const before = taken.get(key);
    taken.set(key, before ?? at);
    if (!before) return;
    if (what.startsWith('port'))
      report.error(
        'MIR-18',
        at,
        text(
          `address and port ${value} are those of the mirror in line ${before.line} already`,
          `地址和端口 ${value} 已被第 ${before.line} 行的镜像使用`,
        ),
        text('give each mirror its own port: 7789, 7790, ...', '请为每个镜像指定端口：7789、7790……'),
      );
    else
      report.error(
        'MIR-19',
        at,
        text(
          `${what.split(' ')[0]} ${value} is used in line ${before.line} already`,
          `${value} 已在第 ${before.line} 行使用`,
        ),
      );
  };
  const hostName = o.options?.hostName ?? 'localhost';
  const mirrors = [...(tree.keys.get('mirrors')?.keys ?? [])].flatMap(
    ([name, t]) => buildMirror(name, t, { report, hosts, hostName }, claim) ?? [],
  );
  return done(shown, {
    cluster: String(tree.keys.get('cluster')?.value ?? ''),
    language: tree.keys.get('language')?.value === 'zh-CN' ? 'zh-CN' : 'en',
    hosts: [...hosts.values()],
    links,
    mirrors,
  });
}
const byPlace = (a: Place | undefined, b: Place | undefined): number =>
  (a?.line ?? 0) - (b?.line ?? 0) || (a?.column ?? 0) - (b?.column ?? 0);
