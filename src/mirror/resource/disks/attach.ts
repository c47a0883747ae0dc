/**
 * Taking a disk into use: superblock, activity log, bitmap, in this order; what a crash left is applied and written back
 * before anybody uses the disk. And making a disk's first metadata.
 */
import { err, ok, type Result, type Text, text } from '../../../base/index.ts';
import type { DrbdDisk } from '../../../wire/index.ts';
import type { MirrorConfig } from '../../config.ts';
import {
  alBlocks,
  alGeometryOf,
  applyActivityLog,
  Bitmap,
  BLOCK_BYTES,
  bitmapPageSector,
  bitsFor,
  computeLayout,
  decodeSuperblock,
  encodeSuperblock,
  freshRing,
  MD_FLAG,
  type MetadataLayout,
  misfitOf,
  replayActivityLog,
  type Superblock,
  usableSectors,
} from '../../metadata/index.ts';
import type { Context, Devices } from '../types.ts';
import { RUN_PAGES } from './store.ts';

export type Attached = {
  readonly layout: MetadataLayout;
  readonly superblock: Superblock;
  readonly bitmap: Bitmap;
  /** Sectors that the disk can offer. */
  readonly usable: number;
  readonly disk: DrbdDisk;
  readonly crashedPrimary: boolean;
  /** Blocks that the activity log marked. */
  readonly marked: number;
};
/** The volume cannot be used, and nothing was changed. */
export type AttachError = { readonly kind: 'metadata' | 'io'; readonly text: Text };

/** No peer needs to be asked whether a disk that was up to date still is. */
export const needsNoPeer = ({ volumes }: Pick<MirrorConfig, 'volumes'>): boolean =>
  volumes.every((v) => v.options.fencing === 'dont-care');

/** What the flags say of the data. `sure`: it counts as up to date though the peer was not asked (fencing dont-care). */
export function diskAtAttach(flags: number, sure: boolean): DrbdDisk {
  if ((flags & MD_FLAG.consistent) === 0) return 'Inconsistent';
  if ((flags & MD_FLAG.wasUpToDate) === 0) return 'Outdated';
  return sure || (flags & MD_FLAG.peerOutdated) !== 0 ? 'UpToDate' : 'Consistent';
}

const refuse = (en: string, zh: string): Result<never, AttachError> => err({ kind: 'metadata', text: text(en, zh) });
const READ_FAILED: AttachError = {
  kind: 'io',
  text: text('the metadata cannot be read or written', '无法读写元数据'),
};

export function attach(c: Context, d: Devices, sure: boolean, then: (r: Result<Attached, AttachError>) => void): void {
  const read = (sector: number, length: number, got: (b: Uint8Array) => void): void =>
    readInto(sector, new Uint8Array(length), got);
  const readInto = (sector: number, into: Uint8Array, got: (b: Uint8Array) => void): void =>
    c.disk(d.volume, 'metadata', { op: 'read', offset: sector * 512, into }, (result) =>
      result === 0 ? got(into) : then(err(READ_FAILED)),
    );
  const place = computeLayout(d.placement, d.metadata);
  if (!place.ok) {
    then(refuse(`the disk does not suit: ${place.error.kind}`, `磁盘不适用：${place.error.kind}`));
    return;
  }
  read(place.value.superblock, BLOCK_BYTES, (bytes) => {
    const decoded = decodeSuperblock(bytes);
    if (!decoded.ok)
      return then(
        refuse(
          decoded.error.kind === 'magic'
            ? 'there is no metadata: create it first'
            : `the metadata is damaged: ${decoded.error.kind}`,
          decoded.error.kind === 'magic' ? '没有元数据：请先创建' : `元数据损坏：${decoded.error.kind}`,
        ),
      );
    const s = decoded.value;
    const own = computeLayout(d.placement, d.metadata, alGeometryOf(s));
    if (!own.ok) return then(refuse(`the metadata is damaged: ${own.error.kind}`, `元数据损坏：${own.error.kind}`));
    const misfit = misfitOf(s, own.value);
    if (misfit !== undefined)
      return then(
        refuse(
          `the metadata is of a disk of another size: ${misfit.field} is ${misfit.have}, must be ${misfit.want}`,
          `元数据属于另一大小的磁盘：${misfit.field} 为 ${misfit.have}，应为 ${misfit.want}`,
        ),
      );
    const usable = usableSectors(own.value, d.placement, d.data);
    if (s.laSize > usable)
      return then(
        refuse(
          `the disk shrank: ${s.laSize} sectors were in use, ${usable} are left`,
          `磁盘变小：曾使用 ${s.laSize} 扇区，现余 ${usable}`,
        ),
      );
    read(own.value.superblock + own.value.alOffset, alBlocks(own.value.al) * BLOCK_BYTES, (ring) =>
      loadBitmap(s, own.value, usable, ring),
    );
  });

  function loadBitmap(s: Superblock, layout: MetadataLayout, usable: number, ring: Uint8Array): void {
    const bitmap = new Bitmap(bitsFor(s.laSize === 0 ? usable : s.laSize));
    // One after the other, in pieces: the bitmap itself is all the memory that a large one takes.
    const piece = new Uint8Array(Math.min(RUN_PAGES, bitmap.pages) * BLOCK_BYTES);
    const next = (page: number): void => {
      if (page >= bitmap.pages) {
        finish(s, layout, usable, ring, bitmap);
        return;
      }
      const pages = Math.min(RUN_PAGES, bitmap.pages - page);
      readInto(bitmapPageSector(layout, page), piece.subarray(0, pages * BLOCK_BYTES), (b) => {
        bitmap.load(page, b);
        next(page + pages);
      });
    };
    next(0);
  }
  function finish(s: Superblock, layout: MetadataLayout, usable: number, ring: Uint8Array, bitmap: Bitmap): void {
    const replay = replayActivityLog(ring, layout.al);
    const before = bitmap.count;
    const applied = applyActivityLog(s, replay, bitmap);
    if ((s.flags & MD_FLAG.fullSync) !== 0) bitmap.setAll();
    const crashedPrimary = (s.flags & (MD_FLAG.primary | MD_FLAG.crashedPrimary)) !== 0;
    const superblock = {
      ...applied.superblock,
      clean: false,
      flags:
        (s.flags & ~(MD_FLAG.primary | MD_FLAG.alClean | MD_FLAG.connected | MD_FLAG.fullSync)) |
        (crashedPrimary ? MD_FLAG.crashedPrimary : 0),
    };
    const attached: Attached = {
      layout,
      superblock,
      bitmap,
      usable,
      disk: diskAtAttach(s.flags, sure),
      crashedPrimary,
      marked: bitmap.count - before,
    };
    // What the process before this one wrote may still be in the disk's cache: nobody would know of it when the log is empty.
    c.disk(d.volume, 'data', { op: 'flush' }, (flushed) => {
      if (flushed !== 0) then(err(READ_FAILED));
      else writeBack(c, d.volume, layout, bitmap, superblock, (good) => then(good ? ok(attached) : err(READ_FAILED)));
    });
  }
}

/** Bitmap, then a fresh ring, then the superblock: each durable before the next. */
function writeBack(
  c: Context,
  volume: number,
  layout: MetadataLayout,
  bitmap: Bitmap,
  superblock: Superblock,
  then: (good: boolean) => void,
): void {
  const steps: (readonly [sector: number, bytes: Uint8Array])[][] = [
    [...bitmap.dirtyRuns(RUN_PAGES)].map(
      (r) => [bitmapPageSector(layout, r.page), bitmap.page(r.page, r.pages).slice()] as const,
    ),
    [[layout.superblock + layout.alOffset, freshRing(alBlocks(layout.al))]],
    [[layout.superblock, encodeSuperblock(superblock)]],
  ];
  bitmap.markWritten(0, bitmap.pages);
  let failed = false;
  const next = (): void => {
    const step = steps.shift();
    if (step === undefined || failed) {
      then(!failed);
      return;
    }
    let left = step.length;
    if (left === 0) {
      next();
      return;
    }
    for (const [sector, bytes] of step)
      c.disk(volume, 'metadata', { op: 'write', offset: sector * 512, bytes, through: true }, (result) => {
        failed ||= result !== 0;
        if (--left === 0) next();
      });
  };
  next();
}
