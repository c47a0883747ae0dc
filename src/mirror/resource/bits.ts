/** Bytes of a volume as bits of its bitmap and extents of its activity log. */
import { EXTENT_SECTORS } from '../metadata/index.ts';

/** What one bit of the bitmap stands for. */
export const BIT_BYTES = 4096;
/** Bytes of the largest request. */
export const LARGEST = 1 << 20;
/** Bytes that a disk takes at once: no disk fails by what a peer asks for. */
export const areSectors = (length: number): boolean => length > 0 && length % 512 === 0;
/** Whether a peer may ask for these bytes of a volume of so many sectors. */
export const mayAsk = (sectors: number, p: { readonly sector: number; readonly size: number }): boolean =>
  areSectors(p.size) && p.size <= LARGEST && p.sector * 512 + p.size <= sectors * 512;
export const BIT_SECTORS = BIT_BYTES / 512;
export const EXTENT_BYTES = EXTENT_SECTORS * 512;
/** Bits that a range of bytes touches, and those that it covers whole. */
export const bitsTouched = (offset: number, length: number): { from: number; to: number } => ({
  from: Math.floor(offset / BIT_BYTES),
  to: Math.ceil((offset + length) / BIT_BYTES),
});
export function bitsCovered(offset: number, length: number, size: number): { from: number; to: number } {
  const end = offset + length;
  return {
    from: Math.ceil(offset / BIT_BYTES),
    // The last bit of the device may stand for less than 4 KiB.
    to: end >= size ? Math.ceil(end / BIT_BYTES) : Math.floor(end / BIT_BYTES),
  };
}
