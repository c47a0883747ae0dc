/** UDP_CHECK: silence is good unless a reply is required; an ICMP error is always bad, and comes as the socket's error. */
import { text } from '../../base/index.ts';
import { type Finding, fail, pass } from './conversation.ts';

export const hexBytes = (hex: string): Uint8Array =>
  Uint8Array.from({ length: hex.length >> 1 }, (_, i) => Number.parseInt(hex.slice(i * 2, i * 2 + 2), 16));

/** `pattern`: the reply begins with it; `x` is any nibble. */
export function matchesHex(pattern: string, b: Uint8Array): boolean {
  if (b.length < pattern.length >> 1) return false;
  for (let i = 0; i < pattern.length; i++) {
    const want = pattern[i]?.toLowerCase();
    const byte = b[i >> 1] as number;
    const have = (i % 2 === 0 ? byte >> 4 : byte & 15).toString(16);
    if (want !== 'x' && want !== have) return false;
  }
  return true;
}

export const SILENCE_IS_GOOD = pass('silent', text('no error within the timeout', '超时时间内没有错误'));

export type UdpReply = { readonly pattern?: string; readonly minLength: number; readonly maxLength: number };
export function judgeUdp(reply: UdpReply | undefined, b: Uint8Array): Finding {
  if (!reply) return pass('answered', text('something came back', '有应答'));
  if (b.length < reply.minLength || b.length > reply.maxLength)
    return fail(
      'length',
      text(
        `a reply of ${b.length} bytes, wanted ${reply.minLength} to ${reply.maxLength}`,
        `应答长 ${b.length} 字节，应为 ${reply.minLength} 到 ${reply.maxLength}`,
      ),
    );
  if (reply.pattern !== undefined && !matchesHex(reply.pattern, b))
    return fail('no-match', text('the reply does not match the pattern', '应答与模式不匹配'));
  return pass('matched', text('replied as expected', '应答符合预期'));
}
