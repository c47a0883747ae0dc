/** For every codec of the registry: values that it must carry, and how to make a damaged packet plausible again. */
import fc from 'fast-check';
import { type IpAddress, internetChecksum, ipFromBytes, type Microseconds, parseIp, us } from '../../src/base/index.ts';
import {
  BFD_STATES,
  type BfdPacket,
  type Capture,
  type EthernetFrame,
  encodeVrrp,
  type HmacTrailer,
  type IcmpMessage,
  IP_PROTOCOL,
  type Ipv4Packet,
  type Ipv6Packet,
  type LbPeerGroup,
  type LbPeerMessage,
  LINK_TYPE,
  macFromBytes,
  type NdpMessage,
  type NdpOption,
  type ProxiedPath,
  type ProxyHeader,
  REGISTRY_PATH,
  type ReceivedAdvert,
  sumPseudoHeader,
  type TcpSegment,
  type UdpDatagram,
  type VrrpChecksum,
  vrrpChecksum,
} from '../../src/wire/index.ts';
import { drbdArbitraries } from './drbd.ts';
import { nbdArbitraries } from './nbd.ts';
import { netlinkArbitraries } from './netlink.ts';
import { nftablesArbitraries } from './nftables.ts';

export type CodecSupport = {
  readonly value: fc.Arbitrary<unknown>;
  /** Writes the checksum that a damaged packet should have, so that what is behind the check is reached too. May leave it alone. */
  readonly repair?: (bytes: Uint8Array) => void;
};

/** Plain objects, as decoding makes them: fast-check's own sometimes lack a prototype. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;

export const ip4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map(ipFromBytes);
export const ip6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(ipFromBytes);
const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map(macFromBytes);
const infinibandMac = fc.uint8Array({ minLength: 20, maxLength: 20 }).map(macFromBytes);
const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const octets = (minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength, maxLength });
/** `count * size + extra` bytes. */
const units = (size: number, min: number, max: number, extra = 0): fc.Arbitrary<Uint8Array> =>
  fc.integer({ min, max }).chain((n) => octets(n * size + extra, n * size + extra));
/** A whole number of `unit`, at most `max` of them. */
const interval = (unit: number, max: number): fc.Arbitrary<Microseconds> =>
  fc.integer({ min: 0, max }).map((n) => us(n * unit));

const tag = record({
  protocol: fc.constantFrom(0x8100 as const, 0x88a8 as const),
  priority: fc.integer({ min: 0, max: 7 }),
  dropEligible: fc.boolean(),
  id: fc.integer({ min: 0, max: 4095 }),
});
const ethernet: fc.Arbitrary<EthernetFrame> = record({
  destination: mac,
  source: mac,
  tags: fc.array(tag, { maxLength: 2 }),
  etherType: u16.filter((t) => t !== 0x8100 && t !== 0x88a8),
  payload: octets(0, 60),
});
const arpOver = (hardware: 1 | 32, address: typeof mac): fc.Arbitrary<unknown> =>
  record({
    hardware: fc.constant(hardware),
    operation: fc.constantFrom('request', 'reply'),
    senderMac: address,
    senderIp: ip4,
    targetMac: address,
    targetIp: ip4,
  });
const ipv4: fc.Arbitrary<Ipv4Packet> = record({
  tos: u8,
  id: u16,
  dontFragment: fc.boolean(),
  moreFragments: fc.boolean(),
  fragmentOffset: fc.integer({ min: 0, max: 0x1fff }).map((n) => n * 8),
  ttl: u8,
  protocol: u8,
  source: ip4,
  destination: ip4,
  options: units(4, 0, 10),
  payload: octets(0, 60),
});
const extension = fc.oneof(
  record({ type: fc.constantFrom(0, 43, 60), body: units(8, 0, 3, 6) }),
  record({ type: fc.constant(44), body: octets(6, 6) }),
  record({ type: fc.constant(51), body: units(4, 2, 8, 2) }),
);
const ipv6: fc.Arbitrary<Ipv6Packet> = record({
  trafficClass: u8,
  flowLabel: fc.integer({ min: 0, max: 0xfffff }),
  hopLimit: u8,
  source: ip6,
  destination: ip6,
  extensions: fc.array(extension, { maxLength: 8 }),
  protocol: u8.filter((p) => ![0, 43, 44, 51, 60].includes(p)),
  payload: octets(0, 60),
});
const icmp = (family: 4 | 6): fc.Arbitrary<IcmpMessage> =>
  fc.oneof(
    record({ kind: fc.constantFrom('echo-request', 'echo-reply'), id: u16, sequence: u16, data: octets(0, 60) }),
    record({
      kind: fc.constantFrom(
        'unreachable' as const,
        'time-exceeded' as const,
        'parameter-problem' as const,
        family === 6 ? ('too-big' as const) : ('unreachable' as const),
      ),
      code: u8,
      parameter: u32,
      cause: octets(0, 60),
    }),
  ) as fc.Arbitrary<IcmpMessage>;
const udp: fc.Arbitrary<UdpDatagram> = record({ sourcePort: u16, destinationPort: u16, payload: octets(0, 60) });
const tcp: fc.Arbitrary<TcpSegment> = record({
  sourcePort: u16,
  destinationPort: u16,
  seq: u32,
  ack: u32,
  flags: fc.integer({ min: 0, max: 0xfff }),
  window: u16,
  checksum: u16,
  urgent: u16,
  options: units(4, 0, 10),
  payload: octets(0, 60),
});
const ndpOption: fc.Arbitrary<NdpOption> = fc.oneof(
  record({ kind: fc.constantFrom('source-link-layer' as const, 'target-link-layer' as const), mac }),
  record({ kind: fc.constant('other' as const), type: fc.integer({ min: 3, max: 255 }), data: units(8, 0, 3, 6) }),
  // Infiniband's link-layer option is three units long: RFC 4391 section 9.3.
  record({ kind: fc.constant('other' as const), type: fc.constantFrom(1, 2), data: octets(22, 22) }),
);
const options = fc.array(ndpOption, { maxLength: 4 });
const ndp: fc.Arbitrary<NdpMessage> = fc.oneof(
  record({ kind: fc.constant('solicitation' as const), target: ip6, options }),
  record({
    kind: fc.constant('advertisement' as const),
    target: ip6,
    router: fc.boolean(),
    solicited: fc.boolean(),
    override: fc.boolean(),
    options,
  }),
);

type PathName = keyof typeof REGISTRY_PATH;
function vrrp(name: PathName): fc.Arbitrary<ReceivedAdvert> {
  const path = REGISTRY_PATH[name];
  const common = {
    virtualRouter: fc.integer({ min: 1, max: 255 }),
    priority: u8,
    addresses: units(path.family === 4 ? 4 : 16, 0, 20),
    trailer: fc.oneof(fc.constant(new Uint8Array(0)), octets(28, 28)),
  };
  const forms: readonly VrrpChecksum[] = {
    4: ['plain', 'pseudo-header'] as const,
    6: ['pseudo-header'] as const,
    unicast: ['plain', 'pseudo-header', 'pseudo-header-group'] as const,
  }[name];
  return fc
    .oneof(
      record({
        ...common,
        version: fc.constant(2 as const),
        interval: interval(1_000_000, 255),
        authType: u8,
        authData: octets(8, 8),
        checksum: fc.constant<VrrpChecksum>('plain'),
      }),
      record({
        ...common,
        version: fc.constant(3 as const),
        interval: interval(10_000, 4095),
        authType: fc.constant(0),
        authData: fc.constant(new Uint8Array(0)),
        checksum: fc.constantFrom(...forms),
      }),
    )
    .map((a) => ({ ...a, pdu: encodeVrrp(a, path, a.checksum) }));
}
const repairVrrp =
  (name: PathName) =>
  (b: Uint8Array): void => {
    if (b.length < 8) return;
    const version = (b[0] as number) >> 4;
    const size = name === 6 ? 16 : 4;
    const end = 8 + (b[3] as number) * size + (version === 2 ? 8 : 0);
    if (end > b.length) return;
    putU16(b, 6, vrrpChecksum(b.subarray(0, end), REGISTRY_PATH[name], version === 2 ? 'plain' : 'pseudo-header'));
  };

const hmac: fc.Arbitrary<HmacTrailer> = record({
  keyId: fc.integer({ min: 1, max: 255 }),
  seconds: u32,
  fraction: u16,
  counter: u16,
  mac: octets(16, 16),
});
const ah = record({ nextHeader: u8, spi: u32, sequence: u32, icv: units(4, 0, 8), payload: octets(0, 60) });
const bfdAuthentication = octets(0, 20).map((b) => Uint8Array.of(1, b.length + 2, ...b));
const bfd: fc.Arbitrary<BfdPacket> = record({
  diagnostic: fc.integer({ min: 0, max: 31 }),
  state: fc.constantFrom(...BFD_STATES),
  poll: fc.boolean(),
  final: fc.boolean(),
  controlPlaneIndependent: fc.boolean(),
  demand: fc.boolean(),
  multiplier: fc.integer({ min: 1, max: 255 }),
  myDiscriminator: fc.integer({ min: 1, max: 0xffff_ffff }),
  yourDiscriminator: u32,
  desiredMinTx: u32.map(us),
  requiredMinRx: u32.map(us),
  requiredMinEchoRx: u32.map(us),
  authentication: fc.option(bfdAuthentication, { nil: undefined }),
});
const lbName = fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme' }).filter((s) => Buffer.byteLength(s) <= 255);
const lbGroup: fc.Arbitrary<LbPeerGroup> = fc.constantFrom(4 as const, 6 as const).chain((family) => {
  const address = family === 4 ? ip4 : ip6;
  return record({
    do: fc.constantFrom('set' as const, 'gone' as const),
    family: fc.constant(family),
    service: lbName,
    server: lbName,
    flows: fc.array(record({ client: address, clientPort: u16, address, port: u16 }), { minLength: 1, maxLength: 8 }),
  });
});
const lbPeer: fc.Arbitrary<LbPeerMessage> = record({
  session: fc.bigInt({ min: 1n, max: 0xffff_ffff_ffff_ffffn }),
  heard: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
  sequence: u32,
  received: u32,
  latest: u32,
  complete: fc.boolean(),
  update: fc.option(record({ from: u32, upto: u32, groups: fc.array(lbGroup, { maxLength: 4 }) }), { nil: undefined }),
}).map((m) => {
  if (!m.update) return m;
  const from = Math.min(m.update.from, 0xffff_fffe);
  const upto = Math.max(from + 1, m.update.upto);
  return { ...m, latest: Math.max(m.latest, upto), update: { ...m.update, from, upto } };
});
const pcap: fc.Arbitrary<Capture> = fc.constantFrom(...Object.values(LINK_TYPE)).chain((linkType) =>
  record({
    packets: fc.array(
      record({
        at: fc.integer({ min: 0, max: 0xffff_ffff * 1_000_000 + 999_999 }).map(us),
        linkType: fc.constant(linkType),
        wireLength: u32,
        bytes: octets(0, 60),
      }),
      { maxLength: 5 },
    ),
    truncated: fc.constant(false),
  }),
);

const proxiedPath = (address: typeof ip4): fc.Arbitrary<ProxiedPath> =>
  record({ source: address, destination: address, sourcePort: u16, destinationPort: u16 });
const anyPath = fc.oneof(proxiedPath(ip4), proxiedPath(ip6));
const transport = fc.constantFrom('stream' as const, 'datagram' as const);
const tlvs = fc.array(record({ type: u8, value: octets(0, 40) }), { maxLength: 3 });
const proxyHeader: fc.Arbitrary<ProxyHeader> = fc.oneof(
  record({ command: fc.constantFrom('local' as const, 'unspecified' as const) }),
  record({ command: fc.constant('proxy' as const), transport, path: anyPath, tlvs }),
  record({
    command: fc.constant('proxy' as const),
    transport,
    unix: record({ source: octets(108, 108), destination: octets(108, 108) }),
    tlvs,
  }),
);

const putU16 = (b: Uint8Array, at: number, v: number): void => {
  b[at] = v >> 8;
  b[at + 1] = v & 0xff;
};
/** A checksum at `at` over `b` up to `end(b)`, started from `start`. */
function repairAt(at: number, end: (b: Uint8Array) => number, start: (length: number) => number) {
  return (b: Uint8Array): void => {
    const length = end(b);
    if (length < at + 2 || length > b.length) return;
    putU16(b, at, 0);
    putU16(b, at, internetChecksum(b.subarray(0, length), start(length)));
  };
}
const over = (p: { readonly source: IpAddress; readonly destination: IpAddress }, protocol: number) => (n: number) =>
  sumPseudoHeader(p.source, p.destination, protocol, n);
const whole = (b: Uint8Array): number => b.length;
const lengthAt4 = (b: Uint8Array): number => (b.length < 6 ? 0 : ((b[4] as number) << 8) | (b[5] as number));
const { icmpv6, udp: udpProtocol } = IP_PROTOCOL;

export const codecSupport: Readonly<Record<string, CodecSupport>> = {
  ethernet: { value: ethernet },
  arp: { value: fc.oneof(arpOver(1, mac), arpOver(32, infinibandMac)) },
  ipv4: {
    value: ipv4,
    repair: repairAt(
      10,
      (b) => ((b[0] ?? 0) & 0xf) * 4,
      () => 0,
    ),
  },
  ipv6: { value: ipv6 },
  'icmp over IPv4': { value: icmp(4), repair: repairAt(2, whole, () => 0) },
  'icmp over IPv6': { value: icmp(6), repair: repairAt(2, whole, over(REGISTRY_PATH[6], icmpv6)) },
  'udp over IPv4': { value: udp, repair: repairAt(6, lengthAt4, over(REGISTRY_PATH[4], udpProtocol)) },
  'udp over IPv6': { value: udp, repair: repairAt(6, lengthAt4, over(REGISTRY_PATH[6], udpProtocol)) },
  ndp: { value: ndp, repair: repairAt(2, whole, over(REGISTRY_PATH[6], icmpv6)) },
  'vrrp over IPv4': { value: vrrp(4), repair: repairVrrp(4) },
  'vrrp over IPv6': { value: vrrp(6), repair: repairVrrp(6) },
  'vrrp over IPv4 unicast': { value: vrrp('unicast'), repair: repairVrrp('unicast') },
  'vrrp hmac trailer': { value: hmac },
  tcp: { value: tcp },
  ah: { value: ah },
  bfd: { value: bfd },
  'lb peer': { value: lbPeer },
  pcap: { value: pcap },
  'proxy protocol 1': { value: fc.option(anyPath, { nil: undefined }).map((path) => ({ path })) },
  'proxy protocol 2': { value: proxyHeader },
  ...Object.fromEntries(
    Object.entries({ ...netlinkArbitraries, ...nftablesArbitraries, ...drbdArbitraries, ...nbdArbitraries }).map(
      ([name, value]) => [name, { value }],
    ),
  ),
};

/** For tests: the canonical form of an address that is known to be one. */
export function ip(s: string): IpAddress {
  const r = parseIp(s);
  if (!r.ok) throw new Error(`not an address: ${s}`);
  return r.value;
}
/** For tests: bytes from hex, blanks ignored. */
export const hex = (s: string): Uint8Array => new Uint8Array(Buffer.from(s.replace(/\s+/g, ''), 'hex'));
