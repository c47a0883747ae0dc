/** The options that reading verbs share. */
import { parseArgs } from 'node:util';
import { err, type Language, languageOf, ok, type Result, type Text } from '../base/index.ts';
import { pidPaths } from '../daemon/index.ts';
import { parseProblem } from './parse-error.ts';

export type Arguments = {
  readonly names: readonly string[];
  readonly json: boolean;
  readonly language: Language;
  readonly socket: string;
};

/** `--pid FILE` names a daemon that was started with a pid file of its own. */
export function readArguments(argv: readonly string[]): Result<Arguments, Text> {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        json: { type: 'boolean' },
        lang: { type: 'string' },
        pid: { type: 'string', short: 'p' },
        socket: { type: 'string' },
      },
    });
    return ok({
      names: positionals,
      json: values.json ?? false,
      language: languageOf(process.env, values.lang),
      socket: values.socket ?? pidPaths({ pidFile: values.pid, pidDirectory: false }).socket,
    });
  } catch (e) {
    return err(parseProblem(e));
  }
}
