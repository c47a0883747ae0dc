/** Relays over node:net. Listening sockets are made by native/listen.c, so that what the kernel refuses is known at once. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect, createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { err, type IpAddress, ok, parseIp, type Result, text } from '../../base/index.ts';
import type { HostError, RelayEnd, RelayEvents, RelayListener, RelayStream, Relays } from '../index.ts';
import { hostError } from './addon.ts';
import { anyAddress, sockaddrIp } from './sockaddr.ts';

/** native/listen.c. Misuse throws. */
type ListenAddon = { listen(name: Uint8Array, backlog: number): number };

function load(): ListenAddon | undefined {
  for (let at = import.meta.dirname; ; at = dirname(at)) {
    for (const place of ['build/native', `native/prebuilt/linux-${process.arch}`]) {
      const path = join(at, place, 'listen.node');
      if (existsSync(path)) return createRequire(import.meta.url)(path) as ListenAddon;
    }
    if (at === dirname(at)) return undefined;
  }
}

const endOf = (address: string | undefined, port: number | undefined): RelayEnd => {
  const parsed = parseIp((address ?? '').replace(/%.*/, ''));
  return { address: parsed.ok ? parsed.value : anyAddress(4), port: port ?? 0 };
};

class NetStream implements RelayStream {
  readonly local: RelayEnd;
  readonly remote: RelayEnd;
  readonly #socket: Socket;
  #events: RelayEvents | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.local = endOf(socket.localAddress, socket.localPort);
    this.remote = endOf(socket.remoteAddress, socket.remotePort);
    socket.setNoDelay(true);
    socket.on('end', () => this.#events?.ended());
    socket.on('close', () => this.#events?.closed());
    socket.on('error', () => {}); // its close follows
  }
  get received(): number {
    return this.#socket.bytesRead;
  }
  get sent(): number {
    return this.#socket.bytesWritten;
  }
  on(events: RelayEvents): void {
    this.#events = events;
  }
  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }
  relayTo(other: RelayStream): void {
    this.#socket.pipe((other as NetStream).#socket);
  }
  destroy(how: 'reset' | 'close'): void {
    this.#events = undefined;
    if (how === 'reset') this.#socket.resetAndDestroy();
    else this.#socket.destroySoon();
  }
}

export const linuxRelays: Relays = {
  listen: (o, accepted): Result<RelayListener, HostError> => {
    const where = `${o.address}:${o.port}`;
    const doing = text(`listen on ${where}`, `监听 ${where}`);
    const fd = load()?.listen(sockaddrIp(o.address, o.port, 0), o.backlog);
    if (fd === undefined) return err({ code: 'ENOENT', doing });
    if (fd < 0) return err(hostError(fd, doing));
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (s) => accepted(new NetStream(s)));
    server.on('error', () => {}); // out of file descriptors: the connection waits in the kernel's queue
    server.listen({ fd, backlog: o.backlog });
    return ok({ close: () => server.close() });
  },
  connect: (o, done) => {
    const where = `${o.to.address}:${o.to.port}`;
    const doing = text(`connect to ${where}`, `连接 ${where}`);
    const socket = connect({
      host: o.to.address,
      port: o.to.port,
      allowHalfOpen: true,
      ...(o.source === undefined ? {} : { localAddress: o.source as IpAddress }),
    });
    let open = true;
    const finish = (r: Result<RelayStream, HostError>): void => {
      if (!open) return;
      open = false;
      clearTimeout(timer);
      done(r);
    };
    const timer = setTimeout(() => {
      socket.destroy();
      finish(err({ code: 'ETIMEDOUT', doing }));
    }, o.timeout / 1000);
    socket.pause();
    socket.on('connect', () => finish(ok(new NetStream(socket))));
    socket.on('error', (e: NodeJS.ErrnoException) => finish(err({ code: e.code ?? 'EIO', doing })));
    return () => {
      open = false;
      clearTimeout(timer);
      socket.destroy();
    };
  },
};
