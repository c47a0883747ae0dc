/** Sends a text and looks for a pattern in whatever comes back. */
import { text } from '../../base/index.ts';
import { bytesOf, latin1 } from './bytes.ts';
import { type Conversation, end, pass, WAIT } from './conversation.ts';
import { mismatch, tooSlow } from './mismatch.ts';
import type { Pattern } from './regex.ts';

const MATCHED = pass('matched', text('the answer matches', '应答匹配'));
const SOMETHING = pass('answered', text('something came back', '有应答'));
/** What a pattern is tried on. */
const MOST = 65536;

export function simpleConversation(request: string, pattern: Pattern | undefined): Conversation {
  return {
    ...(request !== '' && { send: bytesOf(request) }),
    stage: (have, ended) => {
      if (!pattern) return have.length > 0 ? end(SOMETHING) : WAIT;
      if (have.length === 0) return WAIT;
      const wrong = mismatch(pattern, latin1(have.subarray(0, MOST)));
      if (!wrong) return end(MATCHED);
      return ended || wrong === tooSlow || have.length >= MOST ? end(wrong) : WAIT;
    },
  };
}
