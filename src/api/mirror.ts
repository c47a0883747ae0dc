/** What `holdfast mirror status --json` prints: every mirror of this host. */
import type { MirrorRequest, MirrorStatus } from '../mirror/index.ts';

export type {
  MirrorAnswer,
  MirrorCounters,
  MirrorDifferences,
  MirrorReason,
  MirrorRefusal,
  MirrorRequest,
  MirrorStatus,
  SyncProgress,
  UndoStatus,
  VolumeDifferences,
  VolumeStatus,
} from '../mirror/index.ts';
export type MirrorDocument = {
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly mirrors: readonly MirrorStatus[];
};
/** What the command asks a mirror process over its control socket: one line of JSON, answered by one. */
export type MirrorAsk =
  /** Answered by a MirrorDocument. */
  | { readonly ask: 'mirrors' }
  /** Answered by a MirrorDocument now and one whenever something changed, until the client leaves. */
  | { readonly ask: 'follow' }
  /** Answered by a MirrorDifferences, or by a MirrorAnswer that refuses. */
  | { readonly ask: 'differences'; readonly name: string }
  /** Answered by a MirrorAnswer. */
  | { readonly ask: 'mirror'; readonly name: string; readonly request: MirrorRequest };
/** Where a mirror process listens unless it was told otherwise. */
export const MIRROR_SOCKET = '/run/holdfast/mirror.sock';
