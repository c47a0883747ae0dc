/** SIP (RFC 3261 section 11): OPTIONS, which every server answers; 200 is good. */
import { familyOf, type IpAddress, text } from '../../base/index.ts';
import { bytesOf, latin1, quoted } from './bytes.ts';
import { type Conversation, end, type Finding, fail, pass, WAIT } from './conversation.ts';
import { mismatch } from './mismatch.ts';
import type { Pattern } from './regex.ts';

export type SipQuestion = {
  readonly transport: 'tcp' | 'udp';
  readonly address: IpAddress;
  readonly port: number;
  /** `name@host`. */
  readonly user: string;
  /** Unlike in any other attempt. */
  readonly id: string;
  readonly pattern: Pattern | undefined;
};
const LONGEST = 65536;

export function sipOptions(q: SipQuestion): Uint8Array {
  const host = familyOf(q.address) === 6 ? `[${q.address}]` : q.address;
  const from = q.user.slice(q.user.indexOf('@') + 1);
  return bytesOf(
    [
      `OPTIONS sip:${host}:${q.port} SIP/2.0`,
      // rport (RFC 3581): the answer comes back to the port that asked.
      `Via: SIP/2.0/${q.transport.toUpperCase()} ${from};branch=z9hG4bK${q.id};rport`,
      'Max-Forwards: 70',
      `To: <sip:${q.user}>`,
      `From: <sip:${q.user}>;tag=${q.id}`,
      `Call-ID: ${q.id}@${from}`,
      'CSeq: 1 OPTIONS',
      'Accept: application/sdp',
      'Content-Length: 0',
      '',
      '',
    ].join('\r\n'),
  );
}

/** Undefined: not the final answer, or not ours. */
export function judgeSip(q: SipQuestion, b: Uint8Array): Finding | undefined {
  const answer = latin1(b);
  const m = /^SIP\/2\.0 (\d{3})[^\r\n]*/.exec(answer);
  if (!m) return fail('protocol', text('the answer is not SIP', '应答不是 SIP'));
  const status = Number(m[1]);
  const call = /^(?:call-id|i)[ \t]*:[ \t]*([^\r\n@]*)/im.exec(answer)?.[1];
  if (status < 200 || (call !== undefined && call !== q.id)) return undefined;
  if (status !== 200) return fail('status', text(`answered ${quoted(m[0])}`, `应答 ${quoted(m[0])}`));
  return (q.pattern && mismatch(q.pattern, answer)) ?? pass('answered', text('answered 200', '应答 200'));
}

export function sipConversation(q: SipQuestion): Conversation {
  return {
    send: sipOptions(q),
    stage: function answer(have) {
      const s = latin1(have.subarray(0, LONGEST));
      const head = /\r?\n\r?\n/.exec(s);
      if (!head) return have.length > LONGEST ? end(fail('too-long', text('an endless answer', '应答过长'))) : WAIT;
      const next = head.index + head[0].length;
      const finding = judgeSip(q, have.subarray(0, next));
      return finding ? end(finding) : { do: 'next', used: next, stage: answer };
    },
  };
}
