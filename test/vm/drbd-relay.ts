/** A line between a kernel and us that can hold data back and spoil them. Both believe that the other lives at its address. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { ADDRESS } from './drbd-rig.ts';
import type { Host } from './drbd-roles.ts';

const PORT = 7788;
/** In the first header of a stream, behind the magic number of four bytes. */
const INITIAL_DATA = 0xfff2;

/** One direction of one connection. */
class Lane {
  readonly to: Host;
  readonly #from: Socket;
  constructor(from: Socket, out: Socket, to: Host, change: (chunk: Buffer) => void) {
    this.to = to;
    this.#from = from;
    from.on('data', (chunk: Buffer) => {
      change(chunk);
      if (out.writable && !out.write(chunk)) from.pause();
    });
    out.on('drain', () => {
      if (!this.held) from.resume();
    });
    for (const event of ['end', 'close', 'error'] as const) from.on(event, () => out.destroy());
  }
  held = false;
  hold(is: boolean): void {
    this.held = is;
    if (is) this.#from.pause();
    else this.#from.resume();
  }
}

export class Relay {
  readonly #server: Server;
  /** Of data sockets; those that are closed stay, and do no harm. */
  #lanes: Lane[] = [];
  #spoil: { readonly to: Host; readonly byte: number } | undefined;

  private constructor(server: Server) {
    this.#server = server;
  }
  static async start(): Promise<Relay> {
    const server = createServer({ noDelay: true });
    const relay = new Relay(server);
    server.on('connection', (s) => relay.#between(s));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject).listen(PORT, ADDRESS.relay, resolve);
    await promise;
    return relay;
  }
  stop(): void {
    this.#server.close();
  }
  /** How many data sockets there have been. */
  get connections(): number {
    return this.#lanes.length / 2;
  }
  /** The data sockets that there are now deliver nothing more to that host; pings go on. */
  hold(to: Host): void {
    for (const l of this.#lanes) if (l.to === to) l.hold(true);
  }
  release(): void {
    for (const l of this.#lanes) l.hold(false);
  }
  /** One bit of the next piece of data for that host that consists of this byte. */
  spoil(to: Host, byte: number): void {
    this.#spoil = { to, byte };
  }
  get spoilt(): boolean {
    return this.#spoil === undefined;
  }
  #between(near: Socket): void {
    const to: Host = near.remoteAddress === ADDRESS.ours ? 'kern' : 'ours';
    const back: Host = to === 'kern' ? 'ours' : 'kern';
    near.pause();
    const far = connect({ host: ADDRESS[to], port: PORT, localAddress: ADDRESS.relay, noDelay: true });
    far.once('error', () => near.destroy());
    near.once('error', () => far.destroy());
    far.once('connect', () => {
      const there = new Lane(near, far, to, (b) => this.#change(b, to));
      const here = new Lane(far, near, back, (b) => this.#change(b, back));
      near.once('data', (first: Buffer) => {
        if (first.length >= 6 && first.readUInt16BE(4) === INITIAL_DATA) this.#lanes.push(there, here);
      });
      near.resume();
    });
  }
  #change(chunk: Buffer, to: Host): void {
    const { to: who, byte } = this.#spoil ?? {};
    if (who !== to || byte === undefined) return;
    const at = chunk.indexOf(Buffer.alloc(64, byte));
    if (at < 0) return;
    chunk[at + 32] = byte ^ 4;
    this.#spoil = undefined;
  }
}
