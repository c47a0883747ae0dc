import { type Brand, type IpAddress, ipBytes, isMulticast } from '../base/index.ts';

/**
 * A hardware address in its canonical text, lower case with colons: `00:00:5e:00:01:34`. Six bytes on Ethernet,
 * twenty on Infiniband. Two addresses are equal exactly when the strings are.
 */
export type MacAddress = Brand<string, 'mac'>;

export const ETHERNET_BROADCAST = 'ff:ff:ff:ff:ff:ff' as MacAddress;
/** What stands in an ARP request's target field when it is not known. */
export const ETHERNET_UNKNOWN = '00:00:00:00:00:00' as MacAddress;

const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

export function macFromBytes(bytes: Uint8Array): MacAddress {
  let s = '';
  for (let i = 0; i < bytes.length; i++) s += (i === 0 ? '' : ':') + HEX[bytes[i] as number];
  return s as MacAddress;
}

/** One byte for each pair of digits: 6 or 20 of them. */
export function macBytes(mac: MacAddress): Uint8Array {
  const out = new Uint8Array((mac.length + 1) / 3);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(mac.slice(i * 3, i * 3 + 2), 16);
  return out;
}

/** Where a group's frames go on Ethernet: RFC 1112 section 6.4 (low 23 bits), RFC 2464 section 7 (low 32 bits). `group` must be multicast. */
export function multicastMac(group: IpAddress): MacAddress {
  if (!isMulticast(group)) throw new Error(`bug: ${group} is no multicast group`);
  const b = ipBytes(group);
  return b.length === 4
    ? macFromBytes(Uint8Array.of(0x01, 0x00, 0x5e, (b[1] as number) & 0x7f, b[2] as number, b[3] as number))
    : macFromBytes(Uint8Array.of(0x33, 0x33, ...b.subarray(12)));
}
