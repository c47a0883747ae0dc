/** A keepalived.conf, read: what the daemon itself is told, and what each part is. */
import type { Microseconds } from '../../base/index.ts';
import type { BfdInstance } from '../../bfd/config.ts';
import type { DirectorConfig } from '../../director/config.ts';
import type { Script, VrrpConfig } from '../../vrrp/config.ts';

/** How one of keepalived's processes is to run; our processes take the wishes of the part that they hold. */
export type ProcessSettings = {
  readonly name?: string;
  /** nice(2), -20..19. */
  readonly nice?: number;
  /** SCHED_RR, 1..99. */
  readonly realTime?: number;
  /** CPU time between blocking calls, RLIMIT_RTTIME. */
  readonly realTimeLimit?: Microseconds;
  readonly noSwap: boolean;
  readonly cpus: readonly number[];
};
export type BufferSettings = { readonly bytes?: number; readonly force: boolean };
export type SnmpSettings = {
  /** Undefined: net-snmp's default, unix:/var/agentx/master. */
  readonly socket?: string;
  readonly vrrp: boolean;
  readonly checker: boolean;
  readonly rfcV2: boolean;
  readonly rfcV3: boolean;
  readonly traps: boolean;
  readonly virtualServerInterval: Microseconds;
  readonly realServerInterval: Microseconds;
};

/** What belongs to no part: the process, its files, its neighbours on the host. */
export type GlobalConfig = {
  readonly netNamespace?: string;
  /** Where IPVS state goes; the empty string is the default namespace. */
  readonly ipvsNamespace?: string;
  readonly namespaceWithIpsets: boolean;
  readonly instance?: string;
  readonly usePidDir: boolean;
  readonly childWait: Microseconds;

  readonly processNames: boolean;
  readonly processName?: string;
  readonly processes: {
    readonly vrrp: ProcessSettings;
    readonly checker: ProcessSettings;
    readonly bfd: ProcessSettings;
  };
  readonly startupScript?: { readonly script: Script; readonly timeout: Microseconds };
  readonly shutdownScript?: { readonly script: Script; readonly timeout: Microseconds };
  readonly useSymlinkPaths: boolean;
  /** -1: off and silent, 0: off. */
  readonly maxAutoPriority: number;
  readonly minAutoPriorityDelay: Microseconds;
  readonly umask?: number;

  readonly configDirectory?: string;
  readonly saveDirectory?: string;
  /** Undefined: no check before a reload; the empty string: the check's log goes where logs go. */
  readonly reloadCheckLog?: string;
  readonly reloadTimeFile?: string;
  readonly reloadRepeat: boolean;
  /** The empty string: keepalived.reload in the pid directory. */
  readonly reloadFile?: string;
  readonly dataUseInstance: boolean;
  readonly stateDumpFile?: string;
  readonly statsDumpFile?: string;
  readonly jsonDumpFile?: string;
  readonly jsonVersion: 1 | 2;

  readonly iptables?: { readonly input: string; readonly output?: string };
  /** Undefined: ipsets are not asked for. */
  readonly ipsets?: readonly string[];
  readonly nftables?: {
    readonly table: string;
    readonly priority: number;
    readonly counters: boolean;
    readonly ifindex: boolean;
  };
  readonly disableLocalIgmp: boolean;
  readonly vmacAddressPrefix?: string;
  readonly receiveBuffers?: { readonly policy: 'mtu' | 'advert' | number; readonly multiplier: number };
  readonly netlinkBuffers: {
    readonly vrrpCommand: BufferSettings;
    readonly vrrpMonitor: BufferSettings;
    readonly directorCommand: BufferSettings;
    readonly directorMonitor: BufferSettings;
    readonly processMonitor: BufferSettings;
  };
  readonly snmp: SnmpSettings;
  /** Undefined: off. */
  readonly dbus?: { readonly service: string; readonly noInterfaceName?: string };
};

export type KeepalivedConfig = {
  readonly global: GlobalConfig;
  readonly vrrp: VrrpConfig;
  readonly bfd: readonly BfdInstance[];
  readonly director: DirectorConfig;
};
