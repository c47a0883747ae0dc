/** SMTP, FTP and NNTP answer alike: three digits, and `-` behind them where another line follows (RFC 5321 section 4.2.1). */
import { text } from '../../base/index.ts';
import { lineOf, quoted } from './bytes.ts';
import { end, type Finding, fail, type Move, type Stage, WAIT } from './conversation.ts';

export type Reply = { readonly code: number; readonly line: string };
/** What follows a reply: the verdict with a farewell, or a command and what its answer must be. */
export type After =
  | { readonly finding: Finding; readonly farewell?: Uint8Array }
  | { readonly send: Uint8Array; readonly stage: Stage };

const LONGEST_LINE = 8192;

/** Reads one whole reply. What is none is a failure: then something else listens there. */
export function reply(then: (r: Reply) => After): Stage {
  // Each line is done with at once: a reply without end must not be read again from its beginning for each of its lines.
  const lines =
    (first: boolean): Stage =>
    (have): Move => {
      const l = lineOf(have);
      if (!l) return have.length > LONGEST_LINE ? end(noReply('...')) : WAIT;
      const m = /^(\d{3})([ -]|$)/.exec(l.line);
      // Lines within a reply of FTP may be anything (RFC 959 section 4.2); the first and the last may not.
      if (first && !m) return end(noReply(l.line));
      if (!m || m[2] === '-') return { do: 'next', used: l.next, stage: within };
      const after = then({ code: Number(m[1]), line: l.line });
      if ('finding' in after) return end(after.finding, after.farewell);
      return { do: 'next', used: l.next, send: after.send, stage: after.stage };
    };
  const within = lines(false);
  return lines(true);
}

const noReply = (line: string): Finding =>
  fail('protocol', text(`${quoted(line)} is no reply of this protocol`, `${quoted(line)} 不是该协议的应答`));
/** `what`: the command that was answered, or `greeting`. */
export const refused = (what: string, r: Reply): After => ({
  finding: fail(
    'refused-command',
    text(`${what} was answered ${quoted(r.line)}`, `${what} 的应答为 ${quoted(r.line)}`),
  ),
});
