import { err, invariant, ok, type Result, text } from '../../base/index.ts';
import type { HostError } from '../index.ts';
import { type Addon, hostError } from './addon.ts';

export const SCHED_OTHER = 0;
export const SCHED_RR = 2;

export type Priority = {
  /** SCHED_RR with this priority, 1..99. */
  readonly realtime?: number;
  /** -20..19 */
  readonly nice?: number;
  /** Numbers of the processors to run on, 0..1023. */
  readonly processors?: readonly number[];
};
/** What became of each wish, for the status: a container may refuse any, and the process goes on without. */
export type PriorityReport = { readonly [K in keyof Priority]-?: Result<void, HostError> | undefined };

/** The processors that this thread had before it was bound to some, for the programs it starts. */
let ordinary: Uint8Array | undefined;

function mask(processors: readonly number[]): Uint8Array {
  const b = new Uint8Array(128);
  for (const p of processors) {
    invariant(Number.isInteger(p) && p >= 0 && p < 1024, `processor ${p} is within 0..1023`);
    b[p >> 3] = (b[p >> 3] as number) | (1 << (p & 7));
  }
  return b;
}

/** For the calling thread. Programs that it starts get none of it. */
export function setPriority(addon: Addon, p: Priority): PriorityReport {
  const outcome = (r: number, en: string, zh: string): Result<void, HostError> =>
    r < 0 ? err(hostError(r, text(en, zh))) : ok(undefined);
  let processors: Result<void, HostError> | undefined;
  if (p.processors) {
    const had = new Uint8Array(128);
    const known = addon.getAffinity(had) >= 0;
    const names = p.processors.join(',');
    processors = outcome(addon.setAffinity(mask(p.processors)), `run on processors ${names}`, `绑定处理器 ${names}`);
    if (processors.ok && known) ordinary ??= had;
  }
  let nice: Result<void, HostError> | undefined;
  if (p.nice !== undefined) {
    nice = outcome(addon.setNice(p.nice), `set nice ${p.nice}`, `设置 nice ${p.nice}`);
    // The policy stays, and with it goes reset-on-fork, which takes a negative nice away from children.
    if (nice.ok && p.realtime === undefined) addon.setScheduler(SCHED_OTHER, 0);
  }
  let realtime: Result<void, HostError> | undefined;
  if (p.realtime !== undefined) {
    const r = addon.setScheduler(SCHED_RR, p.realtime);
    realtime = outcome(r, `take real-time priority ${p.realtime}`, `取得实时优先级 ${p.realtime}`);
  }
  return { realtime, nice, processors };
}

/** Starts a program with the processors that the thread had at first: fork passes on the thread's own. */
export function withOrdinaryAffinity<T>(addon: Addon, start: () => T): T {
  if (!ordinary) return start();
  const bound = new Uint8Array(128);
  addon.getAffinity(bound);
  addon.setAffinity(ordinary);
  try {
    return start();
  } finally {
    addon.setAffinity(bound);
  }
}
