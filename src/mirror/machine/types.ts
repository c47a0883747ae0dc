/** What the connection machine is told, what it knows, and what it wants done. */
import type { Microseconds, Text } from '../../base/index.ts';
import type {
  DrbdDialect,
  DrbdDisk,
  DrbdPacket,
  DrbdSocket,
  ProtocolPacket,
  QueueLimits,
  ResyncController,
  Sector,
  SizesPacket,
  StatePacket,
  SyncParamPacket,
  UuidSet,
  UuidsPacket,
} from '../../wire/index.ts';
import type { AfterSb, Decision, RoleConflict } from '../metadata/index.ts';

/** Who keeps a resync standing still. */
export type PauseFlags = { readonly user: boolean; readonly peer: boolean; readonly dependency: boolean };

/** One volume as it stands when the connection begins. */
export type VolumeFacts = {
  readonly volume: number;
  readonly primary: boolean;
  readonly disk: DrbdDisk;
  /** Of no meaning while `disk` is Diskless. */
  readonly uuids: UuidSet;
  readonly bits: number;
  readonly crashedPrimary: boolean;
  /** Told with the state; undefined: nothing is paused. */
  readonly pause?: PauseFlags;
  readonly sizes: Pick<SizesPacket, 'diskSize' | 'userSize' | 'currentSize' | 'maxBioSize'> & {
    /** Told when DRBD_FEATURE.writeSame is agreed. */
    readonly limits: QueueLimits;
  };
  readonly resyncRate: number;
  readonly verifyAlg: string;
  readonly csumsAlg: string;
  readonly controller: ResyncController;
};
export type ConnectConfig = {
  /** DRBD_FEATURE bits that we offer. */
  readonly features: number;
  readonly auth: { readonly algorithm: string; readonly secret: Uint8Array } | undefined;
  /** 1 A, 2 B, 3 C. */
  readonly protocol: 1 | 2 | 3;
  readonly policies: AfterSb;
  readonly alwaysAsbp: boolean;
  readonly rrConflict: RoleConflict;
  readonly discardMyData: boolean;
  readonly dryRun: boolean;
  readonly twoPrimaries: boolean;
  readonly integrity: string;
  /** How long both sockets must stay before they are used. */
  readonly socketCheck: Microseconds;
  /** For each answer up to the end of authentication. */
  readonly answerWithin: Microseconds;
  readonly volumes: readonly VolumeFacts[];
};

/** What the peer told of one volume, as far as it has come. */
export type PeerVolume = {
  readonly syncParam?: SyncParamPacket;
  readonly sizes?: SizesPacket;
  readonly uuids?: UuidsPacket;
  readonly state?: StatePacket;
};
export type Phase =
  | { readonly is: 'sockets'; readonly data: boolean; readonly meta: boolean }
  | { readonly is: 'settling'; readonly until: Microseconds }
  | { readonly is: 'features'; readonly until: Microseconds }
  | { readonly is: 'authenticating'; readonly until: Microseconds; readonly answered: boolean }
  | {
      readonly is: 'parameters';
      readonly protocol: ProtocolPacket | undefined;
      readonly peers: ReadonlyMap<number, PeerVolume>;
      /** Volumes about which it has been decided. */
      readonly decided: ReadonlySet<number>;
    }
  | { readonly is: 'connected' }
  /** Over; `retry` says whether to try again or to stay StandAlone. */
  | { readonly is: 'ended'; readonly because: Text; readonly retry: boolean };
export type ConnectState = {
  readonly phase: Phase;
  readonly dialect: DrbdDialect;
  /** We accepted the meta socket: ties go by it. */
  readonly resolver: boolean;
};
export type ConnectEvent =
  /** A socket is there: we opened it, or accepted it and its first packet named it. */
  | { readonly kind: 'socket'; readonly socket: DrbdSocket; readonly opened: 'here' | 'there' }
  | { readonly kind: 'packet'; readonly socket: DrbdSocket; readonly packet: DrbdPacket }
  | { readonly kind: 'closed' }
  /** The peer has told of all volumes that it has: those of ours that are left it does not know. */
  | { readonly kind: 'told' }
  | { readonly kind: 'tick' };
export type AgreedSize = {
  readonly size: Sector;
  /** The user's limit as both sides have it from now on: the smaller one; 0 for none. */
  readonly userSize: Sector;
};
export type ConnectEffect =
  | { readonly kind: 'open'; readonly socket: DrbdSocket }
  | { readonly kind: 'send'; readonly socket: DrbdSocket; readonly packet: DrbdPacket }
  /** How everything from here on is read and written. */
  | { readonly kind: 'agree'; readonly dialect: DrbdDialect }
  /** `decision` is undefined where one side has no disk: there is nothing to compare. */
  | {
      readonly kind: 'decided';
      readonly volume: number;
      readonly size: AgreedSize;
      readonly decision: Decision | undefined;
    }
  | { readonly kind: 'close'; readonly because: Text; readonly retry: boolean };
export type ConnectStep = { readonly state: ConnectState; readonly effects: readonly ConnectEffect[] };
