/**
 * A device that has grown: internal metadata lie at its end, so they are written anew there. The old ones stay what counts
 * until the new superblock, the last of it, is durable; so the new place must not touch the old one.
 */
import { err, ok, type Result, type Text, text } from '../../../base/index.ts';
import type { Sector } from '../../../wire/index.ts';
import {
  alBlocks,
  alGeometryOf,
  BLOCK_BYTES,
  bitmapPageSector,
  computeLayout,
  encodeSuperblock,
  type MetadataLayout,
  usableSectors,
} from '../../metadata/index.ts';
import type { Context } from '../types.ts';
import type { Volume } from '../volume.ts';

export type Measured = { readonly data: Sector; readonly metadata: Sector };

/** `then` is told how many sectors the disk can offer now, or why it stays as it is. */
export function relocate(c: Context, v: Volume, m: Measured, then: (r: Result<number, Text>) => void): void {
  const { backing, devices } = v;
  if (backing === undefined) {
    then(err(text('the disk is not attached', '磁盘未挂接')));
    return;
  }
  const old = backing.layout;
  const next = computeLayout(devices.placement, m.metadata, alGeometryOf(v.superblock()));
  if (!next.ok) {
    then(err(text(`the disk does not suit: ${next.error.kind}`, `磁盘不适用：${next.error.kind}`)));
    return;
  }
  const layout = next.value;
  const usable = usableSectors(layout, devices.placement, m.data);
  if (usable < v.size) {
    then(
      err(text(`the disk offers ${usable} sectors, ${v.size} are in use`, `磁盘仅有 ${usable} 扇区，已使用 ${v.size}`)),
    );
    return;
  }
  if (layout.superblock === old.superblock && layout.bmOffset === old.bmOffset) {
    v.relocated(layout, usable);
    then(ok(usable));
    return;
  }
  if (layout.superblock + layout.bmOffset < old.superblock + BLOCK_BYTES / 512) {
    const more = old.superblock + BLOCK_BYTES / 512 - (layout.superblock + layout.bmOffset);
    then(
      err(
        text(
          `the disk must grow by ${Math.ceil(more / 2)} KiB more: new metadata would overwrite the old before they are whole`,
          `磁盘还需再增大 ${Math.ceil(more / 2)} KiB：否则新元数据会在完整之前覆盖旧元数据`,
        ),
      ),
    );
    return;
  }
  backing.store.exclusive((end) =>
    move(c, v, old, layout, (good) => {
      if (!good) {
        end();
        v.onBroken();
        then(err(text('the metadata cannot be read or written', '无法读写元数据')));
        return;
      }
      v.relocated(layout, usable);
      end();
      then(ok(usable));
    }),
  );
}

/** Ring and bitmap to their new places, and when they are durable the superblock. Nobody writes metadata meanwhile. */
function move(c: Context, v: Volume, old: MetadataLayout, to: MetadataLayout, then: (good: boolean) => void): void {
  const ring = new Uint8Array(alBlocks(old.al) * BLOCK_BYTES);
  const at = (l: MetadataLayout): number => (l.superblock + l.alOffset) * 512;
  const write = (offset: number, bytes: Uint8Array, done: (result: number) => void): void =>
    c.disk(v.number, 'metadata', { op: 'write', offset, bytes, through: true }, done);
  c.disk(v.number, 'metadata', { op: 'read', offset: at(old), into: ring }, (read) => {
    if (read !== 0 || v.backing === undefined) {
      then(false);
      return;
    }
    // Copies before the flush, as always: a cleared bit says that the data beneath is durable. What changes from here on
    // makes its page dirty, and goes to the new place as usual.
    const pages = Array.from({ length: v.bitmap.pages }, (_, page) => {
      v.bitmap.markWritten(page);
      return { at: bitmapPageSector(to, page) * 512, bytes: v.bitmap.page(page).slice() };
    });
    c.disk(v.number, 'data', { op: 'flush' }, (flushed) => {
      let left = pages.length + 1;
      let failed = flushed !== 0;
      const done = (result: number): void => {
        failed ||= result !== 0;
        if (--left > 0) return;
        if (failed || v.backing === undefined) then(false);
        else write(to.superblock * 512, encodeSuperblock({ ...v.superblock(), ...fieldsOf(to) }), (r) => then(r === 0));
      };
      write(at(to), ring, done);
      for (const p of pages) write(p.at, p.bytes, done);
    });
  });
}
/** What a superblock says of the place of the others. */
const fieldsOf = (l: MetadataLayout) => ({ alOffset: l.alOffset, bmOffset: l.bmOffset, size: l.size });
