/** ARP for IPv4 (RFC 826) over Ethernet and Infiniband (RFC 4391 section 9), and the gratuitous form (RFC 5227 section 2.3). */
import { ByteReader, ByteWriter, err, type IpAddress, ipBytes, ipFromBytes, ok, type Result } from '../base/index.ts';
import { ETHERTYPE, encodeEthernet } from './ethernet.ts';
import { ETHERNET_BROADCAST, ETHERNET_UNKNOWN, type MacAddress, macBytes, macFromBytes } from './mac.ts';
import { type Short, short } from './short.ts';

/** ARPHRD_*: the numbers that the kernel also uses for a link's type. */
export const ARP_HARDWARE = { ethernet: 1, infiniband: 32 } as const;
export type ArpHardware = (typeof ARP_HARDWARE)[keyof typeof ARP_HARDWARE];

export type ArpPacket = {
  readonly hardware: ArpHardware;
  readonly operation: 'request' | 'reply';
  readonly senderMac: MacAddress;
  readonly senderIp: IpAddress;
  readonly targetMac: MacAddress;
  readonly targetIp: IpAddress;
};
export type ArpError =
  | Short
  /** Hardware type that is neither, or a length of address that does not belong to it. */
  | { readonly kind: 'hardware'; readonly type: number; readonly length: number }
  /** Not IPv4 in four bytes. */
  | { readonly kind: 'protocol'; readonly type: number; readonly length: number }
  | { readonly kind: 'operation'; readonly have: number };

const FIXED = 8;
const macLength = (hardware: number): 6 | 20 | undefined =>
  hardware === ARP_HARDWARE.ethernet ? 6 : hardware === ARP_HARDWARE.infiniband ? 20 : undefined;

/** What follows the packet (Ethernet padding) is ignored. */
export function decodeArp(b: Uint8Array): Result<ArpPacket, ArpError> {
  if (b.length < FIXED) return short(FIXED, b.length);
  const r = new ByteReader(b);
  const hardware = r.u16();
  const protocol = r.u16();
  const hardwareLength = r.u8();
  const protocolLength = r.u8();
  const operation = r.u16();
  if (macLength(hardware) !== hardwareLength) return err({ kind: 'hardware', type: hardware, length: hardwareLength });
  if (protocol !== ETHERTYPE.ipv4 || protocolLength !== 4)
    return err({ kind: 'protocol', type: protocol, length: protocolLength });
  if (operation !== 1 && operation !== 2) return err({ kind: 'operation', have: operation });
  const need = FIXED + 2 * (hardwareLength + 4);
  if (b.length < need) return short(need, b.length);
  return ok({
    hardware: hardware as ArpHardware,
    operation: operation === 1 ? 'request' : 'reply',
    senderMac: macFromBytes(r.bytes(hardwareLength)),
    senderIp: ipFromBytes(r.bytes(4)),
    targetMac: macFromBytes(r.bytes(hardwareLength)),
    targetIp: ipFromBytes(r.bytes(4)),
  });
}

export function encodeArp(p: ArpPacket): Uint8Array {
  return new ByteWriter(28)
    .u16(p.hardware)
    .u16(ETHERTYPE.ipv4)
    .u8(macLength(p.hardware) as number)
    .u8(4)
    .u16(p.operation === 'request' ? 1 : 2)
    .put(macBytes(p.senderMac))
    .put(ipBytes(p.senderIp))
    .put(macBytes(p.targetMac))
    .put(ipBytes(p.targetIp))
    .done();
}

/** A request to everybody on the link, as a whole Ethernet frame. */
const request = (mac: MacAddress, senderIp: IpAddress, targetMac: MacAddress, targetIp: IpAddress): Uint8Array =>
  encodeEthernet({
    destination: ETHERNET_BROADCAST,
    source: mac,
    tags: [],
    etherType: ETHERTYPE.arp,
    payload: encodeArp({
      hardware: ARP_HARDWARE.ethernet,
      operation: 'request',
      senderMac: mac,
      senderIp,
      targetMac,
      targetIp,
    }),
  });

/**
 * A gratuitous ARP as keepalived sends it: a request, sender and target address the same, to the broadcast address,
 * which also stands in the target hardware field (seen on the wire; RFC 5227 would have zeros there, receivers ignore
 * it). A whole Ethernet frame.
 */
export const gratuitousArp = (mac: MacAddress, address: IpAddress): Uint8Array =>
  request(mac, address, ETHERNET_BROADCAST, address);

/** The question "who has `target`?" as a whole Ethernet frame. With `senderIp` 0.0.0.0 it is the probe of RFC 5227 section 2.1. */
export const arpRequest = (mac: MacAddress, senderIp: IpAddress, target: IpAddress): Uint8Array =>
  request(mac, senderIp, ETHERNET_UNKNOWN, target);
