/** The blocks of fresh metadata, in the order in which they are written. Pure. */
import { ok, type Result } from '../../base/index.ts';
import { type Sector, sector } from '../../wire/index.ts';
import type { MetadataPlace } from '../config.ts';
import {
  alBlocks,
  BLOCK_BYTES,
  bitmapPageSector,
  computeLayout,
  encodeSuperblock,
  freshRing,
  freshSuperblock,
  type LayoutError,
  type MetadataLayout,
  type Placement,
  usableSectors,
} from '../metadata/index.ts';

export type MetadataWrite = { readonly at: Sector; readonly bytes: Uint8Array };
export type FreshMetadata = {
  readonly layout: MetadataLayout;
  /** What is left for data, in sectors. */
  readonly usable: Sector;
  /** A flush belongs after each. The superblock is the last: before it, there is no metadata. */
  readonly writes: readonly MetadataWrite[];
};
export const placementOf = (m: MetadataPlace): Placement =>
  m.kind === 'indexed' ? { kind: 'indexed', index: m.index } : { kind: m.kind };

/** `metaSize`: bytes of the device that holds the metadata; `dataSize`: of the one that holds the data. */
export function freshMetadata(
  place: MetadataPlace,
  o: { readonly metaSize: number; readonly dataSize: number; readonly alExtents: number },
): Result<FreshMetadata, LayoutError> {
  const placement = placementOf(place);
  const layout = computeLayout(placement, sector(Math.floor(o.metaSize / 512)));
  if (!layout.ok) return layout;
  const l = layout.value;
  return ok({
    layout: l,
    usable: usableSectors(l, placement, sector(Math.floor(o.dataSize / 512))),
    writes: [
      { at: bitmapPageSector(l, 0), bytes: new Uint8Array(BLOCK_BYTES) },
      { at: sector(l.superblock + l.alOffset), bytes: freshRing(alBlocks(l.al)) },
      { at: l.superblock, bytes: encodeSuperblock(freshSuperblock(l, o.alExtents)) },
    ],
  });
}
