/**
 * Every codec in one list, so that no format escapes the tests that all must pass: encoding and decoding are inverse,
 * and no bytes whatever make decoding throw. Who adds a codec adds its row, and its arbitrary in `test/support/`.
 */
import { ByteWriter, type Family, type IpAddress, type Result } from '../base/index.ts';
import { decodeAh, encodeAh } from './ah.ts';
import { decodeArp, encodeArp } from './arp.ts';
import { decodeBfd, encodeBfd } from './bfd.ts';
import { drbdCodecs } from './drbd/index.ts';
import { decodeEthernet, encodeEthernet } from './ethernet.ts';
import { decodeIcmp, encodeIcmp } from './icmp.ts';
import { decodeIpv4, encodeIpv4 } from './ipv4.ts';
import { decodeIpv6, encodeIpv6 } from './ipv6.ts';
import { decodeLbPeer, encodeLbPeer } from './lb-peer.ts';
import { nbdCodecs } from './nbd/index.ts';
import { decodeNdp, encodeNdp } from './ndp.ts';
import { netlinkCodecs } from './netlink/index.ts';
import { nftablesCodecs } from './nftables/index.ts';
import { decodePcap, encodePcap } from './pcap.ts';
import { decodeProxyHeader, decodeProxyLine, encodeProxyHeader, encodeProxyLine } from './proxy-protocol.ts';
import { decodeTcp, encodeTcp } from './tcp.ts';
import { decodeUdp, encodeUdp } from './udp.ts';
import { decodeVrrp, encodeVrrp } from './vrrp.ts';
import { decodeHmacTrailer, encodeHmacTrailer } from './vrrp-hmac.ts';

/** A format's pair. Decoding is total; encoding takes any value that decoding can yield. */
export type Codec<T = unknown> = {
  readonly name: string;
  decode(bytes: Uint8Array): Result<T, { readonly kind: string }>;
  /** Method form on purpose: a list holds codecs of different values. */
  encode(value: T): Uint8Array;
};
const codec = <T>(c: Codec<T>): Codec<T> => c;

const concat = (a: Uint8Array, b: Uint8Array): Uint8Array => new ByteWriter(a.length + b.length).put(a).put(b).done();

/** The addresses between which the registry's codecs speak, where a checksum covers them. */
export const REGISTRY_PATH = {
  4: { family: 4, source: '192.0.2.1' as IpAddress, destination: '224.0.0.18' as IpAddress },
  6: { family: 6, source: 'fe80::1' as IpAddress, destination: 'ff02::12' as IpAddress },
  unicast: { family: 4, source: '192.0.2.1' as IpAddress, destination: '192.0.2.2' as IpAddress },
} as const satisfies Record<string, { family: Family; source: IpAddress; destination: IpAddress }>;

export const codecs: readonly Codec[] = [
  codec({ name: 'ethernet', decode: decodeEthernet, encode: encodeEthernet }),
  codec({ name: 'arp', decode: decodeArp, encode: encodeArp }),
  codec({ name: 'ipv4', decode: decodeIpv4, encode: encodeIpv4 }),
  codec({ name: 'ipv6', decode: decodeIpv6, encode: encodeIpv6 }),
  ...([4, 6] as const).flatMap((f) => [
    codec({
      name: `icmp over IPv${f}`,
      decode: (b) => decodeIcmp(b, REGISTRY_PATH[f]),
      encode: (m) => encodeIcmp(m, REGISTRY_PATH[f]),
    }),
    codec({
      name: `udp over IPv${f}`,
      decode: (b) => decodeUdp(b, REGISTRY_PATH[f]),
      encode: (d) => encodeUdp(d, REGISTRY_PATH[f]),
    }),
  ]),
  codec({
    name: 'ndp',
    decode: (b) => decodeNdp(b, REGISTRY_PATH[6]),
    encode: (m) => encodeNdp(m, REGISTRY_PATH[6]),
  }),
  ...([4, 6, 'unicast'] as const).map((p) =>
    codec({
      name: `vrrp over ${p === 'unicast' ? 'IPv4 unicast' : `IPv${p}`}`,
      decode: (b) => decodeVrrp(b, REGISTRY_PATH[p]),
      encode: (a) => concat(encodeVrrp(a, REGISTRY_PATH[p], a.checksum), a.trailer),
    }),
  ),
  codec({ name: 'vrrp hmac trailer', decode: decodeHmacTrailer, encode: encodeHmacTrailer }),
  codec({ name: 'tcp', decode: decodeTcp, encode: encodeTcp }),
  codec({ name: 'ah', decode: decodeAh, encode: encodeAh }),
  codec({ name: 'bfd', decode: decodeBfd, encode: encodeBfd }),
  codec({ name: 'lb peer', decode: decodeLbPeer, encode: encodeLbPeer }),
  codec({ name: 'pcap', decode: decodePcap, encode: encodePcap }),
  codec({ name: 'proxy protocol 1', decode: decodeProxyLine, encode: encodeProxyLine }),
  codec({ name: 'proxy protocol 2', decode: decodeProxyHeader, encode: encodeProxyHeader }),
  ...(netlinkCodecs as readonly Codec[]),
  ...(drbdCodecs as readonly Codec[]),
  ...(nbdCodecs as readonly Codec[]),
  ...(nftablesCodecs as readonly Codec[]),
];
