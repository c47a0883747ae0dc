/** `holdfast mirror`, and the look-alikes of drbdadm and drbdsetup. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { MirrorAnswer, MirrorDocument, MirrorStatus } from '../../api/index.ts';
import { err, type Language, languageOf, ok, type Result, type Text, text } from '../../base/index.ts';
import { EXIT, keepMirror, runMirror } from '../../daemon/index.ts';
import { ask } from '../ask.ts';
import { look, statusText } from './drbdsetup.ts';
import { drbdadmFromFile, FILE_VERBS } from './from-file.ts';
import { type Flags, type Parsed, parseMirrorCommand, type Target, type Tool, verbsOf } from './parse.ts';
import { procDrbd } from './proc.ts';
import { DRBDSETUP_EXIT, likeDrbdsetup } from './refusals.ts';
import { mirrorTroubles, renderMirrors } from './render.ts';
import { type Running, running } from './running.ts';
import { generationsText } from './show-gi.ts';
import { streams, streamVerbs } from './streams.ts';

const say = (s: string): void => void process.stdout.write(s);
const complain = (t: Text, language: Language): void => void process.stderr.write(`holdfast: ${t[language]}\n`);
type Failure = { readonly text: Text; readonly code: number };

export async function mirror(argv: readonly string[]): Promise<number> {
  const [verb, ...rest] = argv;
  if (verb === 'create') return (await import('./create.ts')).create(rest);
  if (verb === 'dump-md') return (await import('./dump.ts')).dump('mirror', rest);
  if (verb === 'resolve') return (await import('./resolve.ts')).resolve(rest);
  if (verb === 'adjust') return (await import('./adjust.ts')).adjust('mirror', rest);
  if (verb === 'run') return runMirror(rest);
  if (verb === 'keep') return keepMirror(rest);
  return verb === 'up' ? up('mirror', rest) : run('mirror', argv);
}
export async function drbdadm(argv: readonly string[]): Promise<number> {
  const fromFile = await drbdadmFromFile(argv);
  if (fromFile !== undefined) return fromFile;
  if (argv.includes('dump-md'))
    return (await import('./dump.ts')).dump('drbdadm', argv.toSpliced(argv.indexOf('dump-md'), 1));
  if (argv.includes('adjust'))
    return (await import('./adjust.ts')).adjust('drbdadm', argv.toSpliced(argv.indexOf('adjust'), 1));
  return argv.includes('up') ? up('drbdadm', argv.toSpliced(argv.indexOf('up'), 1)) : run('drbdadm', argv);
}
const up = async (tool: Tool, argv: readonly string[]): Promise<number> => (await import('./up.ts')).up(tool, argv);
export const drbdsetup = (argv: readonly string[]): Promise<number> => run('drbdsetup', argv);

async function run(tool: Tool, argv: readonly string[]): Promise<number> {
  const listened = await streams(tool, argv);
  if (listened !== undefined) return listened;
  if (argv.length === 0 || argv[0] === 'help' || argv[0] === '--help') {
    const verbs = [
      ...(tool === 'mirror' ? ['create', 'run', 'keep', 'adjust', 'dump-md', 'resolve'] : []),
      ...verbsOf(tool),
      ...streamVerbs(tool),
      ...(tool === 'drbdadm' ? ['adjust', 'dump-md', ...FILE_VERBS] : []),
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

async function runningOf(flags: Flags): Promise<Result<Running, Failure>> {
  const r = await running(flags.socket);
  if (r.ok) return r;
  const code = { 'not-running': EXIT.notRunning, 'not-permitted': EXIT.notPermitted, 'no-answer': EXIT.noAnswer };
  return err({ text: r.error.text, code: code[r.error.kind] });
}

type Found = { readonly mirror: MirrorStatus; readonly volume: number | undefined; readonly typed: string };
/** Mirrors that were named, or all. */
function findMirrors(d: MirrorDocument, targets: readonly Target[]): Result<readonly Found[], Text> {
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

/** A device is made or taken away, a peer asked. Milliseconds. */
const ACT_WITHIN = 120_000;
const CLEAR = '\u001b[H\u001b[2J';
const REDRAW_MS = 1000;
async function watching(
  tool: Tool,
  p: Extract<Parsed, { kind: 'look' }>,
  language: Language,
): Promise<Result<number, Failure>> {
  for (;;) {
    const d = await runningOf(p.flags);
    if (!d.ok) return d;
    const { document } = d.value;
    const found = findMirrors(document, p.targets);
    if (!found.ok) return err({ text: found.error, code: unknownCode(tool) });
    const shown = show(tool, p, { ...document, mirrors: found.value.map((f) => f.mirror) }, found.value, language);
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
    case 'show-gi':
      return {
        text: found.map((f) => generationsText(f.mirror, f.volume, language)).join('\n'),
        code: EXIT.done,
      };
    case 'proc':
      return { text: procDrbd(d), code: EXIT.done };
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
  const d = await runningOf(p.flags);
  if (!d.ok) return d;
  const found = findMirrors(d.value.document, p.targets);
  if (!found.ok) return err({ text: found.error, code: unknownCode(tool) });
  let code = 0;
  for (const f of found.value) {
    const socket = d.value.socketOf(f.mirror.name);
    const question = { ask: 'mirror', name: f.mirror.name, request: p.request(f.volume) } as const;
    const answer = await ask(socket, question, ACT_WITHIN);
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
