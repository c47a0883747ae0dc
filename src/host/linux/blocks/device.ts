/** One open device or file of the queue. */
import { closeSync, constants as fsc, fstatSync, openSync } from 'node:fs';
import { constants as os } from 'node:os';
import { type Bytes, bytes, err, invariant, ok, type Result, text } from '../../../base/index.ts';
import type { BlockDevice, BlockDone, BlockExtent, BlockOpenOptions, HostError, ZeroMode } from '../../index.ts';
import { hostError } from '../addon.ts';
import { systemError } from '../system-error.ts';
import { OPERATION, type UringAddon } from './addon.ts';
import { GIVE_UP, QUIETLY, TRY_DISCARD, TRY_WRITING, TRY_ZERO_RANGE } from './ways.ts';

const { EINVAL, EBADF, EIO, ENXIO, EROFS } = os.errno;

/** What a device has of its queue. */
export interface Operations {
  readonly addon: UringAddon;
  /** Asks for one operation. `next`: what to try when it is refused (ways.ts). */
  ask(device: number, tag: number, operation: number, at: number, length: number, offset: number, next?: number): void;
  /** An answer that needs no operation. Told after the call, and a batch like any other. */
  answerSoon(device: LinuxBlockDevice, tag: number, result: number): void;
  /** It is closed now. */
  forget(device: number): void;
}
type Geometry = {
  readonly block: boolean;
  readonly size: number;
  readonly logical: number;
  readonly physical: number;
  readonly readOnly: boolean;
  readonly rotational: boolean;
};
function geometryOf(addon: UringAddon, fd: number): Geometry | number {
  const g = new Float64Array(8);
  const r = addon.geometry(fd, g);
  if (r < 0) return r;
  const [block = 0, size = 0, logical = 512, physical = 512, readOnly = 0, rotational = 0] = g;
  return { block: block === 1, size, logical, physical, readOnly: readOnly === 1, rotational: rotational === 1 };
}

export class LinuxBlockDevice implements BlockDevice {
  readonly path: string;
  readonly unit: number;
  readonly physicalBlock: number;
  readonly readOnly: boolean;
  readonly rotational: boolean;
  readonly isBlockDevice: boolean;
  readonly direct: boolean;
  fd: number;
  #size: number;
  readonly #queue: Operations;
  /** Its place in the queue's table. */
  readonly number: number;
  /** Operations that the queue has not finished. */
  inFlight = 0;
  #done: BlockDone = () => {};
  #flushFailed = 0;

  private constructor(queue: Operations, number: number, path: string, fd: number, g: Geometry, direct: boolean) {
    this.#queue = queue;
    this.number = number;
    this.path = path;
    this.fd = fd;
    const unit = direct ? g.logical : 1;
    this.#size = g.size - (g.size % unit);
    this.unit = unit;
    this.physicalBlock = g.physical;
    this.readOnly = g.readOnly;
    this.rotational = g.rotational;
    this.isBlockDevice = g.block;
    this.direct = direct;
  }

  static open(
    queue: Operations,
    number: number,
    path: string,
    o: BlockOpenOptions,
  ): Result<LinuxBlockDevice, HostError> {
    const doing = text(`open ${path}`, `打开 ${path}`);
    const flags = (o.readOnly ? fsc.O_RDONLY : fsc.O_RDWR) | (o.exclusive ? fsc.O_EXCL : 0) | fsc.O_NONBLOCK;
    let fd = -1;
    const refuse = (e: HostError): Result<never, HostError> => {
      if (fd >= 0) closeSync(fd);
      return err(e);
    };
    try {
      fd = openSync(path, flags);
      const g = geometryOf(queue.addon, fd);
      if (typeof g === 'number') return refuse(hostError(g, doing));
      if (g.readOnly && !o.readOnly) return refuse(hostError(-EROFS, doing));
      let direct = o.direct === 'yes' || (o.direct === 'auto' && g.size % g.logical === 0);
      if (direct) {
        const cached = fd;
        try {
          fd = openSync(path, flags | fsc.O_DIRECT);
          closeSync(cached);
          // Another file may have taken the name meanwhile; then its geometry counts.
          if (fstatSync(fd).isDirectory()) return refuse(hostError(-EINVAL, doing));
        } catch (e) {
          if (o.direct === 'yes') throw e;
          direct = false;
        }
      }
      return ok(new LinuxBlockDevice(queue, number, path, fd, { ...g, readOnly: o.readOnly }, direct));
    } catch (e) {
      return refuse(systemError(e, doing));
    }
  }

  get size(): Bytes {
    return bytes(this.#size);
  }
  onDone(done: BlockDone): void {
    this.#done = done;
  }
  #fits(length: number, offset: number): boolean {
    return (
      this.fd >= 0 &&
      length > 0 &&
      offset >= 0 &&
      offset + length <= this.#size &&
      offset % this.unit === 0 &&
      length % this.unit === 0
    );
  }
  #answer(tag: number, result: number): void {
    this.#queue.answerSoon(this, tag, result);
  }
  read(tag: number, at: number, length: number, offset: number): void {
    if (!this.#fits(length, offset)) {
      this.#answer(tag, this.fd < 0 ? -EBADF : -EINVAL);
      return;
    }
    this.#queue.ask(this.number, tag, OPERATION.read, at, length, offset);
  }
  write(tag: number, at: number, length: number, offset: number, through: boolean): void {
    if (!this.#fits(length, offset)) {
      this.#answer(tag, this.fd < 0 ? -EBADF : -EINVAL);
      return;
    }
    if (through && this.#flushFailed !== 0) {
      this.#answer(tag, this.#flushFailed);
      return;
    }
    this.#queue.ask(this.number, tag, through ? OPERATION.writeThrough : OPERATION.write, at, length, offset);
  }
  flush(tag: number): void {
    if (this.fd < 0) {
      this.#answer(tag, -EBADF);
      return;
    }
    if (this.#flushFailed !== 0) {
      this.#answer(tag, this.#flushFailed);
      return;
    }
    this.#queue.ask(this.number, tag, OPERATION.sync, 0, 0, 0);
  }
  discard(tag: number, length: number, offset: number): void {
    if (!this.#fits(length, offset)) {
      this.#answer(tag, this.fd < 0 ? -EBADF : -EINVAL);
      return;
    }
    const next = (this.isBlockDevice ? TRY_DISCARD : 0) | QUIETLY;
    this.#queue.ask(this.number, tag, OPERATION.punch, 0, length, offset, next);
  }
  zero(tag: number, length: number, offset: number, mode: ZeroMode): void {
    if (!this.#fits(length, offset)) {
      this.#answer(tag, this.fd < 0 ? -EBADF : -EINVAL);
      return;
    }
    // On a block device the zero range falls back to writing inside the kernel, which is not fast.
    const range = mode.fast && this.isBlockDevice ? 0 : TRY_ZERO_RANGE;
    const next = range | (mode.fast ? 0 : TRY_WRITING);
    if (mode.keep && range === 0) {
      this.#answer(tag, -os.errno.EOPNOTSUPP);
      return;
    }
    const first = mode.keep ? OPERATION.zero : OPERATION.punch;
    const rest = mode.keep ? next & ~TRY_ZERO_RANGE : next;
    this.#queue.ask(this.number, tag, first, 0, length, offset, rest | (rest === 0 ? GIVE_UP : 0));
  }
  extents(offset: number, length: number, limit: number): readonly BlockExtent[] {
    const end = Math.min(offset + length, this.#size);
    const found: BlockExtent[] = [];
    let at = offset;
    while (at < end && found.length < limit) {
      const data = this.#queue.addon.seek(this.fd, at, 0);
      if (data < 0 && data !== -ENXIO) {
        // The file system cannot tell: then all of it may be data.
        found.push({ length: end - at, hole: false });
        break;
      }
      const dataAt = data === -ENXIO ? end : Math.min(data, end);
      if (dataAt > at) {
        found.push({ length: dataAt - at, hole: true });
        at = dataAt;
        continue;
      }
      const hole = this.#queue.addon.seek(this.fd, at, 1);
      const holeAt = hole < 0 ? end : Math.min(Math.max(hole, at + 1), end);
      found.push({ length: holeAt - at, hole: false });
      at = holeAt;
    }
    return found;
  }
  refresh(): Result<Bytes, HostError> {
    const g = geometryOf(this.#queue.addon, this.fd);
    if (typeof g === 'number') return err(hostError(g, text(`look at ${this.path}`, `查看 ${this.path}`)));
    this.#size = g.size - (g.size % this.unit);
    return ok(this.size);
  }
  /** For the queue. */
  finished(operation: number, tag: number, result: number): void {
    // A write through that fails may be told of a write before it, which the kernel then tells nobody else.
    const lost = operation === OPERATION.sync ? result < 0 : operation === OPERATION.writeThrough && result === -EIO;
    if (lost) this.#flushFailed = result;
    this.told(tag, result);
  }
  /** For the queue. */
  told(tag: number, result: number): void {
    this.#done(tag, result);
  }
  close(): void {
    if (this.fd < 0) return;
    // The descriptor's number may be another file's in a moment, and what was asked would go there.
    invariant(this.inFlight === 0, `${this.path} is closed with requests in flight`);
    this.abandon();
  }
  /** For the queue, at its end. */
  abandon(): void {
    if (this.fd < 0) return;
    closeSync(this.fd);
    this.fd = -1;
    this.#queue.forget(this.number);
  }
}
