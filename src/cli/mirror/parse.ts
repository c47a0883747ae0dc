/**
 * What was typed, as requests to a mirror: the verbs of `holdfast mirror`, of drbdadm and of drbdsetup in one table. What
 * can destroy data needs the mirror's name again (`--accept-data-loss=NAME`); drbdadm's `--force` is that word there.
 */
import { parseArgs } from 'node:util';
import type { MirrorRequest } from '../../api/index.ts';
import { type Bytes, bytes, err, ok, type Result, type Text, text, verbatim } from '../../base/index.ts';

export type Tool = 'mirror' | 'drbdadm' | 'drbdsetup';
/** `all`, a resource, one of its volumes, or the volume of a minor number. */
export type Target =
  | { readonly by: 'all' }
  | { readonly by: 'name'; readonly name: string; readonly volume: number | undefined }
  | { readonly by: 'minor'; readonly minor: number };
export type LookVerb = 'status' | 'cstate' | 'dstate' | 'role' | 'get-gi' | 'show-gi' | 'proc';
export type Parsed =
  | {
      readonly kind: 'request';
      readonly targets: readonly Target[];
      readonly request: (volume: number | undefined) => MirrorRequest;
      readonly flags: Flags;
    }
  | { readonly kind: 'look'; readonly verb: LookVerb; readonly targets: readonly Target[]; readonly flags: Flags };
export type Flags = {
  readonly json: boolean;
  readonly watch: boolean;
  readonly verbose: boolean;
  readonly statistics: boolean;
  readonly language: string | undefined;
  /** Undefined: of every mirror of this host. */
  readonly socket: string | undefined;
};
type Given = Readonly<Record<string, string | boolean | undefined>>;
type Row = {
  readonly tools: readonly Tool[];
  /** Options beside the common ones. */
  readonly options?: Readonly<Record<string, 'flag' | 'text'>>;
  /** The option without which data could be lost, where it is given; its value must be the name. */
  readonly destroys?: (g: Given) => string | undefined;
  readonly build: (g: Given) => Result<(volume: number | undefined) => MirrorRequest, Text> | LookVerb;
};

const ALL: readonly Tool[] = ['mirror', 'drbdadm', 'drbdsetup'];
const plain = (request: MirrorRequest) => () => ok(() => request);
const ofVolume =
  (
    verb:
      | 'attach'
      | 'invalidate'
      | 'invalidate-remote'
      | 'pause-sync'
      | 'resume-sync'
      | 'suspend-io'
      | 'resume-io'
      | 'outdate',
  ) =>
  () =>
    ok((volume: number | undefined): MirrorRequest => ({ verb, volume }) as MirrorRequest);
const ACCEPT = 'accept-data-loss';

/** drbdsetup's and drbdadm's sizes: sectors without suffix. */
function readSize(typed: string | boolean | undefined): Result<Bytes | undefined, Text> {
  if (typed === undefined) return ok(undefined);
  const m = /^(\d{1,15})\s?(s|[KMGT](?:iB)?|B)?$/i.exec(String(typed));
  if (!m) return err(text(`'${typed}' is no size; write 100GiB`, `'${typed}' 不是大小；例如 100GiB`));
  const unit = (m[2]?.[0] ?? 's').toLowerCase();
  const factor = { s: 512, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 }[unit] ?? 512;
  return ok(bytes(Number(m[1]) * factor));
}

const verify: Row['build'] = (g) => {
  const [start, stop] = [readSize(g['start']), readSize(g['stop'])];
  if (!start.ok) return start;
  if (!stop.ok) return stop;
  return ok((volume) => ({ verb: 'verify', volume, start: start.value, stop: stop.value }));
};
const resize: Row['build'] = (g) => {
  const size = readSize(g['size']);
  if (!size.ok) return size;
  return ok((volume) => ({
    verb: 'resize',
    volume,
    size: size.value,
    assumeClean: g['assume-clean'] === true,
    assumePeerHasSpace: g['assume-peer-has-space'] === true,
  }));
};
const forced = (g: Given): boolean =>
  g['force'] === true || g['overwrite-data-of-peer'] === true || g[ACCEPT] !== undefined;

export const ROWS: Readonly<Record<string, Row>> = {
  up: { tools: ['mirror', 'drbdadm'], build: plain({ verb: 'up' }) },
  down: { tools: ALL, build: plain({ verb: 'down' }) },
  attach: { tools: ['mirror', 'drbdadm'], build: ofVolume('attach') },
  detach: {
    tools: ALL,
    options: { force: 'flag' },
    build: (g) => ok((volume) => ({ verb: 'detach', volume, force: g['force'] === true })),
  },
  connect: {
    tools: ['mirror', 'drbdadm'],
    options: { 'discard-my-data': 'flag', tentative: 'flag' },
    destroys: (g) => (g['discard-my-data'] === true ? '--discard-my-data' : undefined),
    build: (g) =>
      g['tentative'] === true
        ? err(
            text(
              'connect --tentative is not there yet: mirror resolve shows what each side would lose',
              '尚不支持 connect --tentative：mirror resolve 可查看双方各自会丢失什么',
            ),
          )
        : ok(() => ({ verb: 'connect', discardMyData: g['discard-my-data'] === true })),
  },
  disconnect: {
    tools: ALL,
    options: { force: 'flag' },
    build: (g) => ok(() => ({ verb: 'disconnect', force: g['force'] === true })),
  },
  primary: {
    tools: ALL,
    options: { force: 'flag', 'overwrite-data-of-peer': 'flag' },
    destroys: (g) => (g['force'] === true || g['overwrite-data-of-peer'] === true ? '--force' : undefined),
    build: (g) => ok(() => ({ verb: 'primary', force: forced(g) })),
  },
  secondary: { tools: ALL, build: plain({ verb: 'secondary' }) },
  invalidate: { tools: ALL, destroys: () => 'invalidate', build: ofVolume('invalidate') },
  'invalidate-remote': { tools: ALL, destroys: () => 'invalidate-remote', build: ofVolume('invalidate-remote') },
  verify: { tools: ALL, options: { start: 'text', stop: 'text' }, build: verify },
  'pause-sync': { tools: ALL, build: ofVolume('pause-sync') },
  'resume-sync': { tools: ALL, build: ofVolume('resume-sync') },
  'suspend-io': { tools: ALL, build: ofVolume('suspend-io') },
  'resume-io': { tools: ALL, build: ofVolume('resume-io') },
  outdate: { tools: ALL, build: ofVolume('outdate') },
  resize: {
    tools: ALL,
    options: { size: 'text', 'assume-clean': 'flag', 'assume-peer-has-space': 'flag' },
    build: resize,
  },
  'new-current-uuid': {
    tools: ALL,
    options: { 'clear-bitmap': 'flag' },
    destroys: (g) => (g['clear-bitmap'] === true ? '--clear-bitmap' : undefined),
    build: (g) => ok((volume) => ({ verb: 'new-current-uuid', volume, clearBitmap: g['clear-bitmap'] === true })),
  },
  status: { tools: ALL, build: () => 'status' },
  cstate: { tools: ['drbdadm', 'drbdsetup'], build: () => 'cstate' },
  dstate: { tools: ['drbdadm', 'drbdsetup'], build: () => 'dstate' },
  role: { tools: ['drbdadm', 'drbdsetup'], build: () => 'role' },
  'show-gi': { tools: ALL, build: () => 'show-gi' },
  'get-gi': { tools: ALL, build: () => 'get-gi' },
  proc: { tools: ['mirror'], build: () => 'proc' },
};
export const verbsOf = (tool: Tool): string[] => Object.keys(ROWS).filter((v) => ROWS[v]?.tools.includes(tool));

const HIGHEST_MINOR = 0xfffff;
export function readTarget(typed: string): Result<Target, Text> {
  if (typed === 'all') return ok({ by: 'all' });
  const minor = /^(?:minor-|\/dev\/drbd)?(\d{1,7})$/.exec(typed);
  if (minor && Number(minor[1]) <= HIGHEST_MINOR) return ok({ by: 'minor', minor: Number(minor[1]) });
  const m = /^([^\s/]{1,127})(?:\/(\d{1,5}))?$/.exec(typed);
  if (!m) return err(text(`'${typed}' is no mirror and no volume of one`, `'${typed}' 既不是镜像也不是其卷`));
  return ok({ by: 'name', name: m[1] as string, volume: m[2] === undefined ? undefined : Number(m[2]) });
}

export function parseMirrorCommand(tool: Tool, argv: readonly string[]): Result<Parsed, Text> {
  const verb = argv.find((a) => !a.startsWith('-'));
  const row = verb !== undefined && Object.hasOwn(ROWS, verb) ? ROWS[verb] : undefined;
  if (verb === undefined || !row?.tools.includes(tool))
    return err(
      text(
        `unknown verb ${verb ?? ''}; there are ${verbsOf(tool).join(', ')}`,
        `未知命令 ${verb ?? ''}；可用：${verbsOf(tool).join('、')}`,
      ),
    );
  // drbdadm of old: `-- --overwrite-data-of-peer primary r0`.
  const args = argv.filter((a) => a !== '--');
  args.splice(args.indexOf(verb), 1);
  const read = readGiven(row, args);
  if (!read.ok) return read;
  const { given, names } = read.value;
  const targets: Target[] = [];
  for (const n of names) {
    const t = readTarget(n);
    if (!t.ok) return t;
    targets.push(t.value);
  }
  const built = row.build(given);
  if (typeof built === 'string') return ok({ kind: 'look', verb: built, targets, flags: flagsOf(given) });
  if (!built.ok) return built;
  if (targets.length === 0)
    return err(text(`${verb} needs the name of a mirror, or all`, `${verb} 需要镜像名称或 all`));
  const refused = tool === 'mirror' ? unconfirmed(verb, row, given, names) : undefined;
  return refused ? err(refused) : ok({ kind: 'request', targets, request: built.value, flags: flagsOf(given) });
}
function readGiven(row: Row, args: readonly string[]): Result<{ given: Given; names: string[] }, Text> {
  const own = Object.entries(row.options ?? {}).map(([k, v]) => [
    k,
    { type: v === 'flag' ? 'boolean' : 'string' } as const,
  ]);
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: 'boolean' },
        watch: { type: 'boolean' },
        verbose: { type: 'boolean' },
        statistics: { type: 'boolean', short: 's' },
        lang: { type: 'string' },
        socket: { type: 'string' },
        [ACCEPT]: { type: 'string' },
        ...Object.fromEntries(own),
      },
    });
    return ok({ given: values as Given, names: positionals });
  } catch (e) {
    return err(verbatim(e instanceof Error ? e.message : String(e)));
  }
}
function unconfirmed(verb: string, row: Row, g: Given, names: readonly string[]): Text | undefined {
  const why = row.destroys?.(g);
  if (why === undefined) return undefined;
  const [name] = names;
  if (names.length === 1 && name !== 'all' && g[ACCEPT] === name) return undefined;
  const what = why === verb ? verb : `${verb} ${why}`;
  return text(
    `${what} can throw data away: add --${ACCEPT}=${name ?? 'NAME'} (one mirror at a time)`,
    `${what} 可能丢弃数据：请加 --${ACCEPT}=${name ?? '名称'}（每次一个镜像）`,
  );
}
const flagsOf = (g: Given): Flags => ({
  json: g['json'] === true,
  watch: g['watch'] === true,
  verbose: g['verbose'] === true,
  statistics: g['statistics'] === true,
  language: typeof g['lang'] === 'string' ? g['lang'] : undefined,
  socket: typeof g['socket'] === 'string' ? g['socket'] : undefined,
});
