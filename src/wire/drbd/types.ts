/** What a DRBD packet says, protocol 86 to 101. Sectors are of 512 bytes; sizes are bytes. */
import type { Brand } from '../../base/index.ts';

/** A place or a length on a device, in units of 512 bytes. */
export type Sector = Brand<number, 'sector'>;
/** The sender's handle of a block, opaque: eight bytes in the sender's own order. It is echoed and compared, never interpreted. */
export type BlockId = Brand<bigint, 'drbd-block-id'>;
/** The sender's handle of an epoch, opaque like a `BlockId`. */
export type BarrierId = Brand<number, 'drbd-barrier'>;
/** A data generation identifier ("UUID"). Bit 0 of the current one says "I was primary when this was made". */
export type GenerationId = Brand<bigint, 'generation-id'>;

export const sector = (n: number): Sector => n as Sector;
/** What stands in requests that nobody will look up by their handle: resync and verify. */
export const NO_BLOCK_ID = 0xffff_ffff_ffff_ffffn as BlockId;
/** Verdicts of online verify, in the place of P_OV_RESULT's handle. */
export const VERIFY_VERDICT = { inSync: 4711n as BlockId, outOfSync: 4712n as BlockId } as const;

/** What both sides agreed on; it decides the form of headers and of some packets. */
export type DrbdDialect = {
  /** Agreed protocol version, 86..101; 0 until the features packets are exchanged. */
  readonly version: number;
  /** Agreed DRBD_FEATURE bits. */
  readonly features: number;
  /** Bytes of the data-integrity digest in front of each payload; 0 without one. */
  readonly digestLength: number;
};
/** Before the features packets. */
export const DRBD_OPENING: DrbdDialect = { version: 0, features: 0, digestLength: 0 };

export const DRBD_FEATURE = { trim: 1, thinResync: 2, writeSame: 4, writeZeroes: 8 } as const;
/** dp_flags of a write. */
export const DRBD_WRITE_FLAG = {
  syncHint: 2,
  maySetInSync: 4,
  unplug: 8,
  fua: 16,
  flush: 32,
  discard: 64,
  sendReceiveAck: 128,
  sendWriteAck: 256,
  writeSame: 512,
  zeroes: 1024,
} as const;
export const DRBD_UUID_FLAG = { discardMyData: 1, crashedPrimary: 2, inconsistent: 4, skipInitialSync: 8 } as const;
export const DRBD_CONNECT_FLAG = { discardMyData: 1, dryRun: 2 } as const;
/** The wire's numbers of the after-sb policies. */
export const AFTER_SPLIT_BRAIN = [
  'disconnect',
  'discard-younger-primary',
  'discard-older-primary',
  'discard-zero-changes',
  'discard-least-changes',
  'discard-local',
  'discard-remote',
  'consensus',
  'discard-secondary',
  'call-pri-lost-after-sb',
  'violently-as0p',
] as const;
export type AfterSplitBrain = (typeof AFTER_SPLIT_BRAIN)[number];

type Of = {
  /** 0 for packets of the whole connection, and wherever the header has no place for it. */ readonly volume: number;
};
/** Bytes that the sender leaves as they happen to be in its memory: kept so that encoding gives back what came. 0 when we send. */
type Padded = { readonly pad: number };
type Block = { readonly sector: Sector; readonly id: BlockId };

export type DataPacket = Of &
  Block & {
    readonly kind: 'P_DATA' | 'P_DATA_REPLY' | 'P_RS_DATA_REPLY';
    /** One counter for each volume and direction, shared with the block acks. */
    readonly seq: number;
    /** DRBD_WRITE_FLAG bits; 0 in replies. */
    readonly flags: number;
    /** Over `data` alone; empty without data-integrity-alg. */
    readonly digest: Uint8Array;
    /** A view, or what the stream was given to put it in. */
    readonly data: Uint8Array;
  };
export type TrimPacket = Of &
  Block & { readonly kind: 'P_TRIM' | 'P_ZEROES'; readonly seq: number; readonly flags: number; readonly size: number };
export type WriteSamePacket = Of &
  Block & {
    readonly kind: 'P_WSAME';
    readonly seq: number;
    readonly flags: number;
    /** Bytes of the device that take the pattern. */
    readonly size: number;
    readonly digest: Uint8Array;
    /** One logical block. */
    readonly data: Uint8Array;
  };
export type RequestPacket = Of &
  Block &
  Padded & {
    readonly kind: 'P_DATA_REQUEST' | 'P_RS_DATA_REQUEST' | 'P_OV_REQUEST' | 'P_RS_THIN_REQ';
    readonly size: number;
  };
export type DigestPacket = Of &
  Block &
  Padded & {
    readonly kind: 'P_OV_REPLY' | 'P_CSUM_RS_REQUEST';
    readonly size: number;
    readonly digest: Uint8Array;
  };
export type BlockAckPacket = Of &
  Block & {
    readonly kind:
      | 'P_RECV_ACK'
      | 'P_WRITE_ACK'
      | 'P_RS_WRITE_ACK'
      | 'P_SUPERSEDED'
      | 'P_NEG_ACK'
      | 'P_NEG_DREPLY'
      | 'P_NEG_RS_DREPLY'
      | 'P_OV_RESULT'
      | 'P_RS_IS_IN_SYNC'
      | 'P_RS_CANCEL'
      | 'P_RETRY_WRITE';
    /** Of the block, without any digest. */
    readonly size: number;
    readonly seq: number;
  };
export type BlockRangePacket = Of &
  Padded & {
    readonly kind: 'P_OUT_OF_SYNC' | 'P_RS_DEALLOCATED';
    readonly sector: Sector;
    readonly size: number;
  };
export type BarrierPacket = Of & Padded & { readonly kind: 'P_BARRIER'; readonly barrier: BarrierId };
export type BarrierAckPacket = Of & {
  readonly kind: 'P_BARRIER_ACK';
  readonly barrier: BarrierId;
  /** Write packets in the epoch, over all volumes. */
  readonly setSize: number;
};
export type BitmapPacket = Of & {
  readonly kind: 'P_BITMAP';
  /** Bit n is byte n >> 3, bit n & 7; a whole number of eight bytes. */
  readonly words: Uint8Array;
};
export type CompressedBitmapPacket = Of & {
  readonly kind: 'P_COMPRESSED_BITMAP';
  /** See `vli.ts`. */
  readonly encoding: number;
  readonly code: Uint8Array;
};
export type EmptyPacket = Of & {
  readonly kind: 'P_UNPLUG_REMOTE' | 'P_PING' | 'P_PING_ACK' | 'P_INITIAL_META' | 'P_INITIAL_DATA';
};
export type FeaturesPacket = Of & {
  readonly kind: 'P_CONNECTION_FEATURES';
  readonly minVersion: number;
  /** 0: take `minVersion`. */
  readonly maxVersion: number;
  readonly features: number;
  /** What follows protocol_max, 60 bytes: zeros, but for the node ids of DRBD 9. */
  readonly rest: Uint8Array;
};
export type AuthPacket = Of & {
  readonly kind: 'P_AUTH_CHALLENGE' | 'P_AUTH_RESPONSE';
  readonly bytes: Uint8Array;
};
export type ProtocolPacket = Of & {
  readonly kind: 'P_PROTOCOL' | 'P_PROTOCOL_UPDATE';
  /** 1 A, 2 B, 3 C; a receiver must be ready for others, as with all numbers here. */
  readonly protocol: number;
  /** Numbers of AFTER_SPLIT_BRAIN, with no primary, one, two. */
  readonly afterSb: readonly [number, number, number];
  /** DRBD_CONNECT_FLAG bits. */
  readonly connectFlags: number;
  readonly twoPrimaries: number;
  /** Name of data-integrity-alg; empty for none, and always below 87. */
  readonly integrity: string;
};
export type SyncParamPacket = Of & {
  /** Below 89 and from 89 on: the agreed version decides what else is in it. */
  readonly kind: 'P_SYNC_PARAM' | 'P_SYNC_PARAM89';
  /** KiB/s. */
  readonly resyncRate: number;
  /** From 88 on. */
  readonly verifyAlg: string;
  /** From 89 on. */
  readonly csumsAlg: string;
  /** From 95 on; undefined below. */
  readonly controller: ResyncController | undefined;
};
export type ResyncController = {
  /** 1/10 s. */
  readonly planAhead: number;
  /** 1/10 s. */
  readonly delayTarget: number;
  /** Sectors. */
  readonly fillTarget: number;
  /** KiB/s. */
  readonly maxRate: number;
};
export type UuidSet = {
  readonly current: GenerationId;
  readonly bitmap: GenerationId;
  /** Younger, older. */
  readonly history: readonly [GenerationId, GenerationId];
};
export type UuidsPacket = Of & {
  readonly kind: 'P_UUIDS';
  readonly uuids: UuidSet;
  /** Set bits in the sender's bitmap. */
  readonly bits: number;
  /** DRBD_UUID_FLAG bits. */
  readonly flags: number;
};
export type QueueLimits = {
  readonly physicalBlockSize: number;
  readonly logicalBlockSize: number;
  readonly alignmentOffset: number;
  readonly ioMin: number;
  readonly ioOpt: number;
  readonly discardEnabled: number;
  readonly discardZeroesData: number;
  readonly writeSameCapable: number;
  readonly pad: number;
};
export type SizesPacket = Of & {
  readonly kind: 'P_SIZES';
  /** What the backing disk could offer. */
  readonly diskSize: Sector;
  /** The user's limit, 0 for none. */
  readonly userSize: Sector;
  /** Exported now; 0 asks the peer to recompute and reply. */
  readonly currentSize: Sector;
  readonly maxBioSize: number;
  readonly queueOrderType: number;
  /** 1 forced, 2 no resync of new space. */
  readonly growFlags: number;
  /** Present exactly when DRBD_FEATURE.writeSame is agreed. */
  readonly limits: QueueLimits | undefined;
};
export type StatePacket = Of & { readonly kind: 'P_STATE' /** See `state.ts`. */; readonly state: number };
export type SyncUuidPacket = Of & { readonly kind: 'P_SYNC_UUID'; readonly uuid: GenerationId };
export type StateRequestPacket = Of & {
  readonly kind: 'P_STATE_CHG_REQ' | 'P_CONN_ST_CHG_REQ';
  readonly mask: number;
  readonly value: number;
};
export type StateReplyPacket = Of & {
  readonly kind: 'P_STATE_CHG_REPLY' | 'P_CONN_ST_CHG_REPLY';
  /** Signed: 1 success, 2 nothing to do, negative refused. */
  readonly result: number;
};
export type DelayProbePacket = Of & {
  readonly kind: 'P_DELAY_PROBE' /** Eight bytes, to be ignored. */;
  readonly bytes: Uint8Array;
};

export type DrbdPacket =
  | DataPacket
  | TrimPacket
  | WriteSamePacket
  | RequestPacket
  | DigestPacket
  | BlockAckPacket
  | BlockRangePacket
  | BarrierPacket
  | BarrierAckPacket
  | BitmapPacket
  | CompressedBitmapPacket
  | EmptyPacket
  | FeaturesPacket
  | AuthPacket
  | ProtocolPacket
  | SyncParamPacket
  | UuidsPacket
  | SizesPacket
  | StatePacket
  | SyncUuidPacket
  | StateRequestPacket
  | StateReplyPacket
  | DelayProbePacket;

export type DrbdError =
  | { readonly kind: 'short'; readonly need: number; readonly have: number }
  /** No header of a form that the agreed version has. */
  | { readonly kind: 'magic'; readonly have: number }
  /** The pad of a 16 byte header is not zero. */
  | { readonly kind: 'header-pad'; readonly have: number }
  | { readonly kind: 'command'; readonly have: number }
  /** A payload that cannot be of this packet: its length, and the least and most that would do. */
  | {
      readonly kind: 'length';
      readonly command: number;
      readonly have: number;
      readonly min: number;
      readonly max: number;
    }
  /** A 64-bit count or place beyond 2^53: no device is so large. */
  | { readonly kind: 'number'; readonly command: number; readonly at: number }
  /** A name that is not printable ASCII, or does not end. */
  | { readonly kind: 'name'; readonly command: number; readonly at: number };
