import { err, ok, type Result } from '../../base/index.ts';
import { Attributes } from './attributes.ts';
import { align4, NativeView } from './native.ts';
import { NetlinkWriter } from './writer.ts';

/** Why bytes are not what they should be. Numbers are netlink's own. */
export type NetlinkError =
  | { readonly kind: 'length'; readonly have: number; readonly need: number }
  | { readonly kind: 'attribute'; readonly type: number }
  | { readonly kind: 'missing'; readonly type: number }
  | { readonly kind: 'family'; readonly have: number }
  | { readonly kind: 'range'; readonly field: string; readonly have: number };

/** linux/netlink.h, the numbers that are not of one table. */
export const NLMSG = { noop: 1, error: 2, done: 3, overrun: 4 } as const;
export const NLM_F = {
  request: 0x01,
  multi: 0x02,
  ack: 0x04,
  dumpInterrupted: 0x10,
  /** ROOT | MATCH */
  dump: 0x300,
  replace: 0x100,
  excl: 0x200,
  create: 0x400,
  append: 0x800,
  /** Of an acknowledgement: the request is not repeated in it; attributes follow. */
  capped: 0x100,
  ackAttributes: 0x200,
} as const;
/** linux/rtnetlink.h */
export const RTM = {
  newLink: 16,
  delLink: 17,
  getLink: 18,
  setLink: 19,
  newAddress: 20,
  delAddress: 21,
  getAddress: 22,
  newRoute: 24,
  delRoute: 25,
  getRoute: 26,
  newNeighbour: 28,
  delNeighbour: 29,
  getNeighbour: 30,
  newRule: 32,
  delRule: 33,
  getRule: 34,
  newQueueing: 36,
  newFilter: 44,
  delFilter: 45,
  getFilter: 46,
} as const;

const MESSAGE_HEADER = 16; // struct nlmsghdr: u32 length, u16 type, u16 flags, u32 sequence, u32 port

export type NetlinkHeader = {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** The port of the socket that asked, 0 for the kernel; of a notification: who caused it. */
  readonly port: number;
};
export type NetlinkMessage = NetlinkHeader & {
  /** A view into what was received. */
  readonly payload: Uint8Array;
};

/** All messages of one datagram. A last one that is cut off is an error: the kernel sends whole ones. */
export function decodeMessages(b: Uint8Array): Result<readonly NetlinkMessage[], NetlinkError> {
  const found: NetlinkMessage[] = [];
  const w = new NativeView(b);
  let at = 0;
  while (at < b.length) {
    if (b.length - at < MESSAGE_HEADER) return err({ kind: 'length', have: b.length - at, need: MESSAGE_HEADER });
    const length = w.u32(at);
    if (length < MESSAGE_HEADER || length > b.length - at)
      return err({ kind: 'length', have: b.length - at, need: Math.max(length, MESSAGE_HEADER) });
    found.push({
      type: w.u16(at + 4),
      flags: w.u16(at + 6),
      sequence: w.u32(at + 8),
      port: w.u32(at + 12),
      payload: b.subarray(at + MESSAGE_HEADER, at + length),
    });
    at += align4(length);
  }
  return ok(found);
}

/** Appends one message whose payload `inside` writes, and returns nothing but the grown writer. */
export function writeMessage(w: NetlinkWriter, head: NetlinkHeader, inside: (w: NetlinkWriter) => void): void {
  const start = w.length;
  w.u32(0).u16(head.type).u16(head.flags).u32(head.sequence).u32(head.port);
  inside(w);
  w.patchU32(start, w.length - start);
  w.align();
}
export function encodeMessages(messages: readonly NetlinkMessage[]): Uint8Array {
  const w = new NetlinkWriter();
  for (const m of messages) writeMessage(w, m, () => w.put(m.payload));
  return w.done();
}

/** NLMSG_ERROR: the outcome of one request, or (NLMSG_DONE) of a dump. */
export type Acknowledgement = {
  /** A positive errno; 0 = done. */
  readonly errno: number;
  /** What was asked, as far as the kernel repeats it. */
  readonly request: NetlinkHeader;
  /** NLMSGERR_ATTR_MSG: the kernel's own words, in English. */
  readonly message?: string;
  /** NLMSGERR_ATTR_OFFS: the byte of the request that is at fault. */
  readonly offset?: number;
};
const NLMSGERR = { message: 1, offset: 2 } as const;

/** The payload of NLMSG_ERROR; `flags` are those of its message and say whether the request is cut short and words follow. */
export function decodeAcknowledgement(b: Uint8Array, flags: number): Result<Acknowledgement, NetlinkError> {
  const need = 4 + MESSAGE_HEADER;
  if (b.length < need) return err({ kind: 'length', have: b.length, need });
  const v = new NativeView(b);
  const error = v.s32(0);
  if (error > 0) return err({ kind: 'range', field: 'error', have: error });
  const request = { type: v.u16(8), flags: v.u16(10), sequence: v.u32(12), port: v.u32(16) };
  const plain = { errno: error === 0 ? 0 : -error, request };
  if ((flags & NLM_F.ackAttributes) === 0) return ok(plain);
  // The request follows whole unless it was done or the socket asked for short answers (NETLINK_CAP_ACK).
  const from = 4 + ((flags & NLM_F.capped) !== 0 || error === 0 ? MESSAGE_HEADER : align4(v.u32(4)));
  if (from < need || from > b.length) return err({ kind: 'length', have: b.length, need: Math.max(from, need) });
  const a = new Attributes(b.subarray(from));
  const [message, offset] = [a.text(NLMSGERR.message), a.u32(NLMSGERR.offset)];
  if (a.flaw !== undefined) return err({ kind: 'attribute', type: a.flaw });
  return ok({ ...plain, ...(message !== undefined && { message }), ...(offset !== undefined && { offset }) });
}
/** The short form: the request's header without its body, and words where there are any. Flags: CAPPED and ACK_TLVS. */
export function encodeAcknowledgement(ack: Acknowledgement): Uint8Array {
  const w = new NetlinkWriter();
  const r = ack.request;
  w.u32(-ack.errno >>> 0)
    .u32(MESSAGE_HEADER)
    .u16(r.type)
    .u16(r.flags)
    .u32(r.sequence)
    .u32(r.port);
  if (ack.message !== undefined) w.attrText(NLMSGERR.message, ack.message);
  if (ack.offset !== undefined) w.attrU32(NLMSGERR.offset, ack.offset);
  return w.done();
}
