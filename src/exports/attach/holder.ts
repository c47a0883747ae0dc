/**
 * An export of another server as a backend that never fails for want of it: requests are held while the server is away,
 * and those that it had not answered are asked again, in their first order. Asking twice is harmless, since each of READ,
 * WRITE, FLUSH, TRIM and WRITE_ZEROES that was not answered may be carried out any number of times; what was answered is
 * never asked again.
 */
import { type Bytes, bytes, type Text, text } from '../../base/index.ts';
import type { ClientStream } from '../../host/index.ts';
import {
  NBD_COMMAND,
  NBD_COMMAND_FLAG,
  NBD_ERROR,
  NBD_FLAG,
  NBD_MAGIC,
  putU64,
  REQUEST_BYTES,
  REQUEST_FIELD,
  SIMPLE_REPLY_BYTES,
} from '../../wire/index.ts';
import { Incoming } from '../incoming.ts';
import { Outgoing } from '../replies.ts';
import type { BackendDone, ExportBackend } from '../types.ts';
import type { Offer } from './client.ts';

const EAGAIN = -11;
const EOPNOTSUPP = 95;
/** From here on data are received straight into the slab. */
const DIRECT_BYTES = 32 * 1024;
const ROUNDS = 16;
const FREE = 255;

export type HolderEvents = {
  /** A batch of answers was told: what they led to may be sent. */
  settle(): void;
  /** The connection ended, or what came over it makes no sense. */
  broken(why: Text): void;
};

export class Holder implements ExportBackend {
  readonly size: Bytes;
  readonly unit: number;
  readonly preferredBlock: number;
  readonly readOnly: boolean;
  readonly rotational: boolean;
  readonly canTrim: boolean;
  readonly canCache = false;
  readonly canMultiConn: boolean;
  readonly #flags: number;
  readonly #slab: Uint8Array;
  readonly #events: HolderEvents;
  #done: BackendDone = () => {};
  #stream: ClientStream | undefined;
  #out: Outgoing | undefined;
  readonly #in = new Incoming();
  // By tag; `#type` is FREE where none is held.
  readonly #type: Uint8Array;
  readonly #command: Uint8Array;
  readonly #at: Int32Array;
  readonly #length: Float64Array;
  readonly #offset: Float64Array;
  readonly #asked: Float64Array;
  /** The server has no FUA, and a flush follows this write. */
  readonly #syncs: Uint8Array;
  #sequence = 0;
  /** Tags that were not sent on this connection yet, in order. */
  #queue: number[] = [];
  #queued = 0;
  /** What is queued goes out at the end of this turn. */
  #soon = false;
  #held = 0;
  /** The read whose data are coming, -1 for none. */
  #reading = -1;
  #readAt = 0;
  #readLeft = 0;

  /** `tags`: how many there can be. */
  constructor(slab: Uint8Array, tags: number, offer: Offer, events: HolderEvents) {
    this.#slab = slab;
    this.#events = events;
    this.#flags = offer.flags;
    this.size = bytes(offer.size);
    this.unit = offer.minimumBlock;
    this.preferredBlock = offer.preferredBlock;
    this.readOnly = (offer.flags & NBD_FLAG.readOnly) !== 0;
    this.rotational = (offer.flags & NBD_FLAG.rotational) !== 0;
    this.canTrim = (offer.flags & NBD_FLAG.trim) !== 0;
    this.canMultiConn = (offer.flags & NBD_FLAG.flush) !== 0; // one connection carries the writes of all
    this.#type = new Uint8Array(tags).fill(FREE);
    this.#command = new Uint8Array(tags);
    this.#at = new Int32Array(tags);
    this.#length = new Float64Array(tags);
    this.#offset = new Float64Array(tags);
    this.#asked = new Float64Array(tags);
    this.#syncs = new Uint8Array(tags);
  }
  /** Requests that no server has answered yet. */
  get held(): number {
    return this.#held;
  }
  /** Why what a server offers now cannot take the place of what was attached. */
  mismatch(offer: Offer): Text | undefined {
    if (offer.size < this.size)
      return text(
        `the export has ${offer.size} bytes now, less than the ${this.size} that are attached`,
        `导出现为 ${offer.size} 字节，小于已挂接的 ${this.size} 字节`,
      );
    const lost = this.#flags & ~offer.flags & (NBD_FLAG.flush | NBD_FLAG.trim | NBD_FLAG.writeZeroes);
    if ((offer.flags & NBD_FLAG.readOnly) !== 0 && !this.readOnly)
      return text('the export is read-only now', '导出现为只读');
    if (offer.minimumBlock > this.unit)
      return text(`the export wants blocks of ${offer.minimumBlock} now`, `导出现要求 ${offer.minimumBlock} 字节的块`);
    return lost === 0 ? undefined : text('the export can do less than before', '导出的能力少于之前');
  }
  /** A connection: all that is held is asked over it. Returns what the stream's wakes are to call. */
  connect(stream: ClientStream): () => void {
    this.#stream = stream;
    this.#out = new Outgoing(stream, () => {});
    this.#in.clear();
    this.#reading = -1;
    this.#readLeft = 0;
    const held = [...this.#type.keys()].filter((t) => this.#type[t] !== FREE);
    this.#queue = held.sort((a, b) => (this.#asked[a] as number) - (this.#asked[b] as number));
    this.#queued = 0;
    this.submit();
    return () => this.#wake();
  }
  #break(why: Text): void {
    this.#stream = undefined;
    this.#out = undefined;
    this.#events.broken(why);
  }

  onDone(done: BackendDone): void {
    this.#done = done;
  }
  onResize(): void {}
  #ask(tag: number, type: number, command: number, at: number, length: number, offset: number): void {
    this.#type[tag] = type;
    this.#command[tag] = command;
    this.#at[tag] = at;
    this.#length[tag] = length;
    this.#offset[tag] = offset;
    this.#asked[tag] = this.#sequence++;
    this.#held++;
    this.#queue.push(tag);
    // Who asks from within an answer, for the next piece of a long request, does not submit.
    if (this.#soon) return;
    this.#soon = true;
    queueMicrotask(() => {
      this.#soon = false;
      this.submit();
    });
  }
  #refuse(tag: number, errno: number): void {
    queueMicrotask(() => {
      this.#done(tag, -errno);
      this.#events.settle();
    });
  }
  read(tag: number, at: number, length: number, offset: number): void {
    this.#ask(tag, NBD_COMMAND.read, 0, at, length, offset);
  }
  write(tag: number, at: number, length: number, offset: number, through: boolean): void {
    const fua = through && (this.#flags & NBD_FLAG.fua) !== 0;
    this.#syncs[tag] = through && !fua && (this.#flags & NBD_FLAG.flush) !== 0 ? 1 : 0;
    this.#ask(tag, NBD_COMMAND.write, fua ? NBD_COMMAND_FLAG.fua : 0, at, length, offset);
  }
  flush(tag: number): void {
    if ((this.#flags & NBD_FLAG.flush) === 0) this.#refuse(tag, 0);
    else this.#ask(tag, NBD_COMMAND.flush, 0, 0, 0, 0);
  }
  trim(tag: number, length: number, offset: number): void {
    this.#ask(tag, NBD_COMMAND.trim, 0, 0, length, offset);
  }
  zero(tag: number, length: number, offset: number, mode: { readonly keep: boolean; readonly fast: boolean }): void {
    const fast = mode.fast && (this.#flags & NBD_FLAG.fastZero) !== 0;
    if ((this.#flags & NBD_FLAG.writeZeroes) === 0 || (mode.fast && !fast)) {
      this.#refuse(tag, EOPNOTSUPP);
      return;
    }
    const command = (mode.keep ? NBD_COMMAND_FLAG.noHole : 0) | (fast ? NBD_COMMAND_FLAG.fastZero : 0);
    this.#ask(tag, NBD_COMMAND.writeZeroes, command, 0, length, offset);
  }
  extents(): undefined {
    return undefined;
  }
  submit(): void {
    const out = this.#out;
    if (out === undefined) return;
    for (;;) {
      while (out.hasRoom && this.#queued < this.#queue.length) this.#put(out, this.#queue[this.#queued++] as number);
      const state = out.send();
      if (state === 'broken') {
        this.#break(text('the connection broke', '连接中断'));
        return;
      }
      const more = this.#queued < this.#queue.length;
      if (!more) {
        this.#queue.length = 0;
        this.#queued = 0;
      }
      if (state === 'full' || !more) {
        this.#stream?.interest(true, state === 'full');
        return;
      }
    }
  }
  #put(out: Outgoing, tag: number): void {
    const { view, to } = out;
    const type = this.#type[tag] as number;
    view.setUint32(to + REQUEST_FIELD.magic, NBD_MAGIC.request);
    view.setUint16(to + REQUEST_FIELD.flags, this.#command[tag] as number);
    view.setUint16(to + REQUEST_FIELD.type, type);
    putU64(view, to + REQUEST_FIELD.cookie, tag);
    putU64(view, to + REQUEST_FIELD.offset, this.#offset[tag] as number);
    view.setUint32(to + REQUEST_FIELD.length, this.#length[tag] as number);
    out.to += REQUEST_BYTES;
    if (type === NBD_COMMAND.write) out.payload(this.#slab, this.#at[tag] as number, this.#length[tag] as number, tag);
  }

  #wake(): void {
    this.submit();
    let answered = false;
    for (let round = 0; round < ROUNDS && this.#stream !== undefined; round++) {
      const direct = this.#readLeft >= DIRECT_BYTES && this.#in.isEmpty;
      const asked = direct ? this.#readLeft : this.#in.makeRoom();
      const n = direct
        ? this.#stream.receive(this.#slab, this.#readAt, this.#readAt + asked)
        : this.#stream.receive(this.#in.bytes, this.#in.to, this.#in.to + asked);
      if (n === EAGAIN) break;
      if (n <= 0) {
        this.#break(n === 0 ? text('the server closed it', '服务器关闭了连接') : text('it broke', '连接中断'));
        break;
      }
      if (direct) answered = this.#arrived(n) || answered;
      else this.#in.to += n;
      answered = this.#parse() || answered;
      if (n < asked) break;
    }
    if (answered) this.#events.settle();
  }
  #parse(): boolean {
    const input = this.#in;
    let answered = false;
    while (this.#stream !== undefined && !input.isEmpty) {
      if (this.#readLeft > 0) {
        const n = Math.min(this.#readLeft, input.length);
        input.copy(n, this.#slab, this.#readAt);
        answered = this.#arrived(n) || answered;
      } else if (input.length < SIMPLE_REPLY_BYTES) break;
      else answered = this.#reply() || answered;
    }
    return answered;
  }
  #reply(): boolean {
    const { view, from } = this.#in;
    const tag = view.getUint32(from + 12);
    const known = view.getUint32(from + 8) === 0 && tag < this.#type.length && this.#type[tag] !== FREE;
    if (view.getUint32(from) !== NBD_MAGIC.simpleReply || !known) {
      this.#break(text('what the server answered makes no sense', '服务器的应答没有意义'));
      return false;
    }
    const error = view.getUint32(from + 4);
    this.#in.from += SIMPLE_REPLY_BYTES;
    if (error === NBD_ERROR.ESHUTDOWN) {
      // It ends, and another will be there.
      this.#break(text('the server is about to end', '服务器即将退出'));
      return false;
    }
    if (error === 0 && this.#type[tag] === NBD_COMMAND.read) {
      this.#reading = tag;
      this.#readAt = this.#at[tag] as number;
      this.#readLeft = this.#length[tag] as number;
      return false;
    }
    this.#tell(tag, error === 0 ? 0 : -error);
    return true;
  }
  #arrived(n: number): boolean {
    this.#readAt += n;
    this.#readLeft -= n;
    if (this.#readLeft > 0) return false;
    const tag = this.#reading;
    this.#reading = -1;
    this.#tell(tag, 0);
    return true;
  }
  #tell(tag: number, result: number): void {
    const syncs = this.#type[tag] === NBD_COMMAND.write && this.#syncs[tag] === 1 && result === 0;
    this.#type[tag] = FREE;
    this.#held--;
    if (syncs) {
      this.flush(tag);
      this.submit();
      return;
    }
    this.#done(tag, result);
  }
}
