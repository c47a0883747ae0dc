/**
 * Where DRBD v08 metadata lies on its device: superblock, activity log, bitmap. Offsets of log and bitmap are relative
 * to the superblock, in sectors, as the superblock itself has them.
 */
import { err, ok, type Result } from '../../base/index.ts';
import { type Sector, sector } from '../../wire/index.ts';

/** One block of everything that is read and written: superblock, log transaction, bitmap page. */
export const BLOCK_BYTES = 4096;
export const BLOCK_SECTORS = 8;
/** Sectors of a 4 MiB activity log extent, and bits of the bitmap that stand for it. */
export const EXTENT_SECTORS = 8192;
export const EXTENT_BITS = 1024;
/** Bits in one 4 KiB page of the bitmap: 128 MiB of the device. */
export const PAGE_BITS = BLOCK_BYTES * 8;
/** An indexed slot: 128 MiB. */
const SLOT_SECTORS = 262144;
/** 1 MiB: the kernel refuses less for internal metadata. */
const SMALLEST_INTERNAL = 2048;
/** 1 PiB. */
const LARGEST_DEVICE = 2 ** 41;

export type Placement =
  | { readonly kind: 'internal' }
  /** `flexible-meta-disk`, or `meta-disk DEVICE` without an index: the whole device. */
  | { readonly kind: 'flexible' }
  /** `meta-disk DEVICE [index]`: several volumes share the device. */
  | { readonly kind: 'indexed'; readonly index: number };
export type AlGeometry = { readonly stripes: number; readonly stripeSize4k: number };
/** Eight transactions, 32 KiB. */
export const DEFAULT_AL: AlGeometry = { stripes: 1, stripeSize4k: 8 };
export const alBlocks = (g: AlGeometry): number => g.stripes * g.stripeSize4k;

export type MetadataLayout = {
  /** On the device that holds the metadata. */
  readonly superblock: Sector;
  readonly alOffset: number;
  readonly al: AlGeometry;
  readonly bmOffset: number;
  readonly bitmapSectors: number;
  /** Sectors of all of it: `md_size_sect`. */
  readonly size: number;
  /** No volume may be larger: internal metadata begins there, or the bitmap has no more bits. */
  readonly dataLimit: Sector;
};
export type LayoutError =
  /** The device has fewer sectors than the metadata needs. */
  | { readonly kind: 'too-small'; readonly have: number; readonly need: number }
  | { readonly kind: 'too-large'; readonly have: number; readonly most: number }
  /** A log of fewer than two blocks cannot lose one; an indexed slot has room for eight. */
  | { readonly kind: 'activity-log'; readonly stripes: number; readonly stripeSize4k: number }
  | { readonly kind: 'index'; readonly have: number };

const roundUp = (n: number, unit: number): number => Math.ceil(n / unit) * unit;

/** Sectors of a bitmap with one bit for each 4 KiB of `device`: bytes rounded up to 8, then to 4 KiB. */
const bitmapSectorsFor = (device: number): number =>
  roundUp(roundUp(Math.ceil(device / BLOCK_SECTORS / 8), 8), BLOCK_BYTES) / 512;
const bitmapReach = (bitmapSectors: number): number => bitmapSectors * 512 * 8 * BLOCK_SECTORS;

/** `device` is the size in sectors of the device that holds the metadata. */
export function computeLayout(
  placement: Placement,
  device: Sector,
  al: AlGeometry = DEFAULT_AL,
): Result<MetadataLayout, LayoutError> {
  const blocks = alBlocks(al);
  if (!(al.stripes >= 1 && al.stripeSize4k >= 1 && blocks >= 2 && blocks <= 65536))
    return err({ kind: 'activity-log', ...al });
  if (device > LARGEST_DEVICE) return err({ kind: 'too-large', have: device, most: LARGEST_DEVICE });
  const alSectors = blocks * BLOCK_SECTORS;
  switch (placement.kind) {
    case 'internal': {
      const superblock = Math.floor(device / BLOCK_SECTORS) * BLOCK_SECTORS - BLOCK_SECTORS;
      const bitmapSectors = bitmapSectorsFor(device);
      const size = BLOCK_SECTORS + alSectors + bitmapSectors;
      const need = Math.max(SMALLEST_INTERNAL, size + BLOCK_SECTORS);
      if (device < need) return err({ kind: 'too-small', have: device, need });
      const bmOffset = -alSectors - bitmapSectors;
      return ok({
        superblock: sector(superblock),
        alOffset: -alSectors,
        al,
        bmOffset,
        bitmapSectors,
        size,
        dataLimit: sector(superblock + bmOffset),
      });
    }
    case 'flexible': {
      const bmOffset = BLOCK_SECTORS + alSectors;
      const need = bmOffset + BLOCK_SECTORS;
      if (device < need) return err({ kind: 'too-small', have: device, need });
      const bitmapSectors = Math.floor((device - bmOffset) / BLOCK_SECTORS) * BLOCK_SECTORS;
      return ok({
        superblock: sector(0),
        alOffset: BLOCK_SECTORS,
        al,
        bmOffset,
        bitmapSectors,
        size: device,
        dataLimit: sector(Math.min(bitmapReach(bitmapSectors), LARGEST_DEVICE)),
      });
    }
    case 'indexed': {
      if (!(placement.index >= 0 && placement.index < 65536)) return err({ kind: 'index', have: placement.index });
      if (blocks !== alBlocks(DEFAULT_AL)) return err({ kind: 'activity-log', ...al });
      const superblock = placement.index * SLOT_SECTORS;
      if (device < superblock + SLOT_SECTORS)
        return err({ kind: 'too-small', have: device, need: superblock + SLOT_SECTORS });
      const bmOffset = BLOCK_SECTORS + alSectors;
      const bitmapSectors = SLOT_SECTORS - bmOffset;
      return ok({
        superblock: sector(superblock),
        alOffset: BLOCK_SECTORS,
        al,
        bmOffset,
        bitmapSectors,
        size: SLOT_SECTORS,
        dataLimit: sector(bitmapReach(bitmapSectors)),
      });
    }
  }
}

/** Sectors that a volume on `backing` can offer, before any limit of the user. */
export const usableSectors = (l: MetadataLayout, placement: Placement, backing: Sector): Sector =>
  placement.kind === 'internal' ? l.dataLimit : sector(Math.min(backing, l.dataLimit));

/** Absolute sector of the block `t` of the log: transactions go round the ring, and from stripe to stripe. */
export function alBlockSector(l: MetadataLayout, transaction: number): Sector {
  return sector(l.superblock + l.alOffset + alBlockIndex(l.al, transaction) * BLOCK_SECTORS);
}
export function alBlockIndex(g: AlGeometry, transaction: number): number {
  const t = transaction % alBlocks(g);
  return (t % g.stripes) * g.stripeSize4k + Math.floor(t / g.stripes);
}
export const bitmapPageSector = (l: MetadataLayout, page: number): Sector =>
  sector(l.superblock + l.bmOffset + page * BLOCK_SECTORS);
