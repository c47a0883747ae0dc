/** IP Authentication Header (RFC 4302) with HMAC-MD5-96 (RFC 2403), as VRRP version 2 carries it over IPv4. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { ByteReader, ByteWriter, err, ok, type Result } from '../base/index.ts';
import { type Short, short } from './short.ts';

export type AuthenticationHeader = {
  /** IP protocol of what follows: 112 for VRRP. */
  readonly nextHeader: number;
  /** Security parameters index, 32 bits; keepalived puts the source address there. */
  readonly spi: number;
  /** 32 bits, strictly growing. */
  readonly sequence: number;
  /** Integrity check value. */
  readonly icv: Uint8Array;
};
export type AhPacket = AuthenticationHeader & { readonly payload: Uint8Array };
export type AhError =
  | Short
  /** The length field leaves room for no ICV. */
  | { readonly kind: 'length'; readonly have: number };

/** HMAC-MD5-96 keeps 12 of 16 bytes. */
export const AH_ICV_LENGTH = 12;
const FIXED = 12;

export function decodeAh(b: Uint8Array): Result<AhPacket, AhError> {
  if (b.length < FIXED) return short(FIXED, b.length);
  const r = new ByteReader(b);
  const nextHeader = r.u8();
  const length = (r.u8() + 2) * 4; // RFC 4302 section 2.2: in words, less two
  if (length < FIXED) return err({ kind: 'length', have: length });
  if (b.length < length) return short(length, b.length);
  r.skip(2);
  return ok({ nextHeader, spi: r.u32(), sequence: r.u32(), icv: r.bytes(length - FIXED), payload: r.rest() });
}

/** `icv` must be a multiple of four bytes, at most 1016. */
export function encodeAh(p: AhPacket): Uint8Array {
  return new ByteWriter(FIXED + p.icv.length + p.payload.length)
    .u8(p.nextHeader)
    .u8((FIXED + p.icv.length) / 4 - 2)
    .u16(0)
    .u32(p.spi)
    .u32(p.sequence)
    .put(p.icv)
    .put(p.payload)
    .done();
}

/**
 * HMAC-MD5-96 over an IPv4 header, an AH with its ICV read as zero, and what the AH carries.
 *
 * Mutable fields of the IP header count as zero (RFC 4302 section 3.3.3.1.1): TOS, flags and fragment offset, TTL,
 * checksum. keepalived leaves the TTL in for multicast, where nobody may change it, so it is a parameter here.
 * `header` carries the total length and id as sent; IP options are not expected and count as they stand.
 */
function ahIcv(
  key: Uint8Array,
  header: Uint8Array,
  authenticated: Uint8Array,
  o: { readonly zeroTtl: boolean },
): Uint8Array {
  const ip = new Uint8Array(header); // a copy: slice() of a Buffer would be a view
  ip[1] = 0;
  ip.fill(0, 6, 8);
  if (o.zeroTtl) ip[8] = 0;
  ip.fill(0, 10, 12);
  const ah = new Uint8Array(authenticated);
  ah.fill(0, FIXED, FIXED + AH_ICV_LENGTH);
  return new Uint8Array(createHmac('md5', key).update(ip).update(ah).digest().subarray(0, AH_ICV_LENGTH));
}

/** Whether the ICV is right. `authenticated` is the AH and what it carries: the IP payload. Compared in constant time. */
export function verifyAh(
  key: Uint8Array,
  header: Uint8Array,
  authenticated: Uint8Array,
  o: { readonly zeroTtl: boolean },
): boolean {
  const decoded = decodeAh(authenticated);
  if (!decoded.ok || decoded.value.icv.length !== AH_ICV_LENGTH) return false;
  return timingSafeEqual(decoded.value.icv, ahIcv(key, header, authenticated, o));
}

/** An AH with its ICV and the payload behind it, for `header` as it will be sent (the total length is that of the whole packet). */
export function sealAh(
  key: Uint8Array,
  header: Uint8Array,
  p: Omit<AhPacket, 'icv'>,
  o: { readonly zeroTtl: boolean },
): Uint8Array {
  const out = encodeAh({ ...p, icv: new Uint8Array(AH_ICV_LENGTH) });
  out.set(ahIcv(key, header, out, o), FIXED);
  return out;
}
