/** Behind which device a neighbour is, from the host's addresses. */
import { familyOf, type IpAddress, ipBytes } from '../../../base/index.ts';
import type { Link, LinkAddress } from '../../../host/index.ts';

const inPrefix = (a: Uint8Array, p: Uint8Array, length: number): boolean => {
  if (a.length !== p.length) return false;
  for (let i = 0; i < length; i += 8) {
    const mask = length - i >= 8 ? 0xff : (0xff << (8 - (length - i))) & 0xff;
    if ((((a[i >> 3] as number) ^ (p[i >> 3] as number)) & mask) !== 0) return false;
  }
  return true;
};
/** 0 = this host itself; undefined = no subnet of ours has it. The longest prefix decides. */
export function neighbourDevice(a: IpAddress, addresses: readonly LinkAddress[]): number | undefined {
  const bytes = ipBytes(a);
  let best: LinkAddress | undefined;
  for (const x of addresses) {
    const at = x.peer ?? x.prefix;
    if (x.prefix.address === a) return 0;
    if (familyOf(at.address) !== familyOf(a) || !inPrefix(bytes, ipBytes(at.address), at.length)) continue;
    if (best === undefined || (best.peer ?? best.prefix).length < at.length) best = x;
  }
  return best?.ifindex;
}
const ETHERNET = 1; // ARPHRD_ETHER
/** Where clients' packets may come in: what is Ethernet, up, and no port of a bridge or bond. */
export const ingressInterfaces = (links: readonly Link[]): string[] =>
  links
    .filter((l) => l.adminUp && !l.loopback && l.hardware === ETHERNET && l.master === 0)
    .map((l) => l.name)
    .sort();
