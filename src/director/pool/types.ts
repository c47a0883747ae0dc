/** One virtual server as the pool's machine sees it: configuration, state, what happens, what is decided. */
import type { Microseconds, Text } from '../../base/index.ts';
import type { CheckId, FoundWeight, Verdict } from '../check.ts';
import type { Checker, RealServer, VirtualServer } from '../config.ts';
import type { ServerKey, ServiceKey } from '../types.ts';

export type PoolCheck = { readonly id: CheckId; readonly checker: Checker };
export type PoolServer = {
  readonly key: ServerKey;
  readonly server: RealServer;
  readonly checks: readonly PoolCheck[];
};
export type PoolConfig = {
  readonly key: ServiceKey;
  readonly service: VirtualServer;
  readonly servers: readonly PoolServer[];
  /** `rs_init_notifies`: scripts, FIFOs and mail are told of how things are at the start too. */
  readonly notifyAtStart: boolean;
};

export type CheckState = {
  readonly id: CheckId;
  readonly verdict: Verdict;
  readonly since: Microseconds;
  /** Of the report that brought it there; undefined: none yet. */
  readonly reason: Text | undefined;
  readonly weight: FoundWeight | undefined;
};
export type FailedCheck = { readonly id: CheckId; readonly reason: Text | undefined };

/** Why a server is where it is. */
export type Because =
  /** No check has failed yet: it is taken for good. */
  | { readonly why: 'start' }
  /** `alpha`: the first success is awaited. */
  | { readonly why: 'alpha' }
  | { readonly why: 'failed'; readonly checks: readonly FailedCheck[] }
  | { readonly why: 'passed'; readonly id: CheckId; readonly reason: Text | undefined }
  /** Its checks pass again, but it failed `flaps` times in short order. */
  | { readonly why: 'damped'; readonly flaps: number; readonly until: Microseconds }
  | { readonly why: 'damping-over' }
  /** Its checks fail, but too few would be left. */
  | { readonly why: 'floor'; readonly floor: number; readonly checks: readonly FailedCheck[] }
  /** It cannot be reached in this mode at all. */
  | { readonly why: 'refused'; readonly refusal: Text }
  | { readonly why: 'no-longer-refused' }
  | { readonly why: 'configured' }
  | { readonly why: 'stop' };

export type ServerState = {
  readonly key: ServerKey;
  readonly checks: readonly CheckState[];
  /** What the checks alone say. */
  readonly healthy: boolean;
  /** What was decided: it takes part, with its weight. */
  readonly alive: boolean;
  readonly since: Microseconds;
  readonly because: Because;
  /** When its checks last turned bad; undefined: they never were good. */
  readonly goodUntil: Microseconds | undefined;
  /** Failures in short order, and until when it stays out. */
  readonly flaps: number;
  readonly heldUntil: Microseconds | undefined;
  readonly drained: { readonly since: Microseconds; readonly until: Microseconds | undefined } | undefined;
  /** Given from outside in place of the configured one. */
  readonly told: number | undefined;
  /** Configured or told, with what the checks found: 0..65535, before drain and slow start. */
  readonly weight: number;
  /** Slow start: how many tenths of its weight it has; undefined: all. */
  readonly ramp: { readonly from: Microseconds; readonly tenths: number } | undefined;
  readonly refused: Text | undefined;
};

export type QuorumState = {
  readonly up: boolean;
  readonly since: Microseconds;
  /** Of the weights of servers that are alive and not drained. */
  readonly sum: number;
  /** The sum at which it changed last. */
  readonly changedAt: number;
};
/**
 * Plain data, which a later process can be given as JSON; what is undefined may then be absent. Times are of the
 * monotonic clock, which outlives a process.
 */
export type PoolState = {
  readonly servers: readonly ServerState[];
  readonly quorum: QuorumState;
  /** The virtual address is elsewhere: results of checks count for nothing. */
  readonly suspended: boolean;
};

export type PoolEvent =
  | {
      readonly kind: 'check';
      readonly id: CheckId;
      readonly verdict: Verdict;
      readonly reason: Text;
      readonly weight: FoundWeight | undefined;
    }
  | { readonly kind: 'drain'; readonly server: ServerKey; readonly until: Microseconds | undefined }
  | { readonly kind: 'undrain'; readonly server: ServerKey }
  /** Undefined: the configured one again. */
  | { readonly kind: 'weight'; readonly server: ServerKey; readonly weight: number | undefined }
  | { readonly kind: 'suspend'; readonly on: boolean }
  /** All servers that cannot be reached in their mode; the others are no longer refused. */
  | { readonly kind: 'refused'; readonly servers: ReadonlyMap<ServerKey, Text> }
  /** The configuration that `step` is given is a new one. */
  | { readonly kind: 'reload' }
  /** It is taken down for good: `omega` tells of it. */
  | { readonly kind: 'stop' }
  | { readonly kind: 'tick' };

/**
 * What was decided, in the order in which it is to be told. What the plane shall hold is no effect: it follows from the
 * state (`wanted.ts`). `tell`: scripts, FIFOs and mail hear of it, not the log alone.
 */
export type Decision =
  | { readonly do: 'check'; readonly server: ServerKey; readonly check: CheckState }
  | {
      readonly do: 'server';
      readonly server: ServerKey;
      readonly to: Verdict;
      readonly because: Because;
      readonly weight: number;
      readonly tell: boolean;
    }
  /** The checks of one that stays alive turned bad or good, or the reverse; `because` says what holds it. */
  | { readonly do: 'held'; readonly server: ServerKey; readonly alive: boolean; readonly because: Because }
  /** It is no longer configured. */
  | { readonly do: 'gone'; readonly server: ServerKey; readonly tell: boolean }
  | { readonly do: 'weight'; readonly server: ServerKey; readonly from: number; readonly to: number }
  | {
      readonly do: 'drain';
      readonly server: ServerKey;
      readonly on: boolean;
      readonly until: Microseconds | undefined;
      /** Its time was up; nobody ended it. */
      readonly expired: boolean;
    }
  | {
      readonly do: 'quorum';
      readonly to: Verdict;
      readonly sum: number;
      /** `in`: it serves now; `out`: it no longer does. Undefined: there is none. */
      readonly sorry: 'in' | 'out' | undefined;
      readonly tell: boolean;
    }
  | { readonly do: 'suspend'; readonly on: boolean };

export type PoolStep = { readonly state: PoolState; readonly decisions: readonly Decision[] };
