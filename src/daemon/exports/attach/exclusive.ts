import { closeSync, constants, openSync } from 'node:fs';

const { O_EXCL, O_NONBLOCK, O_RDONLY } = constants;

/** Mounts of any namespace, device-mapper, md and swap hold a device exclusively. Waits for the device. */
export function isHeldExclusively(device: string): boolean {
  try {
    closeSync(openSync(device, O_RDONLY | O_EXCL | O_NONBLOCK));
    return false;
  } catch (e) {
    return e instanceof Error && 'code' in e && e.code === 'EBUSY';
  }
}
