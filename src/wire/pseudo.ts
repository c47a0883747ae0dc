import type { IpAddress } from '../base/index.ts';

/**
 * The sum of an address's 16-bit words, read from its text without allocating: the addresses of every datagram arrive
 * as text, and the sum does not care where in the address a word stands, so `::` counts as nothing.
 */
export function sumAddress(a: IpAddress): number {
  let sum = 0;
  let group = 0;
  let dots = 0;
  let colon = false;
  let decimal = 0;
  for (let i = 0; i < a.length; i++) {
    const c = a.charCodeAt(i);
    if (c === 0x3a) {
      sum += group;
      group = 0;
      decimal = 0;
      colon = true;
    } else if (c === 0x2e) {
      sum += dots % 2 === 0 ? decimal * 256 : decimal;
      decimal = 0;
      dots++;
    } else {
      const digit = c <= 0x39 ? c - 0x30 : c - 0x57; // canonical text has lower case only
      group = group * 16 + digit;
      decimal = decimal * 10 + digit;
    }
  }
  return colon ? sum + group : sum + decimal;
}

/**
 * The sum over the pseudo-header that transport checksums start from: both addresses, upper-layer length in bytes,
 * protocol. RFC 768 for IPv4 and RFC 8200 section 8.1 for IPv6 add up to the same for lengths below 65536.
 */
export const sumPseudoHeader = (source: IpAddress, destination: IpAddress, protocol: number, length: number): number =>
  sumAddress(source) + sumAddress(destination) + protocol + length;
