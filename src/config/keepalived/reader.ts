import type { Diagnostic } from '../../base/index.ts';
import { buildBfd } from './build/bfd.ts';
import { buildDirector } from './build/director.ts';
import { buildGlobal } from './build/global.ts';
import { buildVrrp } from './build/vrrp.ts';
import type { KeepalivedConfig } from './config.ts';
import type { globalDefs } from './grammar/global.ts';
import { root, rootBlock } from './grammar/root.ts';
import { homesOf, readBlock, type ValuesOf } from './grammar/spec.ts';
import { Report } from './report.ts';
import { traced } from './text/traced.ts';
import { treeOf } from './text/tree.ts';
import { wordsOf } from './text/words.ts';

/** The files that a configuration is made of, as the caller has them. */
export interface FileSource {
  /** Undefined where there is no such file or it may not be read. */
  read(path: string): string | undefined;
  /** Paths that match, sorted; braces too. A pattern without wildcards that matches nothing gives none. */
  glob(pattern: string): readonly string[];
}
export type ReadOptions = {
  readonly lenient?: boolean;
  readonly hostName?: string;
};
export type ReadResult = {
  /** Absent when there are errors. */
  readonly config?: KeepalivedConfig;
  readonly diagnostics: readonly Diagnostic[];
  /** The text of every file that was read, for showing lines beside diagnostics. */
  readonly sources: ReadonlyMap<string, string>;
};

const homes = homesOf(rootBlock);

export function readKeepalivedConf(o: {
  readonly file: string;
  readonly files: FileSource;
  readonly options?: ReadOptions;
}): ReadResult {
  const report = new Report(o.options?.lenient ?? false, homes);
  const content = o.files.read(o.file) ?? '';
  const lines = content.split('\n').map((line, i) => wordsOf(traced(o.file, i + 1, line), report));
  const r = readBlock(root, treeOf(lines, report), report);
  const global: ValuesOf<(typeof globalDefs)['words']> = Object.assign(
    {},
    ...(r.global_defs ?? []).map((g) => g.value.values),
  );
  const bfd = buildBfd(r, report);
  const vrrp = buildVrrp(r, {
    report,
    global,
    hostName: o.options?.hostName ?? 'localhost',
    readKey: (path) => o.files.read(path),
    bfds: new Map(bfd.map((b) => [b.name, { value: b.weight, reverse: b.weightReverse }])),
  });
  const director = buildDirector(r, {
    report,
    global,
    bfds: new Set(bfd.map((b) => b.name)),
    files: new Set(vrrp.files.map((f) => f.name)),
    instances: new Set(vrrp.instances.map((i) => i.name)),
  });
  const config: KeepalivedConfig = { global: buildGlobal(r, global, report), vrrp, bfd, director };
  return {
    ...(report.refused ? {} : { config }),
    diagnostics: report.diagnostics,
    sources: new Map([[o.file, content]]),
  };
}
