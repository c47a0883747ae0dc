/** New metadata on the disks of a resource. What looks like data is not overwritten unless told to. */
import { closeSync, fsyncSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { languageOf, text } from '../../base/index.ts';
import { createMetadata, decodeSuperblock, type MirrorConfig, type VolumeConfig } from '../../mirror/index.ts';
import { sector } from '../../wire/index.ts';
import { EXIT } from '../command/exit-codes.ts';
import { placementOf } from './process.ts';

/** File systems, LVM and partition tables all leave something within it. */
const HEAD = 128 * 1024;

export function createVolumes(config: MirrorConfig, force: boolean, say: (l: string) => void): number {
  const language = languageOf(process.env);
  for (const v of config.volumes) {
    if (v.disk === undefined) continue;
    const failed = createVolume(v, v.disk, force);
    if (failed === undefined) continue;
    say(`holdfast mirror: ${failed[language]}`);
    return EXIT.failed;
  }
  return EXIT.done;
}

function createVolume(v: VolumeConfig, disk: string, force: boolean): ReturnType<typeof text> | undefined {
  const place = v.metadata.kind === 'internal' ? disk : v.metadata.device;
  const sizeOf = (path: string): number => Math.floor(sizeOfFile(path) / 512);
  const blocks = createMetadata(
    { placement: placementOf(v), data: sector(sizeOf(disk)), metadata: sector(sizeOf(place)) },
    v.options.alExtents,
  );
  if (!blocks.ok) return blocks.error;
  const fd = openSync(place, 'r+');
  try {
    const last = blocks.value.at(-1);
    const old = Buffer.alloc(4096);
    if (last !== undefined) readSync(fd, old, 0, 4096, last.offset);
    if (decodeSuperblock(old).ok && !force)
      return text(`${place} has metadata already: --force replaces it`, `${place} 已有元数据：--force 可替换`);
    const head = Buffer.alloc(HEAD);
    const n = readSync(fd, head, 0, HEAD, 0);
    if (!force && head.subarray(0, n).some((b) => b !== 0))
      return text(`${place} holds data: --force takes it nevertheless`, `${place} 已有数据：--force 可强制使用`);
    for (const [i, b] of blocks.value.entries()) {
      // The superblock is last, and durable only when all before it is.
      if (i === blocks.value.length - 1) fsyncSync(fd);
      writeSync(fd, b.bytes, 0, b.bytes.length, b.offset);
    }
    fsyncSync(fd);
    return undefined;
  } finally {
    closeSync(fd);
  }
}
function sizeOfFile(path: string): number {
  const s = statSync(path);
  if (s.isFile()) return s.size;
  const fd = openSync(path, 'r');
  try {
    // A block device ends where nothing more can be read: found by halving.
    let low = 0;
    let high = 2 ** 50;
    const one = Buffer.alloc(1);
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      let n = 0;
      try {
        n = readSync(fd, one, 0, 1, middle);
      } catch {
        n = 0;
      }
      if (n === 1) low = middle;
      else high = middle;
    }
    return high;
  } finally {
    closeSync(fd);
  }
}
