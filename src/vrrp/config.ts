/**
 * What the VRRP part is told: every name resolved, every default filled in, every range checked. The readers of the
 * formats (keepalived.conf now) make it; nothing inside the part checks again.
 *
 * Interfaces are named, not numbered: they may come and go. Times are whole microseconds.
 */
import type { Family, IpAddress, IpPrefix, Microseconds } from '../base/index.ts';
import type { AddressScope, RouteEncap, RouteMetrics, RouteType, Rule } from '../host/index.ts';

/** A program to run: words already split, the user resolved by name when it runs. */
export type Script = { readonly argv: readonly [string, ...string[]]; readonly user?: string; readonly group?: string };

// ------------------------------------------------------------------------------------------ what a master holds

/** Whether the loss of an object matters: `follow` (default: an instance re-elects), `ignore` (`no_track`), or a static track group. */
export type ObjectTracking =
  | { readonly kind: 'follow' }
  | { readonly kind: 'ignore' }
  | { readonly kind: 'group'; readonly group: string };

export type WantedAddress = {
  readonly prefix: IpPrefix;
  /** Undefined only where neither the line, the instance nor `default_interface` names one. */
  readonly interface: string;
  /** True where `dev` was written in the line. */
  readonly interfaceGiven: boolean;
  readonly broadcast?: IpAddress | 'derive' | 'none';
  readonly scope?: AddressScope;
  readonly label?: string;
  readonly peer?: IpPrefix;
  readonly home?: boolean;
  /** IPv6: let the kernel do duplicate address detection (`-nodad` in the file). */
  readonly detectDuplicates?: boolean;
  readonly manageTempAddr?: boolean;
  readonly noPrefixRoute?: boolean;
  readonly autoJoin?: boolean;
  /** Seconds; 'forever' is the default, 0 = deprecated at once. */
  readonly preferredSeconds?: number | 'forever';
  /** Put it on a macvlan even though the instance has none there (`use_vmac` in the line). */
  readonly useVmac?: boolean;
  readonly tracking: ObjectTracking;
};

export type WantedHop = {
  readonly via?: IpAddress;
  readonly interface?: string;
  readonly weight?: number;
  readonly onlink?: boolean;
  readonly encap?: RouteEncap;
  readonly realms?: number;
};
export type WantedRoute = {
  readonly family: Family;
  readonly how: 'replace' | 'append' | 'prepend';
  readonly type: RouteType;
  /** Undefined: default route. */
  readonly destination?: IpPrefix;
  readonly from?: IpPrefix;
  readonly source?: IpAddress;
  readonly table: number;
  readonly metric?: number;
  readonly scope?: AddressScope | 'nowhere';
  readonly protocol?: number;
  readonly tos?: number;
  readonly hops: readonly WantedHop[];
  readonly metrics?: RouteMetrics;
  readonly expiresSeconds?: number;
  readonly preference?: 'low' | 'medium' | 'high';
  readonly ttlPropagate?: boolean;
  /** Put it into the table of this VRF device, in place of `table`. */
  readonly vrf?: string;
  readonly tracking: ObjectTracking;
};
export type WantedRule = { readonly rule: Rule; readonly tracking: ObjectTracking };

// ------------------------------------------------------------------------------------------ tracking

/** Weight 0: down means FAULT. Otherwise a positive weight adds when up, a negative one subtracts when down; `reverse` flips the sign. */
export type Weight = { readonly value: number; readonly reverse: boolean };
export type Track = { readonly name: string; readonly weight: Weight };
/** What an instance or a sync group watches, by kind. Script, process, file and BFD names refer to the lists in `VrrpConfig`. */
export type Tracks = {
  readonly interfaces: readonly Track[];
  readonly scripts: readonly Track[];
  readonly processes: readonly Track[];
  readonly files: readonly Track[];
  readonly bfds: readonly Track[];
};

export type TrackScript = {
  readonly name: string;
  readonly script: Script;
  readonly interval: Microseconds;
  readonly timeout: Microseconds;
  readonly weight: Weight;
  readonly rise: number;
  readonly fall: number;
  /** Starts as failed; otherwise instances wait for the first result. */
  readonly initFail: boolean;
};
export type TrackProcess = {
  readonly name: string;
  readonly process: string;
  readonly parameters: readonly string[];
  readonly parameterMatch: 'exact' | 'initial' | 'partial';
  readonly fullCommand: boolean;
  readonly weight: Weight;
  readonly quorum: number;
  readonly quorumMax: number | undefined;
  /** How long a state must last before it counts: processes too few or too many again, and processes enough again. */
  readonly forkDelay: Microseconds;
  readonly terminateDelay: Microseconds;
};
export type TrackFile = {
  readonly name: string;
  readonly file: string;
  readonly weight: Weight;
  /** Create with this value at start; `overwrite` also where it exists. */
  readonly init?: { readonly value: number; readonly overwrite: boolean };
};

// ------------------------------------------------------------------------------------------ instances

export type Authentication = { readonly type: 'none' } | { readonly type: 'pass' | 'ah'; readonly password: string };
/** keepalived 2.4's trailer. Keys are resolved to bytes when the file is read. */
export type HmacAuthentication = {
  readonly keys: readonly { readonly id: number; readonly key: Uint8Array }[];
  readonly activeKey: number;
  readonly antiReplay: 'time' | 'monotonic';
  readonly window: Microseconds;
  readonly mode: 'enforce' | 'permissive' | 'receive-only';
};

export type UnicastPeer = { readonly address: IpAddress; readonly minTtl?: number; readonly maxTtl?: number };

/**
 * A further way to the peers, beside the instance's own interface: adverts are sent on it too, and the peer counts as
 * silent only when nothing was heard on any link. Not in keepalived: `links { eth1 ; eth2 unicast_src_ip A unicast_peer B }`.
 */
export type ExtraLink = {
  readonly interface: string;
  readonly source?: IpAddress;
  /** Empty: multicast. */
  readonly peers: readonly UnicastPeer[];
};

export type Vmac = {
  readonly kind: 'macvlan' | 'ipvlan';
  readonly name: string;
  /** Undefined: 00:00:5e:00:01:VRID, or 02 for IPv6. */
  readonly mac?: string;
  readonly mode: 'private' | 'bridge' | 'vepa';
  readonly address?: IpPrefix;
  readonly group?: number;
  /** Also tell other listeners by a netlink notification. */
  readonly notify: boolean;
};

export type Garp = {
  readonly masterDelay: Microseconds;
  readonly masterRepeat: number;
  /** 0: off. */
  readonly masterRefresh: Microseconds;
  readonly masterRefreshRepeat: number;
  readonly lowerPrioDelay: Microseconds;
  readonly lowerPrioRepeat: number;
  /** Frames on VIP interfaces other than the instance's; `all` also where no VMAC is used. Undefined: off. */
  readonly extraInterface?: { readonly all: boolean; readonly every: Microseconds };
};

export type NotifyScripts = {
  readonly master?: Script;
  readonly backup?: Script;
  readonly fault?: Script;
  readonly stop?: Script;
  readonly deleted?: Script;
  /** `notify_deleted` was given, with or without a script: a removed instance is told as DELETED instead of FAULT. */
  readonly tellDeleted?: boolean;
  readonly masterRxLowerPri?: Script;
  /** Called with four more arguments: INSTANCE|GROUP, name, state, priority. */
  readonly any?: Script;
};

export type Instance = {
  readonly name: string;
  /** Undefined: unicast without an interface. */
  readonly interface: string | undefined;
  readonly vrf?: string;
  readonly virtualRouterId: number;
  readonly version: 2 | 3;
  /** Of the adverts; the family of the first virtual address. */
  readonly family: Family;
  /** 255 = address owner. */
  readonly priority: number;
  readonly wantsMaster: boolean;
  readonly advertInterval: Microseconds;
  readonly downTimerAdverts: number;
  readonly preempt: boolean;
  readonly preemptDelay: Microseconds;
  readonly authentication: Authentication;
  readonly hmac?: HmacAuthentication;

  /** In the packet, in this order. */
  readonly addresses: readonly WantedAddress[];
  /** Held, but not in the packet; any family. */
  readonly excluded: readonly WantedAddress[];
  readonly routes: readonly WantedRoute[];
  readonly rules: readonly WantedRule[];

  /** Undefined = multicast. An empty list after `unicast_peer {}` is resolved by the reader. */
  readonly unicastPeers: readonly UnicastPeer[] | undefined;
  readonly unicastTtl?: number;
  readonly faultWithoutPeer: boolean;
  readonly source?: IpAddress;
  readonly multicastGroup: IpAddress;
  readonly checkUnicastSource: boolean;
  readonly trackSourceAddress: boolean;
  readonly oldUnicastChecksum: 'auto' | 'always' | 'never';
  readonly v3ChecksumAsV2: boolean;
  readonly links: readonly ExtraLink[];

  readonly vmac?: Vmac;
  readonly vmacForAddresses: boolean;
  readonly vmacXmitBase: boolean;
  readonly promoteSecondaries: boolean;

  readonly tracks: Tracks;
  readonly trackPrimary: boolean;
  readonly accept: boolean;
  readonly strict: boolean;
  readonly skipCheckAdvAddr: boolean;
  readonly garp: Garp;
  /** Undefined = off; otherwise for how many further adverts. */
  readonly timerExpiredBackup?: number;
  readonly lowerPrioNoAdvert: boolean;
  readonly higherPrioSendAdvert: boolean;
  readonly ownerIgnoreAdverts: boolean;
  readonly receiveBuffer?: number;

  readonly notify: NotifyScripts;
  readonly notifyPriorityChanges: boolean;
  readonly smtpAlert: boolean;
};

export type SyncGroup = {
  readonly name: string;
  readonly members: readonly string[];
  readonly tracks: Tracks;
  readonly trackingWeight: boolean;
  readonly notify: Pick<NotifyScripts, 'master' | 'backup' | 'fault' | 'stop' | 'any'>;
  readonly notifyPriorityChanges: boolean;
  readonly smtpAlert: boolean;
};

// ------------------------------------------------------------------------------------------ the whole

export type StaticObjects = {
  readonly addresses: readonly WantedAddress[];
  readonly routes: readonly WantedRoute[];
  readonly rules: readonly WantedRule[];
};
/** Loss of a static object of this group puts the instances in FAULT. */
export type TrackGroup = { readonly name: string; readonly instances: readonly string[] };

/** Least gap between frames, on one interface or shared by several. */
export type GarpGroup = {
  readonly interfaces: readonly string[];
  readonly garpInterval: Microseconds;
  readonly gnaInterval: Microseconds;
};

export type Fifo = { readonly path: string; readonly user?: string; readonly group?: string; readonly script?: Script };
export type Mail = {
  readonly to: readonly string[];
  readonly from: string;
  readonly server: { readonly host: string; readonly port: number } | undefined;
  readonly helo: string;
  readonly connectTimeout: Microseconds;
  readonly onFault: boolean;
};

export type VrrpConfig = {
  readonly routerId: string;
  readonly instances: readonly Instance[];
  readonly groups: readonly SyncGroup[];
  readonly scripts: readonly TrackScript[];
  readonly processes: readonly TrackProcess[];
  readonly files: readonly TrackFile[];
  readonly statics: StaticObjects;
  readonly trackGroups: readonly TrackGroup[];
  readonly garpGroups: readonly GarpGroup[];
  /** vrrp_garp_interval and vrrp_gna_interval. */
  readonly garpInterval: Microseconds;
  readonly gnaInterval: Microseconds;
  readonly minGarp: boolean;
  /** The nftables table for `no_accept` and macvlans. Two daemons in one network namespace need two names. */
  readonly filter: { readonly table: string; readonly priority: number };
  /** No reports of membership in 224.0.0.0/24, from any interface. */
  readonly disableLocalIgmp: boolean;
  readonly startupDelay: Microseconds;
  readonly delayAfterBoot: Microseconds;
  readonly interfaceDelays: readonly {
    readonly interface: string;
    readonly down: Microseconds;
    readonly up: Microseconds;
  }[];
  /** Poll instead of trusting netlink. */
  readonly linkbeat: readonly { readonly interface: string; readonly how: 'mii' | 'ethtool' | 'ioctl' | 'auto' }[];
  readonly linkbeatPolling: boolean;
  readonly dynamicInterfaces: 'no' | 'yes' | 'may-change';
  readonly logUnknownVrids: boolean;
  readonly fifos: readonly Fifo[];
  readonly fifoStatesOnReload: boolean;
  readonly mail: Mail;
  /** The default for scripts that name no user. */
  readonly scriptUser?: { readonly user: string; readonly group?: string };
  readonly scriptSecurity: boolean;
  readonly supplementaryGroups: boolean;
};
