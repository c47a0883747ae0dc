/** Encoding: `encodeHead` for a writer that sends the payload from where it is, `encodePacket` for the whole. */
import { ByteWriter, unreachable } from '../../base/index.ts';
import { DRBD_COMMAND } from './commands.ts';
import { HEADER_LENGTH, type HeaderForm, headerForm, writeHeader } from './headers.ts';
import { putProtocol, putSizes, putSyncParam } from './parameters.ts';
import { Slab } from './slab.ts';
import type { BarrierAckPacket, BarrierPacket, BlockAckPacket, DataPacket, DrbdDialect, DrbdPacket } from './types.ts';

const none = new Uint8Array(0);
/** What goes behind the head without being copied into it. */
const payloadOf = (p: DrbdPacket): Uint8Array =>
  p.kind === 'P_DATA' || p.kind === 'P_DATA_REPLY' || p.kind === 'P_RS_DATA_REPLY' || p.kind === 'P_WSAME'
    ? p.data
    : none;

/** Header, fixed part and digest: all but the payload of P_DATA, its replies and P_WSAME, which the header's length counts. */
export function encodeHead(p: DrbdPacket, d: DrbdDialect): Uint8Array {
  const length = fixedLength(p, d);
  if (length > 0) {
    const out = slab.take(length);
    putFixed(p as FixedPacket, d, out, slab.view, slab.offset, 0);
    return out;
  }
  const w = new ByteWriter(64);
  putBody(w, p as Other, d);
  const form = formOf(p, d, w.length + payloadOf(p).length);
  const out = slab.take(HEADER_LENGTH[form] + w.length);
  writeHeader(slab.view, slab.offset, form, DRBD_COMMAND[p.kind], p.volume, w.length + payloadOf(p).length);
  out.set(w.done(), out.length - w.length);
  return out;
}
/**
 * The same for packets of the data path, with no object made: written at `at` of `out`, which `v` views from its first byte
 * on. Returns how long it is, at most PUT_ROOM; 0, and nothing is written, for all other packets.
 */
export function putHead(p: DrbdPacket, d: DrbdDialect, out: Uint8Array, v: DataView, at: number): number {
  return bodyLength(p) === 0 ? 0 : putFixed(p as FixedPacket, d, out, v, at, at);
}
/** Header, block, and the longest digest. */
export const PUT_ROOM = 16 + 24 + 64;
/** What goes behind the head as it is. */
export const drbdPayload = (p: DrbdPacket): Uint8Array => payloadOf(p);

/** The whole packet in one buffer. */
export function encodePacket(p: DrbdPacket, d: DrbdDialect): Uint8Array {
  const head = encodeHead(p, d);
  const payload = payloadOf(p);
  if (payload.length === 0) return head;
  const out = new Uint8Array(head.length + payload.length);
  out.set(head);
  out.set(payload, head.length);
  return out;
}

const slab = new Slab();

/** The form of the header of a packet whose body has `length` bytes. */
function formOf(p: DrbdPacket, d: DrbdDialect, length: number): HeaderForm {
  // The first packet and the features always travel in the oldest form, whatever is agreed on the other socket.
  const opening = p.kind === 'P_INITIAL_DATA' || p.kind === 'P_INITIAL_META' || p.kind === 'P_CONNECTION_FEATURES';
  const form = headerForm(opening ? 0 : d.version, length);
  if (form === 'h80' && length > 0xffff) throw new Error(`bug: ${p.kind} of ${length} bytes below protocol 95`);
  return form;
}

type FixedPacket = DataPacket | BlockAckPacket | BarrierPacket | BarrierAckPacket;
/** Of the packets of the data path: bytes of the body, payload included. 0 for all others. */
function bodyLength(p: DrbdPacket): number {
  switch (p.kind) {
    case 'P_DATA':
    case 'P_DATA_REPLY':
    case 'P_RS_DATA_REPLY':
      return 24 + p.digest.length + p.data.length;
    case 'P_RECV_ACK':
    case 'P_WRITE_ACK':
    case 'P_RS_WRITE_ACK':
    case 'P_SUPERSEDED':
    case 'P_NEG_ACK':
    case 'P_NEG_DREPLY':
    case 'P_NEG_RS_DREPLY':
    case 'P_OV_RESULT':
    case 'P_RS_IS_IN_SYNC':
    case 'P_RS_CANCEL':
    case 'P_RETRY_WRITE':
      return 24;
    case 'P_BARRIER':
    case 'P_BARRIER_ACK':
      return 8;
    default:
      return 0;
  }
}
/** Of the packets of the data path: bytes of header, fixed part and digest. 0 for all others. */
function fixedLength(p: DrbdPacket, d: DrbdDialect): number {
  const body = bodyLength(p);
  return body === 0 ? 0 : HEADER_LENGTH[formOf(p, d, body)] + body - payloadOf(p).length;
}
/** `v` views the bytes that `at` counts in; in `out` the same place is `to`. */
function putFixed(p: FixedPacket, d: DrbdDialect, out: Uint8Array, v: DataView, at: number, to: number): number {
  const length = bodyLength(p);
  const form = formOf(p, d, length);
  writeHeader(v, at, form, DRBD_COMMAND[p.kind], p.volume, length);
  const body = at + HEADER_LENGTH[form];
  if (p.kind === 'P_BARRIER' || p.kind === 'P_BARRIER_ACK') {
    v.setUint32(body, p.barrier);
    v.setUint32(body + 4, p.kind === 'P_BARRIER' ? p.pad : p.setSize);
    return HEADER_LENGTH[form] + 8;
  }
  v.setUint32(body, Math.floor(p.sector / 0x1_0000_0000));
  v.setUint32(body + 4, p.sector % 0x1_0000_0000);
  v.setBigUint64(body + 8, p.id);
  if (!('data' in p)) {
    v.setUint32(body + 16, p.size);
    v.setUint32(body + 20, p.seq);
    return HEADER_LENGTH[form] + 24;
  }
  v.setUint32(body + 16, p.seq);
  v.setUint32(body + 20, p.flags);
  if (p.digest.length > 0) out.set(p.digest, to + HEADER_LENGTH[form] + 24);
  return HEADER_LENGTH[form] + 24 + p.digest.length;
}

type Other = Exclude<DrbdPacket, DataPacket | BlockAckPacket | BarrierPacket | BarrierAckPacket>;

function putBody(w: ByteWriter, p: Other, d: DrbdDialect): void {
  switch (p.kind) {
    case 'P_WSAME':
      w.u64(BigInt(p.sector)).u64(p.id).u32(p.seq).u32(p.flags).u32(p.size).put(p.digest);
      return;
    case 'P_TRIM':
    case 'P_ZEROES':
      w.u64(BigInt(p.sector)).u64(p.id).u32(p.seq).u32(p.flags).u32(p.size);
      return;
    case 'P_DATA_REQUEST':
    case 'P_RS_DATA_REQUEST':
    case 'P_OV_REQUEST':
    case 'P_RS_THIN_REQ':
      w.u64(BigInt(p.sector)).u64(p.id).u32(p.size).u32(p.pad);
      return;
    case 'P_OV_REPLY':
    case 'P_CSUM_RS_REQUEST':
      w.u64(BigInt(p.sector)).u64(p.id).u32(p.size).u32(p.pad).put(p.digest);
      return;
    case 'P_OUT_OF_SYNC':
    case 'P_RS_DEALLOCATED':
      w.u64(BigInt(p.sector)).u32(p.size).u32(p.pad);
      return;
    case 'P_BITMAP':
      w.put(p.words);
      return;
    case 'P_COMPRESSED_BITMAP':
      w.u8(p.encoding).put(p.code);
      return;
    case 'P_UNPLUG_REMOTE':
    case 'P_PING':
    case 'P_PING_ACK':
    case 'P_INITIAL_META':
    case 'P_INITIAL_DATA':
      return;
    case 'P_CONNECTION_FEATURES':
      w.u32(p.minVersion).u32(p.features).u32(p.maxVersion).put(p.rest);
      return;
    case 'P_AUTH_CHALLENGE':
    case 'P_AUTH_RESPONSE':
    case 'P_DELAY_PROBE':
      w.put(p.bytes);
      return;
    case 'P_PROTOCOL':
    case 'P_PROTOCOL_UPDATE':
      putProtocol(w, p, d);
      return;
    case 'P_SYNC_PARAM':
    case 'P_SYNC_PARAM89':
      putSyncParam(w, p, d);
      return;
    case 'P_UUIDS': {
      const { current, bitmap, history } = p.uuids;
      w.u64(current).u64(bitmap).u64(history[0]).u64(history[1]).u64(BigInt(p.bits)).u64(BigInt(p.flags));
      return;
    }
    case 'P_SIZES':
      putSizes(w, p);
      return;
    case 'P_STATE':
      w.u32(p.state);
      return;
    case 'P_SYNC_UUID':
      w.u64(p.uuid);
      return;
    case 'P_STATE_CHG_REQ':
    case 'P_CONN_ST_CHG_REQ':
      w.u32(p.mask).u32(p.value);
      return;
    case 'P_STATE_CHG_REPLY':
    case 'P_CONN_ST_CHG_REPLY':
      w.u32(p.result >>> 0);
      return;
    default:
      unreachable(p);
  }
}
