/**
 * The metrics over HTTP, from a process of its own: a scraper that is slow or mad delays neither director nor VRRP. A
 * unix socket or loopback only; whoever wants them on a network puts a server that knows its users in front.
 */
import { createServer } from 'node:http';
import type { LbDocument } from '../../api/index.ts';
import { err, text } from '../../base/index.ts';
import { EXIT } from '../../daemon/index.ts';
import type { LbArguments } from './arguments.ts';
import { askDocument } from './talk.ts';
import type { Outcome } from './verbs.ts';

type Place = { readonly path: string } | { readonly host: string; readonly port: number };
export function parsePlace(word: string): Place | undefined {
  if (word.startsWith('unix:') && word.length > 5) return { path: word.slice(5) };
  const m = /^(127(?:\.\d{1,3}){3}|\[::1\]|localhost):(\d{1,5})$/.exec(word);
  return m && Number(m[2]) <= 0xffff ? { host: (m[1] as string).replace(/[[\]]/g, ''), port: Number(m[2]) } : undefined;
}

/** Resolves only when it cannot go on. */
export function serveMetrics(where: string, a: LbArguments, render: (d: LbDocument) => string): Promise<Outcome> {
  const place = parsePlace(where);
  if (place === undefined)
    return Promise.resolve(
      err({
        text: text(
          `--serve ${where}: unix:PATH or a loopback address with its port, such as 127.0.0.1:9650`,
          `--serve ${where}：须为 unix:路径 或带端口的回环地址，例如 127.0.0.1:9650`,
        ),
        code: EXIT.wrong,
      }),
    );
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
