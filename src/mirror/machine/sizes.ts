/** How large the volume is that two sides can offer together. */
import { err, ok, type Result, type Text, text } from '../../base/index.ts';
import { DRBD_DISKS, type DrbdDisk, type SizesPacket, sector } from '../../wire/index.ts';
import type { AgreedSize, VolumeFacts } from './types.ts';

const smallerLimit = (a: number, b: number): number => (a === 0 ? b : b === 0 ? a : Math.min(a, b));
/** Data that would be lost by cutting the device. */
const holdsData = (d: DrbdDisk): boolean => DRBD_DISKS.indexOf(d) >= DRBD_DISKS.indexOf('Outdated') && d !== 'DUnknown';

/** Never shrinks a disk with good data: then the two cannot connect, and the text says by how much. */
export function agreeSize(mine: Pick<VolumeFacts, 'disk' | 'sizes'>, peer: SizesPacket): Result<AgreedSize, Text> {
  const { diskSize, currentSize } = mine.sizes;
  const userSize = smallerLimit(mine.sizes.userSize, peer.userSize);
  const limited = (size: number): number => smallerLimit(size, userSize);
  if (mine.disk === 'Diskless') {
    const size = peer.currentSize || peer.userSize || peer.diskSize;
    return ok({ size: sector(size), userSize: sector(userSize) });
  }
  const size = limited(peer.diskSize === 0 ? diskSize : Math.min(diskSize, peer.diskSize));
  if (size < currentSize && holdsData(mine.disk))
    return err(
      text(
        `the peer's disk is too small: ${size} sectors could be offered together, ${currentSize} hold data here`,
        `对端磁盘太小：两端共同可提供 ${size} 扇区，而本机有 ${currentSize} 扇区的数据`,
      ),
    );
  return ok({ size: sector(size), userSize: sector(userSize) });
}
