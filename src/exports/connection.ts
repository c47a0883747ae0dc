/** One client, from its first byte: frames of the handshake for the machine, then the transmission. */
import type { HostError, ServerStream, TlsFiles } from '../host/index.ts';
import { CLIENT_FLAGS_BYTES, decodeOptionHeader, OPTION_HEADER_BYTES } from '../wire/index.ts';
import { Incoming } from './incoming.ts';
import {
  type CloseReason,
  greeting,
  type Handshake,
  type HandshakeEvent,
  type HandshakePolicy,
  MAX_OPTION_DATA,
  NEW_HANDSHAKE,
  step,
} from './machine.ts';
import { Outgoing } from './replies.ts';
import type { Slots } from './slots.ts';
import { type EndReason, type Limits, Transmission, type TransmissionEvents } from './transmission.ts';

const EAGAIN = -11;
/** A handshake of more options than this is no handshake. */
const MAX_OPTIONS = 1000;

export type ConnectionEnd = EndReason | CloseReason | 'handshake-timeout' | 'tls-failed' | 'too-many-options';
export type ConnectionEvents = Omit<TransmissionEvents, 'ended'> & {
  transmitting(c: Connection): void;
  ended(c: Connection, because: ConnectionEnd, tls?: HostError): void;
  /** Something was received or sent: what the batch led to may be settled. */
  settle(): void;
};

export class Connection {
  readonly stream: ServerStream;
  transmission: Transmission | undefined;
  readonly #policy: HandshakePolicy;
  readonly #tls: TlsFiles | undefined;
  readonly #slots: Slots;
  readonly #limits: Limits;
  readonly #events: ConnectionEvents;
  readonly #in = new Incoming();
  #out: Outgoing | undefined;
  #state: Handshake = NEW_HANDSHAKE;
  #options = 0;
  /** Data of an option that are read past. */
  #skip = 0;
  #skipped: { readonly option: number; readonly length: number } | undefined;
  #ended = false;

  constructor(o: {
    readonly stream: ServerStream;
    readonly policy: HandshakePolicy;
    readonly tls: TlsFiles | undefined;
    readonly slots: Slots;
    readonly limits: Limits;
    readonly events: ConnectionEvents;
  }) {
    this.stream = o.stream;
    this.#policy = o.policy;
    this.#tls = o.tls;
    this.#slots = o.slots;
    this.#limits = o.limits;
    this.#events = o.events;
    this.#out = new Outgoing(o.stream, () => {});
    o.stream.watch(() => {
      if (this.transmission) this.transmission.wake();
      else this.#wake();
      this.#events.settle();
    });
    this.#send(greeting());
  }
  get identity(): string | undefined {
    return this.#state.identity;
  }
  get tls(): boolean {
    return this.#state.tls;
  }
  /** Ends it at once, whatever is under way. */
  end(because: ConnectionEnd, tls?: HostError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.transmission?.abandon();
    this.stream.close();
    this.#events.ended(this, because, tls);
  }
  /** Ends it when what is in flight has been answered. */
  stop(): void {
    if (this.transmission) this.transmission.stop();
    else this.end('stopped');
  }

  #send(b: Uint8Array): void {
    const out = this.#out;
    if (out === undefined) return;
    if (!out.hasRoom) this.#flush();
    // A client that asks and does not read the answers.
    if (!out.hasRoom) this.end('broken');
    else out.put(b);
    this.#flush();
  }
  #flush(): void {
    if (this.#ended || this.#out === undefined) return;
    const state = this.#out.send();
    if (state === 'broken') this.end('broken');
    else this.stream.interest(state === 'empty', state === 'full');
  }
  #wake(): void {
    this.#flush();
    while (!this.#ended && this.transmission === undefined && this.#state.is !== 'starting-tls') {
      if (this.#out?.isEmpty === false) return;
      const room = this.#in.makeRoom();
      const n = this.stream.receive(this.#in.bytes, this.#in.to, this.#in.to + room);
      if (n === EAGAIN) return;
      if (n <= 0) {
        this.end(n === 0 ? 'peer-closed' : 'broken');
        return;
      }
      this.#in.to += n;
      this.#parse();
      if (n < room) return;
    }
  }
  #parse(): void {
    const input = this.#in;
    while (!this.#ended && this.transmission === undefined && this.#state.is !== 'starting-tls') {
      if (this.#skip > 0) {
        const n = Math.min(this.#skip, input.length);
        input.from += n;
        this.#skip -= n;
        if (this.#skip > 0) return;
      }
      if (this.#skipped) {
        const { option, length } = this.#skipped;
        this.#skipped = undefined;
        this.#feed({ kind: 'oversized', option, length });
      } else if (this.#state.is === 'flags') {
        if (input.length < CLIENT_FLAGS_BYTES) return;
        const flags = input.view.getUint32(input.from);
        input.from += CLIENT_FLAGS_BYTES;
        this.#feed({ kind: 'client-flags', flags });
      } else if (!this.#option()) return;
    }
  }
  /** One option off the input; false when it is not whole yet. */
  #option(): boolean {
    const input = this.#in;
    if (input.length < OPTION_HEADER_BYTES) return false;
    const h = decodeOptionHeader(input.bytes.subarray(input.from, input.to));
    if (!h.ok) {
      this.end('protocol');
      return false;
    }
    const { option, length } = h.value;
    if (length > MAX_OPTION_DATA) {
      input.from += OPTION_HEADER_BYTES;
      this.#skip = length;
      this.#skipped = h.value;
      return true;
    }
    if (input.length < OPTION_HEADER_BYTES + length) return false;
    if (++this.#options > MAX_OPTIONS) {
      this.end('too-many-options');
      return false;
    }
    const from = input.from + OPTION_HEADER_BYTES;
    input.from = from + length;
    this.#feed({ kind: 'option', option, data: input.bytes.subarray(from, from + length) });
    return true;
  }
  #feed(e: HandshakeEvent): void {
    const next = step(this.#policy, this.#state, e);
    this.#state = next.state;
    for (const effect of next.effects) {
      if (this.#ended) return;
      switch (effect.kind) {
        case 'send':
          this.#send(effect.bytes);
          break;
        case 'close':
          this.end(effect.because);
          break;
        case 'start-tls':
          this.#startTls();
          break;
        case 'transmit':
          this.#transmit(effect);
          break;
      }
    }
  }
  #startTls(): void {
    // Whatever came behind STARTTLS in plain text was not sent by a client that waits for the answer, as it must.
    this.#in.clear();
    if (this.#tls === undefined || this.#out?.isEmpty !== true) {
      this.end('tls-failed');
      return;
    }
    this.stream.startTls(this.#tls, (r) => {
      if (this.#ended) return;
      if (!r.ok) {
        this.end('tls-failed', r.error);
        return;
      }
      this.#feed({ kind: 'tls', identity: r.value.identity });
      this.#wake();
      this.#events.settle();
    });
  }
  #transmit(a: {
    readonly export: Transmission['export'];
    readonly structured: boolean;
    readonly extended: boolean;
    readonly allocation: boolean;
  }): void {
    // The answer is small and the first data behind it: what the socket did not take yet goes first.
    const rest = this.#out;
    this.#out = undefined;
    this.transmission = new Transmission({
      stream: this.stream,
      incoming: this.#in,
      outgoing: rest,
      export: a.export,
      agreed: { structured: a.structured, extended: a.extended, allocation: a.allocation },
      slots: this.#slots,
      limits: this.#limits,
      events: {
        dirty: (t) => this.#events.dirty(t),
        waits: (t) => this.#events.waits(t),
        ended: (_, because) => {
          if (this.#ended) return;
          this.#ended = true;
          this.#events.ended(this, because);
        },
      },
    });
    this.#events.transmitting(this);
    this.transmission.wake();
  }
}
