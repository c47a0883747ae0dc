/** The words of the VRRP machine: states, what happens to a virtual router, what it has done, and why. */
import type { IpAddress, Microseconds } from '../base/index.ts';
import type { HostError } from '../host/index.ts';

/** RFC 9568 section 6.4, and FAULT: something that this router needs is broken, so it takes no part. */
export type StateName = 'INIT' | 'BACKUP' | 'MASTER' | 'FAULT' | 'STOPPED';

export type TrackerKind = 'interface' | 'script' | 'process' | 'file' | 'bfd';

/** What keeps a virtual router out of the election. */
export type Fault =
  | { readonly kind: 'link-missing' | 'link-down'; readonly interface: string }
  /** No address on the interface to send adverts from. */
  | { readonly kind: 'no-source'; readonly interface: string }
  /** `track_src_ip`: the configured source is on no interface. */
  | { readonly kind: 'source-lost'; readonly address: IpAddress }
  | { readonly kind: 'duplicate-vrid'; readonly with: string; readonly interface: string }
  | { readonly kind: 'tracker'; readonly tracker: TrackerKind; readonly name: string }
  /** A static object of a `track_group` is gone. */
  | { readonly kind: 'static-object'; readonly group: string; readonly object: string }
  | { readonly kind: 'sync-group'; readonly group: string; readonly member: string }
  | { readonly kind: 'no-unicast-peer' }
  /** The kernel refused what this router cannot do without: a socket, a macvlan. */
  | { readonly kind: 'refused'; readonly error: HostError };

/** What trackers, links and the sync group say about a router, all in one: the machine compares it with what it knew. */
export type Health = {
  readonly faults: readonly Fault[];
  /** The first results of some scripts are not there yet. */
  readonly waiting: boolean;
  /** The configured priority with the weights of all trackers, 1..254; 255 for an owner. */
  readonly priority: number;
};

/** A master as its last accepted advert showed it. */
export type Rival = { readonly address: IpAddress; readonly priority: number; readonly at: Microseconds };

/** The cause of a transition: what a person at three in the morning asks for. */
export type Because =
  | { readonly why: 'start' }
  /** It was master before (reload, restart with hand-over) and goes on. */
  | { readonly why: 'adopted' }
  | { readonly why: 'owner' }
  /** `master` is undefined when nobody was ever heard. `waited`: since the last advert, or since listening began. */
  | { readonly why: 'silence'; readonly master: Rival | undefined; readonly waited: Microseconds }
  | { readonly why: 'resigned'; readonly master: Rival }
  /** It kept hearing a master of lower priority and preempts it. */
  | { readonly why: 'preempts'; readonly master: Rival; readonly ours: number }
  | { readonly why: 'higher-priority'; readonly rival: Rival; readonly ours: number }
  | { readonly why: 'higher-address'; readonly rival: Rival; readonly ours: IpAddress }
  | { readonly why: 'rogue-owner'; readonly rival: Rival }
  | { readonly why: 'faults'; readonly faults: readonly Fault[] }
  | { readonly why: 'recovered'; readonly faults: readonly Fault[] }
  | { readonly why: 'sync-group'; readonly group: string; readonly member: string; readonly because: Because }
  | { readonly why: 'object-lost'; readonly object: string }
  | { readonly why: 'stalled'; readonly late: Microseconds }
  | { readonly why: 'stop' }
  | { readonly why: 'deleted' };

export type Event =
  | {
      readonly kind: 'start';
      readonly health: Health;
      /** MASTER: it is adopted from before a reload or restart. */
      readonly as: 'BACKUP' | 'MASTER';
      /** `vrrp_startup_delay`, `vrrp_delay_after_boot`: the first timer begins here. */
      readonly notBefore: Microseconds;
    }
  | {
      /** Passed every check of reception. */
      readonly kind: 'advert';
      readonly from: IpAddress;
      /** Our own source on the link that it came by: breaks ties. */
      readonly own: IpAddress;
      /** False: it came by a further link, where the order of addresses may be another one. Another copy decides. */
      readonly decidesTies: boolean;
      readonly priority: number;
      /** As the packet says; counts in version 3. */
      readonly interval: Microseconds;
      /** Arrival in the kernel. */
      readonly at: Microseconds;
    }
  | { readonly kind: 'tick' }
  | { readonly kind: 'health'; readonly health: Health }
  /** This process did not run for `late`; what had queued up meanwhile has been delivered before this event. */
  | { readonly kind: 'stalled'; readonly late: Microseconds }
  /** Another machine was seen to announce one of our addresses as its own. */
  | { readonly kind: 'rival-announced' }
  /** An address, route or rule that a master must hold was taken away by somebody. */
  | { readonly kind: 'object-lost'; readonly object: string }
  /** The sync group moves all its members together. */
  | { readonly kind: 'sync'; readonly to: 'MASTER' | 'BACKUP'; readonly because: Because }
  /** Another member of the sync group met a rival. */
  | { readonly kind: 'sync-announce' }
  | { readonly kind: 'stop'; readonly deleted: boolean };

/** What the world is told (A8 of the manual: the words of FIFO and scripts). */
export type NotifyWord =
  | 'MASTER'
  | 'BACKUP'
  | 'FAULT'
  | 'STOP'
  | 'DELETED'
  | 'MASTER_RX_LOWER_PRI'
  | 'MASTER_PRIORITY'
  | 'BACKUP_PRIORITY';

/** Why frames are sent: counted and shown apart. */
export type AnnounceReason = 'master' | 'master-again' | 'refresh' | 'rival' | 'rival-again' | 'rival-frames';

export type Warning =
  /** An advert of our own priority from our own address: a loop, or a second machine with it. */
  | { readonly kind: 'own-address'; readonly address: IpAddress }
  | { readonly kind: 'rogue-owner'; readonly rival: Rival; readonly lowered: boolean };

/** In the order in which they are to be done. */
export type Effect =
  /** On every link, to every peer. */
  | { readonly do: 'advertise'; readonly priority: number }
  /** Put addresses, routes and rules, in one batch. */
  | { readonly do: 'hold' }
  | { readonly do: 'release' }
  /** `copies` gratuitous ARP or neighbour advertisements for each address. */
  | { readonly do: 'announce'; readonly copies: number; readonly reason: AnnounceReason }
  /** `garp_extra_if`: one frame for each address that is on another interface. */
  | { readonly do: 'announce-extra' }
  | { readonly do: 'transition'; readonly from: StateName; readonly to: StateName; readonly because: Because }
  | { readonly do: 'notify'; readonly word: NotifyWord }
  /** A member of a sync group would be master now; the group decides. */
  | { readonly do: 'wants-master'; readonly because: Because }
  /** A master heard another one of lower right. */
  | { readonly do: 'met-rival'; readonly rival: Rival }
  | { readonly do: 'warn'; readonly warning: Warning };
