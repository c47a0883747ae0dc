/** What the activity log says after a crash: the extents that may differ from the peer. */
import { type AlTransaction, CONTEXT_SLOTS, decodeAlBlock, FREE_EXTENT } from './al-block.ts';
import { type AlGeometry, alBlockIndex, alBlocks, BLOCK_BYTES } from './layout.ts';

export type Replay = {
  /** In ascending order. */
  readonly hot: readonly number[];
  /** Valid transactions that were found. */
  readonly transactions: number;
  /** Blocks that are neither a transaction nor freshly initialised. One is normal: the write that the crash tore. */
  readonly damaged: readonly number[];
  /**
   * Whether `hot` names every extent that had been made hot. False when too much of the ring is damaged for every slot
   * to be known: then nothing less than a full resync is safe.
   */
  readonly complete: boolean;
};

/** Newer minus older, as the ring counts: signed, modulo 2^32. */
const ahead = (a: number, b: number): number => (a - b) | 0;

/** `ring` holds all blocks of the log, in the order in which they lie on the disk. */
export function replayActivityLog(ring: Uint8Array, g: AlGeometry): Replay {
  const count = alBlocks(g);
  const damaged: number[] = [];
  const blank = new Set<number>();
  const found: AlTransaction[] = [];
  for (let i = 0; i < count; i++) {
    const got = decodeAlBlock(ring.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES));
    if (!got.ok) damaged.push(i);
    else if (got.value.kind === 'initialised') blank.add(i);
    else found.push(got.value);
  }
  found.sort((a, b) => ahead(a.number, b.number));
  const newest = found.at(-1);
  if (newest === undefined)
    // Not even the first transaction is durable, so no write was let go; unless that is more damage than a crash does.
    return { hot: [], transactions: 0, damaged, complete: blank.size > 0 && damaged.length <= 1 };
  const slots = new Map<number, number>();
  for (const t of found) apply(t, slots);
  const hot = [...new Set(slots.values())].sort((a, b) => a - b);
  return { hot, transactions: found.length, damaged, complete: isComplete(found, newest, blank, g) };
}

function apply(t: AlTransaction, slots: Map<number, number>): void {
  const put = (slot: number, extent: number): void => {
    if (extent === FREE_EXTENT) slots.delete(slot);
    else slots.set(slot, extent);
  };
  const length = Math.min(CONTEXT_SLOTS, t.contextSize - t.contextStart);
  for (let i = 0; i < length; i++) put(t.contextStart + i, t.context[i] as number);
  for (const u of t.updates) put(u.slot, u.extent);
}

/** Goes back from the newest transaction without a gap, until every slot has been told or the beginning is reached. */
function isComplete(
  found: readonly AlTransaction[],
  newest: AlTransaction,
  blank: ReadonlySet<number>,
  g: AlGeometry,
): boolean {
  const known = new Uint8Array(newest.contextSize);
  let left = known.length;
  let number = newest.number;
  for (let i = found.length - 1; i >= 0 && (found[i] as AlTransaction).number === number; i--) {
    const t = found[i] as AlTransaction;
    const tell = (slot: number): void => {
      if (slot < known.length && known[slot] === 0) {
        known[slot] = 1;
        left--;
      }
    };
    for (let s = 0; s < CONTEXT_SLOTS; s++) tell(t.contextStart + s);
    for (const u of t.updates) tell(u.slot);
    if (left === 0) return true;
    number = (number - 1) >>> 0;
  }
  return blank.has(alBlockIndex(g, number));
}
