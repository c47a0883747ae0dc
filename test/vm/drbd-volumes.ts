/** A mirror of two volumes. */
import type { DrbdRig } from './drbd-rig.ts';

/** What is on both disks of each. */
export const bothEqual = async (rig: DrbdRig): Promise<readonly [Buffer, Buffer]> => [
  await rig.equal(0),
  await rig.equal(1),
];
export const kernelIs = (rig: DrbdRig, role: 'primary' | 'secondary'): Promise<string> =>
  rig.sh(`drbdsetup-84 ${role} 0; drbdsetup-84 ${role} 1`);
/** On the second volume of the kernel, which is primary. */
export const kernelWrites1 = (rig: DrbdRig, kib: number, byte: number, at: number): Promise<string> =>
  rig.sh(`tr '\\0' '\\${byte.toString(8)}' </dev/zero | head -c ${kib * 1024} |
    dd of=/dev/drbd1 bs=4k seek=${at / 4096} iflag=fullblock oflag=direct 2>&1`);
