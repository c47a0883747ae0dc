/** NNTP: greeting 200 or 201 (RFC 3977 section 5.1), and where asked for one command whose answer must match. */
import { text } from '../../base/index.ts';
import { bytesOf } from './bytes.ts';
import { type Conversation, pass } from './conversation.ts';
import { mismatch } from './mismatch.ts';
import type { Pattern } from './regex.ts';
import { type After, refused, reply } from './replies.ts';

const QUIT = bytesOf('QUIT\r\n');
export function nntpConversation(request: string | undefined, pattern: Pattern | undefined): Conversation {
  const judge = (line: string): After => ({
    finding: (pattern && mismatch(pattern, line)) ?? pass('answered', text('answered as expected', '应答符合预期')),
    farewell: QUIT,
  });
  return {
    stage: reply((r) => {
      if (r.code !== 200 && r.code !== 201) return refused('greeting', r);
      if (!request) return judge(r.line);
      return { send: bytesOf(`${request}\r\n`), stage: reply((answer) => judge(answer.line)) };
    }),
  };
}
