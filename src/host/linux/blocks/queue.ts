/**
 * The block queue over a back end: a table of operations by number, in typed arrays. Short transfers are continued, and
 * a refused way of zeroing is followed by the next best. No object a request.
 */
import { constants as os } from 'node:os';
import type { Result } from '../../../base/index.ts';
import type { BlockOpenOptions, BlockQueue, BlockRegion, HostError } from '../../index.ts';
import { Regions } from '../../index.ts';
import { OPERATION, type UringAddon } from './addon.ts';
import { LinuxBlockDevice, type Operations } from './device.ts';
import type { Engine } from './engine.ts';
import { QUIETLY, TRY_DISCARD, TRY_WRITING, TRY_ZERO_RANGE, WRITING } from './ways.ts';

const { EIO, ENOSPC, EOPNOTSUPP, EINVAL, EAGAIN, EINTR, ENOSYS, ENOTTY } = os.errno;
/** What is written where zeros cannot be had more cheaply. */
const ZERO_BYTES = 128 * 1024;
/** Largest operation handed to the kernel at once. */
const MAX_TRANSFER = 1 << 30;

export class OperationQueue implements BlockQueue, Operations {
  readonly kind: string;
  readonly slab: Uint8Array;
  readonly addon: UringAddon;
  readonly #engine: Engine;
  readonly #regions: Regions;
  readonly #zeros: number;
  readonly #devices: (LinuxBlockDevice | undefined)[] = [];
  /** Places in the table of those that were closed. */
  readonly #vacant: number[] = [];
  readonly #batchEnds = new Set<() => void>();
  #reserved = 0;
  #scheduled = false;
  // By operation number.
  readonly #free: Int32Array;
  #freeCount: number;
  readonly #device: Int32Array;
  readonly #tag: Int32Array;
  readonly #operation: Uint8Array;
  readonly #at: Int32Array;
  readonly #left: Float64Array;
  readonly #offset: Float64Array;
  /** For zeroing and discarding: what is left to try when this is refused. */
  readonly #next: Uint8Array;

  constructor(addon: UringAddon, engine: Engine) {
    const n = engine.entries;
    this.addon = addon;
    this.#engine = engine;
    this.kind = engine.kind;
    this.slab = engine.slab;
    this.#regions = new Regions(engine.slab.length);
    this.#zeros = this.#regions.take(ZERO_BYTES)?.at ?? -1;
    this.#free = Int32Array.from({ length: n }, (_, i) => n - 1 - i);
    this.#freeCount = n;
    this.#device = new Int32Array(n);
    this.#tag = new Int32Array(n);
    this.#operation = new Uint8Array(n);
    this.#at = new Int32Array(n);
    this.#left = new Float64Array(n);
    this.#offset = new Float64Array(n);
    this.#next = new Uint8Array(n);
    engine.onCompletion(
      (op, result) => this.#completed(op, result),
      () => this.#endBatch(),
    );
  }

  reserve(requests: number, bytes: number): BlockRegion | undefined {
    if (this.#reserved + requests > this.#engine.entries) return undefined;
    const part = this.#regions.take(bytes);
    if (part === undefined) return undefined;
    this.#reserved += requests;
    return { ...part, requests };
  }
  release(region: BlockRegion): void {
    this.#reserved -= region.requests;
    this.#regions.give(region);
  }
  open(path: string, o: BlockOpenOptions): Result<LinuxBlockDevice, HostError> {
    const number = this.#vacant.at(-1) ?? this.#devices.length;
    const opened = LinuxBlockDevice.open(this, number, path, o);
    if (!opened.ok) return opened;
    this.#vacant.pop();
    this.#devices[number] = opened.value;
    return opened;
  }
  forget(number: number): void {
    this.#devices[number] = undefined;
    this.#vacant.push(number);
  }
  onBatch(run: () => void): () => void {
    this.#batchEnds.add(run);
    return () => this.#batchEnds.delete(run);
  }
  submit(): void {
    this.#engine.submit();
  }
  close(): void {
    // What the disk never answered is left to the kernel with the ring; then nothing of it is told.
    this.#engine.close();
    for (const d of this.#devices) d?.abandon();
  }

  #endBatch(): void {
    for (const run of this.#batchEnds) run();
  }
  answerSoon(device: LinuxBlockDevice, tag: number, result: number): void {
    queueMicrotask(() => {
      device.told(tag, result);
      this.#endBatch();
    });
  }
  ask(device: number, tag: number, operation: number, at: number, length: number, offset: number, next = 0): void {
    if (this.#freeCount === 0) throw new Error('bug: more block requests than were reserved');
    const op = this.#free[--this.#freeCount] as number;
    this.#device[op] = device;
    this.#tag[op] = tag;
    this.#operation[op] = operation;
    this.#at[op] = at;
    this.#left[op] = length;
    this.#offset[op] = offset;
    this.#next[op] = next;
    (this.#devices[device] as LinuxBlockDevice).inFlight++;
    this.#push(op);
  }
  #push(op: number): void {
    const device = this.#devices[this.#device[op] as number] as LinuxBlockDevice;
    let length = this.#left[op] as number;
    if (this.#next[op] === WRITING) length = Math.min(length, ZERO_BYTES);
    if (length > MAX_TRANSFER && (this.#operation[op] as number) <= OPERATION.writeThrough) length = MAX_TRANSFER;
    this.#engine.push(
      this.#operation[op] as number,
      device.fd,
      this.#at[op] as number,
      length,
      this.#offset[op] as number,
      op,
    );
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(this.#turnEnds);
  }
  readonly #turnEnds = (): void => {
    this.#scheduled = false;
    this.#engine.submit();
  };
  #completed(op: number, result: number): void {
    const operation = this.#operation[op] as number;
    if (result === -EAGAIN || result === -EINTR) {
      this.#push(op);
      return;
    }
    if (operation <= OPERATION.writeThrough && result >= 0) {
      const left = (this.#left[op] as number) - result;
      if (left > 0) {
        // Nothing moved: the file ended under us, or has no room.
        if (result === 0) {
          this.#finish(op, operation === OPERATION.read ? -EIO : -ENOSPC);
          return;
        }
        this.#left[op] = left;
        this.#offset[op] = (this.#offset[op] as number) + result;
        if (this.#next[op] !== WRITING) this.#at[op] = (this.#at[op] as number) + result;
        this.#push(op);
      } else this.#finish(op, 0);
      return;
    }
    if (result < 0 && operation >= OPERATION.punch && this.#anotherWay(op, result)) return;
    this.#finish(op, result < 0 ? result : 0);
  }
  #anotherWay(op: number, result: number): boolean {
    const refused = result === -EOPNOTSUPP || result === -EINVAL || result === -ENOSYS || result === -ENOTTY;
    const next = this.#next[op] as number;
    if (!refused || next === 0) return false;
    if (next & TRY_DISCARD) {
      this.#operation[op] = OPERATION.discard;
      this.#next[op] = next & ~TRY_DISCARD;
    } else if (next & TRY_ZERO_RANGE) {
      this.#operation[op] = OPERATION.zero;
      this.#next[op] = next & ~TRY_ZERO_RANGE;
    } else if (next & TRY_WRITING) {
      this.#operation[op] = OPERATION.write;
      this.#at[op] = this.#zeros;
      this.#next[op] = WRITING;
    } else {
      this.#finish(op, next & QUIETLY ? 0 : -EOPNOTSUPP);
      return true;
    }
    this.#push(op);
    return true;
  }
  #finish(op: number, result: number): void {
    const device = this.#devices[this.#device[op] as number] as LinuxBlockDevice;
    const tag = this.#tag[op] as number;
    const operation = this.#operation[op] as number;
    this.#free[this.#freeCount++] = op;
    device.inFlight--;
    device.finished(operation, tag, result);
  }
}
