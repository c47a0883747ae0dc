/** `holdfast mirror resolve`: a split brain is looked at, decided against this side with an undo file, or an undo file is read. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { MirrorAnswer, MirrorAsk, MirrorDifferences, MirrorStatus } from '../../api/index.ts';
import { type Language, languageOf, type Text, text } from '../../base/index.ts';
import { EXIT, mirrorUndo } from '../../daemon/index.ts';
import { ask } from '../ask.ts';
import { wordsOf } from '../words.ts';
import { share, size } from './amounts.ts';
import { resolveText, undoText } from './resolve-text.ts';
import { type Running, running } from './running.ts';

const KEEP_IN = '/var/lib/holdfast/undo';
const LOOK_MS = 200;
const ACT_WITHIN = 120_000;
const USAGE = text(
  `usage: holdfast mirror resolve NAME
       holdfast mirror resolve NAME --discard-mine --accept-data-loss=NAME [--keep-in FOLDER] [--no-wait]
       holdfast mirror resolve --undo FILE
       holdfast mirror resolve --extract FILE --to IMAGE`,
  `用法：holdfast mirror resolve 名称
      holdfast mirror resolve 名称 --discard-mine --accept-data-loss=名称 [--keep-in 目录] [--no-wait]
      holdfast mirror resolve --undo 文件
      holdfast mirror resolve --extract 文件 --to 映像文件`,
);
const options = (argv: readonly string[]) =>
  parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      'discard-mine': { type: 'boolean' },
      'accept-data-loss': { type: 'string' },
      'keep-in': { type: 'string', default: KEEP_IN },
      'no-wait': { type: 'boolean' },
      undo: { type: 'string' },
      extract: { type: 'string' },
      to: { type: 'string' },
      json: { type: 'boolean' },
      socket: { type: 'string' },
      lang: { type: 'string' },
    },
  });
type Values = ReturnType<typeof options>['values'];
const say = (s: string): void => void process.stdout.write(s);

export async function resolve(argv: readonly string[]): Promise<number> {
  const parsed = wordsOf(() => options(argv));
  if (parsed === undefined) return EXIT.wrong;
  const { values, positionals } = parsed;
  const language = languageOf(process.env, values.lang);
  const fail = (t: Text, code: number): number => {
    process.stderr.write(`holdfast: ${t[language]}\n`);
    return code;
  };
  const [name] = positionals;
  if (name === undefined && values.undo !== undefined) return read(values.undo, undefined, language, fail);
  if (name === undefined && values.extract !== undefined && values.to !== undefined)
    return read(values.extract, values.to, language, fail);
  if (name === undefined || positionals.length > 1 || (values.undo ?? values.extract) !== undefined) {
    process.stderr.write(`${USAGE[language]}\n`);
    return EXIT.wrong;
  }
  const r = await running(values.socket);
  if (!r.ok) return fail(r.error.text, r.error.kind === 'not-running' ? EXIT.notRunning : EXIT.noAnswer);
  if (!r.value.document.mirrors.some((m) => m.name === name)) {
    const names = r.value.document.mirrors.map((m) => m.name).join(', ');
    return fail(text(`there is no mirror ${name}; there are ${names}`, `没有镜像 ${name}；现有：${names}`), EXIT.wrong);
  }
  if (values['discard-mine'] === true) return discard(name, r.value, values, language, fail);
  const answer = await ask(r.value.socketOf(name), { ask: 'differences', name });
  if (!answer.ok) return fail(answer.error.text, EXIT.noAnswer);
  const d = answer.value as MirrorDifferences;
  say(values.json ? `${JSON.stringify(d)}\n` : resolveText(d, language));
  return d.volumes.some((v) => v.verdict?.is === 'split-brain') ? EXIT.degraded : EXIT.done;
}
type Fail = (t: Text, code: number) => number;

async function read(file: string, to: string | undefined, language: Language, fail: Fail): Promise<number> {
  const { readUndo, extractUndo } = await mirrorUndo();
  const got = to === undefined ? readUndo(file) : extractUndo(file, to);
  if (!got.ok) return fail(got.error, EXIT.failed);
  const { header, ranges, total } = got.value;
  const hex = (id: bigint): string => id.toString(16).padStart(16, '0');
  if (to !== undefined) {
    const words = text(
      `${to}: ${size(total)} in ${ranges.length} ranges are in their places, the rest of ${size(Number(header.size))} is zeros`,
      `${to}：${size(total)}（${ranges.length} 段）已写到原位，其余（共 ${size(Number(header.size))}）为零`,
    );
    say(`✓ ${words[language]}\n`);
    return EXIT.done;
  }
  const facts = {
    file,
    name: header.name,
    volume: header.volume,
    host: header.host,
    peerHost: header.peerHost,
    at: Number(header.at),
    size: Number(header.size),
    changedHere: Number(header.changedHere) * 4096,
    changedThere: Number(header.changedThere) * 4096,
    total,
    mine: hex(header.mine.current),
    peer: hex(header.peer.current),
    ranges,
  };
  say(undoText(facts, language));
  return EXIT.done;
}

async function discard(name: string, r: Running, v: Values, language: Language, fail: Fail): Promise<number> {
  if (v['accept-data-loss'] !== name)
    return fail(
      text(
        `--discard-mine replaces this side's data by the peer's: add --accept-data-loss=${name}`,
        `--discard-mine 将用对端数据替换本机数据：请加 --accept-data-loss=${name}`,
      ),
      EXIT.wrong,
    );
  const socket = r.socketOf(name);
  const question: MirrorAsk = { ask: 'mirror', name, request: { verb: 'resolve', folder: v['keep-in'] } };
  const answer = await ask(socket, question, ACT_WITHIN);
  if (!answer.ok) return fail(answer.error.text, EXIT.noAnswer);
  const a = answer.value as MirrorAnswer;
  (a.ok ? process.stdout : process.stderr).write(`${a.ok ? '✓' : '✗'} ${name}: ${a.text[language]}\n`);
  if (!a.ok) return EXIT.refused;
  return v['no-wait'] === true ? EXIT.done : await watch(name, socket, language, fail);
}
/** Until the blocks are kept and the resync goes on, there was nothing to keep, or both sides stay apart. */
async function watch(name: string, socket: string, language: Language, fail: Fail): Promise<number> {
  let shown = -1;
  for (;;) {
    await sleep(LOOK_MS);
    const now = await running(socket);
    if (!now.ok) return fail(now.error.text, EXIT.noAnswer);
    const m = now.value.document.mirrors.find((one) => one.name === name);
    if (m === undefined) return EXIT.failed;
    const saving = m.volumes.find((one) => one.undo?.is === 'saving')?.undo;
    const tenth = saving === undefined ? -1 : Math.floor(share(saving.done, saving.total) * 10);
    if (saving !== undefined && tenth !== shown) {
      shown = tenth;
      const words = text(
        `keeping ${size(saving.done)} of ${size(saving.total)} in ${saving.file}`,
        `正在保存 ${size(saving.done)} / ${size(saving.total)} 到 ${saving.file}`,
      );
      process.stderr.write(`${words[language]}\n`);
    }
    const end = endOf(m);
    if (end === undefined) continue;
    if (end === 'apart') return fail(m.reasons.at(-1)?.text ?? APART, EXIT.failed);
    for (const one of m.volumes) {
      if (one.undo?.is !== 'kept') continue;
      const words = text(
        `${size(one.undo.done)} are kept in ${one.undo.file}; the resync has begun`,
        `${size(one.undo.done)} 已保存到 ${one.undo.file}；同步已开始`,
      );
      say(`✓ ${name}/${one.volume}: ${words[language]}\n`);
    }
    return EXIT.done;
  }
}
const APART = text('both sides stay apart', '两端仍未连接');
const UNDER_WAY: ReadonlySet<string> = new Set(['WFBitMapS', 'WFBitMapT', 'WFSyncUUID', 'StartingSyncT']);
function endOf(m: MirrorStatus): 'apart' | 'over' | undefined {
  if (m.connection === 'StandAlone') return 'apart';
  if (m.connection !== 'Connected') return undefined;
  return m.volumes.some((v) => UNDER_WAY.has(v.connection)) ? undefined : 'over';
}
