/** The verbs that listen: `events`, `events2`, `wait`, `wait-connect`, `wait-sync`, and what follows `--wait`. */
import { parseArgs } from 'node:util';
import type { MirrorDocument, MirrorStatus } from '../../api/index.ts';
import { type Language, languageOf, text } from '../../base/index.ts';
import { EXIT } from '../../daemon/index.ts';
import { wordsOf } from '../words.ts';
import { changeLines, existsLines, reasonLines } from './events.ts';
import { follow } from './follow.ts';
import type { Tool } from './parse.ts';
import { Progress } from './progress.ts';
import { DRBDSETUP_EXIT } from './refusals.ts';
import { running, socketsOf } from './running.ts';
import { type WaitFor, waitState } from './waiting.ts';

const VERBS: Readonly<Record<string, { readonly tools: readonly Tool[]; readonly does: 'events' | WaitFor }>> = {
  events: { tools: ['mirror'], does: 'events' },
  wait: { tools: ['mirror'], does: 'sync' },
  events2: { tools: ['drbdadm', 'drbdsetup'], does: 'events' },
  'wait-connect': { tools: ['mirror', 'drbdadm', 'drbdsetup'], does: 'connect' },
  'wait-con-int': { tools: ['drbdadm'], does: 'connect' },
  'wait-sync': { tools: ['mirror', 'drbdadm', 'drbdsetup'], does: 'sync' },
};
export const streamVerbs = (tool: Tool): readonly string[] =>
  Object.keys(VERBS).filter((v) => VERBS[v]?.tools.includes(tool));
/** A mirror process that died is there again in this time, where somebody keeps it. Milliseconds. */
const GONE_MS = 30_000;
const TIMED_OUT = 5;

const options = (argv: readonly string[]) =>
  parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      now: { type: 'boolean' },
      json: { type: 'boolean' },
      timestamps: { type: 'boolean' },
      statistics: { type: 'boolean', short: 's' },
      timeout: { type: 'string' },
      'wfc-timeout': { type: 'string', short: 't' },
      'degr-wfc-timeout': { type: 'string', short: 'd' },
      'outdated-wfc-timeout': { type: 'string', short: 'o' },
      'wait-after-sb': { type: 'string', short: 'w' },
      socket: { type: 'string' },
      lang: { type: 'string' },
    },
  });
type Values = ReturnType<typeof options>['values'];

/** Undefined: the words are no verb of these. */
export async function streams(tool: Tool, argv: readonly string[]): Promise<number | undefined> {
  const verb = argv.find((a) => !a.startsWith('-'));
  const row = verb !== undefined && Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
  if (verb === undefined || !row?.tools.includes(tool)) return undefined;
  const parsed = wordsOf(() => options(argv.toSpliced(argv.indexOf(verb), 1)));
  if (parsed === undefined) return tool === 'mirror' ? EXIT.wrong : DRBDSETUP_EXIT.usage;
  const { values, positionals } = parsed;
  const names = positionals.filter((n) => n !== 'all').map((n) => n.split('/')[0] as string);
  const language = languageOf(process.env, values.lang);
  if (row.does === 'events') return events(tool, names, values, language);
  const seconds = Number(values.timeout ?? values['wfc-timeout'] ?? 0);
  if (!Number.isFinite(seconds) || seconds < 0) {
    process.stderr.write(`holdfast: ${text('--timeout is in seconds', '--timeout 的单位为秒')[language]}\n`);
    return EXIT.wrong;
  }
  return waitFor(row.does, names, {
    socket: values.socket,
    language,
    limitMs: seconds === 0 ? undefined : seconds * 1000,
  });
}

const chosen = (d: MirrorDocument, names: readonly string[]): readonly MirrorStatus[] =>
  names.length === 0 ? d.mirrors : d.mirrors.filter((m) => names.includes(m.name));

async function events(tool: Tool, names: readonly string[], v: Values, language: Language): Promise<number> {
  const say = (lines: readonly string[]): void => {
    const at = v.timestamps === true ? `${new Date().toISOString()} ` : '';
    for (const l of lines) process.stdout.write(`${at}${l}\n`);
  };
  const now = await running(v.socket);
  if (!now.ok) {
    process.stderr.write(`holdfast: ${now.error.text[language]}\n`);
    return EXIT.notRunning;
  }
  const like = tool !== 'mirror';
  const first = chosen(now.value.document, names);
  if (v.json === true) process.stdout.write(`${JSON.stringify(now.value.document)}\n`);
  else say(like ? existsLines(first) : reasonLines([], first, language, clock));
  if (v.now === true) return EXIT.done;
  const known = new Map<string, MirrorStatus>(first.map((m) => [m.name, m]));
  const seen = (d: MirrorDocument): number | undefined => {
    const fresh = chosen(d, names);
    const old = fresh.flatMap((m) => known.get(m.name) ?? []);
    if (v.json === true) process.stdout.write(`${JSON.stringify(d)}\n`);
    else say(like ? changeLines(old, fresh) : reasonLines(old, fresh, language, clock));
    for (const m of fresh) known.set(m.name, m);
    return undefined;
  };
  const code = await follow(socketsOf(v.socket), seen, (_, forMs) => (forMs > GONE_MS ? EXIT.notRunning : undefined));
  return code === 'over' ? EXIT.done : code;
}
/** Local time of day: events are read beside other logs of this machine. */
const clock = (at: number): string => new Date(at).toTimeString().slice(0, 8);

export type WaitOptions = {
  readonly socket: string | undefined;
  readonly language: Language;
  readonly limitMs: number | undefined;
};
/** Shows progress meanwhile, on standard error. 0, 5 when the time is over, 1 where it would wait in vain. */
async function waitFor(what: WaitFor, names: readonly string[], o: WaitOptions): Promise<number> {
  const { language } = o;
  const progress = new Progress((s) => process.stderr.write(s), process.stderr.isTTY === true);
  const state = new Map<string, 'done' | 'wait' | 'never'>(names.map((n) => [n, 'wait']));
  const seen = (d: MirrorDocument): number | undefined => {
    for (const m of chosen(d, names)) {
      state.set(m.name, waitState(m, what));
      progress.show(m, language, performance.now());
    }
    const all = [...state.values()];
    if (all.includes('never')) return EXIT.failed;
    return all.every((s) => s === 'done') ? EXIT.done : undefined;
  };
  const code = await follow(
    socketsOf(o.socket),
    seen,
    (_, forMs) => (forMs > GONE_MS ? EXIT.notRunning : undefined),
    o.limitMs,
  );
  progress.end();
  const say = (en: string, zh: string): void => void process.stderr.write(`holdfast: ${text(en, zh)[language]}\n`);
  if (code === EXIT.failed) say('not connected, and nobody looks for the peer', '未连接，且没有在寻找对端');
  if (code === 'over') say('the time is over; what was waited for goes on', '等待超时；后台工作继续进行');
  return code === 'over' ? TIMED_OUT : code;
}
