/** The back end on Node's thread pool, where io_uring is switched off. About three times the CPU. */
import { fdatasync, read, write } from 'node:fs';
import { constants } from 'node:os';
import { err, ok, type Result, text } from '../../../base/index.ts';
import type { HostError } from '../../index.ts';
import { hostError } from '../addon.ts';
import { OPERATION, type UringAddon } from './addon.ts';
import type { Engine } from './engine.ts';

const failed = (e: NodeJS.ErrnoException): number => -Math.abs(e.errno ?? constants.errno.EIO);

export function poolEngine(addon: UringAddon, entries: number, slabBytes: number): Result<Engine, HostError> {
  const memory = addon.pages(slabBytes);
  if (typeof memory === 'number') return err(hostError(memory, text('reserve memory for blocks', '为块数据预留内存')));
  const slab = new Uint8Array(memory, 0, slabBytes);
  let tell: (tag: number, result: number) => void = () => {};
  let told: () => void = () => {};
  let closed = false;
  // Operations wait until submit, so that both back ends answer only after it.
  const queue: (() => void)[] = [];
  // What finishes within one turn of the loop is one batch.
  const finished: number[] = [];
  const deliver = (): void => {
    if (closed) return;
    const batch = finished.splice(0);
    for (let i = 0; i < batch.length; i += 2) tell(batch[i] as number, batch[i + 1] as number);
    told();
    submit();
  };
  const finish = (tag: number, result: number): void => {
    if (finished.length === 0) setImmediate(deliver);
    finished.push(tag, result);
  };
  const submit = (): void => {
    for (const start of queue.splice(0)) start();
  };
  const sync = (fd: number, tag: number, result: number): void =>
    fdatasync(fd, (e) => finish(tag, e ? failed(e) : result));
  const start = (operation: number, fd: number, at: number, length: number, offset: number, tag: number): void => {
    switch (operation) {
      case OPERATION.read:
        read(fd, slab, at, length, offset, (e, n) => finish(tag, e ? failed(e) : n));
        break;
      case OPERATION.write:
        write(fd, slab, at, length, offset, (e, n) => finish(tag, e ? failed(e) : n));
        break;
      case OPERATION.writeThrough:
        write(fd, slab, at, length, offset, (e, n) => (e ? finish(tag, failed(e)) : sync(fd, tag, n)));
        break;
      case OPERATION.sync:
        sync(fd, tag, 0);
        break;
      default: {
        const refused = addon.allocate(fd, operation, offset, length, (result) => finish(tag, result));
        if (refused < 0) finish(tag, refused);
      }
    }
  };
  return ok({
    kind: 'fs',
    slab,
    entries,
    push: (operation, fd, at, length, offset, tag) => {
      queue.push(() => start(operation, fd, at, length, offset, tag));
    },
    submit,
    onCompletion(done, end) {
      tell = done;
      told = end;
    },
    close: () => {
      closed = true;
    },
  });
}
