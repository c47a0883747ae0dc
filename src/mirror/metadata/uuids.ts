/**
 * Data generation identifiers: what each event makes of the set. Four 64-bit values: current, bitmap, younger and older
 * history. Bit 0 of the current one says "I was primary when this was made" and counts in no comparison.
 */
import type { GenerationId, UuidSet } from '../../wire/index.ts';

export const NO_GENERATION = 0n as GenerationId;
/** Fresh metadata: no data yet. */
export const JUST_CREATED = 4n as GenerationId;
/** What the source adds to its bitmap identifier when a resync begins. */
const SYNC_OFFSET = 0x0001_0000_0000_0000n;
const ALL = 0xffff_ffff_ffff_ffffn;

/** Without bit 0. */
export const generation = (id: GenerationId): bigint => id & ~1n & ALL;
export const sameGeneration = (a: GenerationId, b: GenerationId): boolean => generation(a) === generation(b);
export const wasPrimary = (id: GenerationId): boolean => (id & 1n) !== 0n;
export const plusOffset = (id: GenerationId): GenerationId => ((id + SYNC_OFFSET) & ALL) as GenerationId;

const rotate = (u: UuidSet, into: GenerationId): UuidSet => ({ ...u, history: [into, u.history[0]] });
/** A bitmap identifier that is replaced goes to the history. */
const setBitmap = (u: UuidSet, id: GenerationId): UuidSet =>
  u.bitmap === NO_GENERATION ? { ...u, bitmap: id } : { ...rotate(u, u.bitmap), bitmap: id };

/** A primary keeps its current identifier with bit 0 set, a secondary without. */
const marked = (id: bigint, primary: boolean): GenerationId => ((primary ? id | 1n : id & ~1n) & ALL) as GenerationId;
export const withRole = (u: UuidSet, primary: boolean): UuidSet => ({ ...u, current: marked(u.current, primary) });

/**
 * The peer's data is lost to us (disconnect, peer's detach or failure) while we are primary with an UpToDate disk, or a
 * first promotion is forced. `random` has 64 random bits. Only when `bitmap` is zero: else we diverged already.
 */
export const newCurrent = (u: UuidSet, random: bigint, primary: boolean): UuidSet => ({
  ...setBitmap(u, u.current),
  current: marked(random, primary),
});

/** The source begins a resync. `sync` is sent as P_SYNC_UUID; `random` serves when there is no bitmap identifier to go on from. */
export function beginAsSource(u: UuidSet, random: bigint): { readonly uuids: UuidSet; readonly sync: GenerationId } {
  const fresh = u.bitmap === NO_GENERATION || sameGeneration(u.bitmap, JUST_CREATED);
  const sync = fresh ? ((random & ALL) as GenerationId) : plusOffset(u.bitmap);
  return { uuids: setBitmap(u, sync), sync };
}
/** The target takes P_SYNC_UUID. */
export const beginAsTarget = (u: UuidSet, sync: GenerationId, primary: boolean): UuidSet => ({
  ...u,
  current: marked(sync, primary),
  bitmap: NO_GENERATION,
});

/** The source ends a resync that left no bit. */
export const endAsSource = (u: UuidSet): UuidSet => ({ ...rotate(u, u.bitmap), bitmap: NO_GENERATION });
/** The target ends it: `source` is the set that the source told in P_UUIDS when this connection began. */
export function endAsTarget(u: UuidSet, source: UuidSet, primary: boolean): UuidSet {
  const taken = setBitmap({ ...u, bitmap: source.bitmap, history: source.history }, u.current);
  return { ...endAsSource(taken), current: marked(source.current, primary) };
}

const idText = (id: bigint): string => id.toString(16).padStart(16, '0');
/** Current, bitmap, younger and older history, as people read them. */
export const uuidTexts = (u: UuidSet): readonly [string, string, string, string] => [
  idText(u.current),
  idText(u.bitmap),
  idText(u.history[0]),
  idText(u.history[1]),
];
