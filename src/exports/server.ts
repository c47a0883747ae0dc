/**
 * Exports by name, and the clients of all of them. One server holds the slots that its connections share; backends answer
 * by slot number, so that nothing is looked up.
 */
import { err, ok, type Result, seconds, text, us } from '../base/index.ts';
import type {
  BlockQueue,
  Clock,
  HostError,
  Log,
  ServerStream,
  StreamAddress,
  StreamListener,
  StreamServer,
  TlsFiles,
} from '../host/index.ts';
import { Connection, type ConnectionEnd } from './connection.ts';
import { explainEnd } from './describe.ts';
import type { HandshakePolicy } from './machine.ts';
import { DEFAULT_SLOTS, type SlotSizes, Slots, slabBytesOf } from './slots.ts';
import type { Transmission } from './transmission.ts';
import type { Export, TlsMode } from './types.ts';

const HANDSHAKE_TIME = seconds(30);
const MAX_CONNECTIONS = 256;
/** A client that is owed something and does not move for so long is cut off; at the server's end sooner. */
const STALL_SECONDS = 60;
const STALL_SECONDS_AT_END = 5;
const LOOK_EVERY = seconds(1);

export type ServerHost = {
  readonly blocks: BlockQueue;
  readonly streams: StreamServer;
  readonly clock: Clock;
  readonly log: Log;
};
export type ServerOptions = {
  readonly tls: { readonly mode: TlsMode; readonly files: TlsFiles | undefined };
  /** Whether LIST is answered. */
  readonly list: boolean;
  /** Requests in flight of one connection. */
  readonly requestsPerConnection: number;
  readonly slots: SlotSizes;
};
export const DEFAULT_OPTIONS: ServerOptions = {
  tls: { mode: 'none', files: undefined },
  list: true,
  requestsPerConnection: 128,
  slots: DEFAULT_SLOTS,
};
/** What the block queue must have for one server. */
export const requirementsOf = (o: ServerOptions): { readonly requests: number; readonly slabBytes: number } => ({
  requests: o.slots.small + o.slots.large,
  slabBytes: slabBytesOf(o.slots),
});

export type ClientStatus = {
  readonly peer: string;
  readonly export: string | undefined;
  readonly identity: string | undefined;
  readonly tls: boolean;
  readonly inFlight: number;
  readonly requests: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly errors: number;
};

export class ExportServer {
  readonly #host: ServerHost;
  readonly #options: ServerOptions;
  readonly #slots: Slots;
  readonly #exports = new Map<string, Export>();
  readonly #listeners: StreamListener[] = [];
  readonly #connections = new Map<Connection, () => void>();
  readonly #policy: HandshakePolicy;
  readonly #endBatches: () => void;
  #dirty: Transmission[] = [];
  #waiting: Transmission[] = [];
  #settling = false;
  /** Of connections that are owed something: what had moved when it last did, and how many looks ago. */
  readonly #stalls = new Map<Connection, { moved: number; looks: number }>();
  #looking: (() => void) | undefined;
  #stopping = false;
  #stopped: (() => void) | undefined;

  private constructor(host: ServerHost, options: ServerOptions, slots: Slots) {
    this.#host = host;
    this.#options = options;
    this.#slots = slots;
    this.#endBatches = host.blocks.onBatch(() => this.settle());
    this.#policy = {
      tls: options.tls.mode,
      list: options.list,
      find: (name) => this.#exports.get(name) ?? (name === '' ? this.#only() : undefined),
      all: () => [...this.#exports.values()],
    };
  }
  /** Refused when the block queue has no room for the slots. */
  static open(host: ServerHost, options: ServerOptions): Result<ExportServer, HostError> {
    const needs = requirementsOf(options);
    const region = host.blocks.reserve(needs.requests, needs.slabBytes);
    const doing = text('reserve memory for exports', '为导出预留内存');
    if (region === undefined) return err({ code: 'ENOMEM', doing });
    return ok(new ExportServer(host, options, new Slots(host.blocks, region, options.slots)));
  }
  /** The empty name stands for the only export. */
  #only(): Export | undefined {
    return this.#exports.size === 1 ? [...this.#exports.values()][0] : undefined;
  }

  /** Refused (EEXIST) while an export has that name. */
  add(e: Export): Result<void, HostError> {
    const doing = text(`export ${e.name}`, `导出 ${e.name}`);
    if (this.#exports.has(e.name)) return err({ code: 'EEXIST', doing });
    this.#exports.set(e.name, e);
    e.backend.onDone((slot, result) => {
      const owner = this.#slots.owner[slot];
      if (owner === undefined) throw new Error(`bug: slot ${slot} was answered, and nobody had asked`);
      owner.completed(slot, result);
    });
    e.backend.onResize(() =>
      this.#log(
        'export.size',
        text(`${e.name} now has ${e.backend.size} bytes`, `${e.name} 现为 ${e.backend.size} 字节`),
      ),
    );
    return ok(undefined);
  }
  /** Nobody finds it any more; its clients end when what they have in flight is answered. */
  remove(name: string): void {
    const e = this.#exports.get(name);
    this.#exports.delete(name);
    for (const c of this.#connections.keys()) if (c.transmission && c.transmission.export === e) c.stop();
  }
  /** Ends clients at once, by the name in their certificate or by their address: a fence for one of them. Returns how many. */
  drop(who: (c: ClientStatus) => boolean): number {
    const chosen = [...this.#connections.keys()].filter((c) => who(status(c)));
    for (const c of chosen) c.end('stopped');
    this.settle();
    return chosen.length;
  }
  listen(address: StreamAddress): Result<StreamListener, HostError> {
    const listener = this.#host.streams.listen(address, (s) => this.accept(s));
    if (listener.ok) this.#listeners.push(listener.value);
    return listener;
  }
  /** A client, however it came here. */
  accept(stream: ServerStream): void {
    if (this.#connections.size >= MAX_CONNECTIONS || this.#stopping) {
      stream.close();
      return;
    }
    const { clock } = this.#host;
    const limits = {
      requests: this.#options.requestsPerConnection,
      large: Math.max(1, this.#options.slots.large >> 1),
    };
    const connection = new Connection({
      stream,
      policy: this.#policy,
      tls: this.#options.tls.files,
      slots: this.#slots,
      limits,
      events: {
        dirty: (t) => {
          this.#dirty.push(t);
        },
        waits: (t) => {
          this.#waiting.push(t);
        },
        settle: () => this.settle(),
        transmitting: (c) => {
          this.#connections.get(c)?.();
          const name = c.transmission?.export.name ?? '';
          this.#log('export.client', text(`${c.stream.peer} uses ${name}`, `${c.stream.peer} 使用 ${name}`));
        },
        ended: (c, because, tls) => this.#ended(c, because, tls),
      },
    });
    this.#connections.set(
      connection,
      clock.at(us(clock.now() + HANDSHAKE_TIME), () => connection.end('handshake-timeout')),
    );
    this.#lookLater();
  }
  /** Cuts off who does not move. One timer for all, and none while nobody is connected. */
  #look(): void {
    this.#looking = undefined;
    const limit = this.#stopping ? STALL_SECONDS_AT_END : STALL_SECONDS;
    for (const c of [...this.#connections.keys()]) {
      const t = c.transmission;
      if (t === undefined || !t.isOwed) {
        this.#stalls.delete(c);
        continue;
      }
      const before = this.#stalls.get(c);
      if (before === undefined || before.moved !== t.moved) this.#stalls.set(c, { moved: t.moved, looks: 0 });
      else if (++before.looks >= limit) c.end('stalled');
    }
    this.settle();
    this.#lookLater();
  }
  #lookLater(): void {
    if (this.#looking || this.#connections.size === 0) return;
    const { clock } = this.#host;
    this.#looking = clock.at(us(clock.now() + LOOK_EVERY), () => this.#look());
  }
  /** Sends what a batch led to, and goes on with those who waited for slots. */
  settle(): void {
    if (this.#settling) return;
    this.#settling = true;
    do {
      const dirty = this.#dirty;
      if (dirty.length > 0) {
        this.#dirty = [];
        for (const t of dirty) if (t.isDirty) t.flush();
      }
      const waiting = this.#waiting;
      if (waiting.length > 0) {
        this.#waiting = [];
        for (const t of waiting) t.resume();
      }
    } while (this.#dirty.length > 0);
    this.#settling = false;
  }
  #ended(c: Connection, because: ConnectionEnd, tls: HostError | undefined): void {
    this.#connections.get(c)?.();
    this.#connections.delete(c);
    this.#stalls.delete(c);
    if (this.#connections.size === 0) {
      this.#looking?.();
      this.#looking = undefined;
    }
    this.#log('export.client-gone', explainEnd(c.stream.peer, because, tls));
    if (this.#connections.size === 0) this.#stopped?.();
  }
  #log(code: string, words: ReturnType<typeof text>): void {
    this.#host.log.write({ level: 'info', code, text: words });
  }

  clients(): readonly ClientStatus[] {
    return [...this.#connections.keys()].map(status);
  }
  exports(): readonly Export[] {
    return [...this.#exports.values()];
  }
  /** Slots that no request holds: all of them when nothing is in flight. */
  get freeSlots(): number {
    return this.#slots.free;
  }
  /** No new clients; what is in flight is answered; then `done`. The memory is given back. */
  stop(done: () => void): void {
    this.#stopping = true;
    for (const l of this.#listeners) l.close();
    const finish = (): void => {
      this.#stopped = () => {};
      this.#endBatches();
      // Requests of clients that went away may still be under way.
      if (this.#slots.free === this.#slots.owner.length) this.#host.blocks.release(this.#slots.region);
      done();
    };
    this.#stopped = finish;
    if (this.#connections.size === 0) finish();
    else for (const c of [...this.#connections.keys()]) c.stop();
  }
}

const status = (c: Connection): ClientStatus => ({
  peer: c.stream.peer,
  export: c.transmission?.export.name,
  identity: c.identity,
  tls: c.tls,
  inFlight: c.transmission?.inFlight ?? 0,
  ...(c.transmission?.counters ?? { requests: 0, readBytes: 0, writtenBytes: 0, errors: 0 }),
});
