/**
 * What a mirror says of itself: one document from which status, events, and the look-alikes of drbdadm, drbdsetup and
 * /proc/drbd are rendered. Words are DRBD's. Plain data: it travels as JSON, so 64-bit identifiers are hexadecimal text.
 */
import type { Bytes, Text } from '../base/index.ts';
import type { DrbdConnection, DrbdDisk, DrbdRole } from '../wire/index.ts';
import type { ReplicationProtocol } from './config.ts';

/** The counters of /proc/drbd, since the start; ns, nr, dw, dr and oos in KiB as that file has them, the rest in pieces. */
export type MirrorCounters = {
  /** Sent and received over the network, written to and read from the disk. */
  readonly ns: number;
  readonly nr: number;
  readonly dw: number;
  readonly dr: number;
  /** Writes of the activity log and of the bitmap. */
  readonly al: number;
  readonly bm: number;
  /** In flight: to the own disk, to the peer, from the peer and not yet answered, from the application. */
  readonly lo: number;
  readonly pe: number;
  readonly ua: number;
  readonly ap: number;
  /** Epochs that are open at the receiver. */
  readonly ep: number;
  /** Write ordering: b barrier, f flush, d drain, n none. */
  readonly wo: 'b' | 'f' | 'd' | 'n';
  /** Out of sync. */
  readonly oos: number;
};

/** A resync or a verify that is under way. */
export type SyncProgress = {
  readonly kind: 'resync' | 'verify';
  /** Who sends the data, or asks. */
  readonly role: 'source' | 'target';
  readonly total: Bytes;
  readonly done: Bytes;
  /** Bytes per second over the last seconds, and since the beginning. */
  readonly rate: Bytes;
  readonly average: Bytes;
  /** Nothing has moved for as long as the rate looks back. */
  readonly stalled: boolean;
  /** Seconds at the present rate; undefined while nothing moves, and in the first second, which tells nothing. */
  readonly left: number | undefined;
  /** Why it stands still. */
  readonly paused: Text | undefined;
  /** Verify: blocks that differed, as bytes. Resync: bytes that could not be read or written. */
  readonly found: Bytes;
};
/** The undo file of a split brain that is being resolved against this side, or was. */
export type UndoStatus = {
  readonly is: 'saving' | 'kept';
  readonly file: string;
  readonly total: Bytes;
  readonly done: Bytes;
};
export type VolumeStatus = {
  readonly volume: number;
  readonly minor: number | undefined;
  readonly device: string;
  readonly backing: string | undefined;
  readonly size: Bytes;
  readonly role: DrbdRole;
  readonly peerRole: DrbdRole;
  /** Of this volume: the connection's state, or that of its resync or verify. */
  readonly connection: DrbdConnection;
  readonly disk: DrbdDisk;
  readonly peerDisk: DrbdDisk;
  readonly outOfSync: Bytes;
  readonly sync: SyncProgress | undefined;
  readonly undo: UndoStatus | undefined;
  /** It was primary when it crashed, and has not met its peer since. */
  readonly crashedPrimary: boolean;
  /** Who keeps resyncs standing still, whether or not one is under way: an operator here, at the peer's, another resync. */
  readonly paused: readonly ('user' | 'peer' | 'dependency')[];
  /** Why application requests are held; undefined: they are not. */
  readonly suspended: Text | undefined;
  /** Current, bitmap, younger and older history: sixteen hexadecimal digits each. */
  readonly uuids: readonly [string, string, string, string];
  readonly counters: MirrorCounters;
  /** Application requests that an opener has in flight, and whether there is an opener at all. */
  readonly open: boolean;
};
/** Something that was decided, newest last. */
export type MirrorReason = {
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  /** Stable and greppable: `mirror.connect`, `mirror.role`, `mirror.disk`, `mirror.resync`, `mirror.refused`. */
  readonly code: string;
  readonly volume: number | undefined;
  readonly text: Text;
};
export type MirrorStatus = {
  readonly name: string;
  readonly host: string;
  readonly peer: string;
  readonly protocol: ReplicationProtocol;
  readonly role: DrbdRole;
  /** Of the connection itself: StandAlone to Connected. */
  readonly connection: DrbdConnection;
  readonly volumes: readonly VolumeStatus[];
  /** Names below /dev/holdfast that are there though this host is not primary: requests to them wait. */
  readonly stranded: readonly string[];
  /** The last ones, oldest first. */
  readonly reasons: readonly MirrorReason[];
};

/** What operators and programs ask for. `volume` undefined: all volumes. */
export type MirrorRequest =
  /** Attach the disks and connect. */
  | { readonly verb: 'up' }
  /** Demote, disconnect, detach. */
  | { readonly verb: 'down' }
  | { readonly verb: 'attach'; readonly volume: number | undefined }
  | { readonly verb: 'detach'; readonly volume: number | undefined; readonly force: boolean }
  | { readonly verb: 'connect'; readonly discardMyData: boolean }
  /** As connect with discardMyData, when what is lost is kept in an undo file in `folder` first. */
  | { readonly verb: 'resolve'; readonly folder: string }
  | { readonly verb: 'disconnect'; readonly force: boolean }
  /** `force`: also with data that is not known to be good; what the peer has is then overwritten. `only`: these volumes. */
  | { readonly verb: 'primary'; readonly force: boolean; readonly only?: readonly number[] }
  | { readonly verb: 'secondary' }
  /** The own data is thrown away, and fetched from the peer. */
  | { readonly verb: 'invalidate'; readonly volume: number | undefined }
  | { readonly verb: 'invalidate-remote'; readonly volume: number | undefined }
  /** From `start` to `stop`; undefined: from where the last one ended, to the end. */
  | {
      readonly verb: 'verify';
      readonly volume: number | undefined;
      readonly start: Bytes | undefined;
      readonly stop: Bytes | undefined;
    }
  | { readonly verb: 'pause-sync' | 'resume-sync'; readonly volume: number | undefined }
  /** Requests held by fencing or for want of data go on. */
  | { readonly verb: 'suspend-io' | 'resume-io'; readonly volume: number | undefined }
  /** Says that the own disk is out of date, as a fencing handler on the other host does. */
  | { readonly verb: 'outdate'; readonly volume: number | undefined }
  /** `size` undefined: as large as both disks allow. */
  | {
      readonly verb: 'resize';
      readonly volume: number | undefined;
      readonly size: Bytes | undefined;
      /** The new blocks are equal already: they are not copied. */
      readonly assumeClean: boolean;
      /** Without a connection: the peer's disk is as large. */
      readonly assumePeerHasSpace: boolean;
    }
  /** Both disks have the same content, as after a copy by hand or on two blank disks: nothing is copied. */
  | { readonly verb: 'new-current-uuid'; readonly volume: number | undefined; readonly clearBitmap: boolean };
/** `changed: false`: it was so already. The texts name what follows from it, or why it was refused and what would allow it. */
export type MirrorAnswer =
  | { readonly ok: true; readonly changed: boolean; readonly text: Text }
  | { readonly ok: false; readonly code: MirrorRefusal; readonly text: Text };
/** Why a request was refused. The codes in brackets are what the peer answers in a state change (negative numbers of the wire). */
export const MIRROR_REFUSALS = {
  'two-primaries': -1,
  'no-good-disk': -2,
  'no-local-disk': -3,
  'no-remote-disk': -4,
  'connected-outdates': -6,
  fenced: -7,
  'resync-running': -8,
  'already-standalone': -9,
  'failed-by-peer': -10,
  'is-diskless': -11,
  'device-in-use': -12,
  'no-net-config': -13,
  'no-verify-alg': -14,
  'needs-connection': -15,
  'lower-than-outdated': -16,
  'not-supported': -17,
  'in-transient': -18,
  concurrent: -19,
  'other-primary': -20,
} as const;
export type MirrorRefusal = keyof typeof MIRROR_REFUSALS;

/** What this side has changed and the peer has not, and what the peer told of itself: asked before a split brain is resolved. */
export type VolumeDifferences = {
  readonly volume: number;
  readonly size: Bytes;
  readonly disk: DrbdDisk;
  /** Bytes that this side changed, in so many ranges; undefined: no disk. */
  readonly changed: { readonly bytes: Bytes; readonly ranges: number } | undefined;
  /** The first of them, at most RANGES_SHOWN, in bytes: `to` is behind the last. */
  readonly first: readonly { readonly from: number; readonly to: number }[];
  /** As in VolumeStatus. */
  readonly uuids: VolumeStatus['uuids'];
  /** Milliseconds since the Unix epoch; undefined: not since the mirror's process started. */
  readonly generationSince: number | undefined;
  readonly newestWrite: number | undefined;
  /** As it told at the last connection. */
  readonly peer: { readonly changed: Bytes; readonly uuids: VolumeStatus['uuids'] } | undefined;
  /** What the comparison of both says; undefined: the peer has not told yet. */
  readonly verdict:
    | { readonly is: 'split-brain' | 'same' | 'newer-here' | 'newer-there' | 'unrelated'; readonly text: Text }
    | undefined;
};
export type MirrorDifferences = {
  readonly name: string;
  readonly host: string;
  readonly peer: string;
  readonly role: DrbdRole;
  readonly connection: DrbdConnection;
  readonly volumes: readonly VolumeDifferences[];
};
