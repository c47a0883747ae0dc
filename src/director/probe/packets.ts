/** The probe's packets, and what an arriving frame means to it. Pure. */
import { familyOf, type IpAddress, internetChecksum, ipFromBytes, unreachable } from '../../base/index.ts';
import {
  arpRequest,
  decodeArp,
  decodeEthernet,
  decodeIcmp,
  decodeIpv4,
  decodeIpv6,
  decodeNdp,
  decodeTcp,
  ETHERTYPE,
  encodeEthernet,
  encodeIpv4,
  encodeIpv6,
  encodeTcp,
  encodeUdp,
  IP_PROTOCOL,
  type Ipv4Packet,
  type MacAddress,
  neighbourSolicitation,
  sumPseudoHeader,
  TCP_FLAG,
  type TcpSegment,
} from '../../wire/index.ts';
import type { ProbeTunnel, Reply } from './types.ts';

const [IPIP_PROTOCOL, IPV6_PROTOCOL, GRE_PROTOCOL] = [4, 41, 47];
/** GUE's headers in front of the packet: UDP, and four bytes. */
const [GRE_BYTES, GUE_BYTES] = [4, 12];
const GUE_SOURCE = 0xc000;
const TTL = 64;
const MSS_OPTION = 2;
/** 1460 and 1440. */
const [MSS4, MSS6] = [
  [0x05, 0xb4],
  [0x05, 0xa0],
];

export type Flow = {
  readonly source: IpAddress;
  readonly sourcePort: number;
  readonly destination: IpAddress;
  readonly port: number;
  /** Chosen at random: an answer acknowledges it. */
  readonly sequence: number;
};
const ip = (source: IpAddress, destination: IpAddress, protocol: number, payload: Uint8Array): Uint8Array =>
  familyOf(source) === 4
    ? encodeIpv4({
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
      })
    : encodeIpv6({
        trafficClass: 0,
        flowLabel: 0,
        hopLimit: TTL,
        source,
        destination,
        extensions: [],
        protocol,
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
/** The MSS that clients on Ethernet say. */
export const synPacket = (f: Flow): Uint8Array =>
  segment(f, TCP_FLAG.syn, f.sequence, Uint8Array.of(MSS_OPTION, 4, ...(familyOf(f.source) === 4 ? MSS4 : MSS6)));
/** Ends what the SYN began, so that the server keeps nothing. */
export const resetPacket = (f: Flow): Uint8Array => segment(f, TCP_FLAG.rst, (f.sequence + 1) >>> 0);
/** Nothing in it: a program that gets it answers or not, a host without one says so. */
export const emptyDatagram = (f: Flow): Uint8Array =>
  ip(
    f.source,
    f.destination,
    IP_PROTOCOL.udp,
    encodeUdp({ sourcePort: f.sourcePort, destinationPort: f.port, payload: new Uint8Array(0) }, f),
  );
/** In a packet from this host to the server, of either family in either. RFC 2003, 2473, 2784; draft-ietf-intarea-gue section 3. */
export function tunnelled(packet: Uint8Array, from: IpAddress, to: IpAddress, t: ProbeTunnel): Uint8Array {
  const four = (packet[0] as number) >> 4 === 4;
  const protocol = four ? IPIP_PROTOCOL : IPV6_PROTOCOL;
  const type = four ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6;
  switch (t.type) {
    case 'ipip':
      return ip(from, to, protocol, packet);
    case 'gre':
      return ip(from, to, GRE_PROTOCOL, Uint8Array.of(0, 0, type >> 8, type & 0xff, ...packet));
    case 'gue': {
      const payload = Uint8Array.of(0, protocol, 0, 0, ...packet);
      const datagram = encodeUdp(
        { sourcePort: GUE_SOURCE, destinationPort: t.port, payload },
        { source: from, destination: to },
      );
      return ip(from, to, IP_PROTOCOL.udp, datagram);
    }
    default:
      return unreachable(t.type);
  }
}
export const ipFrame = (packet: Uint8Array, source: MacAddress, destination: MacAddress): Uint8Array =>
  encodeEthernet({
    destination,
    source,
    tags: [],
    etherType: (packet[0] as number) >> 4 === 4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6,
    payload: packet,
  });
/** Who has `target`? */
export const neighbourRequest = (mac: MacAddress, source: IpAddress, target: IpAddress): Uint8Array =>
  familyOf(target) === 4 ? arpRequest(mac, source, target) : neighbourSolicitation(mac, source, target);

/** What both families have. */
export type IpPacket = Pick<Ipv4Packet, 'source' | 'destination' | 'protocol' | 'payload'>;
export type Seen =
  | {
      /** ARP, or neighbour discovery; `address`: whose it is that asks, or that was asked for. */
      readonly kind: 'neighbour';
      readonly operation: 'request' | 'reply';
      readonly mac: MacAddress;
      readonly address: IpAddress;
    }
  | { readonly kind: 'ip'; readonly mac: MacAddress; readonly packet: IpPacket };

const HOP_LIMIT_OF_NDP = 255;
export function readFrame(bytes: Uint8Array): Seen | undefined {
  const frame = decodeEthernet(bytes);
  if (!frame.ok) return undefined;
  const { etherType, payload, source } = frame.value;
  if (etherType === ETHERTYPE.arp) {
    const arp = decodeArp(payload);
    if (!arp.ok) return undefined;
    const { operation, senderMac, senderIp } = arp.value;
    return { kind: 'neighbour', operation, mac: senderMac, address: senderIp };
  }
  if (etherType === ETHERTYPE.ipv4) {
    const packet = decodeIpv4(payload);
    return packet.ok ? { kind: 'ip', mac: source, packet: packet.value } : undefined;
  }
  if (etherType !== ETHERTYPE.ipv6) return undefined;
  const packet = decodeIpv6(payload);
  if (!packet.ok) return undefined;
  const { protocol, hopLimit } = packet.value;
  // RFC 4861 section 7.1
  const ndp = protocol === IP_PROTOCOL.icmpv6 && hopLimit === HOP_LIMIT_OF_NDP;
  const message = ndp ? decodeNdp(packet.value.payload, packet.value) : undefined;
  if (!message?.ok) return { kind: 'ip', mac: source, packet: packet.value };
  const asks = message.value.kind === 'solicitation';
  const address = asks ? packet.value.source : message.value.target;
  return { kind: 'neighbour', operation: asks ? 'request' : 'reply', mac: source, address };
}

/** What a packet says about a flow; undefined: nothing. */
export function replyTo(f: Flow, p: IpPacket): Reply | undefined {
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
  if (p.destination !== f.source) return undefined;
  const refused = refusal(p);
  return refused && quotes(f, refused.cause) ? { is: 'unreachable', code: refused.code } : undefined;
}
/** RFC 4443 section 3.1, in the codes of RFC 792: no route, prohibited, address, port, by policy, reject route. */
const CODES6: Readonly<Record<number, number>> = { 0: 0, 1: 13, 3: 1, 4: 3, 5: 13, 6: 13 };
/** RFC 4443 section 3.4: a next header that nobody takes, which ICMP for IPv4 calls an unreachable protocol. */
const UNKNOWN_HEADER = 1;
const PROTOCOL_UNREACHABLE = 2;
/** An error that says that something does not get through; `code` as in ICMP for IPv4. */
function refusal(p: IpPacket): { readonly code: number; readonly cause: Uint8Array } | undefined {
  const family = familyOf(p.source);
  if (p.protocol !== (family === 4 ? IP_PROTOCOL.icmp : IP_PROTOCOL.icmpv6)) return undefined;
  const icmp = decodeIcmp(p.payload, { family, source: p.source, destination: p.destination });
  if (!icmp.ok || !('cause' in icmp.value)) return undefined;
  const { kind, code, cause } = icmp.value;
  if (kind === 'unreachable') return { code: family === 4 ? code : (CODES6[code] ?? 13), cause };
  const unknown = family === 6 && kind === 'parameter-problem' && code === UNKNOWN_HEADER;
  return unknown ? { code: PROTOCOL_UNREACHABLE, cause } : undefined;
}
/** The quoted beginning of a packet: its addresses and ports, in a tunnel those inside. */
function quotes(f: Flow, cause: Uint8Array): boolean {
  const outer = quotedHeader(cause);
  if (outer === undefined) return false;
  const { destination, protocol, rest } = outer;
  const inside = (at: number): boolean => quotedHeader(rest.subarray(at))?.destination === f.destination;
  if (protocol === IPIP_PROTOCOL || protocol === IPV6_PROTOCOL) return inside(0);
  if (protocol === GRE_PROTOCOL) return inside(GRE_BYTES);
  if (rest.length < 4) return false;
  const port = (at: number): number => ((rest[at] as number) << 8) | (rest[at + 1] as number);
  if (destination === f.destination && port(0) === f.sourcePort && port(2) === f.port) return true;
  return protocol === IP_PROTOCOL.udp && port(0) === GUE_SOURCE && inside(GUE_BYTES);
}
type Quoted = { readonly destination: IpAddress; readonly protocol: number; readonly rest: Uint8Array };
function quotedHeader(b: Uint8Array): Quoted | undefined {
  const version = (b[0] ?? 0) >> 4;
  const header = version === 6 ? 40 : ((b[0] ?? 0) & 0xf) * 4;
  if ((version !== 4 && version !== 6) || header < 20 || b.length < header) return undefined;
  const [from, to, protocol] = version === 4 ? [16, 20, 9] : [24, 40, 6];
  return {
    destination: ipFromBytes(b.subarray(from, to)),
    protocol: b[protocol as number] as number,
    rest: b.subarray(header),
  };
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
