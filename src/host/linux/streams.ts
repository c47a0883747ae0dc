import { familyOf, formatEndpoint, invariant, text } from '../../base/index.ts';
import type { HostError, Stream, StreamEvents, Streams, StreamTarget, TlsSettings } from '../index.ts';
import { type Addon, type EpollHandle, hostError, type SocketHandle } from './addon.ts';
import { SOL_IP, SOL_IPV6, SOL_SOCKET } from './reception.ts';
import { AF_INET, AF_INET6, anyAddress, int32, LITTLE, SOCK_DGRAM, SOCK_RAW, sockaddrIp } from './sockaddr.ts';
import { overHttp2, overTls } from './tls.ts';

// Linux: asm-generic/socket.h, linux/{in,in6,tcp,eventpoll}.h, errno-base.h.
const SOCK_STREAM = 1;
const SO_REUSEADDR = 2;
const SO_ERROR = 4;
const SO_LINGER = 13;
const SO_BINDTODEVICE = 25;
const SO_MARK = 36;
const IP_BIND_ADDRESS_NO_PORT = 24;
const IPV6_V6ONLY = 26;
const SOL_TCP = 6;
const TCP_QUICKACK = 12;
const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;
const EPOLLIN = 1;
const EPOLLOUT = 4;
const EPOLLERR = 8;
const EPOLLHUP = 16;
const EPOLLRDHUP = 0x2000;
const EVERYTHING = EPOLLIN | EPOLLOUT | EPOLLRDHUP;
const EINPROGRESS = -115;
const EAGAIN = -11;

const READY_SLOTS = 512;
/** What one connection is read by in one turn; a jumbo datagram fits. */
const ROOM = 65536;
/** Reads of one connection in one turn, so that a server that never stops sending takes no more than its share. */
const READS = 4;

const ON = int32(1);
const OFF = int32(0);
const RESET = new Uint8Array([...ON, ...OFF]);
const doing = (to: StreamTarget): HostError['doing'] => {
  const where = to.transport === 'icmp' ? to.address : formatEndpoint(to.address, to.port);
  return to.transport === 'tcp'
    ? text(`connect to ${where}`, `连接 ${where}`)
    : text(`send to ${where}`, `发送到 ${where}`);
};

/** The socket with all that is asked of it before it connects, or the negative errno. */
function openSocket(addon: Addon, to: StreamTarget): SocketHandle | number {
  const v6 = familyOf(to.address) === 6;
  const [type, protocol] =
    to.transport === 'tcp'
      ? [SOCK_STREAM, 0]
      : to.transport === 'udp'
        ? [SOCK_DGRAM, 0]
        : [SOCK_RAW, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP];
  const s = addon.open(v6 ? AF_INET6 : AF_INET, type, protocol);
  if (typeof s === 'number') return s;
  const set = (level: number, option: number, value: Uint8Array): number => addon.setOption(s, level, option, value);
  const steps: (() => number)[] = [];
  if (v6 && to.transport !== 'icmp') steps.push(() => set(SOL_IPV6, IPV6_V6ONLY, ON));
  const device = to.interface;
  if (device !== undefined) steps.push(() => set(SOL_SOCKET, SO_BINDTODEVICE, new TextEncoder().encode(`${device}\0`)));
  const mark = to.mark;
  if (mark !== undefined) steps.push(() => set(SOL_SOCKET, SO_MARK, int32(mark)));
  if (to.probe) {
    steps.push(() => set(SOL_SOCKET, SO_LINGER, RESET));
    steps.push(() => set(SOL_TCP, TCP_QUICKACK, OFF));
  }
  if (to.source !== undefined || to.sourcePort !== undefined) {
    const port = to.sourcePort ?? 0;
    // Without this the kernel would keep a port for each source address, whatever the destination.
    if (port === 0 && to.transport === 'tcp') steps.push(() => set(SOL_IP, IP_BIND_ADDRESS_NO_PORT, ON));
    else if (port !== 0) steps.push(() => set(SOL_SOCKET, SO_REUSEADDR, ON));
    const name = sockaddrIp(to.source ?? anyAddress(v6 ? 6 : 4), port, 0);
    steps.push(() => addon.bind(s, name));
  }
  for (const step of steps) {
    const r = step();
    if (r < 0) {
      addon.close(s);
      return r;
    }
  }
  return s;
}

/** Connections of the calling thread's network namespace. One epoll serves them all. */
export function linuxStreams(addon: Addon): Streams {
  const room = new Uint8Array(ROOM);
  const errorRoom = new Uint8Array(4);
  const open = new Map<number, Connection>();
  let numbers = 0;
  let epoll: EpollHandle | undefined;
  let ready = new Int32Array(0);
  /** The memory is being read: it must not be filled anew. */
  let working = false;

  /** A number is never used twice, so a stale event of a connection closed in this turn finds nothing. */
  function work(n: number): void {
    working = true;
    try {
      for (let i = 0; i < n; i++) open.get(ready[i * 2] as number)?.ready(ready[i * 2 + 1] as number);
    } finally {
      working = false;
    }
  }

  function poller(): EpollHandle {
    if (epoll) return epoll;
    const e = addon.epoll();
    invariant(typeof e !== 'number', 'the kernel gives an epoll');
    ready = new Int32Array(addon.epollMemory(e, READY_SLOTS));
    addon.watch(e, work);
    epoll = e;
    return e;
  }

  class Connection implements Stream {
    readonly #socket: SocketHandle;
    readonly #to: StreamTarget;
    readonly #on: StreamEvents;
    readonly #number: number;
    #connected = false;
    #over = false;
    #ended = false;
    #queue: Uint8Array[] = [];

    constructor(socket: SocketHandle, to: StreamTarget, on: StreamEvents) {
      this.#socket = socket;
      this.#to = to;
      this.#on = on;
      do numbers = (numbers + 1) & 0x7fffffff;
      while (open.has(numbers));
      this.#number = numbers;
      if (open.size === 0) addon.keepAlive(poller(), true);
      open.set(this.#number, this);
      this.#watch();
    }
    /** Told of every change once, which is one system call for the whole connection; again: told anew of what is so. */
    #watch(): void {
      addon.epollSet(poller(), this.#socket, this.#number, EVERYTHING);
    }
    ready(events: number): void {
      if (!this.#connected) {
        if (events & (EPOLLERR | EPOLLHUP)) {
          const error = this.#pendingError();
          if (error !== 0) {
            this.#fail(-error);
            return;
          }
        }
        this.#connected = true;
        this.#on.opened();
      } else if (events & EPOLLOUT && this.#queue.length > 0) this.#flush();
      if (!this.#over && events & (EPOLLIN | EPOLLERR | EPOLLHUP | EPOLLRDHUP)) this.#read(events);
    }
    #pendingError(): number {
      addon.getOption(this.#socket, SOL_SOCKET, SO_ERROR, errorRoom);
      return new DataView(errorRoom.buffer).getInt32(0, LITTLE);
    }
    #read(events: number): void {
      const datagrams = this.#to.transport !== 'tcp';
      // A short read has emptied the stream, unless its end is behind it.
      const ending = (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) !== 0;
      for (let i = 0; i < READS; i++) {
        if (this.#over || this.#ended) return;
        const n = addon.receiveInto(this.#socket, room);
        if (n === EAGAIN) return;
        if (n < 0) {
          this.#fail(n);
          return;
        }
        if (n === 0 && !datagrams) {
          this.#ended = true;
          this.#on.ended();
          return;
        }
        // A raw IPv4 socket hands over the IP header too.
        const raw = this.#to.transport === 'icmp' && !this.#to.address.includes(':');
        const skip = raw ? ((room[0] as number) & 15) * 4 : 0;
        this.#on.received(room.subarray(Math.min(skip, n), n));
        if (n < ROOM && !datagrams && !ending) return;
      }
      if (!this.#over && !this.#ended) this.#watch();
    }
    send(bytes: Uint8Array): void {
      if (this.#over) return;
      this.#queue.push(bytes);
      if (this.#queue.length === 1) this.#flush();
    }
    #flush(): void {
      while (this.#queue.length > 0) {
        const first = this.#queue[0] as Uint8Array;
        const n = addon.send(this.#socket, first, undefined, undefined, 0);
        if (n === EAGAIN) return; // told when there is room
        // What the peer's reset makes of it is not told here: reading does, behind what came before.
        if (n < 0) this.#queue = [];
        else if (n < first.length) this.#queue[0] = first.subarray(n);
        else this.#queue.shift();
      }
    }
    #fail(errno: number): void {
      this.close();
      this.#on.failed(hostError(errno, doing(this.#to)));
    }
    /** Out of the books, and the descriptor to whoever goes on with it. */
    detach(): number {
      addon.epollSet(poller(), this.#socket, this.#number, 0);
      this.#forget();
      return addon.detach(this.#socket);
    }
    close(): void {
      if (this.#over) return;
      this.#forget();
      addon.close(this.#socket);
    }
    #forget(): void {
      this.#over = true;
      open.delete(this.#number);
      if (open.size === 0) addon.keepAlive(poller(), false);
    }
  }

  function start(to: StreamTarget, on: StreamEvents): Stream & { detach?(): number } {
    const socket = openSocket(addon, to);
    let failed = typeof socket === 'number' ? socket : 0;
    if (typeof socket !== 'number') {
      const r = addon.connect(socket, sockaddrIp(to.address, to.transport === 'icmp' ? 0 : to.port, 0));
      if (r >= 0 || r === EINPROGRESS) return new Connection(socket, to, on);
      addon.close(socket);
      failed = r;
    }
    // No route, no permission, no such interface: told later, as the contract says.
    let closed = false;
    setImmediate(() => {
      if (!closed) on.failed(hostError(failed, doing(to)));
    });
    const close = (): void => {
      closed = true;
    };
    return { send: () => {}, close };
  }

  /** A TCP connection that is handed over once it stands; what takes it returns how to end it. */
  function handOver(to: StreamTarget, failed: (e: HostError) => void, take: (fd: number) => Stream): Stream {
    let next: Stream | undefined;
    const first = start(to, {
      opened() {
        const fd = first.detach?.() ?? -1;
        if (fd < 0) failed(hostError(fd, doing(to)));
        else next = take(fd);
      },
      received: () => {},
      ended: () => {},
      failed,
    });
    return {
      send: (bytes) => next?.send(bytes),
      close: () => (next ?? first).close(),
    };
  }

  return {
    connect(to: StreamTarget, tls: TlsSettings | undefined, on: StreamEvents): Stream {
      if (!tls) return start(to, on);
      invariant(to.transport === 'tcp', 'TLS is spoken over TCP');
      return handOver(to, on.failed, (fd) => overTls(fd, tls, doing(to), on));
    },
    drain() {
      if (!epoll || working) return;
      for (let n = READY_SLOTS; n === READY_SLOTS; ) {
        n = addon.epollTake(epoll);
        work(n);
      }
    },
    http2(to, tls, request, on) {
      invariant(to.transport === 'tcp', 'HTTP/2 is spoken over TCP');
      return handOver(to, on.failed, (fd) => overHttp2(fd, tls, doing(to), request, on)).close;
    },
  };
}
