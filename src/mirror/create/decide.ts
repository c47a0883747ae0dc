/** Whether a device may be overwritten. Pure; the facts come from the host. */
import { type Text, text } from '../../base/index.ts';
import type { FoundSignature, Signature } from './signatures.ts';

export type DeviceFacts = {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly signatures: readonly FoundSignature[];
  /** Where it, or a partition of it, is mounted. */
  readonly mountedOn: readonly string[];
  /** Swap, device mapper, md: what of the kernel holds it. */
  readonly heldBy: readonly string[];
};
export type Overwrite =
  | { readonly kind: 'free' }
  /** The operator must type this name: it is what would be lost. */
  | { readonly kind: 'confirm'; readonly loses: readonly Text[] }
  | { readonly kind: 'refused'; readonly why: Text; readonly hint: Text };

const NAMES: Readonly<Record<Signature, Text>> = {
  ext: text('an ext2/3/4 file system', 'ext2/3/4 文件系统'),
  xfs: text('an XFS file system', 'XFS 文件系统'),
  btrfs: text('a Btrfs file system', 'Btrfs 文件系统'),
  swap: text('swap space', '交换空间'),
  luks: text('an encrypted volume (LUKS)', '加密卷（LUKS）'),
  lvm2: text('a physical volume of LVM', 'LVM 物理卷'),
  'md-raid': text('a member of a RAID (md)', 'RAID 成员（md）'),
  gpt: text('a partition table (GPT)', '分区表（GPT）'),
  mbr: text('a partition table (MBR)', '分区表（MBR）'),
  fat: text('a FAT file system', 'FAT 文件系统'),
  ntfs: text('an NTFS file system', 'NTFS 文件系统'),
  iso9660: text('an ISO 9660 file system', 'ISO 9660 文件系统'),
  zfs: text('a member of a ZFS pool', 'ZFS 存储池成员'),
  bcache: text('a bcache device', 'bcache 设备'),
  'drbd-v07': text('metadata of DRBD 0.7', 'DRBD 0.7 元数据'),
  'drbd-v08': text('metadata of DRBD 8 or of a mirror', 'DRBD 8 或镜像的元数据'),
  'drbd-v09': text('metadata of DRBD 9', 'DRBD 9 元数据'),
};
function nameOfSignature(s: FoundSignature): Text {
  const name = NAMES[s.what];
  return s.label === undefined ? name : text(`${name.en} named ${s.label}`, `名为 ${s.label} 的${name.zh}`);
}

/** `typed`: what the operator gave as `--accept-data-loss`. A device in use is refused whatever was typed: nothing can be promised about it. */
export function mayOverwrite(d: DeviceFacts, mirror: string, typed: string | undefined): Overwrite {
  const [mount] = d.mountedOn;
  if (mount !== undefined)
    return {
      kind: 'refused',
      why: text(`${d.path} is mounted on ${d.mountedOn.join(', ')}`, `${d.path} 已挂载于 ${d.mountedOn.join('、')}`),
      hint: text(`umount ${mount}`, `umount ${mount}`),
    };
  if (d.heldBy.length > 0)
    return {
      kind: 'refused',
      why: text(`${d.path} is in use by ${d.heldBy.join(', ')}`, `${d.path} 正被 ${d.heldBy.join('、')} 使用`),
      hint: text('stop what uses it, or name another device', '请停止其使用者，或换用其他设备'),
    };
  if (d.signatures.length === 0 || typed === mirror) return { kind: 'free' };
  return { kind: 'confirm', loses: d.signatures.map(nameOfSignature) };
}
