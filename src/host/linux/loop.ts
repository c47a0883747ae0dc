/** Loop devices through native/loop.c. */
import { closeSync, constants, openSync } from 'node:fs';
import { constants as os } from 'node:os';
import { err, ok, type Result, text } from '../../base/index.ts';
import type { HostError } from '../index.ts';
import { hostError } from './addon.ts';
import { loadNative } from './native.ts';
import { systemError } from './system-error.ts';

interface LoopAddon {
  free(control: number): number;
  configure(device: number, file: number, blockSize: number, readOnly: 0 | 1): number;
  clear(device: number): number;
  flusher(): number;
}
export type LoopDevice = {
  readonly path: string;
  /** Takes the file away, now or when the last user has closed the device. Once. */
  close(): void;
};
/** Others may take the device that was free between the two calls. */
const ATTEMPTS = 32;

/**
 * The file as a block device, past the page cache. The kernel undoes it by itself when nobody has it open any more, so
 * that nothing is left of it when this process is killed.
 */
export function openLoop(
  file: string,
  o: { readonly blockSize: number; readonly readOnly: boolean },
): Result<LoopDevice, HostError> {
  const doing = text(`make a loop device of ${file}`, `为 ${file} 建立 loop 设备`);
  const addon = loadNative<LoopAddon>('loop');
  if (!addon.ok) return addon;
  const opened: number[] = [];
  const flags = (o.readOnly ? constants.O_RDONLY : constants.O_RDWR) | constants.O_NONBLOCK;
  try {
    const control = openSync('/dev/loop-control', constants.O_RDWR);
    opened.push(control);
    const backing = openSync(file, flags);
    opened.push(backing);
    for (let i = 0; i < ATTEMPTS; i++) {
      const n = addon.value.free(control);
      if (n < 0) return err(hostError(n, doing));
      const path = `/dev/loop${n}`;
      const device = openSync(path, flags);
      const r = addon.value.configure(device, backing, o.blockSize, o.readOnly ? 1 : 0);
      if (r >= 0) {
        let open = true;
        const close = (): void => {
          if (!open) return;
          open = false;
          addon.value.clear(device);
          closeSync(device);
        };
        return ok({ path, close });
      }
      closeSync(device);
      if (r !== -os.errno.EBUSY) return err(hostError(r, doing));
    }
    return err(hostError(-os.errno.EBUSY, doing));
  } catch (e) {
    return err(systemError(e, doing));
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

/** What this process and its children allocate never waits for pages that they write out themselves. False where it is not permitted. */
export function becomeIoFlusher(): boolean {
  const addon = loadNative<LoopAddon>('loop');
  return addon.ok && addon.value.flusher() >= 0;
}
