/** What a checksum resync, a verify and data-integrity-alg compare: `algorithm` as in drbd.conf, crc32c little-endian as the kernel sends it. */
import { hash } from 'node:crypto';
import { crc32c } from '../../../base/index.ts';

export function digestOf(algorithm: string, data: Uint8Array): Uint8Array {
  if (algorithm !== 'crc32c') return hash(algorithm, data, 'buffer');
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, crc32c(data), true);
  return out;
}
