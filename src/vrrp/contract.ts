/** What whoever composes the program and this part agree on. */
import type { Microseconds } from '../base/index.ts';
import type { Clock, Entropy, Log, NetCommand, Network, Processes, Sockets, Sysctl } from '../host/index.ts';
import type { GroupStateName } from './group.ts';
import type { Notification } from './notify.ts';
import type { RouterStats } from './router.ts';
import type { Because, Fault, StateName } from './types.ts';

export type VrrpPorts = {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  readonly sockets: Sockets;
  readonly network: Network;
  readonly sysctl: Sysctl;
  readonly processes: Processes;
};

/** What somebody else must do for us if this process dies without a word. */
export type LastWill = {
  /** Resignations: whole IPv4 packets (`ownHeader` sockets) or IPv6 payloads (checksum at offset 6). */
  readonly adverts: readonly {
    readonly family: 4 | 6;
    readonly protocol: number;
    /** To leave by. Undefined: as the routes say. */
    readonly ifindex: number | undefined;
    readonly source: string | undefined;
    readonly destination: string;
    readonly bytes: Uint8Array;
  }[];
  readonly commands: readonly NetCommand[];
};

export type VrrpOptions = {
  /**
   * Addresses are put with a lifetime that is renewed as long as this process runs, so that the kernel itself takes
   * them away when everything of ours was killed: no address ever stays on a host whose daemon is gone.
   */
  readonly leaseAddresses: boolean;
  /** Instances that were master in a process before this one, which handed over: their addresses stay. */
  readonly adopt: ReadonlySet<string>;
  /** How long the machine has been up, for `vrrp_delay_after_boot`. */
  readonly uptime: Microseconds;
  readonly notify: (n: Notification) => void;
  readonly willChanged: (will: LastWill) => void;
};

export type InstanceStatus = {
  readonly name: string;
  readonly state: StateName;
  readonly since: Microseconds;
  readonly because: Because;
  readonly priority: number;
  readonly faults: readonly Fault[];
  readonly master: { readonly address: string; readonly priority: number } | undefined;
  readonly links: readonly { readonly interface: string | undefined; readonly heardAt: Microseconds | undefined }[];
  readonly stats: Readonly<RouterStats>;
};
export type GroupStatus = {
  readonly name: string;
  readonly state: GroupStateName;
  readonly members: readonly string[];
};
export type VrrpStatus = { readonly instances: readonly InstanceStatus[]; readonly groups: readonly GroupStatus[] };
