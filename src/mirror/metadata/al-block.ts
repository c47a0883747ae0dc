/** One block of the activity log's ring: a transaction, or a block that none has been written to yet. */
import { ByteWriter, crc32cRaw, err, ok, type Result } from '../../base/index.ts';
import { BLOCK_BYTES } from './layout.ts';

/** Updates that one transaction has room for. */
export const MAX_UPDATES = 64;
/** Slots whose contents each transaction repeats. */
export const CONTEXT_SLOTS = 919;
/** An empty slot; extents are numbered in 4 MiB. */
export const FREE_EXTENT = 0xffff_ffff;
const FREE_SLOT = 0xffff;

export type AlUpdate = { readonly slot: number; readonly extent: number };
export type AlTransaction = {
  readonly kind: 'update';
  /** Counts up, modulo 2^32. */
  readonly number: number;
  readonly updates: readonly AlUpdate[];
  /** Slots of the log: al-extents. */
  readonly contextSize: number;
  readonly contextStart: number;
  /** CONTEXT_SLOTS extents, from `contextStart` on, as they were before the updates. */
  readonly context: Uint32Array;
};
export type AlBlock = AlTransaction | { readonly kind: 'initialised' };
export type AlBlockError =
  | { readonly kind: 'short'; readonly need: number; readonly have: number }
  | { readonly kind: 'magic'; readonly have: number }
  /** A torn write, or damage. */
  | { readonly kind: 'crc'; readonly have: number; readonly want: number }
  | { readonly kind: 'type'; readonly have: number }
  | { readonly kind: 'updates'; readonly have: number };

const MAGIC = 0x69cb65a2;
const TYPE_INITIALISED = 0xffff;
const AT = {
  number: 4,
  crc: 8,
  type: 12,
  updates: 14,
  size: 16,
  start: 18,
  slots: 36,
  extents: 164,
  context: 420,
} as const;
const ZERO_CRC = new Uint8Array(4);

/** Over the block with the field itself as zeros: initial value 0, no inversion at the end. */
const crcOf = (b: Uint8Array): number =>
  crc32cRaw(b.subarray(AT.crc + 4, BLOCK_BYTES), crc32cRaw(ZERO_CRC, crc32cRaw(b.subarray(0, AT.crc))));

export function decodeAlBlock(b: Uint8Array): Result<AlBlock, AlBlockError> {
  if (b.length < BLOCK_BYTES) return err({ kind: 'short', need: BLOCK_BYTES, have: b.length });
  const v = new DataView(b.buffer, b.byteOffset, BLOCK_BYTES);
  if (v.getUint32(0) !== MAGIC) return err({ kind: 'magic', have: v.getUint32(0) });
  const have = v.getUint32(AT.crc);
  const want = crcOf(b);
  if (have !== want) return err({ kind: 'crc', have, want });
  const type = v.getUint16(AT.type);
  if (type === TYPE_INITIALISED) return ok({ kind: 'initialised' });
  if (type !== 0) return err({ kind: 'type', have: type });
  const count = v.getUint16(AT.updates);
  if (count > MAX_UPDATES) return err({ kind: 'updates', have: count });
  const updates = Array.from({ length: count }, (_, i) => ({
    slot: v.getUint16(AT.slots + 2 * i),
    extent: v.getUint32(AT.extents + 4 * i),
  }));
  const context = new Uint32Array(CONTEXT_SLOTS);
  for (let i = 0; i < CONTEXT_SLOTS; i++) context[i] = v.getUint32(AT.context + 4 * i);
  return ok({
    kind: 'update',
    number: v.getUint32(AT.number),
    updates,
    contextSize: v.getUint16(AT.size),
    contextStart: v.getUint16(AT.start),
    context,
  });
}

export function encodeAlBlock(a: AlBlock): Uint8Array {
  const out = new Uint8Array(BLOCK_BYTES);
  const v = new DataView(out.buffer);
  v.setUint32(0, MAGIC);
  if (a.kind === 'initialised') v.setUint16(AT.type, TYPE_INITIALISED);
  else {
    v.setUint32(AT.number, a.number);
    v.setUint16(AT.updates, a.updates.length);
    v.setUint16(AT.size, a.contextSize);
    v.setUint16(AT.start, a.contextStart);
    for (let i = 0; i < MAX_UPDATES; i++) {
      v.setUint16(AT.slots + 2 * i, a.updates[i]?.slot ?? FREE_SLOT);
      v.setUint32(AT.extents + 4 * i, a.updates[i]?.extent ?? FREE_EXTENT);
    }
    for (let i = 0; i < CONTEXT_SLOTS; i++) v.setUint32(AT.context + 4 * i, a.context[i] as number);
  }
  v.setUint32(AT.crc, crcOf(out));
  return out;
}

/** A ring in which no transaction has been written. */
export function freshRing(blocks: number): Uint8Array {
  const w = new ByteWriter(blocks * BLOCK_BYTES);
  const one = encodeAlBlock({ kind: 'initialised' });
  for (let i = 0; i < blocks; i++) w.put(one);
  return w.done();
}
