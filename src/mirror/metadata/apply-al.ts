/** After a crash, before anything else: what the activity log says goes into the bitmap. drbdmeta calls it apply-al. */
import type { Replay } from './al-replay.ts';
import type { Bitmap } from './bitmap.ts';
import { MD_FLAG, type Superblock } from './superblock.ts';

export type Applied = {
  /** To be written last: behind the bitmap's dirty pages, and behind a fresh ring. */
  readonly superblock: Superblock;
  /** Blocks that are out of sync now and were not before. */
  readonly marked: number;
  /** Too much of the log was damaged, so everything was marked. */
  readonly everything: boolean;
};

/**
 * Marks the hot extents in `bitmap`. Only what was primary (or the only disk of a primary) had writes on their way: on any
 * other the log holds leftovers, and drbdmeta too leaves the bitmap alone.
 *
 * Order on disk: dirty bitmap pages, flush, fresh ring, superblock, flush. A crash in between finds the superblock still
 * unclean and the log either still there or empty with its bits already set, and does the same again.
 */
export function applyActivityLog(s: Superblock, replay: Replay, bitmap: Bitmap): Applied {
  let marked = 0;
  const needed = (s.flags & MD_FLAG.primary) !== 0;
  const everything = needed && !replay.complete;
  if (everything) marked = bitmap.setAll();
  else if (needed) for (const extent of replay.hot) marked += bitmap.setExtent(extent);
  return { superblock: { ...s, clean: true, flags: s.flags | MD_FLAG.alClean }, marked, everything };
}
