/** What `wait`, `wait-connect` and `wait-sync` wait for, and when there is nothing to wait for. Pure. */
import type { MirrorStatus } from '../../api/index.ts';
import { isDrbdConnected } from '../../wire/index.ts';

export type WaitFor = 'connect' | 'sync';
/** `never`: nobody is looking for the peer, so that it would be waited for in vain. */
export function waitState(m: MirrorStatus, what: WaitFor): 'done' | 'wait' | 'never' {
  if (m.connection === 'StandAlone') return 'never';
  if (!isDrbdConnected(m.connection)) return 'wait';
  if (what === 'connect') return 'done';
  return m.volumes.every((v) => v.connection === 'Connected' && v.outOfSync === 0) ? 'done' : 'wait';
}
