/** The 16-bit one's complement sum that RFC 1071 defines, unfolded so that parts can be added; each part but the last has even length. */
function sumWords(bytes: Uint8Array, start = 0): number {
  let sum = start;
  const even = bytes.length & ~1;
  for (let i = 0; i < even; i += 2) sum += ((bytes[i] as number) << 8) | (bytes[i + 1] as number);
  if (even !== bytes.length) sum += (bytes[even] as number) << 8;
  return sum;
}

/** Folds and complements a sum: the value that goes into the packet, 0..65535. Over a correct packet, field included, it is 0. */
export function internetChecksum(bytes: Uint8Array, start = 0): number {
  let sum = sumWords(bytes, start);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}
