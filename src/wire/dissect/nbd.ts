/**
 * NBD in a capture: the handshake from its greeting on, then requests and replies. What a simple reply carries is known from
 * the request that it answers, so that a conversation is followed from its first byte; one that the capture joins in the
 * middle is not recognised.
 */
import {
  CHUNK_HEADER_BYTES,
  CLIENT_FLAGS_BYTES,
  decodeContextRequest,
  decodeGreeting,
  decodeInfo,
  decodeInfoRequest,
  decodeOption,
  decodeOptionHeader,
  decodeOptionReply,
  decodeReplyHeader,
  decodeRequest,
  EXTENDED_CHUNK_HEADER_BYTES,
  EXTENDED_REQUEST_BYTES,
  GREETING_BYTES,
  NBD_CHUNK,
  NBD_COMMAND,
  NBD_ERROR,
  NBD_MAGIC,
  NBD_OPTION,
  NBD_REPLY,
  OPTION_HEADER_BYTES,
  OPTION_REPLY_HEADER_BYTES,
  REQUEST_BYTES,
  SIMPLE_REPLY_BYTES,
} from '../nbd/index.ts';
import {
  type Conversation,
  type Direction,
  errorMessage,
  type Field,
  type Message,
  type StreamProtocol,
} from './types.ts';

const GREETING = new Uint8Array([0x4e, 0x42, 0x44, 0x4d, 0x41, 0x47, 0x49, 0x43]); // NBDMAGIC
/** More than any option or its reply may hold. */
const MAX_FRAME = 1 << 20;

const named = (table: Readonly<Record<string, number>>, n: number): string =>
  Object.entries(table).find(([, v]) => v === n)?.[0] ?? String(n);
const cookie = (c: bigint): string => `0x${c.toString(16)}`;
const message = (m: string, fields: readonly Field[] = []): Message => ({ protocol: 'NBD', message: m, fields });
const viewOf = (b: Uint8Array): DataView => new DataView(b.buffer, b.byteOffset, b.length);

type Side = { buffer: Uint8Array /** Payload to be read past. */; skip: number };
type Phase = 'greeting' | 'flags' | 'options' | 'transmission' | 'encrypted' | 'lost';

export class NbdConversation implements Conversation {
  readonly #sides: Readonly<Record<Direction, Side>> = {
    forward: { buffer: new Uint8Array(0), skip: 0 },
    back: { buffer: new Uint8Array(0), skip: 0 },
  };
  /** Whoever greeted is the server. */
  #server: Direction | undefined;
  #client: Phase = 'flags';
  #phase: Phase = 'greeting';
  #noZeroes = false;
  /** Length of reads that were asked and not answered, by cookie. */
  readonly #reads = new Map<bigint, number>();

  feed(direction: Direction, bytes: Uint8Array): Message[] {
    if (this.#phase === 'encrypted' || this.#phase === 'lost') return [];
    const s = this.#sides[direction];
    const joined = new Uint8Array(s.buffer.length + bytes.length);
    joined.set(s.buffer);
    joined.set(bytes, s.buffer.length);
    s.buffer = joined;
    this.#server ??= direction;
    const out: Message[] = [];
    for (;;) {
      const n = Math.min(s.skip, s.buffer.length);
      s.skip -= n;
      s.buffer = s.buffer.subarray(n);
      if (s.skip > 0 || s.buffer.length === 0) return out;
      const found = direction === this.#server ? this.#fromServer(s) : this.#fromClient(s);
      if (found === undefined) return out;
      out.push(...found);
    }
  }
  /** What comes behind a gap begins nobody knows where. */
  gap(direction: Direction, length: number): Message[] {
    const s = this.#sides[direction];
    // Bytes of a payload may be missing, and nothing is lost by it.
    if (s.buffer.length === 0 && s.skip >= length) {
      s.skip -= length;
      return [];
    }
    this.#phase = 'lost';
    return [message('gap', [['missing', length]])];
  }
  end(direction: Direction): Message[] {
    const left = this.#sides[direction].buffer.length;
    return left > 0 && this.#phase !== 'encrypted' && this.#phase !== 'lost' ? [message('cut', [['bytes', left]])] : [];
  }

  /** The first `n` bytes, taken off; undefined until they are there. */
  #take(s: Side, n: number): Uint8Array | undefined {
    if (s.buffer.length < n) return undefined;
    const b = s.buffer.subarray(0, n);
    s.buffer = s.buffer.subarray(n);
    return b;
  }
  #lose(error: { readonly kind: string }): Message[] {
    this.#phase = 'lost';
    return [errorMessage('NBD', error)];
  }
  #fromClient(s: Side): Message[] | undefined {
    if (this.#client === 'flags') {
      const b = this.#take(s, CLIENT_FLAGS_BYTES);
      if (b === undefined) return undefined;
      const flags = viewOf(b).getUint32(0);
      this.#noZeroes = (flags & 2) !== 0;
      this.#client = 'options';
      return [message('client-flags', [['flags', flags]])];
    }
    return this.#client === 'options' ? this.#option(s) : this.#request(s);
  }
  #option(s: Side): Message[] | undefined {
    if (s.buffer.length < 4) return undefined;
    // The server's answer to GO may come later in the file than the first request.
    if (viewOf(s.buffer).getUint32(0) !== Number(NBD_MAGIC.option >> 32n)) {
      this.#client = 'transmission';
      return [];
    }
    if (s.buffer.length < OPTION_HEADER_BYTES) return undefined;
    const h = decodeOptionHeader(s.buffer);
    if (!h.ok) return this.#lose(h.error);
    if (h.value.length > MAX_FRAME) return this.#lose({ kind: 'length' });
    const b = this.#take(s, OPTION_HEADER_BYTES + h.value.length);
    if (b === undefined) return undefined;
    const o = decodeOption(b);
    if (!o.ok) return this.#lose(o.error);
    const { option, data } = o.value;
    if (option === NBD_OPTION.exportName) this.#client = 'transmission';
    return [message(`option ${named(NBD_OPTION, option)}`, describeOption(option, data))];
  }
  #request(s: Side): Message[] | undefined {
    if (s.buffer.length < 4) return undefined;
    const extended = viewOf(s.buffer).getUint32(0) === NBD_MAGIC.extendedRequest;
    const b = this.#take(s, extended ? EXTENDED_REQUEST_BYTES : REQUEST_BYTES);
    if (b === undefined) return undefined;
    const r = decodeRequest(b);
    if (!r.ok) return this.#lose(r.error);
    const { type, flags, offset, length } = r.value;
    if (type === NBD_COMMAND.read) this.#reads.set(r.value.cookie, Number(length));
    if (type === NBD_COMMAND.write) s.skip = Number(length);
    return [
      message(named(NBD_COMMAND, type), [
        ['cookie', cookie(r.value.cookie)],
        ['flags', flags],
        ['offset', Number(offset)],
        ['length', Number(length)],
      ]),
    ];
  }
  #fromServer(s: Side): Message[] | undefined {
    if (this.#phase === 'greeting') {
      const b = this.#take(s, GREETING_BYTES);
      if (b === undefined) return undefined;
      const g = decodeGreeting(b);
      if (!g.ok) return this.#lose(g.error);
      this.#phase = 'options';
      return [message('greeting', [['flags', g.value.flags]])];
    }
    return this.#phase === 'options' ? this.#optionReply(s) : this.#reply(s);
  }
  #optionReply(s: Side): Message[] | undefined {
    if (s.buffer.length < 8) return undefined;
    if (viewOf(s.buffer).getBigUint64(0) !== NBD_MAGIC.optionReply) {
      // EXPORT_NAME is answered without a header: size, flags, and zeros unless they were agreed away.
      const b = this.#take(s, this.#noZeroes ? 10 : 134);
      if (b === undefined) return undefined;
      this.#phase = 'transmission';
      const v = viewOf(b);
      return [
        message('export', [
          ['size', Number(v.getBigUint64(0))],
          ['flags', v.getUint16(8)],
        ]),
      ];
    }
    if (s.buffer.length < OPTION_REPLY_HEADER_BYTES) return undefined;
    const length = viewOf(s.buffer).getUint32(16);
    if (length > MAX_FRAME) return this.#lose({ kind: 'length' });
    const b = this.#take(s, OPTION_REPLY_HEADER_BYTES + length);
    if (b === undefined) return undefined;
    const r = decodeOptionReply(b);
    if (!r.ok) return this.#lose(r.error);
    const { option, type, data } = r.value;
    if (type === NBD_REPLY.ack && option === NBD_OPTION.go) this.#phase = 'transmission';
    if (type === NBD_REPLY.ack && option === NBD_OPTION.starttls) this.#phase = 'encrypted';
    const fields: Field[] = [['option', named(NBD_OPTION, option)]];
    if (type === NBD_REPLY.info) fields.push(...describeInfo(data));
    return [message(`reply ${named(NBD_REPLY, type)}`, fields)];
  }
  #reply(s: Side): Message[] | undefined {
    if (s.buffer.length < 4) return undefined;
    const magic = viewOf(s.buffer).getUint32(0);
    const size =
      magic === NBD_MAGIC.extendedChunk
        ? EXTENDED_CHUNK_HEADER_BYTES
        : magic === NBD_MAGIC.chunk
          ? CHUNK_HEADER_BYTES
          : SIMPLE_REPLY_BYTES;
    const b = this.#take(s, size);
    if (b === undefined) return undefined;
    const r = decodeReplyHeader(b);
    if (!r.ok) return this.#lose(r.error);
    const id: Field = ['cookie', cookie(r.value.cookie)];
    if (r.value.kind === 'chunk') {
      s.skip = Number(r.value.length);
      if ((r.value.flags & 1) !== 0) this.#reads.delete(r.value.cookie);
      return [message(`chunk ${named(NBD_CHUNK, r.value.type)}`, [id, ['flags', r.value.flags], ['length', s.skip]])];
    }
    const read = this.#reads.get(r.value.cookie) ?? 0;
    this.#reads.delete(r.value.cookie);
    if (r.value.error === 0) s.skip = read;
    return [message('reply', [id, ['error', named(NBD_ERROR, r.value.error)], ['length', s.skip]])];
  }
}

function describeOption(option: number, data: Uint8Array): readonly Field[] {
  if (option === NBD_OPTION.go || option === NBD_OPTION.info) {
    const q = decodeInfoRequest(data);
    return q.ok ? [['name', q.value.name]] : [['error', q.error.kind]];
  }
  if (option === NBD_OPTION.setMetaContext || option === NBD_OPTION.listMetaContext) {
    const q = decodeContextRequest(data);
    if (!q.ok) return [['error', q.error.kind]];
    return [
      ['name', q.value.name],
      ['queries', q.value.queries.join(' ')],
    ];
  }
  return data.length > 0 ? [['length', data.length]] : [];
}
function describeInfo(data: Uint8Array): readonly Field[] {
  const i = decodeInfo(data);
  if (!i.ok) return [['error', i.error.kind]];
  switch (i.value.kind) {
    case 'export':
      return [
        ['size', Number(i.value.size)],
        ['flags', i.value.flags],
      ];
    case 'block-size':
      return [
        ['minimum', i.value.minimum],
        ['preferred', i.value.preferred],
        ['maximum', i.value.maximum],
      ];
    case 'name':
      return [['name', i.value.name]];
    case 'description':
      return [['description', i.value.description]];
    case 'other':
      return [['info', i.value.type]];
  }
}

export const nbdProtocol: StreamProtocol = {
  name: 'NBD',
  recognises: (b) => b.length >= GREETING.length && GREETING.every((x, i) => b[i] === x),
  open: () => new NbdConversation(),
};
