/**
 * The peer is primary and has no disk: ours is the only one. What it writes differs from whatever disk it attaches later, so
 * it is marked, and its extents are hot in the activity log first, as if we were primary.
 */
import { EXTENT_BYTES } from '../bits.ts';
import { atLeast, type Volume } from '../volume.ts';

type Waiter = { readonly extents: readonly number[]; held: number; readonly run: () => void };

export const soleDisk = (v: Volume): boolean => v.connected && !atLeast(v.peerDisk, 'Inconsistent');

export class SoleDisk {
  readonly #waiting = new Map<Volume, Waiter[]>();

  /** Calls `run` when the extents of the range are hot; `cool` gives them back. */
  heat(v: Volume, offset: number, length: number, run: (cool: () => void) => void): void {
    const extents: number[] = [];
    for (let e = Math.floor(offset / EXTENT_BYTES); e * EXTENT_BYTES < offset + length; e++) extents.push(e);
    const { backing } = v;
    const cool = (): void => {
      if (backing === undefined || v.backing !== backing) return;
      for (const e of extents) backing.al.end(e);
      this.ready(v);
    };
    const list = this.#waiting.get(v) ?? [];
    this.#waiting.set(v, list);
    list.push({ extents, held: 0, run: () => run(cool) });
    this.ready(v);
  }
  ready(v: Volume): void {
    const list = this.#waiting.get(v) ?? [];
    while (list[0] !== undefined && hot(v, list[0])) list.shift()?.run();
    v.backing?.store.pump();
  }
  /** The disk is gone: who waits finds that out by itself. */
  detached(v: Volume): void {
    for (const w of this.#waiting.get(v)?.splice(0) ?? []) w.run();
  }
}
function hot(v: Volume, w: Waiter): boolean {
  const al = v.backing?.al;
  if (al === undefined) return true;
  for (; w.held < w.extents.length; w.held++) if (al.begin(w.extents[w.held] as number) === 'full') return false;
  return w.extents.every((e) => {
    const got = al.begin(e);
    al.end(e);
    return got === 'hot';
  });
}
