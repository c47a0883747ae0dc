/** What of a configuration file concerns the daemon itself: its processes, files and scripts. Readers of formats fill it. */
import type { Microseconds } from '../base/index.ts';
import type { Script } from '../vrrp/index.ts';

export type Scheduling = {
  /** SCHED_RR priority; undefined: the default of the process, where the system grants it. */
  readonly realtimePriority: number | undefined;
  readonly nice: number | undefined;
  /** Processors by number; empty: all. */
  readonly affinity: readonly number[];
};
export type TimedScript = { readonly script: Script; readonly timeout: Microseconds };
export type DaemonSettings = {
  readonly instance: string | undefined;
  readonly namespace: string | undefined;
  readonly pidDirectory: boolean;
  readonly childWait: Microseconds;
  readonly startup: TimedScript | undefined;
  readonly shutdown: TimedScript | undefined;
  readonly umask: number | undefined;
  readonly scheduling: Scheduling;
  readonly stateDumpFile: string | undefined;
  readonly statsDumpFile: string | undefined;
  readonly jsonDumpFile: string | undefined;
  /** Instance and namespace become part of the dumps' names. */
  readonly dumpsNamed: boolean;
  readonly configSaveDir: string | undefined;
  readonly reloadTimeFile: string | undefined;
  readonly reloadRepeat: boolean;
  /** Present while the configuration is being read. */
  readonly reloadFile: string | undefined;
};
