/**
 * What a device holds, by the marks that its formats leave in its first and last blocks. Pure: bytes in, findings out. It
 * is asked before anything is overwritten, so a mark alone is enough; that the rest is intact is not checked.
 * Sources: libblkid's superblock offsets; drbd-protocol.md for DRBD; the UEFI specification for GPT.
 */
export type Signature =
  | 'ext'
  | 'xfs'
  | 'btrfs'
  | 'swap'
  | 'luks'
  | 'lvm2'
  | 'md-raid'
  | 'gpt'
  | 'mbr'
  | 'fat'
  | 'ntfs'
  | 'iso9660'
  | 'zfs'
  | 'bcache'
  | 'drbd-v07'
  | 'drbd-v08'
  | 'drbd-v09';
export type FoundSignature = {
  readonly what: Signature;
  /** Bytes from the beginning of the device. */
  readonly at: number;
  /** A label, where the format has one near its mark. */
  readonly label: string | undefined;
};
/** The parts of a device that are looked at: its first bytes and its last ones, and how large it is. */
export type DeviceEnds = {
  readonly size: number;
  /** From offset 0, HEAD_BYTES of them or all that there are. */
  readonly head: Uint8Array;
  /** Up to the end, TAIL_BYTES of them or all that there are. */
  readonly tail: Uint8Array;
};
/** Btrfs has its mark at 64 KiB, ZFS its second label at 256 KiB. */
export const HEAD_BYTES = 512 * 1024;
/** Metadata of DRBD stands in the last 4 KiB, md 0.90 within the last 128 KiB. */
export const TAIL_BYTES = 128 * 1024;

const KIB = 1024;
const ascii = (s: string): readonly number[] => [...s].map((c) => c.charCodeAt(0));
type Mark = {
  readonly what: Signature;
  readonly at: number;
  readonly bytes: readonly number[];
  readonly label?: readonly [at: number, length: number];
};
const HEAD: readonly Mark[] = [
  { what: 'ext', at: 1024 + 0x38, bytes: [0x53, 0xef], label: [1024 + 0x78, 16] },
  { what: 'xfs', at: 0, bytes: ascii('XFSB'), label: [108, 12] },
  { what: 'btrfs', at: 64 * KIB + 0x40, bytes: ascii('_BHRfS_M'), label: [64 * KIB + 0x12b, 256] },
  { what: 'luks', at: 0, bytes: [...ascii('LUKS'), 0xba, 0xbe] },
  { what: 'gpt', at: 512, bytes: ascii('EFI PART') },
  { what: 'gpt', at: 4096, bytes: ascii('EFI PART') },
  { what: 'ntfs', at: 3, bytes: ascii('NTFS    ') },
  { what: 'fat', at: 54, bytes: ascii('FAT1') },
  { what: 'fat', at: 82, bytes: ascii('FAT32') },
  { what: 'iso9660', at: 32 * KIB + 1, bytes: ascii('CD001') },
  {
    what: 'bcache',
    at: 4096 + 24,
    bytes: [0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d, 0x81],
  },
  { what: 'md-raid', at: 0, bytes: [0xfc, 0x4e, 0x2b, 0xa9] },
  { what: 'md-raid', at: 4096, bytes: [0xfc, 0x4e, 0x2b, 0xa9] },
];
/** swapon accepts any page size that a machine of Linux has. */
const SWAP_PAGES = [4, 8, 16, 32, 64].map((k) => k * KIB);
const SWAP_MARKS = ['SWAPSPACE2', 'SWAP-SPACE', 'S1SUSPEND\0'];
const LVM_SECTORS = [0, 1, 2, 3];
const SECTOR = 512;
const ZFS_UBERBLOCK = [0x0c, 0xb1, 0xba, 0x00, 0, 0, 0, 0];
/** v07, v08 clean and unclean, v09: all have their magic at the same place. */
const DRBD_MAGICS: ReadonlyMap<number, Signature> = new Map([
  [0x8374026a, 'drbd-v07'],
  [0x8374026b, 'drbd-v08'],
  [0x8374026c, 'drbd-v08'],
  [0x8374026d, 'drbd-v09'],
]);
/** Where the superblock of DRBD has its magic. */
const DRBD_MAGIC_AT = 60;

const matches = (b: Uint8Array, at: number, bytes: readonly number[]): boolean =>
  at >= 0 && at + bytes.length <= b.length && bytes.every((x, i) => b[at + i] === x);
function labelOf(b: Uint8Array, label: readonly [number, number] | undefined): string | undefined {
  if (!label) return undefined;
  const raw = b.subarray(label[0], label[0] + label[1]);
  const end = raw.indexOf(0);
  const shown = new TextDecoder()
    .decode(end < 0 ? raw : raw.subarray(0, end))
    .replaceAll(/[^\p{L}\p{N}._ -]/gu, '?')
    .trim();
  return shown === '' ? undefined : shown;
}

export function findSignatures(d: DeviceEnds): FoundSignature[] {
  const out: FoundSignature[] = [];
  const put = (what: Signature, at: number, label?: string): void => {
    if (!out.some((f) => f.what === what)) out.push({ what, at, label });
  };
  const { head } = d;
  for (const m of HEAD) if (matches(head, m.at, m.bytes)) put(m.what, m.at, labelOf(head, m.label));
  for (const page of SWAP_PAGES)
    for (const s of SWAP_MARKS) if (matches(head, page - 10, ascii(s))) put('swap', page - 10);
  for (const n of LVM_SECTORS)
    if (matches(head, n * SECTOR, ascii('LABELONE')) && matches(head, n * SECTOR + 24, ascii('LVM2')))
      put('lvm2', n * SECTOR);
  for (let at = 128 * KIB; at + 8 <= Math.min(head.length, 256 * KIB); at += KIB)
    if (matches(head, at, ZFS_UBERBLOCK) || matches(head, at, [...ZFS_UBERBLOCK].reverse())) put('zfs', at);
  tailSignatures(d, put);
  // Metadata on a device of its own begins it.
  const external =
    head.length >= DRBD_MAGIC_AT + 4
      ? DRBD_MAGICS.get(new DataView(head.buffer, head.byteOffset).getUint32(DRBD_MAGIC_AT))
      : undefined;
  if (external) put(external, 0);
  // Every file system that boots has these two bytes; they say least, so they speak last.
  if (
    matches(head, 510, [0x55, 0xaa]) &&
    !out.some((f) => ['fat', 'ntfs', 'gpt'].includes(f.what)) &&
    hasPartition(head)
  )
    put('mbr', 510);
  return out;
}
const hasPartition = (head: Uint8Array): boolean => [446, 462, 478, 494].some((at) => head[at + 4] !== 0);

function tailSignatures({ size, tail }: DeviceEnds, put: (what: Signature, at: number) => void): void {
  const start = size - tail.length;
  const view = new DataView(tail.buffer, tail.byteOffset, tail.length);
  const inTail = (at: number): number => at - start;
  // md 0.90: the last 64 KiB that begin at a multiple of 64 KiB; 1.0: 8 KiB before the end, at a multiple of 4 KiB.
  const md090 = Math.floor(size / (64 * KIB)) * 64 * KIB - 64 * KIB;
  const md10 = Math.floor((size - 8 * KIB) / (4 * KIB)) * 4 * KIB;
  for (const at of [md090, md10])
    if (matches(tail, inTail(at), [0xfc, 0x4e, 0x2b, 0xa9]) || matches(tail, inTail(at), [0xa9, 0x2b, 0x4e, 0xfc]))
      put('md-raid', at);
  if (matches(tail, inTail(size - SECTOR), ascii('EFI PART'))) put('gpt', size - SECTOR);
  // Internal metadata: the last 4 KiB that begin at a multiple of 4 KiB.
  const superblock = Math.floor(size / (4 * KIB)) * 4 * KIB - 4 * KIB;
  const offset = inTail(superblock) + DRBD_MAGIC_AT;
  if (offset < 0 || offset + 4 > tail.length) return;
  const found = DRBD_MAGICS.get(view.getUint32(offset));
  if (found) put(found, superblock);
}
