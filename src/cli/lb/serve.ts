/**
 * The metrics over HTTP, from a process of its own: a scraper that is slow or mad delays neither director nor VRRP. A
 * unix socket or loopback only; whoever wants them on a network puts a server that knows its users in front.
 */
import { lstatSync, unlinkSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { LbDocument } from '../../api/index.ts';
import { err, text } from '../../base/index.ts';
import { EXIT } from '../../daemon/index.ts';
import type { LbArguments } from './arguments.ts';
import { askDocument, type Outcome } from './talk.ts';

type Place = { readonly path: string } | { readonly host: string; readonly port: number };
export function parsePlace(word: string): Place | undefined {
  if (word.startsWith('unix:') && word.length > 5) return { path: word.slice(5) };
  const m = /^(127(?:\.\d{1,3}){3}|\[::1\]|localhost):(\d{1,5})$/.exec(word);
  return m && Number(m[2]) <= 0xffff ? { host: (m[1] as string).replace(/[[\]]/g, ''), port: Number(m[2]) } : undefined;
}

/** A socket that one before this left behind when it was ended. One that somebody listens at stays, and so does a file. */
const discardStale = (path: string): Promise<void> =>
  new Promise((done) => {
    const socket = connect(path, () => done(void socket.destroy()));
    socket.on('error', (e: NodeJS.ErrnoException) => {
      try {
        if (e.code === 'ECONNREFUSED' && lstatSync(path).isSocket()) unlinkSync(path);
      } catch {
        // Gone, or not ours to remove: listening says which.
      }
      done();
    });
  });

/** Resolves only when it cannot go on. */
export async function serveMetrics(where: string, a: LbArguments, render: (d: LbDocument) => string): Promise<Outcome> {
  const place = parsePlace(where);
  if (place === undefined)
    return err({
      text: text(
        `--serve ${where}: unix:PATH or a loopback address with its port, such as 127.0.0.1:9650`,
        `--serve ${where}：须为 unix:路径 或带端口的回环地址，例如 127.0.0.1:9650`,
      ),
      code: EXIT.wrong,
    });
  if ('path' in place) await discardStale(place.path);
  return new Promise((done) => {
    const server = createServer(async (request, response) => {
      if (request.method !== 'GET' || !/^\/metrics(\?|$)/.test(request.url ?? '')) {
        response.writeHead(request.method === 'GET' ? 404 : 405).end();
        return;
      }
      const d = await askDocument(a);
      if (d.ok)
        response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(render(d.value));
      else response.writeHead(503, { 'content-type': 'text/plain; charset=utf-8' }).end(`${d.error.text.en}\n`);
    });
    server.maxConnections = 16;
    server.on('error', (e) =>
      done(err({ text: text(`${where}: ${e.message}`, `${where}：${e.message}`), code: EXIT.failed })),
    );
    server.listen(place);
  });
}
