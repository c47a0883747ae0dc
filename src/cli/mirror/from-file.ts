/** The verbs of drbdadm that need the configuration alone: `dump`, `sh-*`, and with `-d` the calls of `up`. */
import { parseArgs } from 'node:util';
import { languageOf, renderDiagnostic, text } from '../../base/index.ts';
import { mirrorFiles } from '../../daemon/index.ts';

type Files = Awaited<ReturnType<typeof mirrorFiles>>;
type Format = Awaited<ReturnType<Files['drbdFormat']>>;
type Config = NonNullable<Awaited<ReturnType<Files['readDrbd']>>['config']>;
type Resource = Config['resources'][number];

/** drbdadm: 1 the resource is not defined, 10 the file is refused. */
const DRBDADM_EXIT = { done: 0, unknown: 1, refused: 10, usage: 20 } as const;
const DEFAULT_FILE = '/etc/drbd.conf';

type Volume = Extract<Resource['run'], { kind: 'here' }>['mirror']['volumes'][number];
const META_INDEX = (v: Volume): string =>
  v.metadata.kind === 'internal' ? 'internal' : v.metadata.kind === 'flexible' ? 'flexible' : String(v.metadata.index);
const EACH_VOLUME: Readonly<Record<string, (v: Volume) => string>> = {
  'sh-dev': (v) => v.device,
  'sh-minor': (v) => String(v.minor),
  'sh-ll-dev': (v) => v.disk ?? 'none',
  'sh-md-dev': (v) => (v.metadata.kind === 'internal' ? (v.disk ?? 'none') : v.metadata.device),
  'sh-md-idx': META_INDEX,
};
export const FILE_VERBS: readonly string[] = [
  'dump',
  'sh-resources',
  'sh-resource',
  'sh-ip',
  'sh-mod-parms',
  'sh-nop',
  ...Object.keys(EACH_VOLUME),
];
const MINOR_COUNT = 32;

/** Undefined: this verb needs a running mirror. */
export async function drbdadmFromFile(argv: readonly string[]): Promise<number | undefined> {
  let parsed: ReturnType<typeof options>;
  try {
    parsed = options(argv);
  } catch {
    return undefined;
  }
  const { values, positionals } = parsed;
  const [verb = '', ...names] = positionals;
  const dry = values['dry-run'] === true && verb === 'up';
  if (!FILE_VERBS.includes(verb) && !dry) return undefined;
  if (verb === 'sh-nop') return DRBDADM_EXIT.done;
  const files = await mirrorFiles();
  const hostName = process.env['__DRBD_NODE__'] ?? files.thisHost();
  const file = values['config-file'] ?? DEFAULT_FILE;
  const r = await files.readDrbd(file, hostName);
  const format = await files.drbdFormat();
  const language = languageOf(process.env, values.lang);
  const lineAt = (path: string, line: number): string | undefined => r.sources.get(path)?.split('\n')[line - 1];
  for (const d of r.diagnostics)
    if (d.severity === 'error' || verb === 'dump') process.stderr.write(`${renderDiagnostic(d, language, lineAt)}\n`);
  if (!r.config) return DRBDADM_EXIT.refused;
  const chosen = choose(r.config, verb, names);
  if (typeof chosen === 'string') {
    const words = text(
      `'${chosen}' not defined in your config (for this host).`,
      `配置中没有 '${chosen}'（对本主机而言）。`,
    );
    process.stderr.write(`${words[language]}\n`);
    return DRBDADM_EXIT.unknown;
  }
  const out = dry
    ? chosen
        .flatMap((x) => (x.run.kind === 'here' ? format.dryRunUp(x.run) : []))
        .map((l) => `${l}\n`)
        .join('')
    : print(format, r.config, chosen, { verb, names, file, hostName });
  process.stdout.write(out);
  return DRBDADM_EXIT.done;
}
const options = (argv: readonly string[]) =>
  parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      'config-file': { type: 'string', short: 'c' },
      'dry-run': { type: 'boolean', short: 'd' },
      lang: { type: 'string' },
    },
  });

/** The first name that is not there, where there is one. */
function choose(c: Config, verb: string, names: readonly string[]): Resource[] | string {
  const here = c.resources.filter((r) => r.run.kind === 'here');
  const pool = verb === 'dump' ? c.resources : here;
  if (names.length === 0 || names.includes('all')) return [...(verb === 'dump' ? c.resources : here)];
  const out: Resource[] = [];
  for (const n of names) {
    const found = pool.find((r) => r.name === n.split('/')[0]);
    if (!found) return n;
    out.push(found);
  }
  return out;
}
type Asked = {
  readonly verb: string;
  readonly names: readonly string[];
  readonly file: string;
  readonly hostName: string;
};
function print(format: Format, c: Config, chosen: readonly Resource[], { verb, names, file, hostName }: Asked): string {
  if (verb === 'dump')
    return names.length === 0 || names.includes('all')
      ? format.describeDrbdConf(c, file, hostName)
      : chosen.map((r) => format.describeDrbdResource(r, hostName)).join('');
  if (verb === 'sh-resources') return `${chosen.map((r) => r.name).join(' ')}\n`;
  if (verb === 'sh-mod-parms') return `minor_count=${c.written.global.get('minor-count')?.value ?? MINOR_COUNT}\n`;
  const lines = chosen.flatMap((r) => {
    if (r.run.kind !== 'here') return [];
    if (verb === 'sh-resource') return [r.name];
    if (verb === 'sh-ip') return [r.run.mirror.local.address];
    const each = EACH_VOLUME[verb];
    const volume = names.find((n) => n.startsWith(`${r.name}/`))?.split('/')[1];
    return each
      ? r.run.mirror.volumes.filter((v) => volume === undefined || String(v.number) === volume).map(each)
      : [];
  });
  return lines.map((l) => `${l}\n`).join('');
}
