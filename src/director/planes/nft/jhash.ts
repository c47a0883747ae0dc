/** The hash of the rules (`jhash` of nf_tables): Bob Jenkins, lookup3.c, `hashlittle` (public domain), as the kernel reads its words. */
const LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by));

/** Unsigned, 32 bits. */
export function jhash(bytes: Uint8Array, seed: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let a = (0xdeadbeef + bytes.length + seed) | 0;
  let [b, c] = [a, a];
  let at = 0;
  for (; bytes.length - at > 12; at += 12) {
    a = (a + view.getUint32(at, LITTLE)) | 0;
    b = (b + view.getUint32(at + 4, LITTLE)) | 0;
    c = (c + view.getUint32(at + 8, LITTLE)) | 0;
    a = ((a - c) | 0) ^ rotate(c, 4);
    c = (c + b) | 0;
    b = ((b - a) | 0) ^ rotate(a, 6);
    a = (a + c) | 0;
    c = ((c - b) | 0) ^ rotate(b, 8);
    b = (b + a) | 0;
    a = ((a - c) | 0) ^ rotate(c, 16);
    c = (c + b) | 0;
    b = ((b - a) | 0) ^ rotate(a, 19);
    a = (a + c) | 0;
    c = ((c - b) | 0) ^ rotate(b, 4);
    b = (b + a) | 0;
  }
  if (at === bytes.length) return c >>> 0;
  // The rest byte by byte, on machines of either order.
  const rest = new Uint8Array(12);
  rest.set(bytes.subarray(at));
  const last = new DataView(rest.buffer);
  a = (a + last.getUint32(0, true)) | 0;
  b = (b + last.getUint32(4, true)) | 0;
  c = (c + last.getUint32(8, true)) | 0;
  c = ((c ^ b) - rotate(b, 14)) | 0;
  a = ((a ^ c) - rotate(c, 11)) | 0;
  b = ((b ^ a) - rotate(a, 25)) | 0;
  c = ((c ^ b) - rotate(b, 16)) | 0;
  a = ((a ^ c) - rotate(c, 4)) | 0;
  b = ((b ^ a) - rotate(a, 14)) | 0;
  c = ((c ^ b) - rotate(b, 24)) | 0;
  return c >>> 0;
}
/** `reciprocal_scale` of the kernel. */
export const scaled = (hash: number, slots: number): number => Math.floor((hash * slots) / 2 ** 32);
