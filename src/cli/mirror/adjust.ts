/**
 * `holdfast mirror adjust NAME`: a mirror that runs takes over what has changed in its file. What it is going to change is
 * printed first; `--dry-run` leaves it at that. `drbdadm adjust` is the same, and brings up what does not run or is not connected.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { MirrorAdjustChange, MirrorAdjustment, MirrorAnswer } from '../../api/index.ts';
import { type Language, languageOf, type Text, text } from '../../base/index.ts';
import { EXIT, startMirror } from '../../daemon/index.ts';
import { ask } from '../ask.ts';
import { table } from '../table.ts';
import { wordsOf } from '../words.ts';
import { THERE_ARE_CHANGES } from './create.ts';
import { FILE_OPTIONS } from './file-options.ts';
import { DRBDSETUP_EXIT } from './refusals.ts';
import { running } from './running.ts';
import { up } from './up.ts';

type Tool = 'mirror' | 'drbdadm';
const USAGE = text(
  'usage: holdfast mirror adjust NAME|all [--dry-run] [-f FILE]',
  '用法：holdfast mirror adjust 名称|all [--dry-run] [-f 文件]',
);
const DEFAULT_FILE = '/etc/drbd.conf';
/** A connection is ended in order, which a busy peer has to agree to. Milliseconds. */
const ADJUST_WITHIN = 60_000;

const options = (argv: readonly string[]) =>
  parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      ...FILE_OPTIONS,
      'dry-run': { type: 'boolean', short: 'd' },
      socket: { type: 'string' },
    },
  });

export async function adjust(tool: Tool, argv: readonly string[]): Promise<number> {
  const usage = tool === 'mirror' ? EXIT.wrong : DRBDSETUP_EXIT.usage;
  const parsed = wordsOf(() => options(argv));
  if (parsed === undefined) return usage;
  const { values, positionals } = parsed;
  const language = languageOf(process.env, values.lang);
  if (positionals.length === 0) {
    process.stderr.write(`${USAGE[language]}\n`);
    return usage;
  }
  const now = await running(values.socket);
  const there = now.ok ? now.value.document.mirrors.map((m) => m.name) : [];
  const given = values.file ?? values['config-file'];
  const file = given === undefined ? undefined : resolve(given);
  const names = positionals.includes('all') ? await everyName(tool, file, there) : positionals;
  let worst = 0;
  for (const name of names) {
    const dry = values['dry-run'] === true;
    const code =
      now.ok && there.includes(name)
        ? await adjustOne({ tool, name, file, dry, language }, now.value.socketOf(name))
        : await notRunning(tool, name, file, dry, language);
    worst = Math.max(worst, code);
  }
  return tool === 'drbdadm' && worst > 0 && worst !== THERE_ARE_CHANGES ? DRBDSETUP_EXIT.driver : worst;
}
/** drbdadm means those of the file, also where they do not run. */
async function everyName(tool: Tool, file: string | undefined, there: readonly string[]): Promise<readonly string[]> {
  if (tool === 'mirror') return there;
  const { namesIn } = await startMirror();
  return namesIn(file ?? DEFAULT_FILE, undefined);
}
async function notRunning(
  tool: Tool,
  name: string,
  file: string | undefined,
  dry: boolean,
  language: Language,
): Promise<number> {
  if (tool === 'drbdadm' && !dry) return up('drbdadm', [name, '-c', file ?? DEFAULT_FILE]);
  const words =
    tool === 'drbdadm'
      ? text('does not run: adjust brings it up', '未运行：adjust 会启动它')
      : text(`does not run: holdfast mirror up ${name}`, `未运行：holdfast mirror up ${name}`);
  process.stderr.write(`✗ ${name}: ${words[language]}\n`);
  return tool === 'drbdadm' ? THERE_ARE_CHANGES : EXIT.notRunning;
}

type Asked = {
  readonly tool: Tool;
  readonly name: string;
  readonly file: string | undefined;
  readonly dry: boolean;
  readonly language: Language;
};
async function adjustOne({ tool, name, file, dry, language }: Asked, socket: string): Promise<number> {
  const put = (mark: '✓' | '✗', t: Text): void =>
    void (mark === '✓' ? process.stdout : process.stderr).write(`${mark} ${name}: ${t[language]}\n`);
  const question = async (plan: string | undefined): Promise<MirrorAdjustment | undefined> => {
    const a = await ask(socket, { ask: 'adjust', name, file, plan }, ADJUST_WITHIN);
    if (a.ok) return a.value as MirrorAdjustment;
    put('✗', a.error.text);
    return undefined;
  };
  const first = await question(undefined);
  if (first === undefined) return EXIT.noAnswer;
  for (const f of first.findings) process.stderr.write(`${f[language]}\n`);
  process.stdout.write(describeChanges(name, first.changes, language));
  if (!first.ok) {
    put('✗', first.text);
    return first.code === 'wrong-file' || first.code === 'other-file' ? EXIT.wrong : EXIT.refused;
  }
  if (dry) return first.changes.length === 0 ? EXIT.done : THERE_ARE_CHANGES;
  let last: MirrorAdjustment = first;
  if (first.changes.length > 0) {
    const second = await question(first.plan);
    if (second === undefined) return EXIT.noAnswer;
    last = second;
  }
  put(last.ok ? '✓' : '✗', last.text);
  if (!last.ok) return EXIT.refused;
  return tool === 'drbdadm' ? connectToo(name, socket, put) : EXIT.done;
}
/** What was detached or disconnected by hand is what the file says, too. */
async function connectToo(name: string, socket: string, put: (mark: '✗', t: Text) => void): Promise<number> {
  const a = await ask(socket, { ask: 'mirror', name, request: { verb: 'up' } }, ADJUST_WITHIN);
  const answer = a.ok ? (a.value as MirrorAnswer) : undefined;
  if (answer?.ok === true) return EXIT.done;
  put('✗', a.ok ? (a.value as MirrorAnswer).text : a.error.text);
  return EXIT.refused;
}

/** One line for each change, and one below each that is refused. Pure. */
function describeChanges(name: string, changes: readonly MirrorAdjustChange[], language: Language): string {
  if (changes.length === 0) return '';
  const rows = changes.map((c) => [
    c.takes === 'refused' ? '✗' : '~',
    c.volume === undefined ? name : `${name}/${c.volume}`,
    c.option,
    `${c.from} -> ${c.to}`,
    (c.instead ?? c.when)[language],
  ]);
  return table(rows);
}
