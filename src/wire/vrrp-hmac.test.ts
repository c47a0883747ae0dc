import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { hex, ip } from '../../test/support/wire.ts';
import { decodeHmacTrailer, HMAC_TRAILER_LENGTH, signAdvert, verifyAdvert } from './index.ts';

const pdu = hex('313396010064d372c0000263');
const key = new TextEncoder().encode('correct horse battery staple');
const stamp = { keyId: 7, seconds: 1_700_000_000, fraction: 0x8000, counter: 3 };
const context = { family: 4, source: ip('192.0.2.1') } as const;

test('the MAC covers what keepalived 2.4 documents, field by field', () => {
  const trailer = signAdvert(key, pdu, stamp, context);
  assert.equal(trailer.length, HMAC_TRAILER_LENGTH);
  // family, version, virtual router, zero, source left-justified; checksum as zero; stamp; zeros for the MAC
  const covered = hex(`
    04 03 33 00 c0000201 000000000000000000000000
    313396010064 0000 c0000263
    01 07 0000 6553f100 8000 0003
    00000000000000000000000000000000`);
  const mac = createHmac('sha256', key).update(covered).digest().subarray(0, 16);
  assert.equal(
    Buffer.from(trailer).toString('hex'),
    `01070000 6553f100 8000 0003`.replaceAll(' ', '') + mac.toString('hex'),
  );
  assert.deepEqual(decodeHmacTrailer(trailer), { ok: true, value: { ...stamp, mac: new Uint8Array(mac) } });
});

test('a trailer is good for its packet, key, source and family only, whatever the checksum field holds', () => {
  const trailer = signAdvert(key, pdu, stamp, context);
  const buffer = Buffer.from(pdu); // its slice() would be a view
  assert.equal(verifyAdvert(key, buffer, trailer, context), true);
  assert.deepEqual(new Uint8Array(buffer), pdu);
  assert.equal(verifyAdvert(key, hex('3133960100640000c0000263'), trailer, context), true);
  assert.equal(verifyAdvert(key, hex('313397010064d372c0000263'), trailer, context), false);
  assert.equal(verifyAdvert(key.slice(1), pdu, trailer, context), false);
  assert.equal(verifyAdvert(key, pdu, trailer, { ...context, source: ip('192.0.2.2') }), false);
  assert.equal(verifyAdvert(key, pdu, trailer, { family: 6, source: ip('fe80::1') }), false);
  for (let bit = 0; bit < trailer.length * 8; bit++) {
    const damaged = trailer.slice();
    damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
    assert.equal(verifyAdvert(key, pdu, damaged, context), false, `bit ${bit}`);
  }
});

test('only 28 bytes of scheme 1 with a key number are a trailer', () => {
  const trailer = signAdvert(key, pdu, stamp, context);
  const kind = (b: Uint8Array): string => {
    const got = decodeHmacTrailer(b);
    return got.ok ? 'ok' : got.error.kind;
  };
  assert.equal(kind(trailer.subarray(1)), 'short');
  assert.equal(kind(Uint8Array.of(2, ...trailer.subarray(1))), 'scheme');
  assert.equal(kind(Uint8Array.of(1, 0, ...trailer.subarray(2))), 'key-id');
  assert.equal(verifyAdvert(key, pdu, trailer.subarray(1), context), false);
});
