/** Every codec of every part with what it is tried with. */
import fc from 'fast-check';
import {
  type AlBlock,
  CONTEXT_SLOTS,
  encodeAlBlock,
  FREE_EXTENT,
  metadataCodecs,
  type Superblock,
  UNDO_LARGEST,
  type UndoHeader,
  type UndoRecord,
  undoCodecs,
  undoName,
} from '../../src/mirror/index.ts';
import { type Codec, codecs, sector } from '../../src/wire/index.ts';
import { type CodecSupport, codecSupport } from './wire.ts';

const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const i32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
const u64 = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });

export const superblock = record({
  laSize: fc.maxSafeNat().map(sector),
  uuids: record({ current: u64, bitmap: u64, history: fc.tuple(u64, u64) }),
  deviceUuid: u64,
  reserved: u64,
  flags: u32,
  clean: fc.boolean(),
  size: u32,
  alOffset: i32,
  alExtents: u32,
  bmOffset: i32,
  peerMaxBioSize: u32,
  alStripes: u32,
  alStripeSize4k: u32,
}) as fc.Arbitrary<unknown> as fc.Arbitrary<Superblock>;

const alBlock: fc.Arbitrary<AlBlock> = fc.oneof(
  fc.constant({ kind: 'initialised' as const }),
  record({
    kind: fc.constant('update' as const),
    number: u32,
    updates: fc.array(record({ slot: u16, extent: u32 }), { maxLength: 64 }),
    contextSize: u16,
    contextStart: u16,
    context: fc
      .array(u32, { maxLength: 20 })
      .map((few) => Uint32Array.from({ length: CONTEXT_SLOTS }, (_, i) => few[i] ?? FREE_EXTENT)),
  }),
);
/** What the checksum of a damaged block should be: the two together reach behind the check. */
function repairAlBlock(b: Uint8Array): void {
  if (b.length < 4096) return;
  const v = new DataView(b.buffer, b.byteOffset, 4096);
  const context = Uint32Array.from({ length: CONTEXT_SLOTS }, (_, i) => v.getUint32(420 + 4 * i));
  const updates = Array.from({ length: Math.min(64, v.getUint16(14)) }, (_, i) => ({
    slot: v.getUint16(36 + 2 * i),
    extent: v.getUint32(164 + 4 * i),
  }));
  const [number, contextSize, contextStart] = [v.getUint32(4), v.getUint16(16), v.getUint16(18)];
  b.set(encodeAlBlock({ kind: 'update', number, updates, contextSize, contextStart, context }));
}

const ids = record({ current: u64, bitmap: u64, history: fc.tuple(u64, u64) });
const name = fc.string({ unit: 'grapheme', maxLength: 40 }).map((s) => undoName(s));
const undoHeader = record({
  volume: u32,
  size: u64,
  at: u64,
  mine: ids,
  peer: ids,
  changedHere: u64,
  changedThere: u64,
  total: u64,
  name,
  host: name,
  peerHost: name,
}) as fc.Arbitrary<unknown> as fc.Arbitrary<UndoHeader>;
const undoRecord: fc.Arbitrary<UndoRecord> = fc.oneof(
  record({
    kind: fc.constant('blocks' as const),
    offset: u64,
    length: fc.integer({ min: 1, max: UNDO_LARGEST }),
    crc: u32,
  }),
  record({ kind: fc.constant('end' as const), total: u64, records: u32 }),
);

const others = [...metadataCodecs, ...undoCodecs] as readonly unknown[] as readonly Codec[];
export const allCodecs: readonly Codec[] = [...codecs, ...others];
export const allSupport: Readonly<Record<string, CodecSupport>> = {
  ...codecSupport,
  'drbd superblock': { value: superblock },
  'undo header': { value: undoHeader },
  'undo record': { value: undoRecord },
  'drbd activity log block': { value: alBlock, repair: repairAlBlock },
};
