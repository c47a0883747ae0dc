/** `dump-md`: the metadata of a mirror that is not running, read from its devices. */
import { closeSync, openSync } from 'node:fs';
import { err, ok, type Result, type Text, text } from '../base/index.ts';
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
  dumpMetadata,
  placementOf,
  replayActivityLog,
  type VolumeConfig,
} from '../mirror/index.ts';
import { sector } from '../wire/index.ts';
import { inspect, readAt } from './mirror-create.ts';
import { mirrorsOf } from './mirror-files.ts';

/** A text for each volume. `now`: when, as the heading says it. */
export async function dumpMirror(
  name: string,
  file: string,
  host: string | undefined,
  now: string,
): Promise<Result<readonly string[], Text>> {
  const m = (await mirrorsOf(file, host)).find((x) => x.name === name);
  if (m === undefined)
    return err(text(`${file} has no mirror ${name} for this host`, `${file} 中没有本主机的镜像 ${name}`));
  const out: string[] = [];
  for (const v of m.volumes) {
    if (v.disk === undefined) continue;
    const d = dumpVolume(v, v.disk, `${now}\n${m.host}> holdfast mirror dump-md ${name}`.split('\n'));
    if (!d.ok) return d;
    out.push(d.value);
  }
  return ok(out);
}
function dumpVolume(v: VolumeConfig, disk: string, heading: readonly string[]): Result<string, Text> {
  const path = v.metadata.kind === 'internal' ? disk : v.metadata.device;
  const facts = inspect(path);
  if (!facts.ok) return err(facts.error.text);
  const placement = placementOf(v.metadata);
  const size = sector(Math.floor(facts.value.size / 512));
  const damaged = (why: string): Result<never, Text> =>
    err(text(`${path}: no metadata that can be read (${why})`, `${path}：没有可读的元数据（${why}）`));
  const first = computeLayout(placement, size);
  if (!first.ok) return damaged(first.error.kind);
  const fd = openSync(path, 'r');
  try {
    const decoded = decodeSuperblock(readAt(fd, first.value.superblock * 512, BLOCK_BYTES));
    if (!decoded.ok) return damaged(decoded.error.kind);
    const s = decoded.value;
    const layout = computeLayout(placement, size, alGeometryOf(s));
    if (!layout.ok) return damaged(layout.error.kind);
    const l = layout.value;
    const bitmap = new Bitmap(bitsFor(s.laSize));
    for (let p = 0; p < bitmap.pages; p++) bitmap.load(p, readAt(fd, bitmapPageSector(l, p) * 512, BLOCK_BYTES));
    const offset = BigInt(l.superblock) * 512n;
    if (s.clean) return ok(dumpMetadata(s, bitmap, offset, heading));
    const ring = readAt(fd, (l.superblock + l.alOffset) * 512, alBlocks(l.al) * BLOCK_BYTES);
    const applied = applyActivityLog(s, replayActivityLog(ring, l.al), bitmap);
    return ok(
      dumpMetadata(applied.superblock, bitmap, offset, [...heading, 'the activity log is applied in this text']),
    );
  } finally {
    closeSync(fd);
  }
}
