/** TLS on a connection that has begun in plain text. */
import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { err, ok, type Result, text, verbatim } from '../../../base/index.ts';
import type { HostError, TlsFiles } from '../../index.ts';

const doing = text('set up TLS', '建立 TLS');
const HANDSHAKE_MS = 15_000;

type Secured = { readonly socket: TLSSocket; readonly identity: string | undefined };

/** Takes over `fd`. `done` is called once. */
export function secure(fd: number, files: TlsFiles, done: (r: Result<Secured, HostError>) => void): void {
  const socket = new Socket({ fd, readable: true, writable: true });
  let told = false;
  const tell = (r: Result<Secured, HostError>): void => {
    if (told) return;
    told = true;
    if (!r.ok) socket.destroy();
    done(r);
  };
  const refuse = (e: unknown): void => {
    const code = e instanceof Error && 'code' in e ? String(e.code) : 'EPROTO';
    tell(err({ code, doing: e instanceof Error ? verbatim(e.message) : doing }));
  };
  socket.on('error', refuse);
  socket.on('close', () => tell(err({ code: 'ECONNRESET', doing })));
  try {
    // One server for each connection: it tells whose handshake it was, and the files may have been renewed.
    const server = createServer(
      {
        cert: readFileSync(files.certificate),
        key: readFileSync(files.key),
        ...(files.clientAuthority === undefined ? {} : { ca: readFileSync(files.clientAuthority) }),
        requestCert: files.clientAuthority !== undefined,
        rejectUnauthorized: files.clientAuthority !== undefined,
        minVersion: 'TLSv1.2',
        handshakeTimeout: HANDSHAKE_MS,
      },
      (secured) => {
        const subject = files.clientAuthority === undefined ? undefined : secured.getPeerCertificate().subject;
        const name: unknown = subject?.CN;
        tell(ok({ socket: secured, identity: typeof name === 'string' ? name : undefined }));
      },
    );
    server.on('tlsClientError', refuse);
    server.emit('connection', socket);
  } catch (e) {
    refuse(e);
  }
}
