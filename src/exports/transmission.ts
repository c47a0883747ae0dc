/**
 * The transmission phase of one connection: requests out of the input, through slots to the backend, replies back in
 * whatever order they are ready. It makes no object a request and stops reading when slots run out, so that a client can
 * neither fill the memory nor starve others for long.
 */
import type { ServerStream } from '../host/index.ts';
import {
  EXTENDED_REQUEST_BYTES,
  getU64,
  NBD_COMMAND,
  NBD_COMMAND_FLAG,
  NBD_MAGIC,
  REQUEST_BYTES,
  REQUEST_FIELD,
} from '../wire/index.ts';
import { checkRequest } from './check.ts';
import { nbdError } from './errors.ts';
import { isReadOnly } from './flags.ts';
import type { Incoming } from './incoming.ts';
import { Outgoing } from './replies.ts';
import type { SlotOwner, Slots } from './slots.ts';
import { type Agreed, blockStatus, readReply, reply, replyBytesAhead } from './speech.ts';
import type { Export, ExportBackend } from './types.ts';

const EAGAIN = -11;
/** From here on a payload is received straight into the slab. */
const DIRECT_BYTES = 32 * 1024;
/** Receives in one wake, so that one busy client leaves time for others. */
const ROUNDS = 8;
/** A CACHE hint reads no more than this. */
const MAX_CACHE = 32 * 1024 * 1024;

export type EndReason = 'disconnect' | 'peer-closed' | 'broken' | 'protocol' | 'stopped' | 'stalled';
export type TransmissionEvents = {
  /** Replies wait to be sent: `flush` is to be called at the end of this batch. */
  dirty(t: Transmission): void;
  /** Slots have run out: `resume` is to be called when some are free. */
  waits(t: Transmission): void;
  ended(t: Transmission, because: EndReason): void;
};
export type Limits = { readonly requests: number; readonly large: number };

export class Transmission implements SlotOwner {
  readonly export: Export;
  readonly agreed: Agreed;
  readonly counters = { requests: 0, readBytes: 0, writtenBytes: 0, errors: 0 };
  isDirty = false;
  isWaiting = false;
  readonly #backend: ExportBackend;
  readonly #stream: ServerStream;
  readonly #in: Incoming;
  readonly #out: Outgoing;
  readonly #slots: Slots;
  readonly #limits: Limits;
  readonly #events: TransmissionEvents;
  readonly #headerBytes: number;
  readonly #magic: number;
  readonly #terms: {
    size: number;
    unit: number;
    readOnly: boolean;
    structured: boolean;
    extended: boolean;
    allocation: boolean;
  };
  /** Slots whose replies may be written, as a ring. */
  readonly #ready: Int32Array;
  #readyFrom = 0;
  #readyTo = 0;
  #held = 0;
  #largeHeld = 0;
  /** The write whose payload is being received, -1 for none; where it goes, and what is missing of this piece. */
  #writing = -1;
  #writeAt = 0;
  #writeLeft = 0;
  /** Payload to be read past; then this slot's error is told. */
  #skipLeft = 0;
  #skipSlot = -1;
  /** A piece of a large write is under way: nothing is read till it is done. */
  #pieceOut = false;
  #taken = 0;
  /** Reads that must be answered in one piece and exceed their slot; at most one at a time. */
  #gather: Uint8Array | undefined;
  #gatherSlot = -1;
  /** The slot of DISC, or of the server's own end. */
  #farewell = -1;
  #stopping = false;
  #gone = false;
  #wantsRead = true;
  #wantsWrite = false;

  constructor(o: {
    readonly stream: ServerStream;
    readonly incoming: Incoming;
    /** What the handshake has not got rid of yet. */
    readonly outgoing: Outgoing | undefined;
    readonly export: Export;
    readonly agreed: Agreed;
    readonly slots: Slots;
    readonly limits: Limits;
    readonly events: TransmissionEvents;
  }) {
    this.export = o.export;
    this.agreed = o.agreed;
    this.#backend = o.export.backend;
    this.#stream = o.stream;
    this.#in = o.incoming;
    this.#out = new Outgoing(o.stream, (slot) => this.#sent(slot));
    if (o.outgoing) this.#out.inherit(o.outgoing);
    this.#slots = o.slots;
    this.#limits = o.limits;
    this.#events = o.events;
    this.#headerBytes = o.agreed.extended ? EXTENDED_REQUEST_BYTES : REQUEST_BYTES;
    this.#magic = o.agreed.extended ? NBD_MAGIC.extendedRequest : NBD_MAGIC.request;
    this.#ready = new Int32Array(o.slots.owner.length + 1);
    this.#terms = { ...o.agreed, size: 0, unit: o.export.backend.unit, readOnly: isReadOnly(o.export) };
  }
  get inFlight(): number {
    return this.#held;
  }

  /** The stream is readable or writable: receives, asks the backend, sends. Also called once at the start, for what came with the handshake. */
  wake(): void {
    if (this.#gone) return;
    if (this.#wantsWrite) this.flush();
    this.#parse();
    for (let round = 0; round < ROUNDS && this.#reading; round++) {
      const direct = this.#writeLeft >= DIRECT_BYTES && this.#in.isEmpty;
      const asked = direct ? this.#writeLeft : this.#in.makeRoom();
      const n = direct
        ? this.#stream.receive(this.#slots.slab, this.#writeAt, this.#writeAt + asked)
        : this.#stream.receive(this.#in.bytes, this.#in.to, this.#in.to + asked);
      if (n === EAGAIN) break;
      if (n <= 0) {
        this.#end(n === 0 ? 'peer-closed' : 'broken');
        return;
      }
      this.#taken += n;
      if (direct) this.#received(n);
      else this.#in.to += n;
      this.#parse();
      if (n < asked) break;
    }
    if (this.#gone) return;
    this.#backend.submit();
    if (this.isDirty) this.flush();
    this.#attend();
    this.#endIfDone();
  }
  /** Slots are free again. */
  resume(): void {
    this.isWaiting = false;
    this.wake();
  }
  /** No more requests are read; what is in flight is answered; then the connection ends. */
  stop(): void {
    this.#stopping = true;
    this.#attend();
    this.#endIfDone();
  }

  /** Ends it at once; nothing is answered any more. */
  abandon(because: EndReason = 'stopped'): void {
    this.#end(because);
  }
  /** It holds slots for a client that must do something: take its answers, or send the rest of a request. */
  get isOwed(): boolean {
    return !this.#gone && (!this.#out.isEmpty || (this.#receiving && this.#reading));
  }
  /** Bytes moved in both directions. */
  get moved(): number {
    return this.#taken + this.#out.taken;
  }

  get #reading(): boolean {
    return !this.#gone && !this.isWaiting && !this.#pieceOut && this.#farewell < 0 && !this.#stopping;
  }
  #attend(): void {
    const read = this.#reading;
    if (this.#gone || (read === this.#wantsRead && !this.#wantsWrite === this.#out.isEmpty)) return;
    this.#wantsRead = read;
    this.#wantsWrite = !this.#out.isEmpty;
    this.#stream.interest(this.#wantsRead, this.#wantsWrite);
  }

  // ------------------------------------------------------------------------------------------------ requests

  #parse(): void {
    const input = this.#in;
    while (this.#reading && !input.isEmpty) {
      if (this.#writing >= 0) {
        const n = Math.min(this.#writeLeft, input.length);
        input.copy(n, this.#slots.slab, this.#writeAt);
        this.#received(n);
      } else if (this.#skipLeft > 0) {
        const n = Math.min(this.#skipLeft, input.length);
        input.from += n;
        this.#skipLeft -= n;
        if (this.#skipLeft === 0) this.#answer(this.#skipSlot);
      } else if (input.length < this.#headerBytes || !this.#request()) return;
    }
  }
  /** One request off the input; false when it must wait there. */
  #request(): boolean {
    const v = this.#in.view;
    const at = this.#in.from;
    const slots = this.#slots;
    if (v.getUint32(at + REQUEST_FIELD.magic) !== this.#magic) {
      // Where the next request would begin is unknown.
      this.#end('protocol');
      return false;
    }
    const flags = v.getUint16(at + REQUEST_FIELD.flags);
    const type = v.getUint16(at + REQUEST_FIELD.type);
    const offset = getU64(v, at + REQUEST_FIELD.offset);
    const length = this.agreed.extended ? getU64(v, at + REQUEST_FIELD.length) : v.getUint32(at + REQUEST_FIELD.length);
    const terms = this.#terms;
    terms.size = this.#backend.size;
    const error = checkRequest(terms, type, flags, offset, length);
    const carries = error === 0 && type <= NBD_COMMAND.write;
    const slot = this.#take(carries || (error === 0 && type === NBD_COMMAND.cache) ? length : 0, type, flags);
    if (slot < 0) return false;
    this.#in.from += this.#headerBytes;
    this.counters.requests++;
    slots.cookieHigh[slot] = v.getUint32(at + REQUEST_FIELD.cookie);
    slots.cookieLow[slot] = v.getUint32(at + REQUEST_FIELD.cookie + 4);
    slots.type[slot] = type > 255 ? 255 : type;
    slots.flags[slot] = flags;
    slots.offset[slot] = offset;
    slots.length[slot] = length;
    if (error !== 0) this.#refuse(slot, error, type, flags, length);
    else this.#begin(slot, type);
    return true;
  }
  #refuse(slot: number, error: number, type: number, flags: number, length: number): void {
    this.#slots.error[slot] = error;
    const payload =
      type === NBD_COMMAND.write || (this.agreed.extended && (flags & NBD_COMMAND_FLAG.payloadLength) !== 0);
    if (!payload || length === 0) {
      this.#answer(slot);
      return;
    }
    // Nobody means to send so much; reading past it would take for ever.
    if (length > 0xffff_ffff) {
      this.#give(slot);
      this.#end('protocol');
      return;
    }
    this.#skipLeft = length;
    this.#skipSlot = slot;
  }
  #take(bytes: number, type: number, flags: number): number {
    const slots = this.#slots;
    const large = bytes > slots.sizes.smallBytes;
    const gathers = type === NBD_COMMAND.read && bytes > slots.sizes.largeBytes && replyBytesAhead(this.agreed, flags);
    const full =
      this.#held >= this.#limits.requests ||
      (large && this.#largeHeld >= this.#limits.large) ||
      !slots.isFair(large, large ? this.#largeHeld : this.#held - this.#largeHeld) ||
      (gathers && this.#gatherSlot >= 0);
    const slot = full ? -1 : slots.take(this, bytes);
    if (slot < 0) {
      this.isWaiting = true;
      this.#events.waits(this);
      return -1;
    }
    this.#held++;
    if (slots.isLarge(slot)) this.#largeHeld++;
    if (gathers) {
      this.#gatherSlot = slot;
      this.#gather = new Uint8Array(bytes);
    }
    return slot;
  }
  #begin(slot: number, type: number): void {
    const { offset, length, flags } = this.#slots;
    const at = offset[slot] as number;
    const n = length[slot] as number;
    switch (type) {
      case NBD_COMMAND.read:
        this.#nextPiece(slot);
        break;
      case NBD_COMMAND.cache:
        length[slot] = Math.min(n, MAX_CACHE);
        this.#nextPiece(slot);
        break;
      case NBD_COMMAND.write:
        this.#writing = slot;
        this.#writeAt = this.#slots.at[slot] as number;
        this.#writeLeft = Math.min(n, this.#slots.bytesOf(slot));
        this.#slots.piece[slot] = this.#writeLeft;
        break;
      case NBD_COMMAND.flush:
        this.#backend.flush(slot);
        break;
      case NBD_COMMAND.trim:
        this.#backend.trim(slot, n, at);
        break;
      case NBD_COMMAND.writeZeroes: {
        const f = flags[slot] as number;
        const mode = { keep: (f & NBD_COMMAND_FLAG.noHole) !== 0, fast: (f & NBD_COMMAND_FLAG.fastZero) !== 0 };
        this.#backend.zero(slot, n, at, mode);
        break;
      }
      case NBD_COMMAND.disconnect:
        this.#farewell = slot;
        this.#endIfDone();
        break;
      default: // block status is answered when its turn to be written comes
        this.#answer(slot);
    }
  }
  /** `n` more bytes of the payload are in the slab. */
  #received(n: number): void {
    this.#writeAt += n;
    this.#writeLeft -= n;
    if (this.#writeLeft > 0) return;
    const slot = this.#writing;
    const { at, piece, offset, done, flags, length } = this.#slots;
    const bytes = piece[slot] as number;
    const through = ((flags[slot] as number) & NBD_COMMAND_FLAG.fua) !== 0;
    const progress = done[slot] as number;
    this.counters.writtenBytes += bytes;
    if (progress + bytes < (length[slot] as number)) this.#pieceOut = true;
    else this.#writing = -1;
    this.#backend.write(slot, at[slot] as number, bytes, (offset[slot] as number) + progress, through);
  }
  #nextPiece(slot: number): void {
    const { at, piece, offset, done, length } = this.#slots;
    const progress = done[slot] as number;
    const bytes = Math.min((length[slot] as number) - progress, this.#slots.bytesOf(slot));
    piece[slot] = bytes;
    this.#backend.read(slot, at[slot] as number, bytes, (offset[slot] as number) + progress);
  }

  // ------------------------------------------------------------------------------------------------ answers

  /** The backend has answered. */
  completed(slot: number, result: number): void {
    const slots = this.#slots;
    if (this.#gone) {
      this.#give(slot);
      return;
    }
    if (result < 0) slots.error[slot] = nbdError(result);
    const failed = slots.error[slot] !== 0;
    switch (slots.type[slot]) {
      case NBD_COMMAND.read:
        if (slot !== this.#gatherSlot || failed || !this.#gathered(slot)) this.#answer(slot);
        break;
      case NBD_COMMAND.cache:
        slots.done[slot] = (slots.done[slot] as number) + (slots.piece[slot] as number);
        if (failed || (slots.done[slot] as number) >= (slots.length[slot] as number)) this.#answer(slot);
        else this.#nextPiece(slot);
        break;
      case NBD_COMMAND.write:
        if (slot === this.#writing) this.#writeOn(slot, failed);
        else this.#answer(slot);
        break;
      case NBD_COMMAND.trim:
      case NBD_COMMAND.writeZeroes:
        if (!failed && ((slots.flags[slot] as number) & NBD_COMMAND_FLAG.fua) !== 0 && slots.syncing[slot] === 0) {
          slots.syncing[slot] = 1;
          this.#backend.flush(slot);
        } else this.#answer(slot);
        break;
      case NBD_COMMAND.disconnect:
        this.#end('disconnect');
        break;
      default:
        this.#answer(slot);
    }
  }
  /** Keeps a piece of a read that is answered whole; true when another piece was asked for. */
  #gathered(slot: number): boolean {
    const { at, piece, done, length, slab } = this.#slots;
    const progress = done[slot] as number;
    const bytes = piece[slot] as number;
    const from = at[slot] as number;
    (this.#gather as Uint8Array).set(slab.subarray(from, from + bytes), progress);
    if (progress + bytes >= (length[slot] as number)) return false;
    done[slot] = progress + bytes;
    this.#nextPiece(slot);
    return true;
  }
  /** A piece of a large write is done: the next is received, or, after an error, the rest is read past. */
  #writeOn(slot: number, failed: boolean): void {
    const { at, piece, done, length } = this.#slots;
    const progress = (done[slot] as number) + (piece[slot] as number);
    const left = (length[slot] as number) - progress;
    done[slot] = progress;
    this.#pieceOut = false;
    if (failed) {
      this.#writing = -1;
      this.#skipLeft = left;
      this.#skipSlot = slot;
    } else {
      this.#writeAt = at[slot] as number;
      this.#writeLeft = Math.min(left, this.#slots.bytesOf(slot));
      piece[slot] = this.#writeLeft;
    }
    // Not from here: a wake asks the backend, which is telling us just now.
    if (!this.isWaiting) {
      this.isWaiting = true;
      this.#events.waits(this);
    }
  }
  #answer(slot: number): void {
    this.#ready[this.#readyTo] = slot;
    this.#readyTo = (this.#readyTo + 1) % this.#ready.length;
    if (this.isDirty) return;
    this.isDirty = true;
    this.#events.dirty(this);
  }
  /** Sends what is ready. */
  flush(): void {
    this.isDirty = false;
    if (this.#gone) return;
    for (;;) {
      while (this.#out.hasRoom && this.#readyFrom !== this.#readyTo) {
        const slot = this.#ready[this.#readyFrom] as number;
        this.#readyFrom = (this.#readyFrom + 1) % this.#ready.length;
        this.#write(slot);
      }
      const state = this.#out.send();
      if (state === 'broken') {
        this.#end('broken');
        return;
      }
      if (state === 'full' || this.#readyFrom === this.#readyTo) break;
    }
    this.#attend();
    this.#endIfDone();
  }
  #write(slot: number): void {
    const slots = this.#slots;
    const type = slots.type[slot];
    if (slots.error[slot] !== 0) this.counters.errors++;
    else if (type === NBD_COMMAND.read) {
      const whole = slot === this.#gatherSlot ? this.#gather : undefined;
      const bytes = whole ? whole.length : (slots.piece[slot] as number);
      this.counters.readBytes += bytes;
      readReply(this.#out, this.agreed, slots, slot, bytes, whole !== undefined);
      this.#out.payload(whole ?? slots.slab, whole ? 0 : (slots.at[slot] as number), bytes, slot);
      return;
    } else if (type === NBD_COMMAND.blockStatus) {
      blockStatus(this.#out, this.agreed, slots, slot, this.#backend);
      this.#give(slot);
      return;
    }
    reply(this.#out, this.agreed, slots, slot);
    this.#give(slot);
  }
  /** The payload of a read has gone out, or never will. */
  #sent(slot: number): void {
    const { done, piece, length } = this.#slots;
    const progress = (done[slot] as number) + (piece[slot] as number);
    if (this.#gone || slot === this.#gatherSlot || progress >= (length[slot] as number)) {
      this.#give(slot);
      return;
    }
    done[slot] = progress;
    this.#nextPiece(slot);
  }
  #give(slot: number): void {
    if (slot === this.#gatherSlot) {
      this.#gatherSlot = -1;
      this.#gather = undefined;
    }
    if (this.#slots.isLarge(slot)) this.#largeHeld--;
    this.#held--;
    this.#slots.give(slot);
  }

  // ------------------------------------------------------------------------------------------------ the end

  #endIfDone(): void {
    if (this.#gone || !this.#out.isEmpty) return;
    if (this.#farewell >= 0) {
      // "all outstanding requests are completed", and what they wrote is on disk.
      if (this.#held > 1 || this.#slots.syncing[this.#farewell] === 1) return;
      this.#slots.syncing[this.#farewell] = 1;
      this.#backend.flush(this.#farewell);
    } else if (this.#stopping && (this.#held === 0 || (this.#held === 1 && this.#receiving))) this.#end('stopped');
  }
  /** A request has come in half: at the server's end it is dropped. */
  get #receiving(): boolean {
    return (this.#writing >= 0 && !this.#pieceOut) || this.#skipLeft > 0;
  }
  #end(because: EndReason): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#stream.close();
    this.#out.drop();
    while (this.#readyFrom !== this.#readyTo) {
      this.#give(this.#ready[this.#readyFrom] as number);
      this.#readyFrom = (this.#readyFrom + 1) % this.#ready.length;
    }
    // Slots that are with the backend come back through `completed`.
    if (this.#writing >= 0 && !this.#pieceOut) this.#give(this.#writing);
    if (this.#skipLeft > 0) this.#give(this.#skipSlot);
    if (because === 'disconnect') this.#give(this.#farewell);
    else if (this.#farewell >= 0 && this.#slots.syncing[this.#farewell] === 0) this.#give(this.#farewell);
    this.#writing = -1;
    this.#skipLeft = 0;
    this.#events.ended(this, because);
  }
}
