/** Pausing a resync: an operator on either side may, and both show it. The flags stay when no resync is under way. */
import { type Text, text } from '../../../base/index.ts';
import type { DrbdConnection, StateFields } from '../../../wire/index.ts';
import type { Answer } from '../asking.ts';
import type { Parts } from '../parts.ts';
import { done } from '../reasons.ts';
import type { Volume } from '../volume.ts';

const PAUSED: Readonly<Partial<Record<DrbdConnection, DrbdConnection>>> = {
  SyncSource: 'PausedSyncS',
  SyncTarget: 'PausedSyncT',
};
const RUNNING: Readonly<Partial<Record<DrbdConnection, DrbdConnection>>> = {
  PausedSyncS: 'SyncSource',
  PausedSyncT: 'SyncTarget',
};

export class Pauses {
  readonly #p: Parts;

  constructor(p: Parts) {
    this.#p = p;
  }
  /** `pause-sync`, `resume-sync`. */
  set(v: Volume, paused: boolean, answer: Answer): void {
    if (v.pause.user === paused) {
      answer(paused ? done('paused already', '已暂停', false) : done('not paused', '并未暂停', false));
      return;
    }
    v.pause.user = paused;
    this.apply(v);
    if (this.#p.link.established) this.#p.syncs.tell(v);
    answer(paused ? done('resync is paused', '同步已暂停') : done('resync goes on', '同步继续'));
  }
  /** Whether what goes first by `resync-after` is under way: the driver looks at the other mirrors of this host. */
  depends(v: Volume, busy: boolean): void {
    if (v.pause.dependency === busy) return;
    v.pause.dependency = busy;
    this.apply(v);
    if (this.#p.link.established) this.#p.syncs.tell(v);
  }
  /** What the peer tells of itself. */
  heard(v: Volume, told: StateFields): void {
    v.pause.peer = told.userPaused || told.afterDependencyPaused;
    this.apply(v);
  }
  /** Also when a resync has just begun. */
  apply(v: Volume): void {
    const { user, peer, dependency } = v.pause;
    const paused = user || peer || dependency;
    const next = (paused ? PAUSED : RUNNING)[v.connection];
    if (next !== undefined) this.#p.syncs.go(v, next);
    const s = this.#p.syncs.of(v);
    if (s?.is === 'target') s.target.pause(paused);
  }
}
/** Why a resync stands still. */
export function pausedBy({ pause, config }: Volume): Text | undefined {
  const first = config.options.resyncAfter;
  if (pause.user) return text('an operator paused it: resume-sync', '被操作员暂停：resume-sync');
  if (pause.peer) return text('paused at the peer', '被对端暂停');
  return pause.dependency
    ? text(`${first} goes first (resync-after)`, `等待 ${first} 先完成（resync-after）`)
    : undefined;
}
