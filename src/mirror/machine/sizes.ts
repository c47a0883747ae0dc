/** How large the volume is that two sides can offer together. */
import { err, ok, type Result, type Text, text } from '../../base/index.ts';
import { DRBD_DISKS, type DrbdDisk, type SizesPacket, sector } from '../../wire/index.ts';
import type { AgreedSize, VolumeFacts } from './types.ts';

const smallerLimit = (a: number, b: number): number => (a === 0 ? b : b === 0 ? a : Math.min(a, b));
/** Data that would be lost by cutting the device. */
const holdsData = (d: DrbdDisk): boolean => DRBD_DISKS.indexOf(d) >= DRBD_DISKS.indexOf('Outdated') && d !== 'DUnknown';

/**
 * Never shrinks a disk with good data, on either side, nor the device of an application: then the two cannot connect, and the
 * text says by how much. Beside a peer without a disk a volume stays as it is: what the peer's disk offers is not known.
 */
export function agreeSize(
  mine: Pick<VolumeFacts, 'disk' | 'sizes' | 'primary'>,
  peer: SizesPacket,
  peerDisk: DrbdDisk,
): Result<AgreedSize, Text> {
  const { diskSize, currentSize } = mine.sizes;
  const userSize = smallerLimit(mine.sizes.userSize, peer.userSize);
  if (mine.disk === 'Diskless') {
    const theirs = peer.currentSize || peer.userSize || peer.diskSize;
    const size = theirs === 0 || (peer.diskSize === 0 && currentSize > 0) ? currentSize : theirs;
    if (size < currentSize && mine.primary) return err(tooSmall.there(size, currentSize));
    return ok({ size: sector(size), userSize: sector(userSize) });
  }
  const limited = (size: number): number => smallerLimit(size, userSize);
  const both = peer.diskSize === 0 ? currentSize || diskSize : Math.min(diskSize, peer.diskSize);
  const size = limited(both);
  if (size < currentSize && holdsData(mine.disk)) return err(tooSmall.there(size, currentSize));
  if (size < peer.currentSize && holdsData(peerDisk)) return err(tooSmall.here(size, peer.currentSize));
  return ok({ size: sector(size), userSize: sector(userSize) });
}
const tooSmall = {
  there: (size: number, data: number): Text =>
    text(
      `the peer's disk is too small: ${size} sectors could be offered together, ${data} hold data here`,
      `对端磁盘太小：两端共同可提供 ${size} 扇区，而本机有 ${data} 扇区的数据`,
    ),
  here: (size: number, data: number): Text =>
    text(
      `the own disk is too small: ${size} sectors could be offered together, ${data} hold data at the peer`,
      `本机磁盘太小：两端共同可提供 ${size} 扇区，而对端有 ${data} 扇区的数据`,
    ),
};
