import { err, ok, type Result, type Text, text } from '../../../base/index.ts';
import {
  type Acknowledgement,
  decodeAcknowledgement,
  decodeMessages,
  type NetlinkMessage,
  NetlinkWriter,
  NLM_F,
  NLMSG,
  writeMessage,
} from '../../../wire/index.ts';
import type { HostError, NetlinkOutcome, NetlinkRequest } from '../../index.ts';
import { errnoName, hostError } from '../addon.ts';
import type { NetlinkSocket } from './socket.ts';

/** Well below the socket's send buffer (212992 by default), and few enough that all refusals fit its receive buffer. */
const BATCH_BYTES = 32 * 1024;
const BATCH_MESSAGES = 512;
const DUMP_ATTEMPTS = 8;
/** linux/netfilter/nfnetlink.h */
const NFNL_BATCH_BEGIN = 16;
const NFNL_BATCH_END = 17;
const ENOBUFS = 105;
const EPROTO = 71;
const DONE: NetlinkOutcome = { errno: 0 };

/**
 * Asks rtnetlink and reads what it answers. It works through a request while the request is being sent, so that the
 * answers are queued when `send` returns, and nothing here ever waits.
 */
export class Requests {
  readonly #socket: NetlinkSocket;
  #sequence = 0;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }
  get port(): number {
    return this.#socket.port;
  }
  close(): void {
    this.#socket.close();
  }
  #next(): number {
    this.#sequence = (this.#sequence + 1) >>> 0 || 1; // 0 is what the kernel's own notifications carry
    return this.#sequence;
  }

  /**
   * Sends all in order, in as few system calls as the sizes allow; one outcome for each. Only the last of a batch asks
   * for an acknowledgement: a refusal is always told, so silence about the others means that they were done.
   * `numbered` hears each request's sequence number before it is sent: notifications that it causes carry it.
   */
  transact(
    requests: readonly NetlinkRequest[],
    numbered?: (index: number, sequence: number) => void,
  ): NetlinkOutcome[] {
    const outcomes: NetlinkOutcome[] = [];
    let w = new NetlinkWriter(BATCH_BYTES);
    let first = 0; // of this batch, as an index into requests
    let sequences = new Map<number, number>();
    const flush = (last: number, flagsAt: number, flags: number): void => {
      w.patchU16(flagsAt, flags | NLM_F.ack);
      outcomes.push(...this.#exchange(w.done(), sequences, first, last - first + 1));
      w = new NetlinkWriter(BATCH_BYTES);
      first = last + 1;
      sequences = new Map();
    };
    requests.forEach((r, i) => {
      const sequence = this.#next();
      numbered?.(i, sequence);
      sequences.set(sequence, i);
      const flagsAt = w.length + 6;
      const flags = r.flags | NLM_F.request;
      writeMessage(w, { type: r.type, flags, sequence, port: 0 }, r.write);
      if (i === requests.length - 1 || sequences.size === BATCH_MESSAGES || w.length >= BATCH_BYTES)
        flush(i, flagsAt, flags);
    });
    return outcomes;
  }
  #exchange(bytes: Uint8Array, sequences: ReadonlyMap<number, number>, first: number, count: number): NetlinkOutcome[] {
    const sent = this.#socket.send(bytes);
    if (sent < 0) return Array(count).fill({ errno: -sent });
    const outcomes: (NetlinkOutcome | undefined)[] = Array(count).fill(undefined);
    let lost = false;
    this.#read(
      (m) => {
        const index = sequences.get(m.sequence);
        if (m.type !== NLMSG.error || index === undefined) return true;
        const ack = decodeAcknowledgement(m.payload, m.flags);
        outcomes[index - first] = ack.ok ? outcomeOf(ack.value) : { errno: EPROTO };
        return index !== first + count - 1;
      },
      () => {
        lost = true;
      },
    );
    // The last one asked for its answer; without it, or after a loss, silence proves nothing.
    const known = !lost && outcomes[count - 1] !== undefined;
    return outcomes.map((o) => o ?? (known ? DONE : { errno: ENOBUFS }));
  }
  /**
   * One transaction of nfnetlink. Refusals are told for each message, also where only the last asks for an
   * acknowledgement; a commit that fails is told of the message that began the batch.
   */
  batch(requests: readonly NetlinkRequest[], subsystem: number): NetlinkOutcome[] {
    if (requests.length === 0) return [];
    const w = new NetlinkWriter(BATCH_BYTES);
    const bracket = (type: number): number => {
      const sequence = this.#next();
      // struct nfgenmsg: u8 family, u8 version, u16 subsystem in network order
      writeMessage(w, { type, flags: NLM_F.request, sequence, port: 0 }, (m) =>
        m
          .u8(0)
          .u8(0)
          .u8(subsystem >> 8)
          .u8(subsystem),
      );
      return sequence;
    };
    const begin = bracket(NFNL_BATCH_BEGIN);
    const sequences = new Map<number, number>();
    requests.forEach((r, i) => {
      const sequence = this.#next();
      sequences.set(sequence, i);
      const flags = r.flags | NLM_F.request | (i === requests.length - 1 ? NLM_F.ack : 0);
      writeMessage(w, { type: r.type, flags, sequence, port: 0 }, r.write);
    });
    sequences.set(begin, requests.length - 1);
    bracket(NFNL_BATCH_END);
    return this.#exchange(w.done(), sequences, 0, requests.length);
  }
  /** One request answered by messages of its own, such as a generic netlink GET without DUMP. `take` must copy what it keeps. */
  ask(r: NetlinkRequest, take: (m: NetlinkMessage) => void): NetlinkOutcome {
    const sequence = this.#next();
    const w = new NetlinkWriter();
    writeMessage(w, { type: r.type, flags: r.flags | NLM_F.request | NLM_F.ack, sequence, port: 0 }, r.write);
    const sent = this.#socket.send(w.done());
    if (sent < 0) return { errno: -sent };
    let end: NetlinkOutcome | undefined;
    let lost = false;
    this.#read(
      (m) => {
        if (m.sequence !== sequence) return true;
        if (m.type !== NLMSG.error) {
          take(m);
          return true;
        }
        end = endOfDump(m);
        return false;
      },
      () => {
        lost = true;
      },
    );
    return lost || end === undefined ? { errno: ENOBUFS } : end;
  }
  /** Hands over what is queued, until `take` says false or nothing is left. */
  #read(take: (m: NetlinkMessage) => boolean, lost: () => void): void {
    for (;;) {
      const n = this.#socket.receive();
      if (n === 0) return;
      if (n < 0) {
        lost();
        if (n !== -ENOBUFS) return;
        continue;
      }
      let more = true;
      for (let i = 0; i < n; i++) {
        const d = this.#socket.datagram(i);
        const messages = decodeMessages(d.bytes);
        if (d.cut || !messages.ok) lost();
        else for (const m of messages.value) more = take(m) && more;
      }
      if (!more) return;
    }
  }

  /**
   * Reads a whole table. What `take` collects is started afresh by `begin` when the kernel says that the table changed
   * under the reading (NLM_F_DUMP_INTR). `take` must copy what it keeps.
   */
  dump(
    r: { readonly type: number; readonly write: (w: NetlinkWriter) => void },
    doing: Text,
    begin: () => void,
    take: (m: NetlinkMessage) => void,
  ): Result<void, HostError> {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
      const sequence = this.#next();
      const w = new NetlinkWriter();
      writeMessage(w, { type: r.type, flags: NLM_F.request | NLM_F.dump, sequence, port: 0 }, r.write);
      const sent = this.#socket.send(w.done());
      if (sent < 0) return err(hostError(sent, doing));
      begin();
      const end = this.#readDump(sequence, take);
      if (end === 'complete') return ok(undefined);
      if (end !== 'interrupted') return err({ code: errnoName(-end.errno), doing: withMessage(doing, end.message) });
    }
    const why = 'the table changed each time it was read';
    return err({ code: 'EAGAIN', doing: text(`${doing.en}: ${why}`, `${doing.zh}：每次读取期间该表都在变化`) });
  }
  /** As `dump`, but one system call's worth with each call, and what changes meanwhile is no reason to begin afresh. */
  pieces(
    r: Pick<NetlinkRequest, 'type' | 'write'>,
    doing: Text,
    take: (m: NetlinkMessage) => void,
  ): () => Result<boolean, HostError> {
    let sequence: number | undefined;
    return () => {
      if (sequence === undefined) {
        sequence = this.#next();
        const w = new NetlinkWriter();
        writeMessage(w, { type: r.type, flags: NLM_F.request | NLM_F.dump, sequence, port: 0 }, r.write);
        const sent = this.#socket.send(w.done());
        if (sent < 0) return err(hostError(sent, doing));
      }
      const n = this.#socket.receive();
      if (n <= 0) return err({ code: errnoName(n === 0 ? -EPROTO : n), doing });
      let end: NetlinkOutcome | undefined;
      for (let i = 0; i < n; i++) {
        const d = this.#socket.datagram(i);
        const messages = decodeMessages(d.bytes);
        if (d.cut || !messages.ok) return err({ code: errnoName(-EPROTO), doing });
        for (const m of messages.value) {
          if (m.sequence !== sequence) continue;
          if (m.type === NLMSG.error || m.type === NLMSG.done) end ??= endOfDump(m);
          else take(m);
        }
      }
      if (end === undefined) return ok(false);
      return end.errno === 0 ? ok(true) : err({ code: errnoName(-end.errno), doing: withMessage(doing, end.message) });
    };
  }
  #readDump(sequence: number, take: (m: NetlinkMessage) => void): 'complete' | 'interrupted' | NetlinkOutcome {
    let interrupted = false;
    let end: NetlinkOutcome | undefined;
    this.#read(
      (m) => {
        if (m.sequence !== sequence) return true; // left over from a dump that was given up
        if ((m.flags & NLM_F.dumpInterrupted) !== 0) interrupted = true;
        if (m.type === NLMSG.error || m.type === NLMSG.done) {
          end ??= endOfDump(m);
          return false;
        }
        take(m);
        return true;
      },
      () => {
        interrupted = true;
      },
    );
    if (end !== undefined && end.errno !== 0) return end;
    return interrupted || end === undefined ? 'interrupted' : 'complete';
  }
}

const outcomeOf = (a: Acknowledgement): NetlinkOutcome => ({
  errno: a.errno,
  ...(a.message !== undefined && { message: a.message }),
});
/** NLMSG_DONE carries an errno too, without the request's header behind it. */
function endOfDump(m: NetlinkMessage): NetlinkOutcome {
  if (m.type === NLMSG.error) {
    const ack = decodeAcknowledgement(m.payload, m.flags);
    return ack.ok ? outcomeOf(ack.value) : { errno: EPROTO };
  }
  if (m.payload.length < 4) return DONE;
  const error = new Int32Array(m.payload.slice(0, 4).buffer)[0] as number;
  return { errno: error < 0 ? -error : 0 };
}
/** What was tried, with the kernel's own words behind it. */
export const withMessage = (doing: Text, message: string | undefined): Text =>
  message === undefined || message === ''
    ? doing
    : text(`${doing.en}: the kernel says "${message}"`, `${doing.zh}：内核答复 "${message}"`);
