/**
 * What two directors tell each other of flows that their rings would not find again: one kind of datagram, that says who
 * lives and what was received, and may carry changes. Our own; src/director/handoff/README.md says when what is sent.
 *
 *  0  u32 "HFLB"   4  u8 version 1   5  u8 flags: 1 complete, 2 an update follows   6  u16 zero
 *  8  u64 session of the sender    16  u64 session of the receiver, as last heard; 0: not yet
 * 24  u32 sequence                 28  u32 received version          32  u32 latest version
 * 36  u32 from, u32 upto, then until the end of the message groups of
 *     u8 1 set or 2 gone, u8 family 4 or 6, u8 length and service, u8 length and server, u16 flows, and each flow as
 *     client's address, u16 client's port, service's address, u16 service's port
 *
 * Behind it stands, on a link that is not trusted, HMAC-SHA256 over all of it (32 bytes).
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import {
  ByteReader,
  ByteWriter,
  err,
  type Family,
  familyOf,
  type IpAddress,
  ipBytes,
  ipFromBytes,
  ok,
  type Result,
} from '../base/index.ts';
import { type Short, short } from './short.ts';

export type LbPeerFlow = {
  readonly client: IpAddress;
  readonly clientPort: number;
  /** The service's, as the client knows it; of the client's family. */
  readonly address: IpAddress;
  readonly port: number;
};
export type LbPeerGroup = {
  readonly do: 'set' | 'gone';
  readonly family: Family;
  /** 1..255 bytes of UTF-8. */
  readonly service: string;
  readonly server: string;
  /** At least one. */
  readonly flows: readonly LbPeerFlow[];
};
export type LbPeerUpdate = {
  /** Whoever has this version or a later one has `upto` when the groups have been applied in order. */
  readonly from: number;
  readonly upto: number;
  readonly groups: readonly LbPeerGroup[];
};
export type LbPeerMessage = {
  /** Never 0; another one for each life of the sender. */
  readonly session: bigint;
  readonly heard: bigint;
  /** Rises with each message of the session. */
  readonly sequence: number;
  /** Which version of the receiver's flows the sender has. */
  readonly received: number;
  /** Version of the sender's own. */
  readonly latest: number;
  /** The sender has looked through all its flows since it started. */
  readonly complete: boolean;
  readonly update: LbPeerUpdate | undefined;
};
export type LbPeerError =
  | Short
  | { readonly kind: 'magic' }
  | { readonly kind: 'version'; readonly have: number }
  | { readonly kind: 'flags' }
  | { readonly kind: 'session' }
  | { readonly kind: 'versions' }
  | { readonly kind: 'group' }
  | { readonly kind: 'name' };

const MAGIC = 0x48464c42;
const HEAD = 36;
const COMPLETE = 1;
const UPDATE = 2;
const SET = 1;
const GONE = 2;
const LONGEST_NAME = 255;
export const LB_PEER_PORT = 8849;
/** What fits into one datagram without fragments, of an update's groups; see `lbPeerFlowBytes`. */
export const LB_PEER_ROOM = 1_100;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const names = new TextEncoder();
/** Undefined where it is none that could be sent. */
const nameBytes = (name: string): Uint8Array | undefined => {
  const b = names.encode(name);
  return b.length > 0 && b.length <= LONGEST_NAME ? b : undefined;
};
/** Bytes of a group without its flows; undefined: its names are too long to be told. */
export function lbPeerGroupBytes(service: string, server: string): number | undefined {
  const [a, b] = [nameBytes(service), nameBytes(server)];
  return a && b ? 6 + a.length + b.length : undefined;
}
export const lbPeerFlowBytes = (family: Family): number => (family === 4 ? 12 : 36);

function readName(r: ByteReader): string | undefined {
  const bytes = r.bytes(r.u8());
  if (bytes.length === 0) return undefined;
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}
function readGroup(r: ByteReader): Result<LbPeerGroup, LbPeerError> {
  const op = r.u8();
  const family = r.u8();
  if ((op !== SET && op !== GONE) || (family !== 4 && family !== 6)) return err({ kind: 'group' });
  const service = readName(r);
  const server = readName(r);
  if (service === undefined || server === undefined) return err({ kind: 'name' });
  const count = r.u16();
  const bytes = family === 4 ? 4 : 16;
  if (count === 0) return err({ kind: 'group' });
  if (r.left < count * lbPeerFlowBytes(family)) return short(count * lbPeerFlowBytes(family), r.left);
  const flows = Array.from({ length: count }, (): LbPeerFlow => {
    const client = ipFromBytes(r.bytes(bytes));
    const clientPort = r.u16();
    return { client, clientPort, address: ipFromBytes(r.bytes(bytes)), port: r.u16() };
  });
  return ok({ do: op === SET ? 'set' : 'gone', family, service, server, flows });
}

export function decodeLbPeer(b: Uint8Array): Result<LbPeerMessage, LbPeerError> {
  if (b.length < HEAD) return short(HEAD, b.length);
  const r = new ByteReader(b);
  if (r.u32() !== MAGIC) return err({ kind: 'magic' });
  const version = r.u8();
  if (version !== 1) return err({ kind: 'version', have: version });
  const flags = r.u8();
  if ((flags & ~(COMPLETE | UPDATE)) !== 0 || r.u16() !== 0) return err({ kind: 'flags' });
  const [session, heard] = [r.u64(), r.u64()];
  if (session === 0n) return err({ kind: 'session' });
  const head = { session, heard, sequence: r.u32(), received: r.u32(), latest: r.u32() };
  const complete = (flags & COMPLETE) !== 0;
  if ((flags & UPDATE) === 0) {
    if (r.left > 0) return err({ kind: 'flags' });
    return ok({ ...head, complete, update: undefined });
  }
  if (r.left < 8) return short(HEAD + 8, b.length);
  const [from, upto] = [r.u32(), r.u32()];
  if (from >= upto || upto > head.latest) return err({ kind: 'versions' });
  const groups: LbPeerGroup[] = [];
  while (r.left > 0) {
    const group = readGroup(r);
    if (!group.ok) return group;
    groups.push(group.value);
  }
  return ok({ ...head, complete, update: { from, upto, groups } });
}

export function encodeLbPeer(m: LbPeerMessage): Uint8Array {
  const w = new ByteWriter(HEAD + (m.update ? LB_PEER_ROOM : 0));
  w.u32(MAGIC).u8(1);
  w.u8((m.complete ? COMPLETE : 0) | (m.update ? UPDATE : 0)).u16(0);
  w.u64(m.session).u64(m.heard).u32(m.sequence).u32(m.received).u32(m.latest);
  if (!m.update) return w.done();
  w.u32(m.update.from).u32(m.update.upto);
  for (const g of m.update.groups) {
    const [service, server] = [names.encode(g.service), names.encode(g.server)];
    w.u8(g.do === 'set' ? SET : GONE).u8(g.family);
    w.u8(service.length).put(service).u8(server.length).put(server).u16(g.flows.length);
    for (const f of g.flows) w.put(ipBytes(f.client)).u16(f.clientPort).put(ipBytes(f.address)).u16(f.port);
  }
  return w.done();
}

const MAC_LENGTH = 32;
const macOf = (key: Uint8Array, message: Uint8Array): Uint8Array =>
  new Uint8Array(createHmac('sha256', key).update(message).digest());

/** The message as it is sent where the link is not trusted. */
export function sealLbPeer(key: Uint8Array, message: Uint8Array): Uint8Array {
  const out = new Uint8Array(message.length + MAC_LENGTH);
  out.set(message);
  out.set(macOf(key, message), message.length);
  return out;
}
/** The message in a sealed one; undefined: it was not made with this key. Compared in constant time. */
export function openLbPeer(key: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
  if (sealed.length < MAC_LENGTH) return undefined;
  const message = sealed.subarray(0, sealed.length - MAC_LENGTH);
  return timingSafeEqual(sealed.subarray(message.length), macOf(key, message)) ? message : undefined;
}
/** Both ends are of one family, as flows are. */
export const lbPeerFamily = (f: LbPeerFlow): Family => familyOf(f.client);
