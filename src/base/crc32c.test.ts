import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { crc32c, crc32cRaw } from './index.ts';

const ascii = (s: string): Uint8Array => new TextEncoder().encode(s);

test('CRC-32C of the check string and of RFC 3720 appendix B.4', () => {
  assert.equal(crc32c(ascii('123456789')), 0xe3069283);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
});
test('eight bytes at a time give what one at a time gives, and a sum can be continued', () =>
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), fc.nat(70), (bytes, cut) => {
      let bitwise = 0xffffffff;
      for (const b of bytes) {
        bitwise ^= b;
        for (let k = 0; k < 8; k++) bitwise = bitwise & 1 ? (bitwise >>> 1) ^ 0x82f63b78 : bitwise >>> 1;
      }
      assert.equal(crc32c(bytes), ~bitwise >>> 0);
      assert.equal(crc32cRaw(bytes.subarray(cut), crc32cRaw(bytes.subarray(0, cut))), crc32cRaw(bytes));
    }),
  ));
