/** `holdfast mirror`, and the look-alikes of drbdadm and drbdsetup. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { MirrorAnswer, MirrorDocument, MirrorStatus } from '../../api/index.ts';
import { err, type Language, languageOf, ok, type Result, type Text, text } from '../../base/index.ts';
import { EXIT } from '../../daemon/index.ts';
import { ask } from '../ask.ts';
import { eventsText, look, statusText } from './drbdsetup.ts';
import { drbdadmFromFile, FILE_VERBS } from './from-file.ts';
import { type Flags, type Parsed, parseMirrorCommand, type Target, type Tool, verbsOf } from './parse.ts';
import { procDrbd } from './proc.ts';
import { DRBDSETUP_EXIT, likeDrbdsetup } from './refusals.ts';
import { mirrorTroubles, renderMirrors } from './render.ts';

const say = (s: string): void => void process.stdout.write(s);
const complain = (t: Text, language: Language): void => void process.stderr.write(`holdfast: ${t[language]}\n`);
type Failure = { readonly text: Text; readonly code: number };

export const mirror = async (argv: readonly string[]): Promise<number> =>
  argv[0] === 'create' ? (await import('./create.ts')).create(argv.slice(1)) : run('mirror', argv);
export const drbdadm = async (argv: readonly string[]): Promise<number> =>
  (await drbdadmFromFile(argv)) ?? run('drbdadm', argv);
export const drbdsetup = (argv: readonly string[]): Promise<number> => run('drbdsetup', argv);

async function run(tool: Tool, argv: readonly string[]): Promise<number> {
  if (argv.length === 0 || argv[0] === 'help' || argv[0] === '--help') {
    const verbs = [
      ...(tool === 'mirror' ? ['create'] : []),
      ...verbsOf(tool),
      ...(tool === 'drbdadm' ? FILE_VERBS : []),
    ];
    say(`holdfast ${tool}: ${verbs.join(', ')}\n`);
    return argv.length === 0 ? EXIT.wrong : EXIT.done;
  }
  const parsed = parseMirrorCommand(tool, argv);
  if (!parsed.ok) {
    complain(parsed.error, languageOf(process.env));
    return tool === 'mirror' ? EXIT.wrong : DRBDSETUP_EXIT.usage;
  }
  const { flags } = parsed.value;
  const language = languageOf(process.env, flags.language);
  const outcome =
    parsed.value.kind === 'look'
      ? await watching(tool, parsed.value, language)
      : await act(tool, parsed.value, language);
  if (outcome.ok) return outcome.value;
  complain(outcome.error.text, language);
  return outcome.error.code;
}

async function documentOf(flags: Flags): Promise<Result<MirrorDocument, Failure>> {
  const answer = await ask(flags.socket, { ask: 'mirrors' });
  if (answer.ok) return ok(answer.value as MirrorDocument);
  const code = { 'not-running': EXIT.notRunning, 'not-permitted': EXIT.notPermitted, 'no-answer': EXIT.noAnswer }[
    answer.error.kind
  ];
  return err({ text: answer.error.text, code });
}

type Found = { readonly mirror: MirrorStatus; readonly volume: number | undefined; readonly typed: string };
/** Mirrors that were named, or all. */
export function findMirrors(d: MirrorDocument, targets: readonly Target[]): Result<readonly Found[], Text> {
  const every = d.mirrors.map((m) => ({ mirror: m, volume: undefined, typed: m.name }));
  if (targets.length === 0) return ok(every);
  const out: Found[] = [];
  for (const t of targets) {
    if (t.by === 'all') {
      out.push(...every);
      continue;
    }
    const typed = t.by === 'minor' ? String(t.minor) : t.name;
    // A resource may be called by a number.
    const named = d.mirrors.find((m) => m.name === typed);
    const byMinor = t.by === 'minor' ? d.mirrors.find((m) => m.volumes.some((v) => v.minor === t.minor)) : undefined;
    const found = named ?? byMinor;
    if (!found)
      return err(
        text(
          `there is no mirror ${typed}; there are ${d.mirrors.map((m) => m.name).join(', ') || 'none'}`,
          `没有镜像 ${typed}；现有：${d.mirrors.map((m) => m.name).join('、') || '无'}`,
        ),
      );
    const volume =
      t.by === 'minor' && !named
        ? found.volumes.find((v) => v.minor === t.minor)?.volume
        : t.by === 'name'
          ? t.volume
          : undefined;
    if (volume !== undefined && !found.volumes.some((v) => v.volume === volume))
      return err(text(`mirror ${found.name} has no volume ${volume}`, `镜像 ${found.name} 没有卷 ${volume}`));
    out.push({ mirror: found, volume, typed });
  }
  return ok(out);
}
const unknownCode = (tool: Tool): number => (tool === 'mirror' ? EXIT.wrong : DRBDSETUP_EXIT.driver);

const CLEAR = '\u001b[H\u001b[2J';
const REDRAW_MS = 1000;
async function watching(
  tool: Tool,
  p: Extract<Parsed, { kind: 'look' }>,
  language: Language,
): Promise<Result<number, Failure>> {
  for (;;) {
    const d = await documentOf(p.flags);
    if (!d.ok) return d;
    const found = findMirrors(d.value, p.targets);
    if (!found.ok) return err({ text: found.error, code: unknownCode(tool) });
    const shown = show(tool, p, { ...d.value, mirrors: found.value.map((f) => f.mirror) }, found.value, language);
    say((p.flags.watch && process.stdout.isTTY ? CLEAR : '') + shown.text);
    if (!p.flags.watch) return ok(shown.code);
    await sleep(REDRAW_MS);
  }
}
function show(
  tool: Tool,
  p: Extract<Parsed, { kind: 'look' }>,
  d: MirrorDocument,
  found: readonly Found[],
  language: Language,
): { readonly text: string; readonly code: number } {
  if (p.flags.json) return { text: `${JSON.stringify(d)}\n`, code: EXIT.done };
  switch (p.verb) {
    case 'status':
      if (tool !== 'mirror') return { text: d.mirrors.map((m) => statusText(m, p.flags)).join(''), code: EXIT.done };
      return { text: renderMirrors(d, language), code: mirrorTroubles(d).length === 0 ? EXIT.done : EXIT.degraded };
    case 'proc':
      return { text: procDrbd(d), code: EXIT.done };
    case 'events2':
      return { text: eventsText(d.mirrors), code: EXIT.done };
    default: {
      const { verb } = p;
      return { text: found.map((f) => look(verb, f.mirror, f.volume)).join(''), code: EXIT.done };
    }
  }
}

async function act(
  tool: Tool,
  p: Extract<Parsed, { kind: 'request' }>,
  language: Language,
): Promise<Result<number, Failure>> {
  const d = await documentOf(p.flags);
  if (!d.ok) return d;
  const found = findMirrors(d.value, p.targets);
  if (!found.ok) return err({ text: found.error, code: unknownCode(tool) });
  let code = 0;
  for (const f of found.value) {
    const answer = await ask(p.flags.socket, { ask: 'mirror', name: f.mirror.name, request: p.request(f.volume) });
    if (!answer.ok) return err({ text: answer.error.text, code: EXIT.noAnswer });
    const a = answer.value as MirrorAnswer;
    if (tool === 'mirror') {
      const mark = a.ok ? '✓' : '✗';
      (a.ok ? process.stdout : process.stderr).write(`${mark} ${f.mirror.name}: ${a.text[language]}\n`);
      if (!a.ok) code = EXIT.refused;
    } else {
      const shown = likeDrbdsetup(a, f.typed, language);
      process.stderr.write(shown.text);
      code = Math.max(code, shown.code);
    }
  }
  return ok(code);
}
