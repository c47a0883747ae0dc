/**
 * How a protocol is spoken, without a socket: a conversation is a chain of stages, each a pure function of the bytes
 * that have come and are not yet used. Total: whatever comes, a stage waits, goes on, or says what it found.
 */
import { type Text, text } from '../../base/index.ts';
import type { FoundWeight } from '../check.ts';

export type Finding =
  | { readonly passed: true; readonly code: string; readonly reason: Text; readonly weight?: FoundWeight }
  | { readonly passed: false; readonly code: string; readonly reason: Text }
  /** This host could not ask: nothing is known of the server. */
  | { readonly passed: undefined; readonly code: string; readonly reason: Text };
export const pass = (code: string, reason: Text): Finding => ({ passed: true, code, reason });
export const fail = (code: string, reason: Text): Finding => ({ passed: false, code, reason });

/** A file that is missing here, or what this host has run out of: no fault of the server's. */
export const unasked = (code: string, reason: Text): Finding => ({ passed: undefined, code, reason });
/** What a host runs out of: descriptors, memory, buffers, processes, source ports. No server can cause it. */
const OURS: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EAGAIN', 'EADDRNOTAVAIL']);
/** An attempt that ended with an error of the system: the server's fault, or ours. */
export const failedWith = (code: string, reason: Text): Finding =>
  OURS.has(code) ? unasked(code, reason) : fail(code, reason);

export type Move =
  /** More bytes are needed; an end of the stream instead is a failure unless the stage took it into account. */
  | { readonly do: 'wait' }
  /** `used` of the bytes are done with; `send` goes out; `stage` looks at the rest. */
  | { readonly do: 'next'; readonly used: number; readonly send?: Uint8Array; readonly stage: Stage }
  /** `send`: a farewell, as far as the kernel takes it. */
  | { readonly do: 'end'; readonly finding: Finding; readonly send?: Uint8Array };
/** `ended`: nothing more will come. */
export type Stage = (have: Uint8Array, ended: boolean) => Move;
export type Conversation = {
  readonly send?: Uint8Array;
  readonly stage: Stage;
};

export const WAIT: Move = { do: 'wait' };
export const end = (finding: Finding, send?: Uint8Array): Move => ({
  do: 'end',
  finding,
  ...(send && { send }),
});

/** Bytes that wait to be understood: longer than any answer that a check has a use for. */
export const MOST_UNREAD = 1 << 20;
/** Bytes of one whole conversation. */
const MOST_IN_ALL = 64 << 20;

const TOO_LONG = fail(
  'too-long',
  text('the server sends more than a check reads', '服务器发送的数据超过检查读取的上限'),
);
const CUT_OFF = fail(
  'ended-early',
  text('the server closed the connection before its answer was complete', '服务器在应答完整之前关闭了连接'),
);

/** Carries a conversation from chunk to chunk. */
export class Dialogue {
  #stage: Stage;
  #have: Uint8Array = new Uint8Array(0);
  #total = 0;
  #finding: Finding | undefined;

  constructor(c: Conversation) {
    this.#stage = c.stage;
  }
  get finding(): Finding | undefined {
    return this.#finding;
  }
  /** What is to be sent now. `bytes` are copied where they must be kept. */
  received(bytes: Uint8Array): readonly Uint8Array[] {
    if (this.#finding) return [];
    this.#total += bytes.length;
    if (this.#have.length === 0) this.#have = bytes;
    else {
      const joined = new Uint8Array(this.#have.length + bytes.length);
      joined.set(this.#have);
      joined.set(bytes, this.#have.length);
      this.#have = joined;
    }
    const out = this.#advance(false);
    if (!this.#finding && (this.#have.length > MOST_UNREAD || this.#total > MOST_IN_ALL)) this.#finding = TOO_LONG;
    // The caller's memory is valid only now.
    this.#have = this.#have.length === 0 ? this.#have : this.#have.slice();
    return out;
  }
  ended(): readonly Uint8Array[] {
    if (this.#finding) return [];
    const out = this.#advance(true);
    this.#finding ??= CUT_OFF;
    return out;
  }
  #advance(ended: boolean): Uint8Array[] {
    const out: Uint8Array[] = [];
    for (;;) {
      const move = this.#stage(this.#have, ended);
      if (move.do === 'wait') return out;
      if (move.send) out.push(move.send);
      if (move.do === 'end') {
        this.#finding = move.finding;
        return out;
      }
      const stuck = move.used === 0 && move.stage === this.#stage;
      this.#have = this.#have.subarray(move.used);
      this.#stage = move.stage;
      if (stuck) return out;
    }
  }
}

/** For tests: the whole conversation with a server that sends `chunks` whatever it hears, and then closes. */
export function converse(
  c: Conversation,
  chunks: readonly Uint8Array[],
): { readonly sent: readonly Uint8Array[]; readonly finding: Finding } {
  const d = new Dialogue(c);
  const sent = c.send ? [c.send] : [];
  for (const chunk of chunks) sent.push(...d.received(chunk));
  sent.push(...d.ended());
  return { sent, finding: d.finding as Finding };
}
