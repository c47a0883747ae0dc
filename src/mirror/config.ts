/**
 * What a mirror is told: a resource with its volumes, two hosts and the options between them. The readers of the formats
 * (drbd.conf, holdfast.yaml) make it, with every default filled in and every inheritance resolved, as seen from one host.
 * Names, ranges and defaults are those of drbd.conf(5) of DRBD 8.4; times are whole milliseconds, sizes bytes.
 */
import type { Bytes, IpAddress, Milliseconds } from '../base/index.ts';

/** When a write is complete: A handed to the network here, B in the peer's memory, C on the peer's disk; always also on the own disk. */
export type ReplicationProtocol = 'A' | 'B' | 'C';
/** Digests that both sides must have: the kernel's names of hash functions. */
export type DigestName = 'md5' | 'sha1' | 'sha256' | 'sha512' | 'crc32c';

export type Endpoint = { readonly address: IpAddress; readonly port: number };

/** Where a volume's metadata lives. */
export type MetadataPlace =
  | { readonly kind: 'internal' }
  | { readonly kind: 'flexible'; readonly device: string }
  | { readonly kind: 'indexed'; readonly device: string; readonly index: number };

export type DiskOptions = {
  /** Use only that much; undefined: all of it. */
  readonly size: Bytes | undefined;
  readonly onIoError: 'pass_on' | 'call-local-io-error' | 'detach';
  readonly fencing: 'dont-care' | 'resource-only' | 'resource-and-stonith';
  /** `no` for storage with a battery behind its cache. */
  readonly diskFlushes: boolean;
  readonly mdFlushes: boolean;
  /** Whose resync goes first, a mirror of this host or one of its volumes: `NAME`, `NAME/VOLUME`. */
  readonly resyncAfter: string | undefined;
  /** Hot 4 MiB extents, 67..65534. */
  readonly alExtents: number;
  readonly alUpdates: boolean;
  /** Undefined: never. */
  readonly diskTimeout: Milliseconds | undefined;
  readonly readBalancing: 'prefer-local' | 'prefer-remote' | 'round-robin' | 'least-pending' | 'when-congested-remote';
  /** Undefined: no thin resync. */
  readonly rsDiscardGranularity: Bytes | undefined;
  readonly resync: ResyncOptions;
};
/** Rates in bytes per second. */
export type ResyncOptions = {
  readonly rate: Bytes;
  /** 0: the controller is off and `rate` is the rate. */
  readonly planAhead: Milliseconds;
  readonly delayTarget: Milliseconds;
  /** 0: `delayTarget` decides. */
  readonly fillTarget: Bytes;
  readonly maxRate: Bytes;
  /** Above it, resync yields to the application's requests; 0: never yields. */
  readonly minRate: Bytes;
};

export type AfterSplitBrain0 =
  | 'disconnect'
  | 'discard-younger-primary'
  | 'discard-older-primary'
  | 'discard-zero-changes'
  | 'discard-least-changes'
  | 'discard-local'
  | 'discard-remote';
export type AfterSplitBrain1 =
  | 'disconnect'
  | 'consensus'
  | 'violently-as0p'
  | 'discard-secondary'
  | 'call-pri-lost-after-sb';
export type AfterSplitBrain2 = 'disconnect' | 'violently-as0p' | 'call-pri-lost-after-sb';

export type NetOptions = {
  readonly protocol: ReplicationProtocol;
  /** A send or a request may take that long. */
  readonly timeout: Milliseconds;
  readonly pingInterval: Milliseconds;
  readonly pingTimeout: Milliseconds;
  readonly connectInterval: Milliseconds;
  /** Settle time after both sockets are there. */
  readonly socketCheckTimeout: Milliseconds;
  /** Timeouts in a row before a stuck peer is dropped; 0: never. */
  readonly koCount: number;
  /** Bytes received and not yet on the disk, at most. */
  readonly maxBuffers: Bytes;
  /** Writes in one epoch, at most. */
  readonly maxEpochSize: number;
  /** Bytes; undefined: the system's. */
  readonly sendBuffer: Bytes | undefined;
  readonly receiveBuffer: Bytes | undefined;
  readonly allowTwoPrimaries: boolean;
  readonly auth: { readonly algorithm: DigestName; readonly secret: SecretRef } | undefined;
  readonly dataIntegrity: DigestName | undefined;
  readonly verify: DigestName | undefined;
  readonly checksums: DigestName | undefined;
  readonly checksumsAfterCrashOnly: boolean;
  readonly after0Primaries: AfterSplitBrain0;
  readonly after1Primary: AfterSplitBrain1;
  readonly after2Primaries: AfterSplitBrain2;
  /** The policies judge ambiguous histories too. */
  readonly alwaysAfterSplitBrain: boolean;
  readonly resyncRoleConflict: 'disconnect' | 'call-pri-lost' | 'violently';
  readonly onCongestion: 'block' | 'pull-ahead' | 'disconnect';
  readonly congestionFill: Bytes;
  readonly congestionExtents: number;
  readonly compressBitmap: boolean;
};
/** Where a secret is, never the secret: drbd.conf's own `shared-secret` is read again from its place when it is needed. */
export type SecretRef =
  | { readonly from: 'file'; readonly path: string }
  | {
      readonly from: 'place';
      readonly file: string;
      readonly line: number;
      readonly column: number;
      readonly length: number;
    };

export const MIRROR_HANDLERS = [
  'pri-on-incon-degr',
  'pri-lost-after-sb',
  'pri-lost',
  'fence-peer',
  'unfence-peer',
  'local-io-error',
  'initial-split-brain',
  'split-brain',
  'before-resync-target',
  'after-resync-target',
  'before-resync-source',
  'out-of-sync',
] as const;
export type MirrorHandler = (typeof MIRROR_HANDLERS)[number];

export type VolumeConfig = {
  /** 0..65535, unique in its resource. */
  readonly number: number;
  /** `/dev/drbdN` has one; else none. */
  readonly minor: number | undefined;
  /** The name that it is attached under, `/dev/holdfast/NAME`; and `/dev/drbdN` as it was written. */
  readonly device: string;
  /** Undefined: diskless for good. */
  readonly disk: string | undefined;
  readonly metadata: MetadataPlace;
  readonly options: DiskOptions;
};
export type MirrorConfig = {
  readonly name: string;
  /** This host's name, and the other's. */
  readonly host: string;
  readonly peer: string;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly volumes: readonly VolumeConfig[];
  readonly net: NetOptions;
  readonly onNoDataAccessible: 'io-error' | 'suspend-io';
  /** Shell commands. */
  readonly handlers: Readonly<Partial<Record<MirrorHandler, string>>>;
  readonly startup: {
    /** 0: for ever. */
    readonly waitForConnection: Milliseconds;
    readonly waitDegraded: Milliseconds;
    readonly waitOutdated: Milliseconds;
    readonly waitAfterSplitBrain: boolean;
    readonly becomePrimary: boolean;
  };
};
