/**
 * DRBD in a capture. Each header says its own form by its magic, so that a capture may begin in the middle; what the
 * handshake would have told (features, the digest's length) is then read off the packets' lengths.
 */

import { describePacket } from '../drbd/describe.ts';
import {
  DRBD_COMMAND,
  DRBD_FEATURE,
  type DrbdDialect,
  type DrbdHeader,
  type DrbdPacket,
  type DrbdSocket,
  decodeHeader,
  decodePacket,
  digestLengthOf,
  drbdKindOf,
  drbdSocketOf,
  HEADER_LENGTH,
  maxBioSize,
  sniffHeader,
} from '../drbd/index.ts';
import type { CodecError, Conversation, Direction, Message, StreamProtocol } from './types.ts';
import { errorMessage } from './types.ts';

/** A packet as it was read, for tests that want more than its text. */
export type DrbdSight = {
  readonly direction: Direction;
  readonly bytes: Uint8Array;
  readonly packet: DrbdPacket;
  readonly dialect: DrbdDialect;
};

type Side = {
  buffer: Uint8Array;
  /** Place in the stream of the buffer's first byte. */
  offset: number;
  features: { readonly min: number; readonly max: number; readonly flags: number } | undefined;
  /** Undefined until P_PROTOCOL has come. */
  digestLength: number | undefined;
  /** Bytes that belong to no packet, being skipped. */
  lost: number;
};
const side = (): Side => ({
  buffer: new Uint8Array(0),
  offset: 0,
  features: undefined,
  digestLength: undefined,
  lost: 0,
});
const viewOf = (b: Uint8Array): DataView => new DataView(b.buffer, b.byteOffset, b.length);
/** What can be the longest packet of all: its header, the head of P_WSAME, a digest, and its data. */
const LONGEST = 16 + 28 + 64 + maxBioSize(101);
/** Block sizes are multiples of it, and digests shorter. */
const SECTOR = 512;

export class DrbdConversation implements Conversation {
  readonly #sides: Readonly<Record<Direction, Side>> = { forward: side(), back: side() };
  readonly #seen: ((s: DrbdSight) => void) | undefined;
  #socket: DrbdSocket | undefined;

  constructor(seen?: (s: DrbdSight) => void) {
    this.#seen = seen;
  }

  feed(direction: Direction, bytes: Uint8Array): Message[] {
    const s = this.#sides[direction];
    const joined = new Uint8Array(s.buffer.length + bytes.length);
    joined.set(s.buffer);
    joined.set(bytes, s.buffer.length);
    s.buffer = joined;
    const out: Message[] = [];
    for (let m = this.#one(direction, s); m !== undefined; m = this.#one(direction, s)) out.push(...m);
    return out;
  }
  gap(direction: Direction, length: number): Message[] {
    const s = this.#sides[direction];
    const unread = s.buffer.length;
    s.offset += unread + length;
    s.buffer = new Uint8Array(0);
    return [
      {
        protocol: 'DRBD',
        message: 'gap',
        fields: [
          ['missing', length],
          ['unread', unread],
        ],
      },
    ];
  }
  end(direction: Direction): Message[] {
    const s = this.#sides[direction];
    const out = this.#found(s);
    if (s.buffer.length > 0)
      out.push({
        protocol: 'DRBD',
        message: 'cut',
        fields: [
          ['at', s.offset],
          ['bytes', s.buffer.length],
        ],
      });
    return out;
  }

  /** The next packet of a side; undefined until more comes. */
  #one(direction: Direction, s: Side): Message[] | undefined {
    if (s.buffer.length < 4) return undefined;
    const form = sniffHeader(viewOf(s.buffer), 0);
    if (form === undefined) return this.#skip(s);
    const version = form === 'h100' ? Math.max(100, this.#version()) : form === 'h95' ? 95 : 0;
    const header = decodeHeader(viewOf(s.buffer), 0, version);
    if (!header.ok) return header.error.kind === 'short' ? undefined : this.#refuse(s, header.error, 4);
    const whole = HEADER_LENGTH[form] + header.value.length;
    const kind = drbdKindOf(header.value.command);
    if (whole > LONGEST || kind === undefined)
      return this.#refuse(s, { kind: 'header', command: header.value.command, length: header.value.length }, 4);
    if (s.buffer.length < whole) return undefined;
    const bytes = s.buffer.subarray(0, whole);
    const dialect = this.#dialect(s, header.value, version);
    const got = decodePacket(bytes, dialect);
    if (!got.ok) return this.#refuse(s, got.error, whole);
    const out = this.#found(s);
    this.#take(s, whole);
    this.#learn(s, got.value);
    this.#socket ??= drbdSocketOf(kind);
    this.#seen?.({ direction, bytes, packet: got.value, dialect });
    out.push({
      protocol: 'DRBD',
      message: got.value.kind,
      fields: [
        ['socket', this.#socket ?? '?'],
        ['header', form],
        ['volume', got.value.volume],
        ...describePacket(got.value),
      ],
    });
    return out;
  }

  #take(s: Side, n: number): void {
    s.buffer = s.buffer.subarray(n);
    s.offset += n;
  }
  /** Goes on behind `n` bytes that are no packet. */
  #refuse(s: Side, error: CodecError, n: number): Message[] {
    const out = [...this.#found(s), errorMessage('DRBD', error, [['at', s.offset]])];
    this.#take(s, n);
    return out;
  }
  /** Looks for the next header; every packet but the first few begins with one that is easily told. */
  #skip(s: Side): Message[] | undefined {
    const v = viewOf(s.buffer);
    let n = 1;
    while (n + 4 <= s.buffer.length && sniffHeader(v, n) !== 'h100') n++;
    s.lost += n;
    this.#take(s, n);
    return s.buffer.length < 4 ? undefined : [];
  }
  /** A word about what was skipped, once the next packet is found. */
  #found(s: Side): Message[] {
    if (s.lost === 0) return [];
    const fields = [
      ['at', s.offset - s.lost],
      ['bytes', s.lost],
    ] as const;
    s.lost = 0;
    return [{ protocol: 'DRBD', message: 'skipped', fields }];
  }

  /** Agreed version: known when both features packets have been seen. */
  #version(): number {
    const { forward, back } = this.#sides;
    return forward.features && back.features ? Math.min(forward.features.max, back.features.max) : 0;
  }
  #dialect(s: Side, h: DrbdHeader, form: number): DrbdDialect {
    const { forward, back } = this.#sides;
    const agreed = forward.features && back.features ? forward.features.flags & back.features.flags : undefined;
    const guessed = h.length === 56 ? DRBD_FEATURE.writeSame : 0;
    const data = h.command <= DRBD_COMMAND.P_RS_DATA_REPLY ? h.length - 24 : h.length - 28;
    return {
      version: form === 0 ? (h.command >= DRBD_COMMAND.P_INITIAL_META ? 0 : this.#version()) : form,
      features: agreed ?? guessed,
      digestLength: s.digestLength ?? Math.max(0, data % SECTOR),
    };
  }
  #learn(s: Side, p: DrbdPacket): void {
    if (p.kind === 'P_CONNECTION_FEATURES')
      s.features = { min: p.minVersion, max: p.maxVersion === 0 ? p.minVersion : p.maxVersion, flags: p.features };
    else if (p.kind === 'P_PROTOCOL' || p.kind === 'P_PROTOCOL_UPDATE') s.digestLength = digestLengthOf(p.integrity);
  }
}

export const drbdProtocol: StreamProtocol = {
  name: 'DRBD',
  recognises: (b) => {
    const v = viewOf(b);
    if (b.length >= 4 && sniffHeader(v, 0) === 'h80') return true;
    // In the middle of a payload the next header is looked for: its magic, its zero pad, and a command that exists.
    for (let at = 0; at + HEADER_LENGTH.h100 <= b.length; at++) {
      if (b[at] !== 0x86) continue;
      const header = decodeHeader(v, at, 100);
      if (header.ok && drbdKindOf(header.value.command) !== undefined) return true;
    }
    return false;
  },
  open: () => new DrbdConversation(),
};
