/** A packet's fields for people: names and values as DRBD's own tools spell them, the same in every language. */
import { unreachable } from '../../base/index.ts';
import { describeChange, describeState } from './state.ts';
import { AFTER_SPLIT_BRAIN, DRBD_FEATURE, DRBD_WRITE_FLAG, type DrbdPacket, type GenerationId } from './types.ts';
import { decodeRuns } from './vli.ts';

export type Field = readonly [name: string, value: string | number];

const hex = (b: Uint8Array): string => Buffer.from(b).toString('hex');
const handle = (id: bigint): string => id.toString(16).padStart(16, '0');
const formatGeneration = (id: GenerationId): string => id.toString(16).toUpperCase().padStart(16, '0');
const FLAG_NAMES = Object.entries(DRBD_WRITE_FLAG);
const flags = (word: number, names: readonly (readonly [string, number])[]): string => {
  const set = names.filter(([, bit]) => (word & bit) !== 0).map(([name]) => name);
  return `0x${word.toString(16)}${set.length > 0 ? `(${set.join(',')})` : ''}`;
};
const policy = (n: number): string => AFTER_SPLIT_BRAIN[n] ?? `${n}`;
const PROTOCOLS = ['?', 'A', 'B', 'C'];

/** `-10 +2 -88`: cleared and set runs in order. */
function describeRuns(encoding: number, code: Uint8Array): Field {
  const runs = decodeRuns(encoding, code);
  if (!runs.ok) return ['code', hex(code)];
  let set = runs.value.first;
  const words = runs.value.lengths.map((n) => {
    const word = `${set ? '+' : '-'}${n}`;
    set = !set;
    return word;
  });
  return ['runs', words.join(' ')];
}

/** All but the kind and the volume. */
export function describePacket(p: DrbdPacket): Field[] {
  switch (p.kind) {
    case 'P_DATA':
    case 'P_DATA_REPLY':
    case 'P_RS_DATA_REPLY':
    case 'P_WSAME':
      return [
        ['sector', p.sector],
        ['size', p.kind === 'P_WSAME' ? p.size : p.data.length],
        ['id', handle(p.id)],
        ['seq', p.seq],
        ['flags', flags(p.flags, FLAG_NAMES)],
        ...(p.digest.length > 0 ? ([['digest', hex(p.digest)]] as const) : []),
      ];
    case 'P_TRIM':
    case 'P_ZEROES':
      return [
        ['sector', p.sector],
        ['size', p.size],
        ['id', handle(p.id)],
        ['seq', p.seq],
        ['flags', flags(p.flags, FLAG_NAMES)],
      ];
    case 'P_DATA_REQUEST':
    case 'P_RS_DATA_REQUEST':
    case 'P_OV_REQUEST':
    case 'P_RS_THIN_REQ':
      return [
        ['sector', p.sector],
        ['size', p.size],
        ['id', handle(p.id)],
      ];
    case 'P_OV_REPLY':
    case 'P_CSUM_RS_REQUEST':
      return [
        ['sector', p.sector],
        ['size', p.size],
        ['id', handle(p.id)],
        ['digest', hex(p.digest)],
      ];
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
      return [
        ['sector', p.sector],
        ['size', p.size],
        p.kind === 'P_OV_RESULT' ? ['result', Number(p.id) === 4711 ? 'in-sync' : 'out-of-sync'] : ['id', handle(p.id)],
        ['seq', p.seq],
      ];
    case 'P_OUT_OF_SYNC':
    case 'P_RS_DEALLOCATED':
      return [
        ['sector', p.sector],
        ['size', p.size],
      ];
    case 'P_BARRIER':
      return [['barrier', p.barrier.toString(16).padStart(8, '0')]];
    case 'P_BARRIER_ACK':
      return [
        ['barrier', p.barrier.toString(16).padStart(8, '0')],
        ['set_size', p.setSize],
      ];
    case 'P_BITMAP':
      return [['bytes', p.words.length]];
    case 'P_COMPRESSED_BITMAP':
      return [['encoding', `0x${p.encoding.toString(16)}`], describeRuns(p.encoding, p.code)];
    case 'P_UNPLUG_REMOTE':
    case 'P_PING':
    case 'P_PING_ACK':
    case 'P_INITIAL_META':
    case 'P_INITIAL_DATA':
      return [];
    case 'P_CONNECTION_FEATURES':
      return [
        ['min', p.minVersion],
        ['max', p.maxVersion],
        ['features', flags(p.features, Object.entries(DRBD_FEATURE))],
      ];
    case 'P_AUTH_CHALLENGE':
    case 'P_AUTH_RESPONSE':
    case 'P_DELAY_PROBE':
      return [['bytes', hex(p.bytes)]];
    case 'P_PROTOCOL':
    case 'P_PROTOCOL_UPDATE':
      return [
        ['protocol', PROTOCOLS[p.protocol] ?? p.protocol],
        ['after-sb-0pri', policy(p.afterSb[0])],
        ['after-sb-1pri', policy(p.afterSb[1])],
        ['after-sb-2pri', policy(p.afterSb[2])],
        ['connect-flags', p.connectFlags],
        ['allow-two-primaries', p.twoPrimaries],
        ['data-integrity-alg', p.integrity],
      ];
    case 'P_SYNC_PARAM':
    case 'P_SYNC_PARAM89':
      return [
        ['resync-rate', p.resyncRate],
        ['verify-alg', p.verifyAlg],
        ['csums-alg', p.csumsAlg],
        ...(p.controller === undefined
          ? []
          : ([
              ['c-plan-ahead', p.controller.planAhead],
              ['c-delay-target', p.controller.delayTarget],
              ['c-fill-target', p.controller.fillTarget],
              ['c-max-rate', p.controller.maxRate],
            ] as const)),
      ];
    case 'P_UUIDS': {
      const { current, bitmap, history } = p.uuids;
      return [
        ['uuids', [current, bitmap, ...history].map(formatGeneration).join(':')],
        ['bits', p.bits],
        ['flags', p.flags],
      ];
    }
    case 'P_SIZES':
      return [
        ['d_size', p.diskSize],
        ['u_size', p.userSize],
        ['c_size', p.currentSize],
        ['max_bio_size', p.maxBioSize],
        ['dds_flags', p.growFlags],
        ...(p.limits === undefined
          ? []
          : ([
              ['physical_block_size', p.limits.physicalBlockSize],
              ['logical_block_size', p.limits.logicalBlockSize],
              ['discard', p.limits.discardEnabled],
            ] as const)),
      ];
    case 'P_STATE':
      return [['state', describeState(p.state)]];
    case 'P_SYNC_UUID':
      return [['uuid', formatGeneration(p.uuid)]];
    case 'P_STATE_CHG_REQ':
    case 'P_CONN_ST_CHG_REQ':
      return [['change', describeChange(p.mask, p.value)]];
    case 'P_STATE_CHG_REPLY':
    case 'P_CONN_ST_CHG_REPLY':
      return [['result', p.result]];
    default:
      return unreachable(p);
  }
}
