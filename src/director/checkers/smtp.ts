/** SMTP_CHECK: greeting 220, HELO answered with 250, QUIT (RFC 5321). */
import { text } from '../../base/index.ts';
import { bytesOf } from './bytes.ts';
import { type Conversation, pass } from './conversation.ts';
import { refused, reply } from './replies.ts';

export function smtpConversation(helo: string): Conversation {
  const greeted = reply((r) =>
    r.code === 250
      ? { finding: pass('answered', text('greeted and said 250', '问候正常，应答 250')), farewell: bytesOf('QUIT\r\n') }
      : refused('HELO', r),
  );
  return {
    stage: reply((r) =>
      r.code === 220 ? { send: bytesOf(`HELO ${helo}\r\n`), stage: greeted } : refused('greeting', r),
    ),
  };
}
