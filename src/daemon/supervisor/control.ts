/** The control socket: one line of JSON asks, one document answers. Readable for root and the group `holdfast`. */
import { chmodSync, chownSync, mkdirSync, unlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { dirname } from 'node:path';
import type { ControlRequest } from '../../api/index.ts';
import { err, ok, type Result, type Text, text } from '../../base/index.ts';
import type { Accounts } from '../scripts/accounts.ts';

const GROUP = 'holdfast';
const LONGEST_REQUEST = 4096;

export type Answer = (request: ControlRequest, reply: (document: unknown) => void) => void;
export interface Control {
  close(): void;
}

export function serveControl(path: string, accounts: Accounts, answer: Answer, failed: (t: Text) => void): Control {
  mkdirSync(dirname(path), { recursive: true });
  // Left behind by a daemon that was killed; that none runs was settled by the pid file.
  try {
    unlinkSync(path);
  } catch {
    // There was none.
  }
  const server: Server = createServer((socket) => {
    let got = '';
    socket.setEncoding('utf8');
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: string) => {
      got += chunk;
      const end = got.indexOf('\n');
      if (end < 0) {
        if (got.length > LONGEST_REQUEST) socket.destroy();
        return;
      }
      socket.removeAllListeners('data');
      const request = parseRequest(got.slice(0, end));
      if (request.ok) answer(request.value, (document) => socket.end(`${JSON.stringify(document)}\n`));
      else socket.end(`${JSON.stringify({ error: request.error })}\n`);
    });
  });
  server.on('error', (e) => failed(text(`control socket ${path}: ${e.message}`, `控制套接字 ${path}：${e.message}`)));
  server.listen(path, () => {
    const gid = accounts.group(GROUP);
    if (gid !== undefined) chownSync(path, 0, gid);
    chmodSync(path, 0o660);
  });
  return { close: () => server.close() };
}

export function parseRequest(line: string): Result<ControlRequest, string> {
  try {
    const got: unknown = JSON.parse(line);
    const ask = typeof got === 'object' && got !== null && 'ask' in got ? got.ask : undefined;
    return ask === 'status' || ask === 'statistics' ? ok({ ask }) : err('unknown request');
  } catch {
    return err('not JSON');
  }
}
