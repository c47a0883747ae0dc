/** A file or device of the block queue as what stands behind an export. */
import type { Result } from '../base/index.ts';
import type { BlockDevice, BlockQueue, HostError } from '../host/index.ts';
import type { ExportBackend } from './types.ts';

/** `refresh` looks at the size again, after the file or device has grown, and tells the server. */
export type FileBackend = ExportBackend & { refresh(): Result<void, HostError> };

/** The device is this backend's alone: its answers go to the server. */
export function fileBackend(queue: BlockQueue, device: BlockDevice): FileBackend {
  let resized: () => void = () => {};
  return {
    get size() {
      return device.size;
    },
    unit: device.unit,
    preferredBlock: Math.max(4096, device.physicalBlock),
    readOnly: device.readOnly,
    rotational: device.rotational,
    canTrim: true,
    // Past the page cache there is nothing to warm.
    canCache: !device.direct,
    // One descriptor for all connections: a flush of any covers the writes of all.
    canMultiConn: true,
    onDone: (done) => device.onDone(done),
    onResize(changed) {
      resized = changed;
    },
    read: (tag, at, length, offset) => device.read(tag, at, length, offset),
    write: (tag, at, length, offset, through) => device.write(tag, at, length, offset, through),
    flush: (tag) => device.flush(tag),
    trim: (tag, length, offset) => device.discard(tag, length, offset),
    zero: (tag, length, offset, mode) => device.zero(tag, length, offset, mode),
    // Of a block device nothing is known; all of it may be data.
    extents: (offset, length, limit) => (device.isBlockDevice ? undefined : device.extents(offset, length, limit)),
    submit: () => queue.submit(),
    refresh() {
      const before = device.size;
      const now = device.refresh();
      if (!now.ok) return now;
      if (now.value !== before) resized();
      return { ok: true, value: undefined };
    },
  };
}
