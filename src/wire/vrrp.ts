/**
 * VRRP advertisements: version 2 (RFC 3768, with the authentication fields of RFC 2338) and version 3 (RFC 9568), over
 * IPv4 and IPv6. Decoding judges format and checksum only; whether the packet fits this router's configuration is the
 * router's business.
 */
import {
  err,
  type Family,
  type IpAddress,
  internetChecksum,
  ipBytes,
  ipFromBytes,
  isMulticast,
  type Microseconds,
  ok,
  type Result,
  us,
} from '../base/index.ts';
import { IP_PROTOCOL } from './ipv4.ts';
import { type MacAddress, macFromBytes } from './mac.ts';
import { sumAddress, sumPseudoHeader } from './pseudo.ts';
import { type Short, short } from './short.ts';

/** IANA's groups. Both can be changed by configuration. */
const VRRP_GROUP: Readonly<Record<Family, IpAddress>> = {
  4: '224.0.0.18' as IpAddress,
  6: 'ff02::12' as IpAddress,
};
/** What a version 2 packet says of its authentication; any other number may arrive. */
export const VRRP_AUTH = { none: 0, password: 1, ah: 2 } as const;
/** Bytes of authentication data that end every version 2 packet. */
const VRRP_AUTH_LENGTH = 8;

/**
 * What the checksum covers besides the packet itself.
 * - `plain`: nothing. Always so in version 2; in version 3 over IPv4 it is what Cisco and Juniper send and what
 *   RFC 9568 section 5.2.8 says (keepalived: `v3_checksum_as_v2`).
 * - `pseudo-header`: both IP addresses, protocol and length. Always so over IPv6; over IPv4 what keepalived sends.
 * - `pseudo-header-group`: as before, with the multicast group in place of the real destination: keepalived up to
 *   1.3.6 in unicast mode (`old_unicast_checksum`).
 */
export type VrrpChecksum = 'plain' | 'pseudo-header' | 'pseudo-header-group';

export type VrrpAdvert = {
  readonly version: 2 | 3;
  readonly virtualRouter: number;
  /** 0: the master gives up; 255: it owns the addresses. */
  readonly priority: number;
  /** Version 2 counts whole seconds up to 255, version 3 hundredths up to 40.95 s. */
  readonly interval: Microseconds;
  /**
   * The virtual addresses in network order, one behind the other, 4 or 16 bytes each: compared with the configured
   * list in one go, without making a string of each. See `packAddresses` and `unpackAddresses`.
   */
  readonly addresses: Uint8Array;
  /** Version 2; 0 in version 3. */
  readonly authType: number;
  /** Version 2: eight bytes, a password padded with zeros or only zeros. Empty in version 3. */
  readonly authData: Uint8Array;
};
/** A decoded advertisement. Its byte arrays are views, valid as long as what was decoded. */
export type ReceivedAdvert = VrrpAdvert & {
  /** Which of the known forms the checksum had. */
  readonly checksum: VrrpChecksum;
  /** The advertisement itself, without what follows it: what a trailer signs. */
  readonly pdu: Uint8Array;
  /** What followed it: nothing, link padding, or the 28 bytes of an `auth_hmac` trailer. */
  readonly trailer: Uint8Array;
};
export type VrrpError =
  | Short
  | { readonly kind: 'version'; readonly have: number }
  /** Only advertisements exist, type 1. */
  | { readonly kind: 'type'; readonly have: number }
  | { readonly kind: 'virtual-router' }
  /** `want` is the value of the form that this sender should use. */
  | { readonly kind: 'checksum'; readonly have: number; readonly want: number };

/** How a packet arrived, or will be sent: a datagram of the host's ports fits. */
export type VrrpPath = {
  readonly family: Family;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** The group that takes part in the form `pseudo-header-group`; IANA's when left out. */
  readonly group?: IpAddress;
};

const HEADER = 8;
const NOTHING = new Uint8Array(0);
const SECOND = 1_000_000;
const HUNDREDTH = 10_000;

const fold = (sum: number): number => {
  let s = sum;
  while (s > 0xffff) s = (s & 0xffff) + Math.floor(s / 0x10000);
  return s;
};

/**
 * Called for every packet that arrives, ten thousand times a second and more: beyond the result and its views it
 * allocates nothing.
 */
export function decodeVrrp(b: Uint8Array, path: VrrpPath): Result<ReceivedAdvert, VrrpError> {
  if (b.length < HEADER) return short(HEADER, b.length);
  const first = b[0] as number;
  const version = first >> 4;
  if (version !== 2 && version !== 3) return err({ kind: 'version', have: version });
  if ((first & 0xf) !== 1) return err({ kind: 'type', have: first & 0xf });
  const virtualRouter = b[1] as number;
  if (virtualRouter === 0) return err({ kind: 'virtual-router' });
  const behind = HEADER + (b[3] as number) * (path.family === 4 ? 4 : 16);
  const end = version === 2 ? behind + VRRP_AUTH_LENGTH : behind;
  if (b.length < end) return short(end, b.length);
  const pdu = b.length === end ? b : b.subarray(0, end);

  // One pass over the packet; each form differs only by what is added. A right sum folds to all ones.
  const sum = 0xffff - internetChecksum(pdu);
  let checksum: VrrpChecksum | undefined;
  if (version === 2) {
    if (sum === 0xffff) checksum = 'plain';
  } else {
    const pseudo = sum + sumPseudoHeader(path.source, path.destination, IP_PROTOCOL.vrrp, end);
    if (fold(pseudo) === 0xffff) checksum = 'pseudo-header';
    else if (path.family === 4) {
      if (sum === 0xffff) checksum = 'plain';
      else if (!isMulticast(path.destination)) {
        const old = pseudo - sumAddress(path.destination) + sumAddress(path.group ?? VRRP_GROUP[4]);
        if (fold(old) === 0xffff) checksum = 'pseudo-header-group';
      }
    }
  }
  if (checksum === undefined) {
    const want = vrrpChecksum(pdu, path, version === 2 ? 'plain' : 'pseudo-header');
    return err({ kind: 'checksum', have: ((b[6] as number) << 8) | (b[7] as number), want });
  }
  return ok({
    version,
    virtualRouter,
    priority: b[2] as number,
    interval: us(
      version === 2 ? (b[5] as number) * SECOND : ((((b[4] as number) & 0xf) << 8) | (b[5] as number)) * HUNDREDTH,
    ),
    addresses: b.subarray(HEADER, behind),
    authType: version === 2 ? (b[4] as number) : 0,
    authData: version === 2 ? b.subarray(behind, end) : NOTHING,
    checksum,
    pdu,
    trailer: b.length === end ? NOTHING : b.subarray(end),
  });
}

/** What the checksum field of `pdu` ought to hold, whatever it holds now. */
export function vrrpChecksum(pdu: Uint8Array, path: VrrpPath, form: VrrpChecksum): number {
  const field = ((pdu[6] as number) << 8) | (pdu[7] as number);
  let start = 0xffff - field; // in one's complement: minus the field
  if (form !== 'plain') {
    const destination = form === 'pseudo-header' ? path.destination : (path.group ?? VRRP_GROUP[path.family]);
    start += sumPseudoHeader(path.source, destination, IP_PROTOCOL.vrrp, pdu.length);
  }
  return internetChecksum(pdu, start);
}

/**
 * The packet with its checksum in the given form (version 2 is always `plain`). The interval is rounded to the
 * version's unit; at most 255 addresses.
 */
export function encodeVrrp(a: VrrpAdvert, path: VrrpPath, form: VrrpChecksum): Uint8Array {
  const count = a.addresses.length / (path.family === 4 ? 4 : 16);
  if (!Number.isInteger(count) || count > 255) throw new Error(`bug: ${count} addresses in a VRRP packet`);
  const behind = HEADER + a.addresses.length;
  const out = new Uint8Array(a.version === 2 ? behind + VRRP_AUTH_LENGTH : behind);
  out[0] = (a.version << 4) | 1;
  out[1] = a.virtualRouter;
  out[2] = a.priority;
  out[3] = count;
  if (a.version === 2) {
    out[4] = a.authType;
    out[5] = Math.round(a.interval / SECOND);
    out.set(a.authData.subarray(0, VRRP_AUTH_LENGTH), behind);
  } else {
    const hundredths = Math.round(a.interval / HUNDREDTH);
    out[4] = (hundredths >> 8) & 0xf;
    out[5] = hundredths & 0xff;
  }
  out.set(a.addresses, HEADER);
  const sum = vrrpChecksum(out, path, a.version === 2 ? 'plain' : form);
  out[6] = sum >> 8;
  out[7] = sum & 0xff;
  return out;
}

/** All of one family. */
export function packAddresses(addresses: readonly IpAddress[]): Uint8Array {
  const parts = addresses.map(ipBytes);
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

export function unpackAddresses(packed: Uint8Array, family: Family): IpAddress[] {
  const size = family === 4 ? 4 : 16;
  const out: IpAddress[] = [];
  for (let at = 0; at + size <= packed.length; at += size) out.push(ipFromBytes(packed.subarray(at, at + size)));
  return out;
}

/** The virtual router's own hardware address: RFC 9568 section 7.3. */
export const virtualMac = (family: Family, virtualRouter: number): MacAddress =>
  macFromBytes(Uint8Array.of(0x00, 0x00, 0x5e, 0x00, family === 4 ? 1 : 2, virtualRouter));
