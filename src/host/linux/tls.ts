/** TLS and HTTP/2 on a connected descriptor, by Node's own libraries. */
import { connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2';
import { Socket } from 'node:net';
import { connect as connectTls, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { type Text, text } from '../../base/index.ts';
import type { HostError, Http2Events, Http2Request, Stream, StreamEvents, TlsSettings } from '../index.ts';

/** One for each settings: making one costs more than a handshake. */
const contexts = new WeakMap<TlsSettings, SecureContext>();
function contextOf(o: TlsSettings): SecureContext {
  let context = contexts.get(o);
  if (!context) {
    context = createSecureContext({
      ...(o.ca !== undefined && { ca: o.ca }),
      ...(o.certificate !== undefined && { cert: o.certificate }),
      ...(o.key !== undefined && { key: o.key }),
      ...(o.passphrase !== undefined && { passphrase: o.passphrase }),
    });
    contexts.set(o, context);
  }
  return context;
}

function errorOf(e: unknown, doing: Text): HostError {
  const { code, message } = e as { code?: unknown; message?: unknown };
  if (typeof code === 'string') return { code, doing };
  return { code: 'ERR_TLS', doing: text(`${doing.en}: ${message}`, `${doing.zh}：${message}`) };
}

const address = /^[\d.]+$|:/;
function secure(raw: Socket, o: TlsSettings): TLSSocket {
  return connectTls({
    socket: raw,
    secureContext: contextOf(o),
    rejectUnauthorized: o.ca !== undefined,
    // Server names are names: RFC 6066 section 3 forbids addresses.
    ...(o.serverName !== undefined && !address.test(o.serverName) && { servername: o.serverName }),
    ...(o.protocols && { ALPNProtocols: [...o.protocols] }),
  });
}

/** Ends everything at once; what the library still has to say about it is not heard. */
function discard(socket: { on(e: 'error', f: () => void): unknown; destroy(): unknown }): void {
  socket.on('error', () => {});
  socket.destroy();
}

export function overTls(fd: number, o: TlsSettings, doing: Text, on: StreamEvents): Stream {
  const raw = new Socket({ fd, readable: true, writable: true });
  let over = false;
  const fail = (e: unknown): void => {
    if (over) return;
    over = true;
    discard(raw);
    on.failed(errorOf(e, doing));
  };
  raw.on('error', fail);
  let socket: TLSSocket;
  try {
    socket = secure(raw, o);
  } catch (e) {
    setImmediate(fail, e); // a key that does not fit its certificate, a file that is no PEM
    const close = (): void => {
      over = true;
    };
    return { send: () => {}, close };
  }
  socket.on('secureConnect', () => over || on.opened());
  socket.on('data', (bytes: Buffer) => over || on.received(bytes));
  socket.on('end', () => over || on.ended());
  socket.on('error', fail);
  return {
    send: (bytes) => void (over || socket.write(bytes)),
    close() {
      over = true;
      discard(socket);
      discard(raw);
    },
  };
}

const flat = (h: IncomingHttpHeaders): Record<string, string> =>
  Object.fromEntries(Object.entries(h).map(([k, v]) => [k, Array.isArray(v) ? v.join(', ') : String(v)]));

export function overHttp2(
  fd: number,
  o: TlsSettings | undefined,
  doing: Text,
  request: Http2Request,
  on: Http2Events,
): Stream {
  const raw = new Socket({ fd, readable: true, writable: true });
  let over = false;
  let end = (): void => discard(raw);
  const finish = (tell: () => void): void => {
    if (over) return;
    over = true;
    end();
    tell();
  };
  const fail = (e: unknown): void => finish(() => on.failed(errorOf(e, doing)));
  raw.on('error', fail);
  try {
    const socket = o ? secure(raw, { ...o, protocols: o.protocols ?? ['h2'] }) : raw;
    socket.on('error', fail);
    const session = connectHttp2(`${o ? 'https' : 'http'}://check.invalid`, {
      createConnection: () => socket,
      settings: { enablePush: false },
    });
    end = () => {
      session.on('error', () => {});
      session.destroy();
      discard(raw);
    };
    session.on('error', fail);
    session.on('close', () => fail({ code: 'ERR_HTTP2_SESSION_ERROR' }));
    const stream = session.request(request.headers, { endStream: request.body === undefined });
    let trailers: Record<string, string> = {};
    stream.on('response', (h) => over || on.answered(Number(h[':status']), flat(h)));
    stream.on('data', (bytes: Buffer) => over || on.received(bytes));
    stream.on('trailers', (h) => {
      trailers = flat(h);
    });
    stream.on('end', () => finish(() => on.ended(trailers)));
    stream.on('error', fail);
    if (request.body) stream.end(request.body);
  } catch (e) {
    setImmediate(fail, e);
  }
  return {
    send: () => {},
    close() {
      if (over) return;
      over = true;
      end();
    },
  };
}
