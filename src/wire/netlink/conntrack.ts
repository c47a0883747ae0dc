/**
 * ctnetlink (linux/netfilter/nfnetlink_conntrack.h): connections that the kernel follows, read, made, changed and removed.
 * The payload of a message, from struct nfgenmsg on.
 */
import { err, type Family, type IpAddress, ok, type Result } from '../../base/index.ts';
import { Attributes } from './attributes.ts';
import type { NetlinkError } from './message.ts';
import { NetlinkWriter } from './writer.ts';

const SUBSYSTEM = 1;
export const CT_MSG = { new: SUBSYSTEM << 8, get: (SUBSYSTEM << 8) | 1, delete: (SUBSYSTEM << 8) | 2 } as const;
/** A mask of NFNLGRP_CONNTRACK_NEW, UPDATE and DESTROY. What tells of the first two is a `new`, of the last a `delete`. */
export const CT_GROUPS = 0x1 | 0x2 | 0x4;
/** IPS_* (linux/netfilter/nf_conntrack_common.h) */
export const CT_STATUS = { seenReply: 0x2, assured: 0x4, confirmed: 0x8 } as const;
const NFGENMSG = 4; // u8 family, u8 version, u16 0
const AF_BYTE: Record<Family, number> = { 4: 2, 6: 10 };
const CTA = {
  original: 1,
  reply: 2,
  status: 3,
  protocolInfo: 4,
  timeout: 7,
  mark: 8,
  destinationNat: 13,
  markMask: 21,
} as const;
const TUPLE = { ip: 1, protocol: 2 } as const;
const IP = { source4: 1, destination4: 2, source6: 3, destination6: 4 } as const;
const PROTOCOL = { number: 1, source: 2, destination: 3 } as const;
const PROTOCOL_INFO = { tcp: 1 } as const;
/** Flags are two bytes: the flags, and which of them are meant. */
const TCP_INFO = { state: 1, originalFlags: 4, replyFlags: 5 } as const;
const TCP_LIBERAL = 0x08;
const NAT = { first4: 1, last4: 2, protocol: 3, first6: 4, last6: 5 } as const;
const NAT_PROTOCOL = { firstPort: 1, lastPort: 2 } as const;
/** include/uapi/linux/netfilter/nf_conntrack_tcp.h, in its order. */
const TCP_STATES = [
  'none',
  'syn-sent',
  'syn-recv',
  'established',
  'fin-wait',
  'close-wait',
  'last-ack',
  'time-wait',
  'close',
  'syn-sent2',
] as const;
export type ConntrackTcpState = (typeof TCP_STATES)[number];

export type ConntrackTuple = {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  /** 0 where the protocol has none. */
  readonly sourcePort: number;
  readonly destinationPort: number;
};
export type ConntrackEntry = {
  readonly family: Family;
  /** As the client sent it. */
  readonly original: ConntrackTuple;
  /** As answers come: with DNAT the source is the real server. */
  readonly reply: ConntrackTuple;
  /** IPS_* */
  readonly status: number;
  readonly mark: number;
  /** Seconds until it is forgotten. */
  readonly timeout?: number;
  readonly tcpState?: ConntrackTcpState;
  /** With a state: packets outside the window pass, since the kernel has not seen the window grow. */
  readonly tcpLiberal?: boolean;
  /**
   * Only told to the kernel, of an entry that is made: `reply` is then as without it, and the kernel works it out.
   */
  readonly destinationNat?: { readonly address: IpAddress; readonly port: number };
};

function writeTuple(w: NetlinkWriter, type: number, family: Family, t: ConntrackTuple): void {
  w.nest(type, () => {
    w.nest(TUPLE.ip, () =>
      w
        .attrIp(family === 4 ? IP.source4 : IP.source6, t.source)
        .attrIp(family === 4 ? IP.destination4 : IP.destination6, t.destination),
    );
    w.nest(TUPLE.protocol, () =>
      w
        .attrU8(PROTOCOL.number, t.protocol)
        .attrBe16(PROTOCOL.source, t.sourcePort)
        .attrBe16(PROTOCOL.destination, t.destinationPort),
    );
  });
}
function readTuple(a: Attributes, type: number, family: Family): ConntrackTuple | undefined {
  const tuple = a.nested(type);
  const [ip, protocol] = [tuple?.nested(TUPLE.ip), tuple?.nested(TUPLE.protocol)];
  const source = ip?.ip(family === 4 ? IP.source4 : IP.source6, family);
  const destination = ip?.ip(family === 4 ? IP.destination4 : IP.destination6, family);
  const number = protocol?.u8(PROTOCOL.number);
  if (source === undefined || destination === undefined || number === undefined) return undefined;
  return {
    source,
    destination,
    protocol: number,
    sourcePort: protocol?.be16(PROTOCOL.source) ?? 0,
    destinationPort: protocol?.be16(PROTOCOL.destination) ?? 0,
  };
}

export function writeConntrack(w: NetlinkWriter, e: ConntrackEntry): void {
  w.u8(AF_BYTE[e.family]).zeros(NFGENMSG - 1);
  writeTuple(w, CTA.original, e.family, e.original);
  writeTuple(w, CTA.reply, e.family, e.reply);
  w.attrBe32(CTA.status, e.status).attrBe32(CTA.mark, e.mark);
  if (e.timeout !== undefined) w.attrBe32(CTA.timeout, e.timeout);
  const state = e.tcpState;
  if (state !== undefined)
    w.nest(CTA.protocolInfo, () =>
      w.nest(PROTOCOL_INFO.tcp, () => {
        w.attrU8(TCP_INFO.state, TCP_STATES.indexOf(state));
        if (e.tcpLiberal === undefined) return;
        const flags = Uint8Array.of(e.tcpLiberal ? TCP_LIBERAL : 0, TCP_LIBERAL);
        w.attrBytes(TCP_INFO.originalFlags, flags).attrBytes(TCP_INFO.replyFlags, flags);
      }),
    );
  const nat = e.destinationNat;
  if (nat !== undefined)
    w.nest(CTA.destinationNat, () => {
      const [first, last] = e.family === 4 ? [NAT.first4, NAT.last4] : [NAT.first6, NAT.last6];
      w.attrIp(first, nat.address).attrIp(last, nat.address);
      w.nest(NAT.protocol, () =>
        w.attrBe16(NAT_PROTOCOL.firstPort, nat.port).attrBe16(NAT_PROTOCOL.lastPort, nat.port),
      );
    });
}
export function encodeConntrack(e: ConntrackEntry): Uint8Array {
  const w = new NetlinkWriter();
  writeConntrack(w, e);
  return w.done();
}
export function decodeConntrack(b: Uint8Array): Result<ConntrackEntry, NetlinkError> {
  if (b.length < NFGENMSG) return err({ kind: 'length', have: b.length, need: NFGENMSG });
  const family = b[0] === AF_BYTE[4] ? 4 : b[0] === AF_BYTE[6] ? 6 : undefined;
  if (family === undefined) return err({ kind: 'family', have: b[0] as number });
  const a = new Attributes(b.subarray(NFGENMSG));
  const [original, reply] = [readTuple(a, CTA.original, family), readTuple(a, CTA.reply, family)];
  const timeout = a.be32(CTA.timeout);
  const tcp = a.nested(CTA.protocolInfo)?.nested(PROTOCOL_INFO.tcp);
  const state = tcp?.u8(TCP_INFO.state);
  const tcpState = state === undefined ? undefined : TCP_STATES[state];
  const flags = tcp?.bytes(TCP_INFO.originalFlags)?.[0];
  const nat = a.nested(CTA.destinationNat);
  const address = nat?.ip(family === 4 ? NAT.first4 : NAT.first6, family);
  const port = nat?.nested(NAT.protocol)?.be16(NAT_PROTOCOL.firstPort);
  const [status, mark] = [a.be32(CTA.status) ?? 0, a.be32(CTA.mark) ?? 0];
  if (a.flaw !== undefined) return err({ kind: 'attribute', type: a.flaw });
  if (original === undefined || reply === undefined)
    return err({ kind: 'missing', type: original === undefined ? CTA.original : CTA.reply });
  return ok({
    family,
    original,
    reply,
    status,
    mark,
    ...(timeout !== undefined && { timeout }),
    ...(tcpState !== undefined && { tcpState }),
    ...(tcpState !== undefined && flags !== undefined && { tcpLiberal: (flags & TCP_LIBERAL) !== 0 }),
    ...(address !== undefined && port !== undefined && { destinationNat: { address, port } }),
  });
}

/** For `new` without `create`, and for `delete`: the entry of this tuple, and what of it is to be other. */
export type ConntrackChange = {
  readonly family: Family;
  readonly original: ConntrackTuple;
  readonly mark?: number;
  readonly timeout?: number;
};
export function writeConntrackChange(w: NetlinkWriter, c: ConntrackChange): void {
  w.u8(AF_BYTE[c.family]).zeros(NFGENMSG - 1);
  writeTuple(w, CTA.original, c.family, c.original);
  if (c.timeout !== undefined) w.attrBe32(CTA.timeout, c.timeout);
  if (c.mark !== undefined) w.attrBe32(CTA.mark, c.mark);
}

/** For `get` as a dump and for `delete`: all connections of which `mark & mask` is this. */
export type ConntrackFilter = { readonly family?: Family; readonly mark: number; readonly mask: number };
export function writeConntrackFilter(w: NetlinkWriter, f: ConntrackFilter): void {
  w.u8(f.family === undefined ? 0 : AF_BYTE[f.family]).zeros(NFGENMSG - 1);
  w.attrBe32(CTA.mark, f.mark).attrBe32(CTA.markMask, f.mask);
}
