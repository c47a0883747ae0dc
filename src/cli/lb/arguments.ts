/** The options of `holdfast lb`. */
import { parseArgs } from 'node:util';
import { err, type Language, languageOf, ok, type Result, type Text, text } from '../../base/index.ts';
import { pidPaths } from '../../daemon/index.ts';
import { parseProblem } from '../parse-error.ts';

export type LbArguments = {
  readonly names: readonly string[];
  readonly json: boolean;
  readonly language: Language;
  readonly socket: string;
  /** The director's pid file; undefined where only the socket was named. */
  readonly pidFile: string | undefined;
  readonly wait: boolean;
  readonly force: boolean;
  readonly forMs: number | undefined;
  readonly stats: boolean;
  readonly rate: boolean;
  readonly intervalMs: number;
  /** Screens of `top`; undefined: until it is ended. */
  readonly count: number | undefined;
  readonly serve: string | undefined;
  readonly realServer: boolean;
};

const UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** `90s`, `5m`, `500ms`: with its unit, so that nobody has to know one. */
export function parseDuration(word: string): number | undefined {
  const m = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(word);
  return m ? Number(m[1]) * (UNIT[m[2] as string] as number) : undefined;
}

const COMMON = ['lang', 'pid', 'socket'];
/** `takes`: the options that mean something to the verb, besides those of all. */
export function readLbArguments(argv: readonly string[], takes: readonly string[]): Result<LbArguments, Text> {
  try {
    const { values: v, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        json: { type: 'boolean' },
        lang: { type: 'string' },
        pid: { type: 'string', short: 'p' },
        socket: { type: 'string' },
        wait: { type: 'boolean' },
        force: { type: 'boolean' },
        for: { type: 'string' },
        stats: { type: 'boolean' },
        rate: { type: 'boolean' },
        list: { type: 'boolean', short: 'L' },
        numeric: { type: 'boolean', short: 'n' },
        interval: { type: 'string' },
        count: { type: 'string' },
        serve: { type: 'string' },
        'real-server': { type: 'boolean' },
      },
    });
    const strange = Object.keys(v).find((name) => !COMMON.includes(name) && !takes.includes(name));
    if (strange !== undefined) return err(text(`--${strange} means nothing here`, `--${strange} 在此没有意义`));
    const times: Record<string, number | undefined> = {};
    for (const name of ['for', 'interval'] as const) {
      const word = v[name];
      if (word === undefined) continue;
      times[name] = parseDuration(word);
      if (!times[name])
        return err(
          text(`--${name} ${word} is not a time such as 30s or 5m`, `--${name} ${word} 不是时间（例如 30s 或 5m）`),
        );
    }
    if (v.count !== undefined && !/^[1-9]\d{0,6}$/.test(v.count))
      return err(text(`--count ${v.count} is not a number of screens`, `--count ${v.count} 不是次数`));
    const paths = pidPaths({ pidFile: v.pid, pidDirectory: false });
    return ok({
      names: positionals,
      json: v.json ?? false,
      language: languageOf(process.env, v.lang),
      socket: v.socket ?? paths.socket,
      pidFile: v.socket === undefined ? paths.checkers : undefined,
      wait: v.wait ?? false,
      force: v.force ?? false,
      forMs: times['for'],
      stats: v.stats ?? false,
      rate: v.rate ?? false,
      intervalMs: times['interval'] ?? 1000,
      count: v.count === undefined ? undefined : Number(v.count),
      serve: v.serve,
      realServer: v['real-server'] ?? false,
    });
  } catch (e) {
    return err(parseProblem(e));
  }
}
