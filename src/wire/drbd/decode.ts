/**
 * Decoding of what follows a header. Reads through a view of the whole buffer, so that the data path makes no object but
 * the packet and the views of its payload.
 */
import { ok, type Result } from '../../base/index.ts';
import { DRBD_COMMAND as C, drbdKindOf } from './commands.ts';
import { badLength, badNumber, safeU64 } from './fields.ts';
import { decodeParameters } from './parameters.ts';
import type {
  BarrierId,
  BlockAckPacket,
  BlockId,
  DigestPacket,
  DrbdDialect,
  DrbdError,
  DrbdPacket,
  EmptyPacket,
  RequestPacket,
  Sector,
  TrimPacket,
} from './types.ts';

/** Bytes of P_DATA and its kin before the digest. */
export const DATA_HEAD = 24;
/** The same for P_WSAME. */
export const WSAME_HEAD = 28;
const blockId = (v: DataView, at: number): BlockId => v.getBigUint64(at) as BlockId;
const sectorAt = (v: DataView, at: number): Sector => safeU64(v, at) as Sector;
/** What begins with its sector, unless that is beyond what a number holds. */
const placed = (command: number, p: DrbdPacket & { readonly sector: Sector }): Result<DrbdPacket, DrbdError> =>
  p.sector < 0 ? badNumber(command, 0) : ok(p);

const empty = new Uint8Array(0);

/**
 * The packet whose `length` bytes of body stand at `at` in `b`; `v` views the same bytes as `b`. Never throws. With
 * `payload`, the data is that (it has been read apart), and `length` counts it though it is not in `b`.
 */
export function decodeBody(
  command: number,
  volume: number,
  b: Uint8Array,
  v: DataView,
  at: number,
  length: number,
  d: DrbdDialect,
  payload?: Uint8Array,
): Result<DrbdPacket, DrbdError> {
  switch (command) {
    case C.P_DATA:
    case C.P_DATA_REPLY:
    case C.P_RS_DATA_REPLY: {
      const head = DATA_HEAD + d.digestLength;
      if (length < head) return badLength(command, length, head, Number.MAX_SAFE_INTEGER);
      return placed(command, {
        kind: command === C.P_DATA ? 'P_DATA' : command === C.P_DATA_REPLY ? 'P_DATA_REPLY' : 'P_RS_DATA_REPLY',
        volume,
        sector: sectorAt(v, at),
        id: blockId(v, at + 8),
        seq: v.getUint32(at + 16),
        flags: v.getUint32(at + 20),
        digest: d.digestLength === 0 ? empty : b.subarray(at + DATA_HEAD, at + head),
        data: payload ?? b.subarray(at + head, at + length),
      });
    }
    case C.P_WSAME: {
      const head = WSAME_HEAD + d.digestLength;
      if (length < head) return badLength(command, length, head, Number.MAX_SAFE_INTEGER);
      return placed(command, {
        kind: 'P_WSAME',
        volume,
        sector: sectorAt(v, at),
        id: blockId(v, at + 8),
        seq: v.getUint32(at + 16),
        flags: v.getUint32(at + 20),
        size: v.getUint32(at + 24),
        digest: b.subarray(at + WSAME_HEAD, at + head),
        data: payload ?? b.subarray(at + head, at + length),
      });
    }
    case C.P_TRIM:
    case C.P_ZEROES:
      if (length !== WSAME_HEAD) return badLength(command, length, WSAME_HEAD);
      return placed(command, {
        kind: drbdKindOf(command) as TrimPacket['kind'],
        volume,
        sector: sectorAt(v, at),
        id: blockId(v, at + 8),
        seq: v.getUint32(at + 16),
        flags: v.getUint32(at + 20),
        size: v.getUint32(at + 24),
      });
    case C.P_RECV_ACK:
    case C.P_WRITE_ACK:
    case C.P_RS_WRITE_ACK:
    case C.P_SUPERSEDED:
    case C.P_NEG_ACK:
    case C.P_NEG_DREPLY:
    case C.P_NEG_RS_DREPLY:
    case C.P_OV_RESULT:
    case C.P_RS_IS_IN_SYNC:
    case C.P_RS_CANCEL:
    case C.P_RETRY_WRITE:
      if (length !== 24) return badLength(command, length, 24);
      return placed(command, {
        kind: drbdKindOf(command) as BlockAckPacket['kind'],
        volume,
        sector: sectorAt(v, at),
        id: blockId(v, at + 8),
        size: v.getUint32(at + 16),
        seq: v.getUint32(at + 20),
      });
    case C.P_DATA_REQUEST:
    case C.P_RS_DATA_REQUEST:
    case C.P_OV_REQUEST:
    case C.P_RS_THIN_REQ:
      if (length !== 24) return badLength(command, length, 24);
      return placed(command, {
        kind: drbdKindOf(command) as RequestPacket['kind'],
        volume,
        sector: sectorAt(v, at),
        id: blockId(v, at + 8),
        size: v.getUint32(at + 16),
        pad: v.getUint32(at + 20),
      });
    case C.P_OV_REPLY:
    case C.P_CSUM_RS_REQUEST:
      if (length < 24) return badLength(command, length, 24, 24 + 4096);
      return placed(command, {
        kind: drbdKindOf(command) as DigestPacket['kind'],
        volume,
        sector: sectorAt(v, at),
        id: blockId(v, at + 8),
        size: v.getUint32(at + 16),
        pad: v.getUint32(at + 20),
        digest: b.subarray(at + 24, at + length),
      });
    case C.P_OUT_OF_SYNC:
    case C.P_RS_DEALLOCATED:
      if (length !== 16) return badLength(command, length, 16);
      return placed(command, {
        kind: command === C.P_OUT_OF_SYNC ? 'P_OUT_OF_SYNC' : 'P_RS_DEALLOCATED',
        volume,
        sector: sectorAt(v, at),
        size: v.getUint32(at + 8),
        pad: v.getUint32(at + 12),
      });
    case C.P_BARRIER:
      if (length !== 8) return badLength(command, length, 8);
      return ok({ kind: 'P_BARRIER', volume, barrier: v.getUint32(at) as BarrierId, pad: v.getUint32(at + 4) });
    case C.P_BARRIER_ACK:
      if (length !== 8) return badLength(command, length, 8);
      return ok({ kind: 'P_BARRIER_ACK', volume, barrier: v.getUint32(at) as BarrierId, setSize: v.getUint32(at + 4) });
    case C.P_PING:
    case C.P_PING_ACK:
    case C.P_UNPLUG_REMOTE:
    case C.P_INITIAL_META:
    case C.P_INITIAL_DATA:
      if (length !== 0) return badLength(command, length, 0);
      return ok({ kind: drbdKindOf(command) as EmptyPacket['kind'], volume });
    case C.P_BITMAP:
      if (length % 8 !== 0) return badLength(command, length, length - (length % 8));
      return ok({ kind: 'P_BITMAP', volume, words: b.subarray(at, at + length) });
    case C.P_COMPRESSED_BITMAP:
      if (length < 1) return badLength(command, length, 1, 4096);
      return ok({
        kind: 'P_COMPRESSED_BITMAP',
        volume,
        encoding: b[at] as number,
        code: b.subarray(at + 1, at + length),
      });
    case C.P_DELAY_PROBE:
      if (length !== 8) return badLength(command, length, 8);
      return ok({ kind: 'P_DELAY_PROBE', volume, bytes: b.subarray(at, at + 8) });
    default:
      return decodeParameters(command, volume, b, v, at, length, d);
  }
}
