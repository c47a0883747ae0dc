import { err, ok, type Result, type Text, text } from '../base/index.ts';
import type { Direction, Slowness } from './types.ts';

/** What a person asks of a running lab. */
export type Verb =
  | { readonly do: 'list' | 'down' }
  | { readonly do: 'run'; readonly host: string; readonly argv: readonly string[] }
  | { readonly do: 'shell' | 'power-cut' | 'power-on' | 'pause' | 'resume'; readonly host: string }
  | { readonly do: 'cut'; readonly link: LinkName; readonly how: Direction | 'carrier' }
  | { readonly do: 'slow'; readonly link: LinkName; readonly slowness: Slowness }
  | { readonly do: 'heal'; readonly link: LinkName | undefined }
  | { readonly do: 'capture'; readonly link: LinkName; readonly file: string; readonly filter: string | undefined }
  | { readonly do: 'partition'; readonly groups: readonly (readonly string[])[] };
export type LinkName = { readonly host: string; readonly link: string };

export const usage: Text = text(
  `npm run lab -- [--name NAME] VERB
  up FILE                          start the lab of a JSON file and stay; Ctrl-C ends it
  list                             hosts, addresses, and what was done to their links
  run HOST COMMAND...              run a command in a host
  shell HOST                       a shell in a host
  power-cut HOST | power-on HOST   everything in it is gone at once; a fresh one comes
  pause HOST | resume HOST         stop all its processes; let them go on
  cut HOST:LINK [in|out|both|carrier]   swallow frames silently, or pull the cable (carrier)
  slow HOST:LINK [delay=50ms] [jitter=5ms] [loss=10%] [rate=1000kbit] [in|out|both]
  partition A,B C,D                split the switches between groups of hosts
  heal [HOST:LINK]                 undo cut, slow and partition, of one link or of all
  capture HOST:LINK FILE [FILTER]  write what passes to a pcap file until Ctrl-C
  down                             end the lab`,
  `npm run lab -- [--name 名称] 命令
  up 文件                          按 JSON 文件启动实验环境并保持运行；Ctrl-C 结束
  list                             列出主机、地址以及链路状态
  run 主机 命令...                 在主机中运行命令
  shell 主机                       打开主机的 shell
  power-cut 主机 | power-on 主机   立即断电；以全新状态上电
  pause 主机 | resume 主机         暂停其全部进程；恢复
  cut 主机:链路 [in|out|both|carrier]   静默丢弃帧，或拔掉网线（carrier）
  slow 主机:链路 [delay=50ms] [jitter=5ms] [loss=10%] [rate=1000kbit] [in|out|both]
  partition A,B C,D                在主机组之间分割交换机
  heal [主机:链路]                 撤销 cut、slow 和 partition（某条链路或全部）
  capture 主机:链路 文件 [过滤器]  把经过的帧写入 pcap 文件，直到 Ctrl-C
  down                             结束实验环境`,
);

const wrong = (en: string, zh: string): Result<never, Text> => err(text(`${en}\n${usage.en}`, `${zh}\n${usage.zh}`));

function linkName(s: string | undefined): LinkName | undefined {
  const [host, link, more] = s?.split(':') ?? [];
  return host && link && more === undefined ? { host, link } : undefined;
}
const isDirection = (s: string): s is Direction => s === 'in' || s === 'out' || s === 'both';

const SLOWNESS: Readonly<Record<string, readonly [pattern: RegExp, key: keyof Slowness, scale: number]>> = {
  delay: [/^(\d+(?:\.\d+)?)ms$/, 'delayMs', 1],
  jitter: [/^(\d+(?:\.\d+)?)ms$/, 'jitterMs', 1],
  loss: [/^(\d+(?:\.\d+)?)%$/, 'loss', 0.01],
  rate: [/^(\d+(?:\.\d+)?)kbit$/, 'rateKbit', 1],
};
function slowness(words: readonly string[]): Result<Slowness, Text> {
  let found: Slowness = {};
  for (const w of words) {
    const [name = '', value = ''] = w.split('=');
    const [pattern, key, scale] = SLOWNESS[name] ?? [];
    const number = pattern?.exec(value)?.[1];
    if (isDirection(w)) found = { ...found, direction: w };
    else if (key !== undefined && scale !== undefined && number !== undefined)
      found = { ...found, [key]: Number(number) * scale };
    else return wrong(`slow: cannot read '${w}'`, `slow：无法识别“${w}”`);
  }
  return ok(found);
}

/** Reads everything behind `npm run lab --` but `up`. */
export function parseVerb(argv: readonly string[]): Result<Verb, Text> {
  const [verb = '', first, ...rest] = argv;
  const noMore = rest.length === 0;
  switch (verb) {
    case 'list':
    case 'down':
      return first === undefined ? ok({ do: verb }) : wrong(`${verb} takes no arguments`, `${verb} 不接受参数`);
    case 'shell':
    case 'power-cut':
    case 'power-on':
    case 'pause':
    case 'resume':
      return first !== undefined && noMore
        ? ok({ do: verb, host: first })
        : wrong(`${verb} takes one host`, `${verb} 需要一个主机`);
    case 'run':
      return first !== undefined && rest.length > 0
        ? ok({ do: verb, host: first, argv: rest })
        : wrong('run takes a host and a command', 'run 需要主机和命令');
    case 'partition': {
      const groups = argv.slice(1).map((g) => g.split(',').filter((m) => m !== ''));
      return groups.length > 0
        ? ok({ do: verb, groups })
        : wrong('partition takes groups of hosts', 'partition 需要主机组');
    }
    case 'heal':
      if (first === undefined) return ok({ do: verb, link: undefined });
  }
  if (!['cut', 'slow', 'heal', 'capture'].includes(verb))
    return wrong(
      verb === '' ? 'a verb is needed' : `no verb '${verb}'`,
      verb === '' ? '缺少命令' : `没有命令“${verb}”`,
    );
  const link = linkName(first);
  if (!link) return wrong(`${verb} takes HOST:LINK`, `${verb} 需要 主机:链路`);
  const [second] = rest;
  if (verb === 'slow') {
    const read = slowness(rest);
    return read.ok ? ok({ do: verb, link, slowness: read.value }) : read;
  }
  if (verb === 'capture') {
    const filter = rest.length > 1 ? rest.slice(1).join(' ') : undefined;
    return second !== undefined
      ? ok({ do: verb, link, file: second, filter })
      : wrong('capture takes a file', 'capture 需要文件');
  }
  if (verb === 'cut' && rest.length < 2) {
    const how = second ?? 'both';
    if (how === 'carrier' || isDirection(how)) return ok({ do: verb, link, how });
  }
  if (verb === 'heal' && noMore) return ok({ do: verb, link });
  return wrong(
    `${verb}: too many arguments or a wrong one: ${rest.join(' ')}`,
    `${verb}：参数过多或有误：${rest.join(' ')}`,
  );
}
