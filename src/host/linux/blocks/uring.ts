/** The back end on io_uring: descriptors in shared memory, one system call a turn. */
import { err, ok, type Result, text } from '../../../base/index.ts';
import type { HostError } from '../../index.ts';
import { hostError } from '../addon.ts';
import { COMPLETION_INTS, DESCRIPTOR_INTS, PAGE, type UringAddon } from './addon.ts';
import type { Engine } from './engine.ts';

const pages = (bytes: number): number => Math.ceil(bytes / PAGE) * PAGE;
const HIGH = 0x1_0000_0000;

/** Refused (ENOSYS, EPERM) where io_uring is switched off. */
export function uringEngine(addon: UringAddon, entries: number, slabBytes: number): Result<Engine, HostError> {
  const doing = text('set up io_uring', '建立 io_uring');
  const ring = addon.ring(entries, slabBytes);
  if (typeof ring === 'number') return err(hostError(ring, doing));
  const memory = addon.memory(ring);
  const descriptorBytes = pages(entries * DESCRIPTOR_INTS * 4);
  const completionBytes = pages(entries * 2 * COMPLETION_INTS * 4);
  const descriptors = new Int32Array(memory, 0, entries * DESCRIPTOR_INTS);
  const completions = new Int32Array(memory, descriptorBytes, entries * 2 * COMPLETION_INTS);
  const room = entries * 2;
  let tell: (tag: number, result: number) => void = () => {};
  let told: () => void = () => {};
  let queued = 0;
  const deliver = (n: number): void => {
    for (let i = 0; i < n; i++) tell(completions[i * 2] as number, completions[i * 2 + 1] as number);
    told();
  };
  // A completion may push; a submit from within one waits until all are told of, as they stand in the same memory.
  let delivering = false;
  let again = false;
  const submit = (): void => {
    if (delivering) {
      again = true;
      return;
    }
    if (queued === 0) return; // completions wake by themselves
    delivering = true;
    do {
      again = false;
      const n = addon.submit(ring, queued);
      queued = 0;
      if (n > 0) deliver(n);
      if (n === room) again = true;
    } while (again || queued > 0);
    delivering = false;
  };
  const watched = addon.watch(ring, (n) => {
    delivering = true;
    deliver(n);
    delivering = false;
    if (again || queued > 0) submit();
  });
  if (watched < 0) {
    addon.close(ring);
    return err(hostError(watched, doing));
  }
  return ok({
    kind: 'io_uring',
    slab: new Uint8Array(memory, descriptorBytes + completionBytes, slabBytes),
    entries,
    push(operation, fd, at, length, offset, tag) {
      if (queued === entries) throw new Error('bug: more requests than the ring has entries');
      const d = queued++ * DESCRIPTOR_INTS;
      descriptors[d] = operation;
      descriptors[d + 1] = fd;
      descriptors[d + 2] = at;
      descriptors[d + 3] = length;
      descriptors[d + 4] = offset;
      descriptors[d + 5] = offset / HIGH;
      descriptors[d + 6] = tag;
      descriptors[d + 7] = length / HIGH;
    },
    submit,
    onCompletion(done, end) {
      tell = done;
      told = end;
    },
    close: () => addon.close(ring),
  });
}
