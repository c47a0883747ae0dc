/** Packets of the handshake and of state: what both sides tell each other about versions, settings, sizes, identifiers. */
import { ByteReader, type ByteWriter, err, ok, type Result } from '../../base/index.ts';
import { DRBD_COMMAND as C } from './commands.ts';
import { badLength, badNumber, safeU64 } from './fields.ts';
import {
  DRBD_FEATURE,
  type DrbdDialect,
  type DrbdError,
  type DrbdPacket,
  type GenerationId,
  type ProtocolPacket,
  type Sector,
  type SizesPacket,
  type SyncParamPacket,
} from './types.ts';

const FEATURES_LENGTH = 72;
const FEATURES_REST = 60;
const PROTOCOL_HEAD = 24;
/** Room for an algorithm's name with its NUL in P_SYNC_PARAM89. */
const NAME_FIELD = 64;
/** The longest parameter packet with its header: non-data packets fit in a page. */
export const PARAMETER_LIMIT = 4096;

/** Printable ASCII up to a NUL; undefined when it is anything else, or when no NUL comes. */
function nulName(field: Uint8Array): string | undefined {
  const end = field.indexOf(0);
  if (end < 0) return undefined;
  let name = '';
  for (let i = 0; i < end; i++) {
    const c = field[i] as number;
    if (c < 0x21 || c > 0x7e) return undefined;
    name += String.fromCharCode(c);
  }
  return name;
}
function putName(w: ByteWriter, name: string, room: number): void {
  if (name.length >= room) throw new Error(`bug: ${name} is too long for a packet`);
  for (let i = 0; i < name.length; i++) w.u8(name.charCodeAt(i));
  w.zeros(room - name.length);
}

/** Which lengths P_SYNC_PARAM and P_SYNC_PARAM89 have: DRBD's steps at 88, 89 and 95. */
const SYNC_PARAM_89 = 4 + 2 * NAME_FIELD;
const SYNC_PARAM_95 = SYNC_PARAM_89 + 16;

export function decodeParameters(
  command: number,
  volume: number,
  b: Uint8Array,
  v: DataView,
  at: number,
  length: number,
  d: DrbdDialect,
): Result<DrbdPacket, DrbdError> {
  const body = b.subarray(at, at + length);
  switch (command) {
    case C.P_CONNECTION_FEATURES:
      if (length !== FEATURES_LENGTH) return badLength(command, length, FEATURES_LENGTH);
      return ok({
        kind: 'P_CONNECTION_FEATURES',
        volume,
        minVersion: v.getUint32(at),
        features: v.getUint32(at + 4),
        maxVersion: v.getUint32(at + 8),
        rest: b.subarray(at + FEATURES_LENGTH - FEATURES_REST, at + FEATURES_LENGTH),
      });
    case C.P_AUTH_CHALLENGE:
    case C.P_AUTH_RESPONSE:
      if (length === 0) return badLength(command, length, 1, PARAMETER_LIMIT);
      return ok({
        kind: command === C.P_AUTH_CHALLENGE ? 'P_AUTH_CHALLENGE' : 'P_AUTH_RESPONSE',
        volume,
        bytes: body,
      });
    case C.P_PROTOCOL:
    case C.P_PROTOCOL_UPDATE: {
      const named = d.version === 0 || d.version >= 87;
      const least = PROTOCOL_HEAD + (named ? 1 : 0);
      if (length < least || (!named && length > least))
        return badLength(command, length, least, named ? PARAMETER_LIMIT : least);
      const name = named ? nulName(body.subarray(PROTOCOL_HEAD)) : '';
      // The NUL ends the packet: what stood behind it would be lost.
      if (name === undefined || (named && name.length + 1 !== length - PROTOCOL_HEAD))
        return err({ kind: 'name', command, at: PROTOCOL_HEAD });
      return ok({
        kind: command === C.P_PROTOCOL ? 'P_PROTOCOL' : 'P_PROTOCOL_UPDATE',
        volume,
        protocol: v.getUint32(at),
        afterSb: [v.getUint32(at + 4), v.getUint32(at + 8), v.getUint32(at + 12)],
        connectFlags: v.getUint32(at + 16),
        twoPrimaries: v.getUint32(at + 20),
        integrity: name,
      });
    }
    case C.P_SYNC_PARAM:
      return decodeOldSyncParam(command, volume, body, d);
    case C.P_SYNC_PARAM89:
      return decodeSyncParam89(command, volume, body, d);
    case C.P_UUIDS: {
      if (length !== 48) return badLength(command, length, 48);
      const bits = safeU64(v, at + 32);
      const flags = safeU64(v, at + 40);
      if (bits < 0) return badNumber(command, 32);
      if (flags < 0) return badNumber(command, 40);
      const id = (offset: number): GenerationId => v.getBigUint64(at + offset) as GenerationId;
      return ok({
        kind: 'P_UUIDS',
        volume,
        uuids: { current: id(0), bitmap: id(8), history: [id(16), id(24)] },
        bits,
        flags,
      });
    }
    case C.P_SIZES:
      return decodeSizes(volume, body, v, at, d);
    case C.P_STATE:
      if (length !== 4) return badLength(command, length, 4);
      return ok({ kind: 'P_STATE', volume, state: v.getUint32(at) });
    case C.P_SYNC_UUID:
      if (length !== 8) return badLength(command, length, 8);
      return ok({ kind: 'P_SYNC_UUID', volume, uuid: v.getBigUint64(at) as GenerationId });
    case C.P_STATE_CHG_REQ:
    case C.P_CONN_ST_CHG_REQ:
      if (length !== 8) return badLength(command, length, 8);
      return ok({
        kind: command === C.P_STATE_CHG_REQ ? 'P_STATE_CHG_REQ' : 'P_CONN_ST_CHG_REQ',
        volume,
        mask: v.getUint32(at),
        value: v.getUint32(at + 4),
      });
    case C.P_STATE_CHG_REPLY:
    case C.P_CONN_ST_CHG_REPLY:
      if (length !== 4) return badLength(command, length, 4);
      return ok({
        kind: command === C.P_STATE_CHG_REPLY ? 'P_STATE_CHG_REPLY' : 'P_CONN_ST_CHG_REPLY',
        volume,
        result: v.getInt32(at),
      });
    default:
      return err({ kind: 'command', have: command });
  }
}

function decodeOldSyncParam(
  command: number,
  volume: number,
  body: Uint8Array,
  d: DrbdDialect,
): Result<SyncParamPacket, DrbdError> {
  const named = d.version >= 88;
  if (named ? body.length < 5 : body.length !== 4)
    return badLength(command, body.length, named ? 5 : 4, named ? PARAMETER_LIMIT : 4);
  const name = named ? nulName(body.subarray(4)) : '';
  if (name === undefined || (named && name.length + 5 !== body.length)) return err({ kind: 'name', command, at: 4 });
  return ok({
    kind: 'P_SYNC_PARAM',
    volume,
    resyncRate: new ByteReader(body).u32(),
    verifyAlg: name,
    csumsAlg: '',
    controller: undefined,
  });
}

function decodeSyncParam89(
  command: number,
  volume: number,
  body: Uint8Array,
  d: DrbdDialect,
): Result<SyncParamPacket, DrbdError> {
  const controlled = d.version === 0 || d.version >= 95;
  const want = controlled ? SYNC_PARAM_95 : SYNC_PARAM_89;
  if (body.length !== want) return badLength(command, body.length, want);
  const r = new ByteReader(body);
  const resyncRate = r.u32();
  const verifyAlg = nulName(r.bytes(NAME_FIELD));
  const csumsAlg = nulName(r.bytes(NAME_FIELD));
  if (verifyAlg === undefined) return err({ kind: 'name', command, at: 4 });
  if (csumsAlg === undefined) return err({ kind: 'name', command, at: 4 + NAME_FIELD });
  const controller = controlled
    ? { planAhead: r.u32(), delayTarget: r.u32(), fillTarget: r.u32(), maxRate: r.u32() }
    : undefined;
  return ok({ kind: 'P_SYNC_PARAM89', volume, resyncRate, verifyAlg, csumsAlg, controller });
}

function decodeSizes(
  volume: number,
  body: Uint8Array,
  v: DataView,
  at: number,
  d: DrbdDialect,
): Result<SizesPacket, DrbdError> {
  const limited = (d.features & DRBD_FEATURE.writeSame) !== 0;
  const want = limited ? 56 : 32;
  if (body.length !== want) return badLength(C.P_SIZES, body.length, want);
  const sizes = [safeU64(v, at), safeU64(v, at + 8), safeU64(v, at + 16)] as const;
  for (const [i, s] of sizes.entries()) if (s < 0) return badNumber(C.P_SIZES, i * 8);
  const r = new ByteReader(body.subarray(24));
  return ok({
    kind: 'P_SIZES',
    volume,
    diskSize: sizes[0] as Sector,
    userSize: sizes[1] as Sector,
    currentSize: sizes[2] as Sector,
    maxBioSize: r.u32(),
    queueOrderType: r.u16(),
    growFlags: r.u16(),
    limits: limited
      ? {
          physicalBlockSize: r.u32(),
          logicalBlockSize: r.u32(),
          alignmentOffset: r.u32(),
          ioMin: r.u32(),
          ioOpt: r.u32(),
          discardEnabled: r.u8(),
          discardZeroesData: r.u8(),
          writeSameCapable: r.u8(),
          pad: r.u8(),
        }
      : undefined,
  });
}

/** The longer bodies; what is of one line is in `encode.ts`. */
export function putProtocol(w: ByteWriter, p: ProtocolPacket, d: DrbdDialect): void {
  w.u32(p.protocol).u32(p.afterSb[0]).u32(p.afterSb[1]).u32(p.afterSb[2]).u32(p.connectFlags).u32(p.twoPrimaries);
  if (d.version === 0 || d.version >= 87) putName(w, p.integrity, p.integrity.length + 1);
}
export function putSyncParam(w: ByteWriter, p: SyncParamPacket, d: DrbdDialect): void {
  w.u32(p.resyncRate);
  if (p.kind === 'P_SYNC_PARAM') {
    if (d.version >= 88) putName(w, p.verifyAlg, p.verifyAlg.length + 1);
    return;
  }
  putName(w, p.verifyAlg, NAME_FIELD);
  putName(w, p.csumsAlg, NAME_FIELD);
  if (p.controller) {
    const { planAhead, delayTarget, fillTarget, maxRate } = p.controller;
    w.u32(planAhead).u32(delayTarget).u32(fillTarget).u32(maxRate);
  }
}
export function putSizes(w: ByteWriter, p: SizesPacket): void {
  w.u64(BigInt(p.diskSize)).u64(BigInt(p.userSize)).u64(BigInt(p.currentSize));
  w.u32(p.maxBioSize).u16(p.queueOrderType).u16(p.growFlags);
  if (p.limits) {
    const l = p.limits;
    w.u32(l.physicalBlockSize).u32(l.logicalBlockSize).u32(l.alignmentOffset).u32(l.ioMin).u32(l.ioOpt);
    w.u8(l.discardEnabled).u8(l.discardZeroesData).u8(l.writeSameCapable).u8(l.pad);
  }
}
