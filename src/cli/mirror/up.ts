/** `holdfast mirror up NAME`: a mirror that runs by itself, with its device while it is primary. `drbdadm up` is the same. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { MIRROR_FOLDER, type MirrorAnswer, type MirrorStatus, mirrorPaths } from '../../api/index.ts';
import { type Language, languageOf, type Text, text } from '../../base/index.ts';
import { EXIT, startMirror } from '../../daemon/index.ts';
import { ask } from '../ask.ts';
import { wordsOf } from '../words.ts';
import { FILE_OPTIONS } from './file-options.ts';
import { DRBDSETUP_EXIT } from './refusals.ts';
import { running } from './running.ts';

const USAGE = text(
  'usage: holdfast mirror up NAME|all [-f FILE] [--host NAME] [--no-device] [--way auto|kernel|fuse] [--devices DIR]',
  '用法：holdfast mirror up 名称|all [-f 文件] [--host 名称] [--no-device] [--way auto|kernel|fuse] [--devices 目录]',
);
const DEFAULT_FILE = { mirror: '/etc/holdfast/holdfast.yaml', drbdadm: '/etc/drbd.conf' } as const;
/** Reading the bitmap of a large disk, and a machine that is busy. Milliseconds. */
const UP_WITHIN = 60_000;
const LOOK_MS = 50;

const options = (argv: readonly string[]) =>
  parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      ...FILE_OPTIONS,
      host: { type: 'string' },
      'no-device': { type: 'boolean' },
      way: { type: 'string' },
      devices: { type: 'string' },
    },
  });
type Values = ReturnType<typeof options>['values'];

export async function up(tool: 'mirror' | 'drbdadm' | 'drbdsetup', argv: readonly string[]): Promise<number> {
  const parsed = wordsOf(() => options(argv));
  if (parsed === undefined) return EXIT.wrong;
  const { values, positionals } = parsed;
  const language = languageOf(process.env, values.lang);
  if (positionals.length === 0) {
    process.stderr.write(`${USAGE[language]}\n`);
    return EXIT.wrong;
  }
  const file =
    values.file ?? values['config-file'] ?? (tool === 'drbdadm' ? DEFAULT_FILE.drbdadm : DEFAULT_FILE.mirror);
  const { namesIn, startKept } = await startMirror();
  const names = positionals.includes('all') ? await namesIn(file, values.host) : positionals;
  let worst = 0;
  for (const name of names) {
    const code = await upOne(name, file, values, language, startKept);
    if (code !== 0) worst = tool === 'drbdadm' ? DRBDSETUP_EXIT.driver : code;
  }
  return worst;
}

async function upOne(
  name: string,
  file: string,
  v: Values,
  language: Language,
  startKept: Awaited<ReturnType<typeof startMirror>>['startKept'],
): Promise<number> {
  const say = (mark: '✓' | '✗', t: Text): void =>
    void (mark === '✓' ? process.stdout : process.stderr).write(`${mark} ${name}: ${t[language]}\n`);
  const before = await running(undefined);
  if (before.ok && before.value.document.mirrors.some((m) => m.name === name)) {
    const request = { ask: 'mirror', name, request: { verb: 'up' } } as const;
    const a = await ask(before.value.socketOf(name), request);
    if (!a.ok) {
      say('✗', a.error.text);
      return EXIT.noAnswer;
    }
    const answer = a.value as MirrorAnswer;
    say(answer.ok ? '✓' : '✗', answer.text);
    return answer.ok ? EXIT.done : EXIT.refused;
  }
  const paths = mirrorPaths(MIRROR_FOLDER, name);
  let ended: { readonly code: number; readonly words: string } | undefined;
  const words = [name, '-f', file, '--socket', paths.socket, '--nbd', paths.nbd];
  if (v.host !== undefined) words.push('--host', v.host);
  if (v['no-device'] !== true) words.push('--attach', '--way', v.way ?? 'auto');
  if (v.devices !== undefined) words.push('--devices', v.devices);
  startKept(words, paths.log, (code, last) => {
    ended = { code, words: last };
  });
  for (const began = performance.now(); performance.now() - began < UP_WITHIN; await sleep(LOOK_MS)) {
    if (ended !== undefined) {
      process.stderr.write(ended.words === '' ? '' : `${ended.words}\n`);
      say('✗', text(`it did not start (${paths.log})`, `未能启动（${paths.log}）`));
      return ended.code === 0 ? EXIT.failed : ended.code;
    }
    const now = await running(paths.socket);
    const m = now.ok ? now.value.document.mirrors.find((one) => one.name === name) : undefined;
    if (m === undefined) continue;
    say('✓', upWords(m));
    return EXIT.done;
  }
  say(
    '✗',
    text(
      `no answer after ${UP_WITHIN / 1000} s; its log is ${paths.log}`,
      `${UP_WITHIN / 1000} 秒内没有应答；日志为 ${paths.log}`,
    ),
  );
  return EXIT.noAnswer;
}
const upWords = (m: MirrorStatus): Text => {
  const disks = m.volumes.map((v) => v.disk).join(', ');
  return text(
    `up: ${m.role}, ${disks}, ${m.connection}. Its device appears while it is primary: holdfast mirror primary ${m.name}`,
    `已启动：${m.role}，${disks}，${m.connection}。成为主节点时设备才会出现：holdfast mirror primary ${m.name}`,
  );
};
