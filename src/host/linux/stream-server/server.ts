/** Stream sockets through the addon; once a connection asked for TLS, through node:tls. */
import { closeSync, lstatSync, unlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { err, formatEndpoint, ok, type Result, text } from '../../../base/index.ts';
import type {
  ClientStream,
  HostError,
  StreamAddress,
  StreamListener,
  StreamOrigin,
  StreamServer,
  TlsFiles,
} from '../../index.ts';
import { type Addon, hostError } from '../addon.ts';
import { AF_UNIX, SOCK_STREAM, sockaddrIp, sockaddrPort, sockaddrText, sockaddrUnix } from '../sockaddr.ts';
import { HANGUP, READABLE, type StreamHandle, type StreamsAddon, WRITABLE } from './addon.ts';
import { DuplexBytes } from './duplex.ts';
import { secure } from './tls.ts';

const { EADDRINUSE, EMFILE, ENFILE, EPIPE } = constants.errno;
const BACKLOG = 128;
/** Accepted in one wake, so that a flood leaves time for those who are served. */
const ACCEPT_BATCH = 16;
const REST_MS = 200;

class LinuxStream implements ClientStream {
  readonly peer: string;
  readonly #addon: StreamsAddon;
  #handle: StreamHandle;
  #bytes: DuplexBytes | undefined;
  #ready: () => void = () => {};
  #closed = false;
  #securing = false;

  constructor(addon: StreamsAddon, handle: StreamHandle, peer: string) {
    this.#addon = addon;
    this.#handle = handle;
    this.peer = peer;
  }
  receive(into: Uint8Array, from: number, to: number): number {
    if (this.#bytes) return this.#bytes.receive(into, from, to);
    return this.#closed || this.#securing ? -EPIPE : this.#addon.receive(this.#handle, into, from, to);
  }
  send(first: Uint8Array, from: number, to: number, second: Uint8Array, from2: number, to2: number): number {
    if (this.#bytes) return this.#bytes.send(first, from, to, second, from2, to2);
    if (this.#closed || this.#securing) return -EPIPE;
    return this.#addon.send(this.#handle, first, from, to, second, from2, to2);
  }
  watch(ready: () => void): void {
    this.#ready = ready;
    this.#addon.watch(this.#handle, READABLE, ready);
  }
  interest(readable: boolean, writable: boolean): void {
    if (this.#bytes) this.#bytes.interest(readable, writable);
    else if (!this.#closed && !this.#securing)
      this.#addon.interest(this.#handle, (readable ? READABLE : 0) | (writable ? WRITABLE : 0));
  }
  watchEnd(): void {
    if (!this.#closed) this.#addon.interest(this.#handle, HANGUP);
  }
  lend<T>(use: (descriptor: number) => T): T {
    const fd = this.#addon.duplicate(this.#handle);
    try {
      return use(fd);
    } finally {
      if (fd >= 0) closeSync(fd);
    }
  }
  startTls(files: TlsFiles, done: (r: Result<{ readonly identity: string | undefined }, HostError>) => void): void {
    const fd = this.#addon.detach(this.#handle);
    if (fd < 0) {
      done(err(hostError(fd, text('set up TLS', '建立 TLS'))));
      return;
    }
    this.#securing = true;
    secure(fd, files, (r) => {
      this.#securing = false;
      if (r.ok && !this.#closed) {
        this.#bytes = new DuplexBytes(r.value.socket);
        this.#bytes.watch(this.#ready);
        done(ok({ identity: r.value.identity }));
      } else if (r.ok) r.value.socket.destroy();
      else done(r);
    });
  }
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#bytes) this.#bytes.close();
    else if (!this.#securing) this.#addon.close(this.#handle);
  }
}

export function streamServer(addon: StreamsAddon, sockets: Addon): StreamServer {
  return {
    listen(address, accepted, buffers) {
      const doing = text(`listen on ${describe(address)}`, `监听 ${describe(address)}`);
      const name = nameOf(address);
      let listener = addon.listen(name, 0, name.length, BACKLOG);
      if (listener === -EADDRINUSE && address.kind === 'unix' && removeStale(sockets, address.path))
        listener = addon.listen(name, 0, name.length, BACKLOG);
      if (typeof listener === 'number') return err(hostError(listener, doing));
      const open = listener;
      const mine = address.kind === 'unix' ? inodeOf(address.path) : undefined;
      const room = new Uint8Array(128);
      let closed = false;
      // Without descriptors the wake would come for ever.
      const rest = (): void => {
        addon.attend(open, 0, accept);
        setTimeout(() => {
          if (!closed) addon.attend(open, READABLE, accept);
        }, REST_MS).unref();
      };
      const accept = (): void => {
        for (let i = 0; i < ACCEPT_BATCH; i++) {
          const s = addon.accept(open);
          if (s === -EMFILE || s === -ENFILE) rest();
          if (typeof s === 'number') return; // nobody waits, or who waited went away again
          const n = address.kind === 'unix' ? 0 : addon.peer(s, room, 0, room.length);
          accepted(new LinuxStream(addon, s, n > 0 ? sockaddrText(room.subarray(0, n)) : 'unix'));
        }
      };
      const sized = addon.buffers(open, buffers?.send ?? 0, buffers?.receive ?? 0);
      const watched = sized < 0 ? sized : addon.attend(open, READABLE, accept);
      if (watched < 0) {
        addon.dismiss(open);
        return err(hostError(watched, doing));
      }
      const n = addon.name(open, room, 0, room.length);
      return ok({
        port: address.kind === 'tcp' && n > 0 ? sockaddrPort(room) : 0,
        close() {
          if (closed) return;
          closed = true;
          // The name first: while somebody listens, no successor takes it for stale. And only if it still is this socket's.
          if (address.kind === 'unix' && inodeOf(address.path) === mine) unlinkIfSocket(address.path);
          addon.dismiss(open);
        },
      } satisfies StreamListener);
    },
    connect(address, from) {
      const name = nameOf(address);
      const s = from === undefined ? addon.connect(name, 0, name.length) : dial(addon, name, from);
      if (typeof s !== 'number') return ok(new LinuxStream(addon, s, describe(address)));
      return err(hostError(s, text(`connect to ${describe(address)}`, `连接 ${describe(address)}`)));
    },
  };
}

function dial(addon: StreamsAddon, name: Uint8Array, from: StreamOrigin): StreamHandle | number {
  const source = sockaddrIp(from.source, 0, 0);
  return addon.dial(name, 0, name.length, source, 0, source.length, from.send ?? 0, from.receive ?? 0);
}
const nameOf = (a: StreamAddress): Uint8Array =>
  a.kind === 'unix' ? sockaddrUnix(a.path) : sockaddrIp(a.address, a.port, 0);
const describe = (a: StreamAddress): string => (a.kind === 'unix' ? a.path : formatEndpoint(a.address, a.port));

/** Whether the name was that of a socket on which nobody listens, and is free now. */
function removeStale(sockets: Addon, path: string): boolean {
  const probe = sockets.open(AF_UNIX, SOCK_STREAM, 0);
  if (typeof probe === 'number') return false;
  const answer = sockets.connect(probe, sockaddrUnix(path));
  sockets.close(probe);
  return answer === -constants.errno.ECONNREFUSED && unlinkIfSocket(path);
}
function inodeOf(path: string): number | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.ino;
}
function unlinkIfSocket(path: string): boolean {
  try {
    if (!lstatSync(path).isSocket()) return false;
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}
