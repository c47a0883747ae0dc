/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82f63b78): RFC 3720 appendix B.4. Node's own `zlib.crc32` is another
 * polynomial. Eight bytes a turn through eight tables.
 */
const POLYNOMIAL = 0x82f63b78;
const TABLES = new Uint32Array(8 * 256);
for (let n = 0; n < 256; n++) {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ POLYNOMIAL : c >>> 1;
  TABLES[n] = c;
}
for (let n = 0; n < 256; n++)
  for (let t = 1; t < 8; t++) {
    const before = TABLES[(t - 1) * 256 + n] as number;
    TABLES[t * 256 + n] = (before >>> 8) ^ (TABLES[before & 0xff] as number);
  }

/**
 * The bare register: starts from `seed` and is not inverted at the end. DRBD's activity log uses it so, with seed 0.
 * What is returned continues as the seed of the next piece.
 */
export function crc32cRaw(bytes: Uint8Array, seed = 0): number {
  const t = TABLES;
  let c = seed;
  let i = 0;
  for (const end = bytes.length - 7; i < end; i += 8) {
    c ^=
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24);
    c =
      (t[1792 + (c & 0xff)] as number) ^
      (t[1536 + ((c >>> 8) & 0xff)] as number) ^
      (t[1280 + ((c >>> 16) & 0xff)] as number) ^
      (t[1024 + (c >>> 24)] as number) ^
      (t[768 + (bytes[i + 4] as number)] as number) ^
      (t[512 + (bytes[i + 5] as number)] as number) ^
      (t[256 + (bytes[i + 6] as number)] as number) ^
      (t[bytes[i + 7] as number] as number);
  }
  for (; i < bytes.length; i++) c = (c >>> 8) ^ (t[(c ^ (bytes[i] as number)) & 0xff] as number);
  return c >>> 0;
}

/** The usual CRC-32C: all ones at the start, inverted at the end. "123456789" gives 0xe3069283. */
export const crc32c = (bytes: Uint8Array): number => ~crc32cRaw(bytes, 0xffffffff) >>> 0;
