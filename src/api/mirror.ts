/** What `holdfast mirror status --json` prints: every mirror of this host. */
import type { Text } from '../base/index.ts';
import type { AdjustChange, MirrorRefusal, MirrorRequest, MirrorStatus } from '../mirror/index.ts';

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
  | { readonly ask: 'mirror'; readonly name: string; readonly request: MirrorRequest }
  /**
   * Takes over what has changed in the file that the mirror was started from. `file`: where the one who asks believes it to
   * be. `plan`: of an answer that this one goes on from; undefined: nothing is changed. Answered by a MirrorAdjustment.
   */
  | {
      readonly ask: 'adjust';
      readonly name: string;
      readonly file: string | undefined;
      readonly plan: string | undefined;
    };
/** `findings`: of the file, with place and line; what is wrong there changes nothing. */
export type MirrorAdjustment = {
  readonly findings: readonly Text[];
  readonly changes: readonly MirrorAdjustChange[];
  /** What these changes are called: whoever has seen them says so. */
  readonly plan: string;
} & (
  | { readonly ok: true; readonly done: boolean; readonly text: Text }
  | {
      readonly ok: false;
      readonly code: 'wrong-file' | 'other-file' | 'plan-changed' | 'not-while-running' | MirrorRefusal;
      readonly text: Text;
    }
);
/** `when`: when it takes effect. */
export type MirrorAdjustChange = AdjustChange & { readonly when: Text };
/** Where a mirror process listens unless it was told otherwise. */
export const MIRROR_SOCKET = '/run/holdfast/mirror.sock';
