/** Questions to the running daemon about the director, and how their failure ends the command. */
import { existsSync } from 'node:fs';
import type { LbAnswer, LbDocument, LbRequest } from '../../api/index.ts';
import { err, ok, type Result, type Text, text } from '../../base/index.ts';
import { EXIT } from '../../daemon/index.ts';
import { type AskError, ask } from '../ask.ts';
import type { LbArguments } from './arguments.ts';

export type Failure = { readonly text: Text; readonly code: number };
/** The exit code of a command. */
export type Outcome = Result<number, Failure>;

const codeOf = (kind: AskError['kind']): number =>
  kind === 'not-running' ? EXIT.notRunning : kind === 'not-permitted' ? EXIT.notPermitted : EXIT.noAnswer;

async function question<T>(a: LbArguments, request: LbRequest): Promise<Result<T, Failure>> {
  const answer = await ask(a.socket, request);
  if (!answer.ok) {
    const { kind } = answer.error;
    const words = kind === 'not-running' ? withLeft(answer.error.text, a.pidFile) : answer.error.text;
    return err({ text: words, code: codeOf(kind) });
  }
  const got = answer.value as { readonly error?: Text };
  return got.error ? err({ text: got.error, code: EXIT.failed }) : ok(answer.value as T);
}
/** The pid file of a director goes when it has taken its services down. */
function withLeft(words: Text, pidFile: string | undefined): Text {
  if (pidFile === undefined || !existsSync(pidFile)) return words;
  return text(
    `${words.en}; the director before did not end in order (${pidFile}): what it put into the kernel may forward on; a start of the daemon takes it over, or removes what nothing wants`,
    `${words.zh}；此前的调度进程未正常结束（${pidFile}）：其在内核中的规则可能仍在转发；启动守护进程即可接管，或清除不再需要的部分`,
  );
}
export const askDocument = (a: LbArguments): Promise<Result<LbDocument, Failure>> => question(a, { ask: 'lb' });
export const tell = (a: LbArguments, request: LbRequest): Promise<Result<LbAnswer, Failure>> => question(a, request);
