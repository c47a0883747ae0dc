/**
 * keepalived 2.4's `auth_hmac`: 28 bytes behind a VRRP advertisement that say when, by which key, and that it is genuine.
 * Which keys are valid, how old a message may be and whether it was seen before is for the router to judge.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { ByteReader, ByteWriter, err, type Family, type IpAddress, ipBytes, ok, type Result } from '../base/index.ts';
import { type Short, short } from './short.ts';

export type HmacStamp = {
  /** 1..255. */
  readonly keyId: number;
  /** Whole seconds since the Unix epoch, 32 bits. */
  readonly seconds: number;
  /** Fraction of the second in 1/65536. */
  readonly fraction: number;
  /** Counts messages of the same instant. */
  readonly counter: number;
};
export type HmacTrailer = HmacStamp & {
  /** HMAC-SHA256, the first 16 bytes. */
  readonly mac: Uint8Array;
};
export type HmacTrailerError = Short | { readonly kind: 'scheme'; readonly have: number } | { readonly kind: 'key-id' };
/** What the MAC covers besides the packet. The source is the address in the IP header. */
export type HmacContext = { readonly family: Family; readonly source: IpAddress };

export const HMAC_TRAILER_LENGTH = 28;
const SCHEME_SHA256_128 = 1;
const STAMP_LENGTH = 12;
const MAC_LENGTH = 16;
const ZERO_MAC = new Uint8Array(MAC_LENGTH);

/** Exactly 28 bytes are a trailer. */
export function decodeHmacTrailer(b: Uint8Array): Result<HmacTrailer, HmacTrailerError> {
  if (b.length !== HMAC_TRAILER_LENGTH) return short(HMAC_TRAILER_LENGTH, b.length);
  const r = new ByteReader(b);
  const scheme = r.u8();
  if (scheme !== SCHEME_SHA256_128) return err({ kind: 'scheme', have: scheme });
  const keyId = r.u8();
  if (keyId === 0) return err({ kind: 'key-id' });
  r.skip(2);
  return ok({ keyId, seconds: r.u32(), fraction: r.u16(), counter: r.u16(), mac: r.bytes(MAC_LENGTH) });
}

export function encodeHmacTrailer(t: HmacTrailer): Uint8Array {
  return new ByteWriter(HMAC_TRAILER_LENGTH)
    .u8(SCHEME_SHA256_128)
    .u8(t.keyId)
    .u16(0)
    .u32(t.seconds)
    .u16(t.fraction)
    .u16(t.counter)
    .put(t.mac)
    .done();
}

/** Over a pseudo-header of 20 bytes, the advertisement with its checksum read as zero, the stamp, and 16 zeros for the MAC. */
function macOf(key: Uint8Array, pdu: Uint8Array, stamp: Uint8Array, context: HmacContext): Uint8Array {
  const pseudo = new Uint8Array(20);
  pseudo[0] = context.family;
  pseudo[1] = (pdu[0] as number) >> 4;
  pseudo[2] = pdu[1] as number;
  pseudo.set(ipBytes(context.source), 4);
  const covered = new Uint8Array(pdu); // a copy: slice() of a Buffer would be a view
  covered.fill(0, 6, 8);
  const hmac = createHmac('sha256', key).update(pseudo).update(covered).update(stamp).update(ZERO_MAC);
  return new Uint8Array(hmac.digest().subarray(0, MAC_LENGTH));
}

/** The trailer to send behind `pdu`, an encoded advertisement of any version. */
export function signAdvert(key: Uint8Array, pdu: Uint8Array, stamp: HmacStamp, context: HmacContext): Uint8Array {
  const trailer = encodeHmacTrailer({ ...stamp, mac: ZERO_MAC });
  trailer.set(macOf(key, pdu, trailer.subarray(0, STAMP_LENGTH), context), STAMP_LENGTH);
  return trailer;
}

/** Whether `trailer` (28 bytes, decoded without error) was made for `pdu` with this key. Compared in constant time. */
export function verifyAdvert(key: Uint8Array, pdu: Uint8Array, trailer: Uint8Array, context: HmacContext): boolean {
  if (trailer.length !== HMAC_TRAILER_LENGTH) return false;
  return timingSafeEqual(trailer.subarray(STAMP_LENGTH), macOf(key, pdu, trailer.subarray(0, STAMP_LENGTH), context));
}
