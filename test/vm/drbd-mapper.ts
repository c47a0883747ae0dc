/** The kernel's disk as a device of the device mapper: as large as it is told, or broken. */
import { type DrbdRig, SIZE } from './drbd-rig.ts';

/** As devtmpfs names it: there is no udev in the guest. */
export const LOW = '/dev/dm-0';
/** `create low` or `load low`; bytes of the guest's first disk, or `error`: every request fails. */
export function dm(verb: string, is: number | 'error' = SIZE): string {
  const table = is === 'error' ? `0 ${SIZE / 512} error` : `0 ${is / 512} linear /dev/vda 0`;
  return `dmsetup ${verb} --noudevrules --noudevsync --table '${table}'`;
}
/** What was loaded counts from now on. */
export const onKernelDisk = (rig: DrbdRig, load: string): Promise<string> =>
  rig.sh(`${load}
    dmsetup suspend --noudevsync --noflush --nolockfs low
    dmsetup resume --noudevrules --noudevsync low`);
