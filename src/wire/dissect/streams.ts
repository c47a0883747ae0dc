/** TCP connections of a capture: puts both directions in order and hands them to the protocol that their first bytes name. */
import { formatEndpoint } from '../../base/index.ts';
import { decodeTcp, TCP_FLAG } from '../tcp.ts';
import { type TcpPiece, TcpStream } from '../tcp-stream.ts';
import { drbdProtocol } from './drbd.ts';
import { nbdProtocol } from './nbd.ts';
import { type Conversation, type Direction, errorMessage, type Message, type StreamProtocol } from './types.ts';

/** A protocol that runs over TCP gets its row here. */
export const STREAM_PROTOCOLS: readonly StreamProtocol[] = [drbdProtocol, nbdProtocol];

/** Bytes kept of a connection whose protocol is not known yet: behind them it counts as one that is not spoken here. */
const ENOUGH = 256 * 1024;
/** A piece of fewer bytes is judged together with those before it. */
const TELLING = 16;

type Flow = {
  /** The end that `forward` comes from. */
  readonly opener: string;
  readonly streams: Readonly<Record<Direction, TcpStream>>;
  conversation: Conversation | 'unknown' | undefined;
  /** While the protocol is not known. */
  readonly waiting: { readonly direction: Direction; readonly bytes: Uint8Array }[];
};
export type StreamMessages = {
  readonly source: string;
  readonly destination: string;
  readonly messages: readonly Message[];
  /** False for data of a protocol that is not spoken here. */
  readonly understood: boolean;
};

const tcp = (message: string): Message => ({ protocol: 'TCP', message, fields: [] });

export class Streams {
  readonly #flows = new Map<string, Flow>();
  readonly #protocols: readonly StreamProtocol[];

  constructor(protocols: readonly StreamProtocol[] = STREAM_PROTOCOLS) {
    this.#protocols = protocols;
  }

  segment(payload: Uint8Array, from: string, to: string): StreamMessages {
    const got = decodeTcp(payload);
    if (!got.ok) return { source: from, destination: to, messages: [errorMessage('TCP', got.error)], understood: true };
    const s = got.value;
    const source = formatEndpoint(from, s.sourcePort);
    const destination = formatEndpoint(to, s.destinationPort);
    const syn = (s.flags & TCP_FLAG.syn) !== 0;
    const first = syn && (s.flags & TCP_FLAG.ack) === 0;
    const flow = this.#flow(source, destination, first);
    const direction: Direction = flow.opener === source ? 'forward' : 'back';
    const messages: Message[] = first ? [tcp('connect')] : [];
    for (const piece of flow.streams[direction].segment(s)) messages.push(...this.#piece(flow, direction, piece));
    if ((s.flags & TCP_FLAG.fin) !== 0) messages.push(tcp('fin'));
    if ((s.flags & TCP_FLAG.rst) !== 0) messages.push(tcp('reset'));
    return { source, destination, messages, understood: messages.length > 0 || flow.conversation !== 'unknown' };
  }

  /** What every connection still holds at the end of the capture. */
  *end(): Generator<StreamMessages> {
    for (const [key, flow] of this.#flows) {
      const [a = '', b = ''] = key.split(' ');
      for (const direction of ['forward', 'back'] as const) {
        const source = (direction === 'forward') === (flow.opener === a) ? a : b;
        const messages: Message[] = [];
        for (const piece of flow.streams[direction].end()) messages.push(...this.#piece(flow, direction, piece));
        const { conversation } = flow;
        if (conversation !== undefined && conversation !== 'unknown') messages.push(...conversation.end(direction));
        if (messages.length > 0) yield { source, destination: source === a ? b : a, messages, understood: true };
      }
    }
  }

  #flow(source: string, destination: string, first: boolean): Flow {
    const key = source < destination ? `${source} ${destination}` : `${destination} ${source}`;
    const known = this.#flows.get(key);
    if (known && !(first && known.conversation !== undefined)) return known;
    const flow: Flow = {
      opener: source,
      streams: { forward: new TcpStream(), back: new TcpStream() },
      conversation: undefined,
      waiting: [],
    };
    this.#flows.set(key, flow);
    return flow;
  }

  #piece(flow: Flow, direction: Direction, piece: TcpPiece): Message[] {
    if (flow.conversation === undefined) {
      if (piece.kind === 'gap') return [];
      flow.waiting.push({ direction, bytes: piece.bytes });
      const telling = piece.bytes.length >= TELLING ? piece.bytes : opening(flow, direction);
      const protocol = this.#protocols.find((p) => p.recognises(telling));
      if (protocol === undefined) {
        if (flow.waiting.reduce((n, w) => n + w.bytes.length, 0) >= ENOUGH) {
          flow.conversation = 'unknown';
          flow.waiting.length = 0;
        }
        return [];
      }
      const conversation = protocol.open();
      flow.conversation = conversation;
      return flow.waiting.splice(0).flatMap((w) => conversation.feed(w.direction, w.bytes));
    }
    if (flow.conversation === 'unknown') return [];
    return piece.kind === 'bytes'
      ? flow.conversation.feed(direction, piece.bytes)
      : flow.conversation.gap(direction, piece.length);
  }
}

/** What has come of one direction so far. */
function opening(flow: Flow, direction: Direction): Uint8Array {
  const parts = flow.waiting.filter((w) => w.direction === direction).map((w) => w.bytes);
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}
