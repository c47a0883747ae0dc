import { type Diagnostic, type Place, text } from '../../base/index.ts';
import { buildBfd } from './builders/bfd.ts';
import { buildDirector } from './builders/director.ts';
import { buildGlobal } from './builders/global.ts';
import { declared, flat, type GlobalValues } from './builders/values.ts';
import { buildVrrp, type RootValues } from './builders/vrrp.ts';
import type { KeepalivedConfig } from './config.ts';
import { BUILT_IN_NAMES, type IprouteKind, type IprouteNames, parseIprouteFile } from './grammar/names.ts';
import { root, rootBlock } from './grammar/root.ts';
import { homesOf, readBlock } from './grammar/spec.ts';
import { Report } from './report.ts';
import { Expander } from './text/expand.ts';
import { type FileSource, Includes } from './text/includes.ts';
import { treeOf } from './text/tree.ts';
import type { Word } from './text/words.ts';

export type ReadOptions = {
  /** As keepalived does: what it reports and works around becomes a warning, and the value what keepalived makes of it. */
  readonly lenient?: boolean;
  /** Default of `router_id`, of mail names, and up to its first dot of `configId`. Default `localhost`. */
  readonly hostName?: string;
  /** Option `-i`: what `@id` lines are compared with. */
  readonly configId?: string;
  /** For `${_ENV NAME}`; empty by default. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** For `${_RANDOM}` where the file sets no random_seed. Default 0: the same file gives the same configuration. */
  readonly seed?: number;
  /** How many lines repetitions may make; default a million. */
  readonly maxLines?: number;
};
export type ReadResult = {
  /** Absent when there are errors. */
  readonly config?: KeepalivedConfig;
  /** In the order of the files' lines. */
  readonly diagnostics: readonly Diagnostic[];
  /** The text of every file that was read, for showing lines beside diagnostics. */
  readonly sources: ReadonlyMap<string, string>;
  /** Where each interface is first named, for what is only found out on the host. */
  readonly interfaces: ReadonlyMap<string, Place>;
};

const homes = homesOf(rootBlock);

/** Reads a keepalived.conf and all that it includes. Never throws, whatever the text; all findings are told at once. */
export function readKeepalivedConf(o: {
  readonly file: string;
  readonly files: FileSource;
  readonly options?: ReadOptions;
}): ReadResult {
  const { hostName = 'localhost', lenient = false, environment = {}, seed = 0, maxLines = 1_000_000 } = o.options ?? {};
  const configId = o.options?.configId ?? hostName.split('.')[0]!;
  const early = new Report(lenient);
  const includes = new Includes(o.files, early);
  const lines = includes.read(o.file);
  if (!lines) return { diagnostics: early.diagnostics, sources: includes.sources, interfaces: new Map() };
  const words = new Expander({ configId, environment, seed, maxLines }, early).words(lines);
  const report = new Report(lenient, homes, hostNames(words, o.files), early.diagnostics);
  const r = readBlock(root, treeOf(words, report), report);
  const global: GlobalValues = Object.assign({}, ...(r.global_defs ?? []).map((g) => g.value.values));
  const bfd = buildBfd(r, report);
  const vrrp = buildVrrp(r, {
    report,
    global,
    hostName,
    readKey: (path) => o.files.read(path),
    bfds: bfd.map((b) => ({ name: b.name, weight: { value: b.weight, reverse: b.weightReverse } })),
  });
  const director = buildDirector(r, {
    report,
    global,
    bfds: declared(r.bfd_instance, bfd, report),
    files: pathsOf(declared(r.track_file, vrrp.files, report), vrrp.files),
    instances: declared(r.vrrp_instance, vrrp.instances, report),
  });
  const config: KeepalivedConfig = { global: buildGlobal(r, global, report), vrrp, bfd, director };
  return {
    ...(report.refused ? {} : { config }),
    diagnostics: [...inOrder(report.diagnostics, [...includes.sources.keys()]), ...andMore(early.more + report.more)],
    sources: includes.sources,
    interfaces: interfacePlaces(r),
  };
}

/** A file of a refused block has no path, and its name is not reported again. */
const pathsOf = (
  names: ReadonlySet<string>,
  files: readonly { readonly name: string; readonly file: string }[],
): ReadonlyMap<string, string> =>
  new Map([...names].map((name) => [name, files.find((f) => f.name === name)?.file ?? '']));

function interfacePlaces(r: RootValues): Map<string, Place> {
  const first = new Map<string, Place>();
  const put = (name: string | undefined, at: Place): void => {
    if (name !== undefined && !first.has(name)) first.set(name, at);
  };
  for (const { value } of r.vrrp_instance ?? []) {
    const v = value.values;
    if (v.interface) put(v.interface.value, v.interface.at);
    for (const x of flat(v.track_interface)) put(x.value.name, x.at);
    for (const x of [...flat(v.virtual_ipaddress), ...flat(v.virtual_ipaddress_excluded), ...flat(v.links)])
      put(x.value.interface, x.at);
    for (const x of flat(v.virtual_routes)) for (const h of x.value.hops) put(h.interface, x.at);
  }
  for (const { value } of r.vrrp_sync_group ?? [])
    for (const x of flat(value.values.track_interface)) put(x.value.name, x.at);
  for (const x of flat(r.static_ipaddress)) put(x.value.interface, x.at);
  for (const x of flat(r.static_routes)) for (const h of x.value.hops) put(h.interface, x.at);
  return first;
}

const andMore = (count: number): Diagnostic[] =>
  count === 0
    ? []
    : [
        {
          severity: 'warning',
          code: 'findings-more',
          place: undefined,
          message: text(`${count} more findings are not shown`, `另有 ${count} 条结果未显示`),
        },
      ];

/** By file, in the order in which they were read, then by line and column; what has no place first. */
function inOrder(all: readonly Diagnostic[], files: readonly string[]): Diagnostic[] {
  const rank = new Map(files.map((f, i) => [f, i]));
  const key = (d: Diagnostic): readonly [number, number, number] =>
    d.place ? [rank.get(d.place.file) ?? 0, d.place.line, d.place.column] : [-1, 0, 0];
  return [...all].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    return x[0] - y[0] || x[1] - y[1] || x[2] - y[2];
  });
}

const FILES: Readonly<Record<IprouteKind, string>> = {
  tables: 'rt_tables',
  protocols: 'rt_protos',
  realms: 'rt_realms',
  dsfield: 'rt_dsfield',
  groups: 'group',
};
/** What this host calls tables and protocols: iproute2's files, with the directories that the configuration may move. */
function hostNames(words: readonly (readonly Word[])[], files: FileSource): IprouteNames {
  const said = (word: string, usual: string): string => words.find((l) => l[0]?.text === word)?.[1]?.text ?? usual;
  const directories = [said('iproute_usr_dir', '/usr/share/iproute2'), said('iproute_etc_dir', '/etc/iproute2')];
  const wanted = words.some((l) =>
    l.some((w) => /^(table|lookup|protocol|proto|realms|tos|dsfield|sup_group|suppress_ifgroup)$/.test(w.text)),
  );
  if (!wanted) return BUILT_IN_NAMES;
  const of = (kind: IprouteKind): ReadonlyMap<string, number> =>
    new Map([
      ...BUILT_IN_NAMES[kind],
      ...directories.flatMap((d) => [...parseIprouteFile(files.read(`${d}/${FILES[kind]}`) ?? '')]),
    ]);
  return {
    tables: of('tables'),
    protocols: of('protocols'),
    realms: of('realms'),
    dsfield: of('dsfield'),
    groups: of('groups'),
  };
}
