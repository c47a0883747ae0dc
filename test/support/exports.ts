/** An export server in memory: a disk with a volatile cache that answers when it is told to, and clients that are byte streams. */
import assert from 'node:assert/strict';
import { bytes, type Microseconds, us } from '../../src/base/index.ts';
import {
  DEFAULT_OPTIONS,
  type Export,
  type ExportBackend,
  ExportServer,
  type ServerOptions,
} from '../../src/exports/index.ts';
import type { BlockQueue, BlockRegion, Clock, ServerStream } from '../../src/host/index.ts';
import {
  CHUNK_HEADER_BYTES,
  decodeChunk,
  decodeReplyHeader,
  EXTENDED_CHUNK_HEADER_BYTES,
  encodeOption,
  encodeRequest,
  NBD_CHUNK_DONE,
  NBD_COMMAND,
  NBD_OPTION,
  type NbdChunk,
  type NbdRequest,
  nbdBytes,
  SIMPLE_REPLY_BYTES,
} from '../../src/wire/index.ts';

const EAGAIN = -11;

type Pending = { readonly tag: number; readonly finish: () => number };

/** The worst disk that keeps the rules: what is not flushed is lost at a power cut, and answers come in any order. */
export class MemoryDisk implements ExportBackend {
  readonly cache: Uint8Array;
  readonly durable: Uint8Array;
  readonly unit: number;
  readonly preferredBlock = 4096;
  readonly readOnly = false;
  readonly rotational = false;
  readonly canTrim = true;
  readonly canCache = true;
  readonly canMultiConn = true;
  readonly pending: Pending[] = [];
  /** Answers instead of doing anything, while it is not 0. */
  fails = 0;
  flushes = 0;
  readonly #slab: Uint8Array;
  /** By block of 512 bytes: the age of what is in the cache, and of what is durable. */
  readonly #cached: Uint32Array;
  readonly #kept: Uint32Array;
  #age = 0;
  #done: (tag: number, result: number) => void = () => {};

  constructor(slab: Uint8Array, size: number, unit: number) {
    this.#slab = slab;
    this.cache = new Uint8Array(size);
    this.durable = new Uint8Array(size);
    this.#cached = new Uint32Array(size / 512);
    this.#kept = new Uint32Array(size / 512);
    this.unit = unit;
  }
  get size() {
    return bytes(this.cache.length);
  }
  onDone(done: (tag: number, result: number) => void): void {
    this.#done = done;
  }
  onResize(): void {}
  #ask(tag: number, run: () => void): void {
    assert.ok(
      this.pending.every((p) => p.tag !== tag),
      `tag ${tag} is in flight already`,
    );
    const { fails } = this;
    this.pending.push({
      tag,
      finish: () => {
        if (fails === 0) run();
        return fails;
      },
    });
  }
  read(tag: number, at: number, length: number, offset: number): void {
    this.#ask(tag, () => this.#slab.set(this.cache.subarray(offset, offset + length), at));
  }
  #change(data: Uint8Array | undefined, length: number, offset: number): void {
    if (data) this.cache.set(data, offset);
    else this.cache.fill(0, offset, offset + length);
    this.#cached.fill(++this.#age, offset / 512, (offset + length) / 512);
  }
  write(tag: number, at: number, length: number, offset: number, through: boolean): void {
    this.#ask(tag, () => {
      const data = this.#slab.subarray(at, at + length);
      this.#change(data, length, offset);
      if (!through) return;
      this.durable.set(data, offset);
      this.#kept.fill(this.#age, offset / 512, (offset + length) / 512);
    });
  }
  flush(tag: number): void {
    // It covers what was answered when it was asked, and nothing that came later.
    const covered = this.cache.slice();
    const ages = this.#cached.slice();
    this.#ask(tag, () => {
      this.flushes++;
      ages.forEach((age, block) => {
        if (age <= (this.#kept[block] as number)) return;
        this.#kept[block] = age;
        this.durable.set(covered.subarray(block * 512, block * 512 + 512), block * 512);
      });
    });
  }
  trim(tag: number, length: number, offset: number): void {
    this.#ask(tag, () => this.#change(undefined, length, offset));
  }
  zero(tag: number, length: number, offset: number): void {
    this.#ask(tag, () => this.#change(undefined, length, offset));
  }
  extents(offset: number, length: number, limit: number) {
    const found: { length: number; hole: boolean }[] = [];
    for (let at = offset; at < offset + length; at += this.unit) {
      const hole = this.cache[at] === 0;
      const last = found.at(-1);
      if (last && last.hole === hole) last.length += this.unit;
      else if (found.length === limit) break;
      else found.push({ length: this.unit, hole });
    }
    return found;
  }
  submit(): void {}
  /** One answer, of those that are due. */
  answer(which: number): void {
    const [p] = this.pending.splice(which % this.pending.length, 1);
    if (p) this.#done(p.tag, p.finish());
  }
}

/** A connection's two directions, with as much room as the test gives. */
export class MemoryStream implements ServerStream {
  readonly peer = 'test';
  /** What the server has not received yet. */
  input: number[] = [];
  output: number[] = [];
  /** Bytes that the client would still take. */
  room = Number.POSITIVE_INFINITY;
  /** Bytes of one receive, at most. */
  gulp = Number.POSITIVE_INFINITY;
  ended = false;
  closed = false;
  #readable = true;
  #writable = false;
  #ready: () => void = () => {};

  receive(into: Uint8Array, from: number, to: number): number {
    assert.ok(!this.closed, 'received after close');
    if (this.input.length === 0) return this.ended ? 0 : EAGAIN;
    const part = this.input.splice(0, Math.min(to - from, this.gulp));
    into.set(part, from);
    return part.length;
  }
  send(first: Uint8Array, from: number, to: number, second: Uint8Array, from2: number, to2: number): number {
    assert.ok(!this.closed, 'sent after close');
    if (this.room === 0) return EAGAIN;
    const all = [...first.subarray(from, to), ...second.subarray(from2, to2)];
    const n = Math.min(all.length, this.room);
    this.room -= n;
    for (let i = 0; i < n; i++) this.output.push(all[i] as number);
    return n;
  }
  watch(ready: () => void): void {
    this.#ready = ready;
  }
  interest(readable: boolean, writable: boolean): void {
    this.#readable = readable;
    this.#writable = writable;
  }
  startTls(): void {
    assert.fail('no TLS here');
  }
  close(): void {
    this.closed = true;
  }
  /** Whether the event loop would wake the server. */
  get due(): boolean {
    const readable = this.#readable && (this.input.length > 0 || this.ended);
    return !this.closed && (readable || (this.#writable && this.room > 0));
  }
  wake(): void {
    this.#ready();
  }
  push(b: Uint8Array): void {
    for (const x of b) this.input.push(x);
  }
}

export class MemoryServer {
  readonly slab: Uint8Array;
  readonly server: ExportServer;
  readonly disk: MemoryDisk;
  readonly options: ServerOptions;
  readonly log: string[] = [];
  readonly export: Export;
  readonly streams: MemoryStream[] = [];
  #batch: () => void = () => {};
  #now = 0;
  readonly #timers = new Set<{ readonly due: number; readonly run: () => void }>();

  constructor(
    o: { readonly size?: number; readonly unit?: number; readonly readOnly?: boolean } & Partial<ServerOptions> = {},
  ) {
    this.options = {
      ...DEFAULT_OPTIONS,
      slots: { small: 6, smallBytes: 4096, large: 2, largeBytes: 8192 },
      requestsPerConnection: 5,
      ...o,
    };
    this.slab = new Uint8Array(1 << 18);
    const blocks: BlockQueue = {
      kind: 'memory',
      slab: this.slab,
      reserve: (requests, size): BlockRegion => ({ at: 4096, bytes: size, requests }),
      release: () => {},
      open: () => assert.fail('no devices here'),
      submit: () => {},
      onBatch: (run) => {
        this.#batch = run;
        return () => {};
      },
      close: () => {},
    };
    const clock: Clock = {
      now: () => us(this.#now) as Microseconds,
      wall: () => assert.fail(),
      at: (due, run) => {
        const timer = { due, run };
        this.#timers.add(timer);
        return () => void this.#timers.delete(timer);
      },
    };
    const made = ExportServer.open(
      {
        blocks,
        clock,
        log: { write: (e) => this.log.push(e.code) },
        streams: { listen: () => assert.fail(), connect: () => assert.fail() },
      },
      this.options,
    );
    this.server = made.ok ? made.value : assert.fail();
    this.disk = new MemoryDisk(this.slab, o.size ?? 65536, o.unit ?? 512);
    this.export = {
      name: 'x',
      description: 'a test',
      readOnly: o.readOnly ?? false,
      backend: this.disk,
      clients: undefined,
    };
    assert.ok(this.server.add(this.export).ok);
  }
  connect(): MemoryStream {
    const s = new MemoryStream();
    this.streams.push(s);
    this.server.accept(s);
    return s;
  }
  /** One answer of the disk, and the batch's end. */
  answer(which: number): void {
    this.disk.answer(which);
    this.#batch();
  }
  /** Until neither the disk nor a stream has anything left to do. `pick` chooses among the answers due. */
  run(pick: () => number = () => 0): void {
    for (let i = 0; i < 100_000; i++) {
      const due = this.streams.find((s) => s.due);
      if (due) due.wake();
      else if (this.disk.pending.length > 0) this.answer(pick());
      else return;
    }
    assert.fail('it never comes to rest');
  }
  /** Time passes, and what is due runs. */
  advance(seconds: number): void {
    const until = this.#now + seconds * 1_000_000;
    for (;;) {
      const next = [...this.#timers].sort((a, b) => a.due - b.due)[0];
      if (next === undefined || next.due > until) break;
      this.#timers.delete(next);
      this.#now = next.due;
      next.run();
    }
    this.#now = until;
  }
  get allSlotsFree(): boolean {
    return this.server.freeSlots === this.options.slots.small + this.options.slots.large;
  }
}

export const clientFlags = (flags: number): Uint8Array => {
  const b = new Uint8Array(4);
  new DataView(b.buffer).setUint32(0, flags);
  return b;
};
export const goRequest = (name: string): Uint8Array => {
  const n = nbdBytes(name);
  const b = new Uint8Array(4 + n.length + 4);
  const v = new DataView(b.buffer);
  v.setUint32(0, n.length);
  b.set(n, 4);
  v.setUint16(4 + n.length, 1);
  v.setUint16(6 + n.length, 3); // block size
  return b;
};
export type Dialect = 'simple' | 'structured' | 'extended';
/** Through the handshake, with base:allocation where the dialect has it; what the server said is thrown away. */
export function negotiate(server: MemoryServer, s: MemoryStream, dialect: Dialect): void {
  const option = (number: number, data: Uint8Array = new Uint8Array(0)): void =>
    s.push(encodeOption({ option: number, data }));
  s.push(clientFlags(3));
  if (dialect === 'structured') option(NBD_OPTION.structuredReply);
  if (dialect === 'extended') option(NBD_OPTION.extendedHeaders);
  if (dialect !== 'simple') {
    const name = nbdBytes('x');
    const query = nbdBytes('base:allocation');
    const b = new Uint8Array(4 + 1 + 4 + 4 + query.length);
    const v = new DataView(b.buffer);
    v.setUint32(0, 1);
    b.set(name, 4);
    v.setUint32(5, 1);
    v.setUint32(9, query.length);
    b.set(query, 13);
    option(NBD_OPTION.setMetaContext, b);
  }
  option(NBD_OPTION.go, goRequest('x'));
  server.run();
  s.output = [];
}
export function send(s: MemoryStream, r: Omit<NbdRequest, 'extended'>, dialect: Dialect, payload?: Uint8Array): void {
  const extended = dialect === 'extended';
  s.push(encodeRequest({ ...r, extended, flags: extended && payload ? r.flags | 32 : r.flags }));
  if (payload) s.push(payload);
}

export type Answer = { error: number; data: number[]; chunks: NbdChunk[] };
/** Takes finished answers out of the output. Fails at an answer to what was not asked, or a second one. */
export class Answers {
  readonly #asked = new Map<bigint, { type: number; length: number; answer: Answer }>();
  readonly finished = new Map<bigint, Answer>();

  asked(cookie: bigint, type: number, length: number): void {
    this.#asked.set(cookie, { type, length, answer: { error: 0, data: [], chunks: [] } });
  }
  get open(): number {
    return this.#asked.size;
  }
  take(s: MemoryStream): void {
    const b = Uint8Array.from(s.output);
    let at = 0;
    while (at < b.length) {
      const h = decodeReplyHeader(b.subarray(at));
      if (!h.ok) {
        assert.equal(h.error.kind, 'short', 'what the server sent is no reply');
        break;
      }
      const asked =
        this.#asked.get(h.value.cookie) ?? assert.fail(`cookie ${h.value.cookie}: not asked, or answered twice`);
      const { answer } = asked;
      let last = true;
      if (h.value.kind === 'simple') {
        const size = asked.type === NBD_COMMAND.read && h.value.error === 0 ? asked.length : 0;
        if (at + SIMPLE_REPLY_BYTES + size > b.length) break;
        answer.error = h.value.error;
        answer.data = [...b.subarray(at + SIMPLE_REPLY_BYTES, at + SIMPLE_REPLY_BYTES + size)];
        at += SIMPLE_REPLY_BYTES + size;
      } else {
        const header = h.value.offset === undefined ? CHUNK_HEADER_BYTES : EXTENDED_CHUNK_HEADER_BYTES;
        const size = Number(h.value.length);
        if (at + header + size > b.length) break;
        const c = decodeChunk(h.value.type, b.subarray(at + header, at + header + size));
        if (!c.ok) assert.fail(`chunk of type ${h.value.type}: ${c.error.kind}`);
        answer.chunks.push(c.value);
        if ('error' in c.value) answer.error = c.value.error;
        if ('data' in c.value) answer.data.push(...c.value.data);
        at += header + size;
        last = (h.value.flags & NBD_CHUNK_DONE) !== 0;
      }
      if (!last) continue;
      this.#asked.delete(h.value.cookie);
      this.finished.set(h.value.cookie, answer);
    }
    s.output.splice(0, at);
  }
}
