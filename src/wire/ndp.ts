/** Neighbour solicitation and advertisement (RFC 4861 sections 4.3, 4.4, 4.6), ICMPv6 message with checksum. */
import {
  ByteReader,
  ByteWriter,
  err,
  type IpAddress,
  internetChecksum,
  ipBytes,
  ipFromBytes,
  ok,
  type Result,
} from '../base/index.ts';
import { ETHERTYPE, encodeEthernet } from './ethernet.ts';
import { IP_PROTOCOL } from './ipv4.ts';
import { encodeIpv6 } from './ipv6.ts';
import { type MacAddress, macBytes, macFromBytes, multicastMac } from './mac.ts';
import { sumPseudoHeader } from './pseudo.ts';
import { type Short, short } from './short.ts';
import type { TransportPath } from './udp.ts';

const ALL_NODES = 'ff02::1' as IpAddress;

export type NdpOption =
  | { readonly kind: 'source-link-layer' | 'target-link-layer'; readonly mac: MacAddress }
  /** Any other, or a link-layer address that is not Ethernet's: `data` is 8 n - 2 bytes. */
  | { readonly kind: 'other'; readonly type: number; readonly data: Uint8Array };
export type NdpMessage =
  | { readonly kind: 'solicitation'; readonly target: IpAddress; readonly options: readonly NdpOption[] }
  | {
      readonly kind: 'advertisement';
      readonly target: IpAddress;
      readonly router: boolean;
      readonly solicited: boolean;
      readonly override: boolean;
      readonly options: readonly NdpOption[];
    };
export type NdpError =
  | Short
  | { readonly kind: 'checksum'; readonly have: number; readonly want: number }
  /** ICMPv6, but neither 135 nor 136. */
  | { readonly kind: 'type'; readonly have: number }
  /** An option of length zero: RFC 4861 section 4.6 has the packet thrown away. */
  | { readonly kind: 'option'; readonly at: number };

const FIXED = 24;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const OPTION_NAMES: Readonly<Record<number, 'source-link-layer' | 'target-link-layer'>> = {
  1: 'source-link-layer',
  2: 'target-link-layer',
};

/** `b` is the payload behind the IPv6 header. The hop limit must be 255 (RFC 4861 section 7.1): the receiver checks that. */
export function decodeNdp(b: Uint8Array, path: TransportPath): Result<NdpMessage, NdpError> {
  if (b.length < FIXED) return short(FIXED, b.length);
  const r = new ByteReader(b);
  const type = r.u8();
  r.skip(1);
  const have = r.u16();
  if (type !== SOLICITATION && type !== ADVERTISEMENT) return err({ kind: 'type', have: type });
  const start = sumPseudoHeader(path.source, path.destination, IP_PROTOCOL.icmpv6, b.length);
  if (internetChecksum(b, start) !== 0)
    return err({ kind: 'checksum', have, want: internetChecksum(b, start + 0xffff - have) });
  const flags = r.u8();
  r.skip(3);
  const target = ipFromBytes(r.bytes(16));
  const options: NdpOption[] = [];
  while (r.left > 0) {
    const at = r.offset;
    const option = r.u8();
    const length = r.u8() * 8;
    if (length === 0) return err({ kind: 'option', at });
    const data = r.bytes(length - 2);
    if (r.short) return short(at + length, b.length);
    const kind = OPTION_NAMES[option];
    if (kind !== undefined && data.length === 6) options.push({ kind, mac: macFromBytes(data) });
    else options.push({ kind: 'other', type: option, data });
  }
  if (type === SOLICITATION) return ok({ kind: 'solicitation', target, options });
  return ok({
    kind: 'advertisement',
    target,
    router: (flags & 0x80) !== 0,
    solicited: (flags & 0x40) !== 0,
    override: (flags & 0x20) !== 0,
    options,
  });
}

export function encodeNdp(m: NdpMessage, path: TransportPath): Uint8Array {
  const advertisement = m.kind === 'advertisement';
  const flags = advertisement ? (m.router ? 0x80 : 0) | (m.solicited ? 0x40 : 0) | (m.override ? 0x20 : 0) : 0;
  const w = new ByteWriter(FIXED + 8 * m.options.length);
  w.u8(advertisement ? ADVERTISEMENT : SOLICITATION)
    .u8(0)
    .u16(0);
  w.u8(flags).zeros(3).put(ipBytes(m.target));
  for (const o of m.options) {
    if (o.kind === 'other')
      w.u8(o.type)
        .u8((o.data.length + 2) / 8)
        .put(o.data);
    else
      w.u8(o.kind === 'source-link-layer' ? 1 : 2)
        .u8(1)
        .put(macBytes(o.mac));
  }
  const out = w.done();
  const sum = internetChecksum(out, sumPseudoHeader(path.source, path.destination, IP_PROTOCOL.icmpv6, out.length));
  out[2] = sum >> 8;
  out[3] = sum & 0xff;
  return out;
}

/**
 * An unsolicited advertisement as a whole Ethernet frame (RFC 4861 section 7.2.6): from the address itself to all
 * nodes, override set, with the new hardware address. `router` must say whether the link forwards, or hosts drop it as
 * their gateway.
 */
export function unsolicitedAdvertisement(mac: MacAddress, address: IpAddress, router: boolean): Uint8Array {
  const path = { source: address, destination: ALL_NODES };
  const message: NdpMessage = {
    kind: 'advertisement',
    target: address,
    router,
    solicited: false,
    override: true,
    options: [{ kind: 'target-link-layer', mac }],
  };
  return frame(mac, path, message);
}

/**
 * The question "does anybody have `address`?" as a whole Ethernet frame: the solicitation of duplicate address detection
 * (RFC 4862 section 5.4.2), from no address to the solicited-node group. Who has it answers to all nodes.
 */
export function duplicateProbe(mac: MacAddress, address: IpAddress): Uint8Array {
  const path = { source: '::' as IpAddress, destination: solicitedNode(address) };
  return frame(mac, path, { kind: 'solicitation', target: address, options: [] });
}
/** The same question by a neighbour, `source`, as a whole Ethernet frame (RFC 4861 section 7.2.2): who has it answers to that one. */
export function neighbourSolicitation(mac: MacAddress, source: IpAddress, target: IpAddress): Uint8Array {
  const path = { source, destination: solicitedNode(target) };
  return frame(mac, path, { kind: 'solicitation', target, options: [{ kind: 'source-link-layer', mac }] });
}
const solicitedNode = (address: IpAddress): IpAddress =>
  ipFromBytes(Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, ...ipBytes(address).subarray(13)));

function frame(mac: MacAddress, path: TransportPath, message: NdpMessage): Uint8Array {
  return encodeEthernet({
    destination: multicastMac(path.destination),
    source: mac,
    tags: [],
    etherType: ETHERTYPE.ipv6,
    payload: encodeIpv6({
      trafficClass: 0,
      flowLabel: 0,
      hopLimit: 255,
      ...path,
      extensions: [],
      protocol: IP_PROTOCOL.icmpv6,
      payload: encodeNdp(message, path),
    }),
  });
}
