/** A connection to a server that is made again whenever it ends: to be used by who holds requests meanwhile. */
import { type Microseconds, ms, type Text, text, us } from '../../base/index.ts';
import type { ClientStream, Clock, StreamAddress, StreamServer } from '../../host/index.ts';
import { ClientHandshake, type Offer } from './client.ts';

const EAGAIN = -11;
const FIRST_WAIT = ms(20);
const LONGEST_WAIT = ms(1000);
const HANDSHAKE_TIME = us(10_000_000);

/** How long to wait before attempt `n` (0: the first after an end). */
export const waitBefore = (n: number): Microseconds =>
  us(1000 * Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** Math.min(n, 16)));

export type LinkHost = { readonly streams: StreamServer; readonly clock: Clock };
export type LinkEvents = {
  /**
   * The handshake is done, and nothing behind it was read. Returns what is called whenever the stream has something to
   * tell; a Text refuses what was offered, and another attempt follows.
   */
  up(stream: ClientStream, offer: Offer): (() => void) | Text;
  /** It ended, or could not be made; told once until it is up again. */
  down(why: Text): void;
};

export class Link {
  readonly #host: LinkHost;
  readonly #address: StreamAddress;
  readonly #name: string;
  readonly #events: LinkEvents;
  #stream: ClientStream | undefined;
  #attempts = 0;
  #told = false;
  #stopped = false;
  #cancel: () => void = () => {};

  constructor(host: LinkHost, address: StreamAddress, name: string, events: LinkEvents) {
    this.#host = host;
    this.#address = address;
    this.#name = name;
    this.#events = events;
  }
  start(): void {
    if (this.#stopped) return;
    const made = this.#host.streams.connect(this.#address);
    if (!made.ok) {
      this.lost(text(`${made.error.doing.en}: ${made.error.code}`, `${made.error.doing.zh}：${made.error.code}`));
      return;
    }
    const stream = made.value;
    this.#stream = stream;
    const { clock } = this.#host;
    this.#cancel = clock.at(us(clock.now() + HANDSHAKE_TIME), () =>
      this.lost(text('it did not finish the negotiation within 10 s', '10 秒内未完成协商')),
    );
    const handshake = new ClientHandshake(this.#name);
    let ready: (() => void) | undefined;
    stream.watch(() => {
      if (this.#stream !== stream) return;
      if (ready) ready();
      else ready = this.#shake(stream, handshake);
    });
  }
  #shake(stream: ClientStream, handshake: ClientHandshake): (() => void) | undefined {
    const room = new Uint8Array(4096);
    const send = (b: Uint8Array): void => {
      if (stream.send(b, 0, b.length, room, 0, 0) !== b.length)
        this.lost(text('the connection broke in the negotiation', '协商时连接中断'));
    };
    while (this.#stream === stream) {
      const n = stream.receive(room, 0, Math.min(room.length, handshake.wants));
      if (n === EAGAIN) return undefined;
      if (n <= 0) {
        this.lost(text('it closed the connection in the negotiation', '对方在协商时关闭连接'));
        return undefined;
      }
      const outcome = handshake.feed(room.slice(0, n), send);
      if (outcome.is === 'under-way') continue;
      if (outcome.is === 'refused') {
        this.lost(outcome.why);
        return undefined;
      }
      this.#cancel();
      const use = this.#events.up(stream, outcome.offer);
      if (typeof use !== 'function') {
        this.lost(use);
        return undefined;
      }
      this.#attempts = 0;
      this.#told = false;
      return use;
    }
    return undefined;
  }
  /** The connection is of no use any more: another is made. */
  lost(why: Text): void {
    this.#cancel();
    this.#stream?.close();
    this.#stream = undefined;
    if (this.#stopped) return;
    const { clock } = this.#host;
    this.#cancel = clock.at(us(clock.now() + waitBefore(this.#attempts++)), () => this.start());
    if (this.#told) return;
    this.#told = true;
    this.#events.down(why);
  }
  stop(): void {
    this.#stopped = true;
    this.#cancel();
    this.#stream?.close();
    this.#stream = undefined;
  }
}
