/** The superblock of DRBD's metadata v08: one block of 4096 bytes, big-endian. */
import { ByteReader, ByteWriter, err, ok, type Result } from '../../base/index.ts';
import { type GenerationId, type Sector, sector, type UuidSet } from '../../wire/index.ts';
import { BLOCK_BYTES, DEFAULT_AL, type MetadataLayout } from './layout.ts';
import { JUST_CREATED, NO_GENERATION } from './uuids.ts';

export const MD_FLAG = {
  consistent: 1,
  primary: 2,
  connected: 4,
  fullSync: 8,
  wasUpToDate: 16,
  peerOutdated: 32,
  crashedPrimary: 64,
  alClean: 128,
  alDisabled: 256,
} as const;

export type Superblock = {
  /** Last agreed size; 0 before the first connection. */
  readonly laSize: Sector;
  readonly uuids: UuidSet;
  readonly deviceUuid: bigint;
  readonly reserved: bigint;
  /** MD_FLAG bits. */
  readonly flags: number;
  /**
   * False: a kernel has it in use, or had, and the activity log has not been applied since. The kernel writes no other
   * form, and attaches only to the clean one.
   */
  readonly clean: boolean;
  /** As in `MetadataLayout`. */
  readonly size: number;
  readonly alOffset: number;
  /** Slots of the activity log. */
  readonly alExtents: number;
  readonly bmOffset: number;
  readonly peerMaxBioSize: number;
  /** 0 stands for 1. */
  readonly alStripes: number;
  /** 0 stands for 8. */
  readonly alStripeSize4k: number;
};
export type SuperblockError =
  | { readonly kind: 'short'; readonly need: number; readonly have: number }
  /** No metadata at all. */
  | { readonly kind: 'magic'; readonly have: number }
  /** Metadata of another version of DRBD: 7 or 9. */
  | { readonly kind: 'version'; readonly have: number }
  /** Only 4096 bytes a bit exist in v08. */
  | { readonly kind: 'bytes-per-bit'; readonly have: number }
  | { readonly kind: 'size'; readonly have: bigint };

const MAGIC_CLEAN = 0x8374026b;
const MAGIC_UNCLEAN = 0x8374026c;
const OTHER_VERSIONS: Readonly<Record<number, number>> = { 2205418090: 7, 2205418093: 9 };
const BYTES_PER_BIT = 4096;

/** What stands behind the fields is ignored: v08 writes zeros there. */
export function decodeSuperblock(b: Uint8Array): Result<Superblock, SuperblockError> {
  if (b.length < BLOCK_BYTES) return err({ kind: 'short', need: BLOCK_BYTES, have: b.length });
  const r = new ByteReader(b);
  const i32 = (): number => r.u32() | 0;
  const id = (): GenerationId => r.u64() as GenerationId;
  const laSize = r.u64();
  const uuids: UuidSet = { current: id(), bitmap: id(), history: [id(), id()] };
  const deviceUuid = r.u64();
  const reserved = r.u64();
  const flags = r.u32();
  const magic = r.u32();
  const other = OTHER_VERSIONS[magic];
  if (other !== undefined) return err({ kind: 'version', have: other });
  if (magic !== MAGIC_CLEAN && magic !== MAGIC_UNCLEAN) return err({ kind: 'magic', have: magic });
  if (laSize > BigInt(Number.MAX_SAFE_INTEGER)) return err({ kind: 'size', have: laSize });
  const size = r.u32();
  const alOffset = i32();
  const alExtents = r.u32();
  const bmOffset = i32();
  const bytesPerBit = r.u32();
  if (bytesPerBit !== BYTES_PER_BIT) return err({ kind: 'bytes-per-bit', have: bytesPerBit });
  return ok({
    laSize: sector(Number(laSize)),
    uuids,
    deviceUuid,
    reserved,
    flags,
    clean: magic === MAGIC_CLEAN,
    size,
    alOffset,
    alExtents,
    bmOffset,
    peerMaxBioSize: r.u32(),
    alStripes: r.u32(),
    alStripeSize4k: r.u32(),
  });
}

export function encodeSuperblock(s: Superblock): Uint8Array {
  const w = new ByteWriter(BLOCK_BYTES);
  const { current, bitmap, history } = s.uuids;
  w.u64(BigInt(s.laSize)).u64(current).u64(bitmap).u64(history[0]).u64(history[1]);
  w.u64(s.deviceUuid).u64(s.reserved).u32(s.flags);
  w.u32(s.clean ? MAGIC_CLEAN : MAGIC_UNCLEAN);
  w.u32(s.size)
    .u32(s.alOffset >>> 0)
    .u32(s.alExtents)
    .u32(s.bmOffset >>> 0)
    .u32(BYTES_PER_BIT);
  w.u32(s.peerMaxBioSize).u32(s.alStripes).u32(s.alStripeSize4k);
  return w.zeros(BLOCK_BYTES - w.length).done();
}

/** What drbdmeta's create-md writes: identifiers "just created", an empty and clean log. */
export const freshSuperblock = (l: MetadataLayout, alExtents = 257): Superblock => ({
  laSize: sector(0),
  uuids: { current: JUST_CREATED, bitmap: NO_GENERATION, history: [NO_GENERATION, NO_GENERATION] },
  deviceUuid: 0n,
  reserved: 0n,
  flags: MD_FLAG.alClean,
  clean: true,
  size: l.size,
  alOffset: l.alOffset,
  alExtents,
  bmOffset: l.bmOffset,
  peerMaxBioSize: 0,
  alStripes: l.al.stripes,
  alStripeSize4k: l.al.stripeSize4k,
});

/** The log's geometry that a superblock tells; it may be nonsense, `computeLayout` judges it. */
export const alGeometryOf = (s: Superblock): { readonly stripes: number; readonly stripeSize4k: number } => ({
  stripes: s.alStripes === 0 ? DEFAULT_AL.stripes : s.alStripes,
  stripeSize4k: s.alStripeSize4k === 0 ? DEFAULT_AL.stripeSize4k : s.alStripeSize4k,
});
export type Misfit = {
  readonly field: 'md_size_sect' | 'al_offset' | 'bm_offset';
  readonly have: number;
  readonly want: number;
};
/** The first field that contradicts where the superblock was found; undefined when all is as it must be. */
export function misfitOf(s: Superblock, l: MetadataLayout): Misfit | undefined {
  if (s.alOffset !== l.alOffset) return { field: 'al_offset', have: s.alOffset, want: l.alOffset };
  if (s.bmOffset !== l.bmOffset) return { field: 'bm_offset', have: s.bmOffset, want: l.bmOffset };
  if (s.size !== l.size) return { field: 'md_size_sect', have: s.size, want: l.size };
  return undefined;
}
