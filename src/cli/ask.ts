/** Asks a running daemon over its control socket. */
import { connect } from 'node:net';
import type { ControlRequest, MirrorAsk } from '../api/index.ts';
import { err, ok, type Result, type Text, text } from '../base/index.ts';

const ANSWER_WITHIN = 5000;

export type AskError = { readonly kind: 'not-running' | 'not-permitted' | 'no-answer'; readonly text: Text };

/** `within`: milliseconds. */
export function ask(
  path: string,
  request: ControlRequest | MirrorAsk,
  within = ANSWER_WITHIN,
): Promise<Result<unknown, AskError>> {
  return new Promise((done) => {
    let got = '';
    const socket = connect(path);
    socket.setTimeout(within);
    socket.setEncoding('utf8');
    socket.on('connect', () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on('data', (chunk: string) => {
      got += chunk;
    });
    const fail = (kind: AskError['kind'], en: string, zh: string): void => done(err({ kind, text: text(en, zh) }));
    socket.on('error', (e: NodeJS.ErrnoException) => {
      if (e.code === 'ENOENT' || e.code === 'ECONNREFUSED')
        fail('not-running', `nothing runs here (${path})`, `没有正在运行的守护进程（${path}）`);
      else if (e.code === 'EACCES')
        fail(
          'not-permitted',
          `not permitted: be root or in group holdfast (${path})`,
          `没有权限：需要 root 或属于 holdfast 组（${path}）`,
        );
      else fail('no-answer', `${path}: ${e.message}`, `${path}：${e.message}`);
    });
    socket.on('timeout', () => {
      socket.destroy();
      fail('no-answer', `${path} does not answer`, `${path} 没有应答`);
    });
    socket.on('end', () => {
      try {
        done(ok(JSON.parse(got)));
      } catch {
        fail('no-answer', `${path} answered with what is not JSON`, `${path} 的应答不是 JSON`);
      }
    });
  });
}
