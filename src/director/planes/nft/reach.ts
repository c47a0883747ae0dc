/** Behind which device a neighbour is, from the host's addresses. */
import { type Family, familyOf, type IpAddress, ip4Number, ipBytes } from '../../../base/index.ts';
import type { Link, LinkAddress } from '../../../host/index.ts';

/** `mask`: of IPv4 alone. */
type Subnet = {
  readonly family: Family;
  readonly address: IpAddress;
  readonly number: number;
  readonly mask: number;
  readonly length: number;
  readonly ifindex: number;
};

const inPrefix = (a: Uint8Array, p: Uint8Array, length: number): boolean => {
  for (let i = 0; i < length; i += 8) {
    const mask = length - i >= 8 ? 0xff : (0xff << (8 - (length - i))) & 0xff;
    if ((((a[i >> 3] as number) ^ (p[i >> 3] as number)) & mask) !== 0) return false;
  }
  return true;
};
/** 0 = this host itself; undefined = no subnet of ours has it. The longest prefix decides. To be asked a hundred thousand times. */
export function neighbourDevices(addresses: readonly LinkAddress[]): (a: IpAddress) => number | undefined {
  const ours = new Set(addresses.map((x) => x.prefix.address));
  const subnets = addresses
    .map((x): Subnet => {
      const { address, length } = x.peer ?? x.prefix;
      const family = familyOf(address);
      const mask = length === 0 ? 0 : -1 << (32 - length);
      const number = family === 4 ? ip4Number(address) : 0;
      return { family, address, number, mask, length, ifindex: x.ifindex };
    })
    .sort((a, b) => b.length - a.length);
  const [four, six] = [subnets.filter((s) => s.family === 4), subnets.filter((s) => s.family === 6)];
  return (a) => {
    if (ours.has(a)) return 0;
    if (familyOf(a) === 4) {
      const n = ip4Number(a);
      return four.find((s) => ((n ^ s.number) & s.mask) === 0)?.ifindex;
    }
    const bytes = ipBytes(a);
    return six.find((s) => inPrefix(bytes, ipBytes(s.address), s.length))?.ifindex;
  };
}
const ETHERNET = 1; // ARPHRD_ETHER
/** Where clients' packets may come in: what is Ethernet, up, and no port of a bridge or bond. */
export const ingressInterfaces = (links: readonly Link[]): string[] =>
  links
    .filter((l) => l.adminUp && !l.loopback && l.hardware === ETHERNET && l.master === 0)
    .map((l) => l.name)
    .sort();
