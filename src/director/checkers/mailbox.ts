/** POP3 (RFC 1939) and IMAP4 (RFC 9051): the greeting, and with an account a login. */
import { text } from '../../base/index.ts';
import { bytesOf, lineOf, quoted } from './bytes.ts';
import { type Conversation, end, type Finding, fail, type Move, pass, type Stage, WAIT } from './conversation.ts';

export type Login = { readonly user: string; readonly password: string };
const LONGEST_LINE = 8192;

/** `then` undefined: the line is not the one that is waited for. */
function line(
  then: (
    line: string,
  ) =>
    | Omit<Move & { do: 'next' }, 'do' | 'used'>
    | { readonly finding: Finding; readonly farewell: Uint8Array }
    | undefined,
): Stage {
  const stage: Stage = (have) => {
    const l = lineOf(have);
    if (!l) return have.length > LONGEST_LINE ? end(fail('protocol', text('an endless line', '一行过长'))) : WAIT;
    const after = then(l.line);
    if (!after) return { do: 'next', used: l.next, stage };
    if ('finding' in after) return end(after.finding, after.farewell);
    return { do: 'next', used: l.next, ...after };
  };
  return stage;
}
const refused = (what: string, said: string, farewell: Uint8Array) => ({
  finding: fail('refused-command', text(`${what} was answered ${quoted(said)}`, `${what} 的应答为 ${quoted(said)}`)),
  farewell,
});
const answered = (login: boolean, farewell: Uint8Array) => ({
  finding: login
    ? pass('answered', text('greeted and let in', '问候正常，登录成功'))
    : pass('answered', text('greeted', '问候正常')),
  farewell,
});

export function popConversation(login: Login | undefined): Conversation {
  const quit = bytesOf('QUIT\r\n');
  const good = (s: string): boolean => s === '+OK' || s.startsWith('+OK ');
  const entered = line((l) => (good(l) ? answered(true, quit) : refused('PASS', l, quit)));
  const named = line((l) =>
    good(l) ? { send: bytesOf(`PASS ${login?.password ?? ''}\r\n`), stage: entered } : refused('USER', l, quit),
  );
  return {
    stage: line((l) => {
      if (!good(l)) return refused('greeting', l, quit);
      return login ? { send: bytesOf(`USER ${login.user}\r\n`), stage: named } : answered(false, quit);
    }),
  };
}

const astring = (s: string): string => `"${s.replace(/[\\"]/g, '\\$&')}"`;
export function imapConversation(login: Login | undefined): Conversation {
  const logout = bytesOf('z LOGOUT\r\n');
  const entered = line((l) => {
    if (l.startsWith('a OK')) return answered(true, logout);
    return l.startsWith('a ') ? refused('LOGIN', l, logout) : undefined; // untagged lines come in between
  });
  return {
    stage: line((l) => {
      if (l.startsWith('* PREAUTH')) return answered(false, logout);
      if (!l.startsWith('* OK')) return refused('greeting', l, logout);
      return login
        ? { send: bytesOf(`a LOGIN ${astring(login.user)} ${astring(login.password)}\r\n`), stage: entered }
        : answered(false, logout);
    }),
  };
}
