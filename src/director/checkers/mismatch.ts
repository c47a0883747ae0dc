/** What a pattern finds in an answer, as the finding of a check. */
import { text } from '../../base/index.ts';
import { MATCH_WITHIN } from './bounded.ts';
import { type Finding, fail } from './conversation.ts';
import type { Pattern } from './regex.ts';

/** As in keepalived, where PCRE2's match limit is an error and an error no match. */
export const tooSlow = fail(
  'pattern-slow',
  text(
    `the pattern takes longer than ${MATCH_WITHIN} ms on what the server sent`,
    `模式匹配服务器发送的内容超过 ${MATCH_WITHIN} 毫秒`,
  ),
);
/** What a pattern that must match finds in `subject`; undefined: it is there. */
export function mismatch(pattern: Pattern, subject: string): Finding | undefined {
  const found = pattern.test(subject);
  if (found === undefined) return tooSlow;
  return found ? undefined : NO_MATCH;
}
const NO_MATCH = fail('no-match', text('the answer does not match the pattern', '应答与模式不匹配'));
