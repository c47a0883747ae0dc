/** What the processes tell each other, over the channel of node:child_process in structured-clone form. */
import type { InstanceStatus, TrackerStatus } from '../api/index.ts';
import type { Diagnostic, IpAddress, Text } from '../base/index.ts';
import type { Exit, LogEvent, NetCommand, RawSocketOptions } from '../host/index.ts';
import type { Script, VrrpConfig } from '../vrrp/index.ts';
import type { DaemonSettings, Scheduling } from './settings.ts';

/**
 * What is to be done in the place of a beat process that has died: the priority-0 adverts of one virtual router that is
 * master, and the removal of what it holds. Written by the beat before it needs to be executed.
 */
export type Will = {
  readonly packets: readonly {
    readonly socket: RawSocketOptions;
    readonly bytes: Uint8Array;
    readonly to: IpAddress;
  }[];
  readonly commands: readonly NetCommand[];
};

/** One event to be told: complete lines and commands, so that the supervisor needs no configuration to tell it. */
export type Notification = {
  readonly of: 'INSTANCE' | 'GROUP';
  readonly name: string;
  /** MASTER, BACKUP, FAULT, STOP, ... */
  readonly word: string;
  /** In this order, arguments complete. */
  readonly scripts: readonly Script[];
  /** With its newline. */
  readonly fifo: string;
  /** The subject; undefined: no mail. */
  readonly mail: string | undefined;
};

export type BeatSnapshot = {
  readonly instances: readonly InstanceStatus[];
  readonly trackers: readonly TrackerStatus[];
  readonly realtimePriority: number | undefined;
  readonly worstStall: { readonly ms: number; readonly at: number } | undefined;
  /** Counters of each instance, by their names in the statistics dump. */
  readonly statistics: Readonly<Record<string, Readonly<Record<string, number>>>>;
};

/** Supervisor to beat. */
export type ToBeat =
  | {
      readonly kind: 'configure';
      readonly generation: number;
      readonly config: VrrpConfig;
      readonly scheduling: Scheduling;
      /** Entered before anything else is opened; fixed at the first configuration. */
      readonly namespace: string | undefined;
      readonly logAddresses: boolean;
      /** Log debug and info events too. */
      readonly detail: boolean;
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
  | { readonly kind: 'notify'; readonly notification: Notification; readonly fifoOnly: boolean }
  | {
      readonly kind: 'transition';
      readonly name: string;
      readonly from: string;
      readonly to: string;
      readonly because: Text;
    }
  /** Replaces the will of one virtual router; undefined: it holds nothing. */
  | { readonly kind: 'will'; readonly name: string; readonly will: Will | undefined }
  /** Programs are started by the supervisor: a fork costs time that the beat does not have. */
  | { readonly kind: 'run'; readonly run: number; readonly script: Script }
  | { readonly kind: 'signal'; readonly run: number; readonly signal: 'SIGTERM' | 'SIGKILL' | 'SIGHUP' }
  | { readonly kind: 'snapshot'; readonly question: number; readonly snapshot: BeatSnapshot }
  /** Everything is handed over; the process ends by itself. */
  | { readonly kind: 'stopped' };

/** Asked of the reader process, which ends after its answer. */
export type ReadRequest = {
  readonly file: string;
  readonly lenient: boolean;
  readonly configId: string | undefined;
  readonly allConfig: boolean;
};
export type ReadConfig = {
  readonly settings: DaemonSettings;
  readonly vrrp: VrrpConfig;
  readonly virtualServers: readonly string[];
  /** Every byte that was read, included files too, for `config_save_dir`. */
  readonly flattened: string;
};
export type ReadAnswer = {
  readonly diagnostics: readonly RenderedDiagnostic[];
  /** Undefined: refused. */
  readonly config: ReadConfig | undefined;
};
/** A finding with the lines that show its place, since only the reader has the text at hand. */
export type RenderedDiagnostic = Pick<Diagnostic, 'severity' | 'code'> & { readonly text: Text };
