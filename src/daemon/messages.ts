/** What the processes tell each other, over the channel of node:child_process in structured-clone form. */
import type { InstanceStatus, LbRequest, TrackerStatus } from '../api/index.ts';
import type { Diagnostic, Microseconds, Text } from '../base/index.ts';
import type { BfdInstance } from '../bfd/index.ts';
import type { GlobalConfig, ProcessSettings } from '../config/keepalived/index.ts';
import type {
  DirectorConfig,
  DirectorMemory,
  InstanceView,
  PoolNotification,
  PoolState,
  ServiceKey,
} from '../director/index.ts';
import type { Exit, LogEvent } from '../host/index.ts';
import type { LastWill, Notification, Script, VrrpConfig } from '../vrrp/index.ts';
import type { PeerOption } from './command/options.ts';

export type BeatSnapshot = {
  readonly instances: readonly InstanceStatus[];
  readonly trackers: readonly TrackerStatus[];
  readonly realtimePriority: number | undefined;
  readonly worstStallMs: number;
  /** Counters of each instance, by their names in the statistics dump. */
  readonly statistics: Readonly<Record<string, Readonly<Record<string, number>>>>;
};

/** Supervisor to beat. */
export type ToBeat =
  | {
      readonly kind: 'configure';
      readonly generation: number;
      readonly config: VrrpConfig;
      readonly bfd: readonly BfdInstance[];
      readonly process: ProcessSettings;
      readonly umask: number | undefined;
      /** Entered before anything else is opened; fixed at the first configuration. */
      readonly namespace: string | undefined;
      /** Addresses get a lifetime that is renewed; not where they are to outlive a stop (`-V`). */
      readonly leases: boolean;
      readonly logAddresses: boolean;
    }
  /** Hand over and end; `keep` leaves addresses and routes where they are. */
  | { readonly kind: 'stop'; readonly keep: boolean }
  | { readonly kind: 'exited'; readonly run: number; readonly exit: Exit }
  | { readonly kind: 'snapshot'; readonly question: number }
  | { readonly kind: 'clear-statistics' };

/** Beat to supervisor. */
export type FromBeat =
  | { readonly kind: 'log'; readonly event: LogEvent }
  | { readonly kind: 'in-force'; readonly generation: number }
  | { readonly kind: 'notify'; readonly notification: Notification; readonly because: Text | undefined }
  /** What is to be done in its place if it dies without a word; replaces the one before. */
  | { readonly kind: 'will'; readonly will: LastWill }
  /** Programs are started by the supervisor: a fork costs time that the beat does not have. */
  | { readonly kind: 'run'; readonly run: number; readonly script: Script }
  | { readonly kind: 'signal'; readonly run: number; readonly signal: 'SIGTERM' | 'SIGKILL' | 'SIGHUP' }
  | { readonly kind: 'snapshot'; readonly question: number; readonly snapshot: BeatSnapshot }
  /** A BFD session whose state checkers are to be told of. */
  | { readonly kind: 'bfd'; readonly name: string; readonly up: boolean }
  /** Everything is handed over; the process ends by itself. */
  | { readonly kind: 'stopped' };

/** Supervisor to director. */
export type ToDirector =
  | {
      readonly kind: 'configure';
      readonly generation: number;
      readonly config: DirectorConfig;
      readonly proxyHeader: 'none' | 'v1' | 'v2';
      /** The other director; fixed at the first configuration. */
      readonly peer: PeerOption | undefined;
      /** The file that says which of IPVS's services are ours. */
      readonly ledger: string;
      readonly process: ProcessSettings;
      readonly umask: number | undefined;
      /** As for the beat. */
      readonly namespace: string | undefined;
      readonly scripts: Pick<VrrpConfig, 'scriptUser' | 'supplementaryGroups'>;
      /** Of the process before it. Looked at only by one that starts. */
      readonly memory: DirectorMemory | undefined;
    }
  | { readonly kind: 'instance'; readonly name: string; readonly view: InstanceView }
  | { readonly kind: 'bfd'; readonly name: string; readonly up: boolean }
  /** `until`, of commonNow: whoever asked has then been told that nothing came of it, and so nothing may. */
  | { readonly kind: 'ask'; readonly question: number; readonly request: LbRequest; readonly until: Microseconds }
  /** Answered with `alive`. */
  | { readonly kind: 'live' }
  /** `keep`: what the kernel forwards goes on (`-I`). */
  | { readonly kind: 'stop'; readonly keep: boolean };

/** Director to supervisor. */
export type FromDirector =
  | { readonly kind: 'log'; readonly event: LogEvent }
  | { readonly kind: 'notify'; readonly notification: PoolNotification }
  /** What a later process goes on with; undefined: the service is gone. */
  | { readonly kind: 'memory'; readonly service: ServiceKey; readonly memory: PoolState | undefined }
  | { readonly kind: 'answer'; readonly question: number; readonly document: unknown }
  /** The planes hold what the configuration asks for, as far as they can. */
  | { readonly kind: 'in-force' }
  | { readonly kind: 'alive' }
  | { readonly kind: 'stopped' };

/** Asked of the reader process, which ends after its answer. */
export type ReadRequest = {
  readonly file: string;
  readonly format: 'keepalived' | 'ldirectord';
  readonly lenient: boolean;
  readonly configId: string | undefined;
  /** `-d`: the configuration in words too. */
  readonly describe: boolean;
};
export type ReadConfig = {
  readonly global: GlobalConfig;
  readonly vrrp: VrrpConfig;
  readonly bfd: readonly BfdInstance[];
  readonly director: DirectorConfig;
  readonly virtualServers: readonly string[];
  /** What the kernel forwards goes on behind a stop (ldirectord's `cleanstop = no`). */
  readonly keepServers: boolean;
  /** The file is read again when it changes (ldirectord's `autoreload`). */
  readonly autoReload: boolean;
  /** Every byte that was read, included files too, for `config_save_dir`. */
  readonly flattened: string;
  /** As a keepalived.conf that says everything, where it was asked for. */
  readonly description: string | undefined;
};
export type ReadAnswer = {
  readonly diagnostics: readonly RenderedDiagnostic[];
  /** Undefined: refused. */
  readonly config: ReadConfig | undefined;
};
/** A finding in words, since only the reader has the text at hand: for a log line, and with the lines that show its place. */
export type RenderedDiagnostic = Pick<Diagnostic, 'severity' | 'code'> & {
  readonly line: Text;
  readonly shown: Text;
};
