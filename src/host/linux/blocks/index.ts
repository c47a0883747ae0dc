/** The block queue on Linux: io_uring where the system has it, the thread pool otherwise. */
import { err, ok, type Result, text } from '../../../base/index.ts';
import type { BlockQueue, HostError } from '../../index.ts';
import { loadUringAddon } from './addon.ts';
import { poolEngine } from './pool.ts';
import { OperationQueue } from './queue.ts';
import { uringEngine } from './uring.ts';

export { loadUringAddon } from './addon.ts';

export type BlockQueueOptions = {
  /** Requests of all users together; 1..4096. */
  readonly requests: number;
  /** Of all users together; 128 KiB of it serve the queue itself. With io_uring what requests touch is locked in memory where that is allowed. */
  readonly slabBytes: number;
  readonly engine: 'auto' | 'io_uring' | 'fs';
};

/** One for each process that has a data path. */
export function linuxBlocks(o: BlockQueueOptions): Result<BlockQueue, HostError> {
  const addon = loadUringAddon();
  if (!addon.ok) return addon;
  if (o.engine !== 'fs') {
    const engine = uringEngine(addon.value, o.requests, o.slabBytes);
    if (engine.ok) return ok(new OperationQueue(addon.value, engine.value));
    if (o.engine === 'io_uring') return engine;
  }
  const engine = poolEngine(addon.value, o.requests, o.slabBytes);
  if (!engine.ok) return err({ ...engine.error, doing: text('set up the block queue', '建立块请求队列') });
  return ok(new OperationQueue(addon.value, engine.value));
}
