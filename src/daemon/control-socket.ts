/** A control socket: one line of JSON asks, one document answers. Readable for root and the group `holdfast`. */
import { chmodSync, chownSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { err, ok, type Result, type Text, text, verbatim } from '../base/index.ts';
import type { Accounts } from './scripts/accounts.ts';

const GROUP = 'holdfast';
const LONGEST_REQUEST = 4096;
/** Whoever may ask may also ask badly: what a client can hold of this process is bounded in number and in time. */
const MOST_CLIENTS = 32;
const LONGEST_TALK = 10_000;

/** What a daemon understands, and what it says to that. `parse` is given one line and fails with the reason. */
export type Talk<Request> = {
  readonly parse: (line: string) => Result<Request, string>;
  readonly answer: (request: Request, reply: (document: unknown) => void) => void;
  /**
   * Requests that are answered by documents for as long as the client listens: returns what ends that. Undefined: such a request
   * is answered once.
   */
  readonly follow?: (request: Request, send: (document: unknown) => void) => (() => void) | undefined;
};
/** The object that a line of JSON is, for `parse`. */
export function requestObject(line: string): Result<Readonly<Record<string, unknown>>, string> {
  let got: unknown;
  try {
    got = JSON.parse(line);
  } catch {
    return err('not JSON');
  }
  return typeof got === 'object' && got !== null
    ? ok(got as Readonly<Record<string, unknown>>)
    : err('unknown request');
}
/** A client that does not read what it asked for is cut off. */
const MOST_UNREAD = 1 << 20;
export interface Control {
  close(): void;
}

export function serveControl<Request>(
  path: string,
  accounts: Accounts,
  talk: Talk<Request>,
  failed: (t: Text) => void,
): Control {
  const complain = (e: Error): void =>
    failed(text(`control socket ${path}: ${e.message}`, `控制套接字 ${path}：${e.message}`));
  // Half open: a client that has closed its sending side still waits for the answer.
  const server = createServer({ allowHalfOpen: true }, (socket) => serve(socket, talk));
  server.maxConnections = MOST_CLIENTS;
  server.on('error', complain);
  try {
    mkdirSync(dirname(path), { recursive: true });
    // Left behind by a daemon that was killed; that none runs was settled by the pid file.
    rmSync(path, { force: true });
    listen(server, path);
    const gid = accounts.group(GROUP);
    if (gid !== undefined) chownSync(path, 0, gid);
    chmodSync(path, 0o660);
  } catch (e) {
    complain(e as Error);
  }
  return { close: () => server.close() };
}

/** The socket is made in this call, and at no moment for everybody. */
function listen(server: Server, path: string): void {
  const before = process.umask(0o177);
  server.listen(path);
  process.umask(before);
}

function serve<Request>(socket: Socket, talk: Talk<Request>): void {
  let got = '';
  let limit = setTimeout(() => socket.destroy(), LONGEST_TALK);
  socket.on('close', () => clearTimeout(limit));
  socket.setEncoding('utf8');
  socket.on('error', () => socket.destroy());
  socket.on('end', () => {
    if (!got.includes('\n')) socket.destroy();
  });
  socket.on('data', (chunk: string) => {
    if (got.includes('\n')) return; // one question for each connection
    got += chunk;
    const end = got.indexOf('\n');
    if (end < 0) {
      if (got.length > LONGEST_REQUEST) socket.destroy();
      return;
    }
    const request = talk.parse(got.slice(0, end));
    // An answer takes as long as the work; then the client has its time to read it.
    clearTimeout(limit);
    const reply = (document: unknown): void => {
      limit = setTimeout(() => socket.destroy(), LONGEST_TALK);
      socket.end(`${JSON.stringify(document)}\n`);
    };
    if (request.ok && follow(socket, talk, request.value)) return;
    if (request.ok) talk.answer(request.value, reply);
    else reply({ error: verbatim(request.error) });
  });
}
function follow<Request>(socket: Socket, talk: Talk<Request>, request: Request): boolean {
  const stop = talk.follow?.(request, (document) => {
    if (socket.writableLength > MOST_UNREAD) socket.destroy();
    else socket.write(`${JSON.stringify(document)}\n`);
  });
  if (stop === undefined) return false;
  socket.on('close', stop);
  return true;
}
