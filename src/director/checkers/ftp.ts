/** FTP: greeting, login, and whether a file is there (RFC 959, SIZE of RFC 3659). No data connection is made. */
import { text } from '../../base/index.ts';
import { bytesOf } from './bytes.ts';
import { type Conversation, pass, type Stage } from './conversation.ts';
import { type After, refused, reply } from './replies.ts';

export type FtpQuestion = {
  readonly login: string;
  readonly password: string;
  readonly file: string | undefined;
};
const QUIT = bytesOf('QUIT\r\n');
const done = (en: string, zh: string): After => ({ finding: pass('answered', text(en, zh)), farewell: QUIT });

export function ftpConversation(q: FtpQuestion): Conversation {
  const sized = reply((r) =>
    r.code === 213 ? done('logged in, the file is there', '登录成功，文件存在') : refused('SIZE', r),
  );
  const loggedIn = (): After =>
    q.file === undefined
      ? done('logged in', '登录成功')
      : { send: bytesOf(`TYPE I\r\n`), stage: reply(() => ({ send: bytesOf(`SIZE ${q.file}\r\n`), stage: sized })) };
  const authorised: Stage = reply((r) => (r.code === 230 || r.code === 202 ? loggedIn() : refused('PASS', r)));
  const named = reply((r) => {
    if (r.code === 230) return loggedIn();
    return r.code === 331 ? { send: bytesOf(`PASS ${q.password}\r\n`), stage: authorised } : refused('USER', r);
  });
  const greeted: Stage = reply((r) => {
    if (r.code === 120) return { send: new Uint8Array(0), stage: greeted }; // "ready in a moment"
    return r.code === 220 ? { send: bytesOf(`USER ${q.login}\r\n`), stage: named } : refused('greeting', r);
  });
  return { stage: greeted };
}
