/** Whether a packet that arrived is an advert for a virtual router: the checks of RFC 9568 section 7.1 and keepalived's. */
import { err, type IpAddress, isMulticast, type Microseconds, ok, type Result } from '../base/index.ts';
import type { Datagram } from '../host/index.ts';
import {
  AH_ICV_LENGTH,
  decodeAh,
  decodeHmacTrailer,
  decodeVrrp,
  HMAC_TRAILER_LENGTH,
  type ReceivedAdvert,
  VRRP_AUTH,
  type VrrpChecksum,
  type VrrpError,
  verifyAdvert,
  verifyAh,
} from '../wire/index.ts';
import type { HmacAuthentication, Instance, UnicastPeer } from './config.ts';

/** Why a packet was thrown away. Each kind is counted, and logged once until the state changes. */
export type Drop =
  | VrrpError
  | { readonly kind: 'ah'; readonly reason: 'malformed' | 'icv' | 'replay' }
  | { readonly kind: 'ttl'; readonly have: number; readonly least: number; readonly most: number }
  | { readonly kind: 'other-version'; readonly have: 2 | 3; readonly want: 2 | 3 }
  | { readonly kind: 'auth-type'; readonly have: number; readonly want: number }
  | { readonly kind: 'password' }
  | { readonly kind: 'hmac'; readonly reason: 'missing' | 'malformed' | 'key' | 'mac' | 'stale' | 'replay' }
  /** Unicast where multicast is configured, or the other way round. */
  | { readonly kind: 'destination'; readonly have: IpAddress; readonly unicast: boolean }
  | { readonly kind: 'owner-ignores' }
  | { readonly kind: 'not-a-peer'; readonly source: IpAddress };
export type DropKind = Drop['kind'];

/** Accepted, but somebody should know. */
export type Oddity =
  | { readonly kind: 'interval'; readonly have: Microseconds; readonly want: Microseconds; readonly version: 2 | 3 }
  | { readonly kind: 'addresses'; readonly have: Uint8Array; readonly want: Uint8Array }
  | { readonly kind: 'checksum-form'; readonly have: VrrpChecksum; readonly want: VrrpChecksum };

export type Accepted = {
  readonly advert: ReceivedAdvert;
  readonly oddities: readonly Oddity[];
  /** AH: its sequence number. */
  readonly sequence: number | undefined;
  /** HMAC: the stamp as one growing number of 64 bits, to be remembered for its source. */
  readonly stamp: bigint | undefined;
};

/** What the checks compare with. */
export type Expectation = {
  readonly instance: Instance;
  /** Of the link that it came by; undefined: multicast. */
  readonly peers: readonly UnicastPeer[] | undefined;
  /** The configured addresses in network order. */
  readonly addresses: Uint8Array;
  readonly checksum: VrrpChecksum;
  readonly key: Uint8Array;
  readonly wallSeconds: number;
  /** The last sequence number or stamp that was accepted from this source. */
  readonly lastSequence: number | undefined;
  readonly lastStamp: bigint | undefined;
};

const NO_ODDITIES: readonly Oddity[] = [];
const PASSWORD_LENGTH = 8;

/** Passwords are eight bytes on the wire: cut, or filled up with zeros. */
export function passwordBytes(password: string): Uint8Array {
  const out = new Uint8Array(PASSWORD_LENGTH);
  out.set(new TextEncoder().encode(password).subarray(0, PASSWORD_LENGTH));
  return out;
}

/** Constant-time enough for a password that travels in clear. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/**
 * Judges in keepalived's order, with one difference: the checksum comes before authentication and interval, for what
 * may have been damaged on its way says nothing about its sender.
 */
export function receive(d: Datagram, x: Expectation): Result<Accepted, Drop> {
  const i = x.instance;
  let vrrp = d.bytes;
  let sequence: number | undefined;
  if (i.authentication.type === 'ah') {
    const ah = decodeAh(d.bytes);
    if (!ah.ok || ah.value.icv.length !== AH_ICV_LENGTH) return err({ kind: 'ah', reason: 'malformed' });
    vrrp = ah.value.payload;
    sequence = ah.value.sequence;
  }
  const unicast = !isMulticast(d.destination);
  const peer = x.peers?.find((p) => p.address === d.source);
  const ttl = ttlFault(d, unicast, peer);
  if (ttl) return err(ttl);

  const decoded = decodeVrrp(vrrp, {
    family: i.family,
    source: d.source,
    destination: d.destination,
    group: i.multicastGroup,
  });
  if (!decoded.ok) return decoded;
  const advert = decoded.value;
  if (advert.version !== i.version) return err({ kind: 'other-version', have: advert.version, want: i.version });
  if (advert.checksum === 'pseudo-header-group' && i.oldUnicastChecksum === 'never')
    return err({ kind: 'checksum', have: 0, want: 0 });

  let stamp: bigint | undefined;
  if (i.hmac) {
    const judged = judgeHmac(i.hmac, advert, d, x);
    if (!judged.ok) return judged;
    stamp = judged.value;
  }
  if (i.version === 2) {
    const want = VRRP_AUTH[i.authentication.type === 'pass' ? 'password' : i.authentication.type];
    if (advert.authType !== want) return err({ kind: 'auth-type', have: advert.authType, want });
    if (want === VRRP_AUTH.password && !sameBytes(advert.authData, x.key)) return err({ kind: 'password' });
    if (want === VRRP_AUTH.ah) {
      if (!d.header || !verifyAh(x.key, d.header, d.bytes, { zeroTtl: unicast }))
        return err({ kind: 'ah', reason: 'icv' });
      if (x.lastSequence !== undefined && (sequence as number) <= x.lastSequence)
        return err({ kind: 'ah', reason: 'replay' });
    }
  }
  if (unicast !== (x.peers !== undefined)) return err({ kind: 'destination', have: d.destination, unicast });
  if (i.ownerIgnoreAdverts && i.priority === 255) return err({ kind: 'owner-ignores' });
  if (i.checkUnicastSource && x.peers !== undefined && !peer) return err({ kind: 'not-a-peer', source: d.source });

  const oddities: Oddity[] = [];
  if (advert.interval !== i.advertInterval)
    oddities.push({ kind: 'interval', have: advert.interval, want: i.advertInterval, version: i.version });
  if (!i.skipCheckAdvAddr && !sameBytes(advert.addresses, x.addresses))
    oddities.push({ kind: 'addresses', have: advert.addresses.slice(), want: x.addresses });
  if (advert.checksum !== x.checksum) oddities.push({ kind: 'checksum-form', have: advert.checksum, want: x.checksum });
  return ok({ advert, oddities: oddities.length > 0 ? oddities : NO_ODDITIES, sequence, stamp });
}

function ttlFault(d: Datagram, unicast: boolean, peer: UnicastPeer | undefined): Drop | undefined {
  if (d.ttl === undefined) return undefined;
  const least = unicast ? (peer?.minTtl ?? 0) : 255;
  const most = unicast ? (peer?.maxTtl ?? 255) : 255;
  return d.ttl < least || d.ttl > most ? { kind: 'ttl', have: d.ttl, least, most } : undefined;
}

/** The stamp of a genuine trailer, undefined where there is none and none is demanded. */
function judgeHmac(
  h: HmacAuthentication,
  advert: ReceivedAdvert,
  d: Datagram,
  x: Expectation,
): Result<bigint | undefined, Drop> {
  const bad = (reason: (Drop & { kind: 'hmac' })['reason']): Result<never, Drop> => err({ kind: 'hmac', reason });
  if (advert.trailer.length < HMAC_TRAILER_LENGTH) return h.mode === 'enforce' ? bad('missing') : ok(undefined);
  const bytes = advert.trailer.subarray(0, HMAC_TRAILER_LENGTH);
  const trailer = decodeHmacTrailer(bytes);
  if (!trailer.ok) return bad('malformed');
  const key = h.keys.find((k) => k.id === trailer.value.keyId);
  if (!key) return bad('key');
  if (!verifyAdvert(key.key, advert.pdu, bytes, { family: x.instance.family, source: d.source })) return bad('mac');
  const { seconds, fraction, counter } = trailer.value;
  if (h.antiReplay === 'time' && Math.abs(seconds + fraction / 65536 - x.wallSeconds) > h.window / 1_000_000)
    return bad('stale');
  // A plain number would lose the counter, and with it the second of two adverts in one millisecond.
  const stamp = (BigInt(seconds) << 32n) | BigInt((fraction << 16) >>> 0) | BigInt(counter);
  if (x.lastStamp !== undefined && stamp <= x.lastStamp) return bad('replay');
  return ok(stamp);
}
