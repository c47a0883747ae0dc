/** The end of each round: both disks hold the same, and all that was acknowledged. */
import { Broken } from '../outcome.ts';
import type { Ledger } from './ledger.ts';
import type { SimNode } from './node.ts';

export function compareDisks(nodes: readonly [SimNode, SimNode], ledger: Ledger): void {
  const [a, b] = nodes;
  const size = Math.min(...nodes.map((n) => (n.resource?.volumes[0]?.size ?? 0) * 512));
  const pages = new Set([...a.disk.pages(), ...b.disk.pages()]);
  for (const page of [...pages].sort((x, y) => x - y)) {
    const length = Math.min(4096, size - page * 4096);
    if (length <= 0) continue;
    const [x, y] = [a.disk.page(page).subarray(0, length), b.disk.page(page).subarray(0, length)];
    if (Buffer.compare(x, y) !== 0)
      throw new Broken(
        'no undetected divergence',
        `page ${page}: ${stamps(x)} on ${a.name}, ${stamps(y)} on ${b.name}; allowed ${ledger.describe(page * 4096)}`,
      );
    const wrong = ledger.read(page * 4096, x);
    if (wrong !== undefined) throw new Broken('P2: nothing acknowledged is lost', wrong);
  }
  for (const at of ledger.written())
    if (!pages.has(Math.floor(at / 4096)))
      throw new Broken('P2: nothing acknowledged is lost', `${at} was never written`);
}
const stamps = (b: Uint8Array): string => {
  const v = new DataView(b.buffer, b.byteOffset, b.length);
  return Array.from({ length: b.length / 512 }, (_, i) => v.getUint32(i * 512)).join(',');
};
