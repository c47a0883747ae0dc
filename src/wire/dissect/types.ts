/** What the dissectors of all protocols yield. */
import type { Microseconds } from '../../base/index.ts';

export type FieldValue = string | number | boolean;
/** Names and values in the protocol's own terms: the same in every language. */
export type Field = readonly [name: string, value: FieldValue];

export type Message = {
  /** `DRBD`, `VRRP`. */
  readonly protocol: string;
  /** The message's name in its protocol: `P_DATA`, `advertisement`; `error` where bytes could not be read. */
  readonly message: string;
  readonly fields: readonly Field[];
};
/** A message with where it was. */
export type CapturedMessage = Message & {
  /** Number of the packet in the file, from 1, as other tools count. */
  readonly packet: number;
  /** Since the Unix epoch. */
  readonly at: Microseconds;
  /** Address, with port where there is one: `192.0.2.1:7788`, `[fe80::1]:7788`. */
  readonly source: string;
  readonly destination: string;
};

export type Direction = 'forward' | 'back';
/** One connection of a protocol that runs over TCP. Bytes come in order, direction by direction. */
export type Conversation = {
  feed(direction: Direction, bytes: Uint8Array): Message[];
  /** Bytes that the capture has not. */
  gap(direction: Direction, length: number): Message[];
  /** Nothing more will come: what was begun and not finished. */
  end(direction: Direction): Message[];
};
/** A protocol over TCP is told by what is said, whatever the port. */
export type StreamProtocol = {
  readonly name: string;
  /** `bytes`: the first of a direction, or of a later segment when the capture begins in the middle. */
  recognises(bytes: Uint8Array): boolean;
  open(): Conversation;
};

/** Any codec's error: its kind, and numbers. */
export type CodecError = { readonly kind: string; readonly [detail: string]: FieldValue };
/** An error of a codec as fields: its kind, and the numbers that were wrong. */
export function errorMessage(protocol: string, error: CodecError, where: readonly Field[] = []): Message {
  const fields = Object.entries(error).map(([name, value]): Field => [name, value]);
  return { protocol, message: 'error', fields: [...where, ...fields] };
}
