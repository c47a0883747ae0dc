/** Questions to the running daemon about the director, and how their failure ends the command. */
import type { LbAnswer, LbDocument, LbRequest } from '../../api/index.ts';
import { err, ok, type Result, type Text } from '../../base/index.ts';
import { EXIT } from '../../daemon/index.ts';
import { type AskError, ask } from '../ask.ts';
import type { LbArguments } from './arguments.ts';

export type Failure = { readonly text: Text; readonly code: number };

const codeOf = (kind: AskError['kind']): number =>
  kind === 'not-running' ? EXIT.notRunning : kind === 'not-permitted' ? EXIT.notPermitted : EXIT.noAnswer;

async function question<T>(a: LbArguments, request: LbRequest): Promise<Result<T, Failure>> {
  const answer = await ask(a.socket, request);
  if (!answer.ok) return err({ text: answer.error.text, code: codeOf(answer.error.kind) });
  const got = answer.value as { readonly error?: Text };
  return got.error ? err({ text: got.error, code: EXIT.failed }) : ok(answer.value as T);
}
export const askDocument = (a: LbArguments): Promise<Result<LbDocument, Failure>> => question(a, { ask: 'lb' });
export const tell = (a: LbArguments, request: LbRequest): Promise<Result<LbAnswer, Failure>> => question(a, request);
