/**
 * What a running `holdfast keepalived` says about itself: the document of `holdfast status --json`. Times since the
 * epoch in milliseconds, lengths in milliseconds where the name ends in Ms.
 */
import type { Text } from '../base/index.ts';
import type { LbRequest } from './lb.ts';

export type InstanceStatus = {
  readonly name: string;
  readonly state: string;
  readonly since: number;
  /** Why it is in this state. */
  readonly because: Text;
  readonly interface: string | undefined;
  readonly virtualRouterId: number;
  /** Effective: with the weights of all trackers. */
  readonly priority: number;
  readonly configuredPriority: number;
  readonly addresses: readonly string[];
  /** The addresses are on this machine now. */
  readonly held: boolean;
  /** The master that is heard, and how long ago. */
  readonly master: { readonly address: string; readonly priority: number; readonly heardMs: number } | undefined;
  /** Time left until the master counts as silent; undefined while master or in fault. */
  readonly marginMs: number | undefined;
};
export type TrackerStatus = { readonly kind: string; readonly name: string; readonly state: string };
export type Transition = {
  readonly at: number;
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly because: Text;
};
export type StatusDocument = {
  readonly schema: 1;
  readonly pid: number;
  /** Undefined while the VRRP process is down. */
  readonly beatPid: number | undefined;
  readonly startedAt: number;
  readonly configuration: {
    readonly file: string;
    readonly generation: number;
    readonly loadedAt: number;
    /** The last reload was refused at this time, and the generation above is the one before it. */
    readonly refusedAt: number | undefined;
  };
  /** SCHED_RR priority in force; undefined: ordinary scheduling. */
  readonly realtimePriority: number | undefined;
  /** The longest time that the VRRP process was not run when it should have been, since its start. */
  readonly worstStallMs: number;
  readonly instances: readonly InstanceStatus[];
  readonly trackers: readonly TrackerStatus[];
  readonly virtualServers: readonly string[];
  /** Undefined while the director process is down, or not needed. */
  readonly directorPid: number | undefined;
  /** The last ones, oldest first. */
  readonly transitions: readonly Transition[];
};

/** One line of JSON each way on the control socket. */
export type ControlRequest = { readonly ask: 'status' } | { readonly ask: 'statistics' } | LbRequest;
