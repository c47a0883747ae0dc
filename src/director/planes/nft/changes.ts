/** Which of ten thousand services are others than before, where these are few: found by identity, without a look at the rest. */
import type { WantedService } from '../../types.ts';

export type Changes = {
  /** Where those that changed or came stand now. */
  readonly places: readonly number[];
  readonly gone: readonly WantedService[];
  /** All before `from` are as they were, and all from `before` (there) and `now` (here) on. */
  readonly part: { readonly from: number; readonly before: number; readonly now: number };
};

/** Undefined where more than `most` changed, or stand elsewhere. */
export function fewChanged(
  before: readonly WantedService[],
  now: readonly WantedService[],
  most: number,
): Changes | undefined {
  const shorter = Math.min(before.length, now.length);
  let from = 0;
  while (from < shorter && before[from] === now[from]) from++;
  let same = 0;
  while (same < shorter - from && before[before.length - 1 - same] === now[now.length - 1 - same]) same++;
  const part = { from, before: before.length - same, now: now.length - same };
  return before.length === now.length ? inPlace(before, now, part, most) : together(before, now, part, most);
}
/** Changed here and there, each where it stood. */
function inPlace(
  before: readonly WantedService[],
  now: readonly WantedService[],
  part: Changes['part'],
  most: number,
): Changes | undefined {
  const places: number[] = [];
  for (let i = part.from; i < part.now; i++) {
    if (before[i] === now[i]) continue;
    if (before[i]?.key !== now[i]?.key) return together(before, now, part, most);
    if (places.length === most) return undefined;
    places.push(i);
  }
  return { places, gone: [], part };
}
/** Came, went or changed in one stretch. */
function together(
  before: readonly WantedService[],
  now: readonly WantedService[],
  part: Changes['part'],
  most: number,
): Changes | undefined {
  if (part.before - part.from > most || part.now - part.from > most) return undefined;
  const were = new Map(before.slice(part.from, part.before).map((s) => [s.key, s]));
  const places: number[] = [];
  for (let i = part.from; i < part.now; i++) {
    const s = now[i] as WantedService;
    if (were.get(s.key) !== s) places.push(i);
    were.delete(s.key);
  }
  return { places, gone: [...were.values()], part };
}
