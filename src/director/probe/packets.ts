/** The probe's packets, and what an arriving frame means to it. Pure. */
import { type IpAddress, internetChecksum } from '../../base/index.ts';
import {
  decodeArp,
  decodeEthernet,
  decodeIcmp,
  decodeIpv4,
  decodeTcp,
  ETHERTYPE,
  encodeEthernet,
  encodeIpv4,
  encodeTcp,
  IP_PROTOCOL,
  type Ipv4Packet,
  type MacAddress,
  sumPseudoHeader,
  TCP_FLAG,
  type TcpSegment,
} from '../../wire/index.ts';
import type { Reply } from './types.ts';

/** RFC 2003. */
const IPIP_PROTOCOL = 4;
const TTL = 64;
const MSS_OPTION = 2;

export type Flow = {
  readonly source: IpAddress;
  readonly sourcePort: number;
  readonly destination: IpAddress;
  readonly port: number;
  /** Chosen at random: an answer acknowledges it. */
  readonly sequence: number;
};
const ip = (source: IpAddress, destination: IpAddress, protocol: number, payload: Uint8Array): Uint8Array =>
  encodeIpv4({
    tos: 0,
    id: 0,
    dontFragment: true,
    moreFragments: false,
    fragmentOffset: 0,
    ttl: TTL,
    protocol,
    source,
    destination,
    options: new Uint8Array(0),
    payload,
  });
function segment(f: Flow, flags: number, sequence: number, options = new Uint8Array(0)): Uint8Array {
  const s: TcpSegment = {
    sourcePort: f.sourcePort,
    destinationPort: f.port,
    seq: sequence,
    ack: 0,
    flags,
    window: flags === TCP_FLAG.rst ? 0 : 1024,
    checksum: 0,
    urgent: 0,
    options,
    payload: new Uint8Array(0),
  };
  const bytes = encodeTcp(s);
  const sum = internetChecksum(bytes, sumPseudoHeader(f.source, f.destination, IP_PROTOCOL.tcp, bytes.length));
  return ip(f.source, f.destination, IP_PROTOCOL.tcp, encodeTcp({ ...s, checksum: sum }));
}
/** MSS 1460, as clients on Ethernet say. */
export const synPacket = (f: Flow): Uint8Array =>
  segment(f, TCP_FLAG.syn, f.sequence, Uint8Array.of(MSS_OPTION, 4, 0x05, 0xb4));
/** Ends what the SYN began, so that the server keeps nothing. */
export const resetPacket = (f: Flow): Uint8Array => segment(f, TCP_FLAG.rst, (f.sequence + 1) >>> 0);
/** In an IPIP packet from this host to the server. */
export const tunnelled = (packet: Uint8Array, from: IpAddress, to: IpAddress): Uint8Array =>
  ip(from, to, IPIP_PROTOCOL, packet);
export const ipFrame = (packet: Uint8Array, source: MacAddress, destination: MacAddress): Uint8Array =>
  encodeEthernet({ destination, source, tags: [], etherType: ETHERTYPE.ipv4, payload: packet });

export type Seen =
  | {
      readonly kind: 'arp';
      readonly operation: 'request' | 'reply';
      readonly mac: MacAddress;
      readonly address: IpAddress;
    }
  | { readonly kind: 'ip'; readonly mac: MacAddress; readonly packet: Ipv4Packet };

export function readFrame(bytes: Uint8Array): Seen | undefined {
  const frame = decodeEthernet(bytes);
  if (!frame.ok) return undefined;
  const { etherType, payload, source } = frame.value;
  if (etherType === ETHERTYPE.arp) {
    const arp = decodeArp(payload);
    if (!arp.ok) return undefined;
    const { operation, senderMac, senderIp } = arp.value;
    return { kind: 'arp', operation, mac: senderMac, address: senderIp };
  }
  if (etherType !== ETHERTYPE.ipv4) return undefined;
  const packet = decodeIpv4(payload);
  return packet.ok ? { kind: 'ip', mac: source, packet: packet.value } : undefined;
}

/** What a packet says about a flow; undefined: nothing. */
export function replyTo(f: Flow, p: Ipv4Packet): Reply | undefined {
  if (p.protocol === IP_PROTOCOL.tcp) {
    const tcp = decodeTcp(p.payload);
    if (!tcp.ok) return undefined;
    const { sourcePort, destinationPort, flags, ack, options, seq } = tcp.value;
    if (p.source === f.source && p.destination === f.destination)
      return sourcePort === f.sourcePort && destinationPort === f.port && seq === f.sequence
        ? { is: 'bounced' }
        : undefined;
    if (p.source !== f.destination || p.destination !== f.source) return undefined;
    if (sourcePort !== f.port || destinationPort !== f.sourcePort || ack !== (f.sequence + 1) >>> 0) return undefined;
    if (flags & TCP_FLAG.rst) return { is: 'reset' };
    return flags & TCP_FLAG.syn ? { is: 'syn-ack', mss: mssOf(options) } : undefined;
  }
  if (p.protocol !== IP_PROTOCOL.icmp || p.destination !== f.source) return undefined;
  const icmp = decodeIcmp(p.payload, { family: 4, source: p.source, destination: p.destination });
  if (!icmp.ok || icmp.value.kind !== 'unreachable') return undefined;
  return quotes(f, icmp.value.cause) ? { is: 'unreachable', code: icmp.value.code } : undefined;
}
/** The quoted beginning of a packet: its addresses and ports, in a tunnel those inside. */
function quotes(f: Flow, cause: Uint8Array): boolean {
  const header = ((cause[0] ?? 0) & 0xf) * 4;
  if (cause.length < header + 4 || header < 20) return false;
  const address = (at: number): string => cause.subarray(at, at + 4).join('.');
  if (cause[9] === IPIP_PROTOCOL)
    return cause.length >= header + 20 && cause.subarray(header + 16, header + 20).join('.') === f.destination;
  const port = (at: number): number => ((cause[at] as number) << 8) | (cause[at + 1] as number);
  return address(16) === f.destination && port(header) === f.sourcePort && port(header + 2) === f.port;
}
function mssOf(options: Uint8Array): number | undefined {
  for (let at = 0; at < options.length; ) {
    const kind = options[at] as number;
    if (kind === 0) return undefined;
    if (kind === 1) {
      at++;
      continue;
    }
    const length = options[at + 1] ?? 0;
    if (length < 2) return undefined;
    if (kind === MSS_OPTION && length === 4 && at + 4 <= options.length)
      return ((options[at + 2] as number) << 8) | (options[at + 3] as number);
    at += length;
  }
  return undefined;
}
