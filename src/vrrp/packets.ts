/** Adverts as they go out: one packet for each link and peer, header included where we write it ourselves. */
import { type IpAddress, ipBytes, type Milliseconds } from '../base/index.ts';
import {
  encodeIpv4,
  encodeVrrp,
  HMAC_TRAILER_LENGTH,
  IP_PROTOCOL,
  renumberIpv4,
  sealAh,
  signAdvert,
  TOS_INTERNETWORK_CONTROL,
  VRRP_AUTH,
  type VrrpChecksum,
} from '../wire/index.ts';
import type { Instance } from './config.ts';
import { passwordBytes } from './receive.ts';

const NOTHING = new Uint8Array(0);
const AH_LENGTH = 24;

/** Numbers that rise from packet to packet. One for each virtual router. */
export type Counters = { ipId: number; ahSequence: number; hmacCounter: number };

export type AdvertPath = {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly ttl: number;
  readonly checksum: VrrpChecksum;
};

/** The form of checksum that an instance sends as long as no peer taught it otherwise. */
export const ownChecksum = (i: Instance, unicast: boolean): VrrpChecksum =>
  i.version === 2 || (i.family === 4 && i.v3ChecksumAsV2)
    ? 'plain'
    : i.family === 4 && unicast && i.oldUnicastChecksum === 'always'
      ? 'pseudo-header-group'
      : 'pseudo-header';

/** How many of its addresses an instance can tell in one packet of this size; a fragment of an advert is none. */
export function addressesThatFit(i: Instance, mtu: number): number {
  const [header, width] = i.family === 4 ? [20, 4] : [40, 16];
  const around = (i.authentication.type === 'ah' ? AH_LENGTH : 0) + (i.hmac ? HMAC_TRAILER_LENGTH : 0);
  const vrrp = 8 + (i.version === 2 ? 8 : 0); // RFC 3768 section 5.1: authentication data even without authentication
  return Math.max(0, Math.floor((mtu - header - around - vrrp) / width));
}

/** Whether the adverts of one priority on one path differ by their IPv4 identification alone. */
export const repeatable = (i: Instance): boolean =>
  i.authentication.type !== 'ah' && (i.hmac === undefined || i.hmac.mode === 'receive-only');

/** 0 would have the kernel choose. */
const nextId = (c: Counters): number => {
  c.ipId = (c.ipId + 1) & 0xffff || 1;
  return c.ipId;
};

/** Makes a `repeatable` packet the next one, in place. */
export function repeatPacket(i: Instance, packet: Uint8Array, counters: Counters): void {
  if (i.family === 4) renumberIpv4(packet, nextId(counters));
}

/**
 * What is given to a socket: for IPv4 the whole packet with its header, for IPv6 the payload (the kernel fills in the
 * checksum). Raises the counters that it uses.
 */
export function advertPacket(
  i: Instance,
  addresses: Uint8Array,
  priority: number,
  path: AdvertPath,
  counters: Counters,
  wall: () => Milliseconds,
): Uint8Array {
  const pass = i.authentication.type === 'pass';
  const pdu = encodeVrrp(
    {
      version: i.version,
      virtualRouter: i.virtualRouterId,
      priority,
      interval: i.advertInterval,
      addresses,
      authType: i.version === 2 ? VRRP_AUTH[pass ? 'password' : (i.authentication.type as 'none' | 'ah')] : 0,
      authData: pass && i.authentication.type === 'pass' ? passwordBytes(i.authentication.password) : NOTHING,
    },
    { family: i.family, source: path.source, destination: path.destination, group: i.multicastGroup },
    path.checksum,
  );
  const payload = i.hmac && i.hmac.mode !== 'receive-only' ? signed(i, pdu, path, counters, wall()) : pdu;
  if (i.family === 6) return payload;
  const ah = i.authentication.type === 'ah';
  const packet = encodeIpv4({
    tos: TOS_INTERNETWORK_CONTROL,
    id: nextId(counters),
    dontFragment: false,
    moreFragments: false,
    fragmentOffset: 0,
    ttl: path.ttl,
    protocol: ah ? IP_PROTOCOL.ah : IP_PROTOCOL.vrrp,
    source: path.source,
    destination: path.destination,
    options: NOTHING,
    payload: ah ? new Uint8Array(AH_LENGTH + payload.length) : payload,
  });
  if (i.authentication.type === 'ah') {
    counters.ahSequence = (counters.ahSequence + 1) >>> 0;
    const header = packet.subarray(0, 20);
    const spi = new DataView(ipBytes(path.source).buffer).getUint32(0);
    packet.set(
      sealAh(
        passwordBytes(i.authentication.password),
        header,
        { nextHeader: IP_PROTOCOL.vrrp, spi, sequence: counters.ahSequence, payload },
        { zeroTtl: i.unicastPeers !== undefined },
      ),
      20,
    );
  }
  return packet;
}

function signed(i: Instance, pdu: Uint8Array, path: AdvertPath, counters: Counters, wall: Milliseconds): Uint8Array {
  const key = i.hmac?.keys.find((k) => k.id === i.hmac?.activeKey);
  if (!key) return pdu;
  counters.hmacCounter = (counters.hmacCounter + 1) & 0xffff;
  const seconds = Math.floor(wall / 1000);
  const trailer = signAdvert(
    key.key,
    pdu,
    { keyId: key.id, seconds, fraction: Math.floor(((wall % 1000) * 65536) / 1000), counter: counters.hmacCounter },
    { family: i.family, source: path.source },
  );
  const out = new Uint8Array(pdu.length + trailer.length);
  out.set(pdu);
  out.set(trailer, pdu.length);
  return out;
}
