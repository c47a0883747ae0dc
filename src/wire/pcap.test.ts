import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hex } from '../../test/support/wire.ts';
import { us } from '../base/index.ts';
import { decodePcap, encodePcap, LINK_TYPE } from './index.ts';

const packet = {
  at: us(1_700_000_000_123_456),
  linkType: LINK_TYPE.ethernet,
  wireLength: 60,
  bytes: hex('0102030405'),
};
const read = (s: string): unknown => {
  const got = decodePcap(hex(s));
  return got.ok ? got.value : got.error;
};

test('classic files are read in both byte orders, with micro- and nanoseconds', () => {
  const whole = { packets: [packet], truncated: false };
  const big = '0002000400000000000000000004000000000001 6553f100';
  const little = '0200040000000000000000000000040001000000 00f15365';
  assert.deepEqual(read(`a1b2c3d4 ${big} 0001e240 00000005 0000003c 0102030405`), whole);
  assert.deepEqual(read(`a1b23c4d ${big} 075bca15 00000005 0000003c 0102030405`), {
    packets: [{ ...packet, at: 1_700_000_000_123_456 }],
    truncated: false,
  });
  assert.deepEqual(read(`d4c3b2a1 ${little} 40e20100 05000000 3c000000 0102030405`), whole);
  assert.deepEqual(read(`4d3cb2a1 ${little} 15ca5b07 05000000 3c000000 0102030405`), whole);
});

const SECTION = '0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000';
/** Ethernet; if_tsresol 9: nanoseconds. */
const INTERFACE = '01000000 20000000 0100 0000 00000400 0900 0100 09000000 0000 0000 20000000';

test('pcapng: enhanced packets with the resolution of their interface, unknown blocks skipped', () => {
  const ticks = 1_700_000_000_123_456_000n;
  const u32 = (n: bigint): string => {
    const b = Buffer.alloc(4);
    b.writeUInt32LE(Number(n & 0xffff_ffffn));
    return b.toString('hex');
  };
  const enhanced = `06000000 28000000 00000000 ${u32(ticks >> 32n)} ${u32(ticks)} 05000000 3c000000 0102030405000000 28000000`;
  const statistics = '05000000 10000000 00000000 10000000';
  const got = decodePcap(hex(SECTION + INTERFACE + statistics + enhanced));
  assert.ok(got.ok);
  const [first] = got.value.packets;
  assert.ok(first);
  // 64-bit nanoseconds pass through a double: good to a quarter of a microsecond.
  assert.ok(Math.abs(first.at - packet.at) <= 1);
  assert.deepEqual({ ...first, at: packet.at }, packet);
  assert.equal(got.value.truncated, false);
});
test('pcapng: a simple packet is as long as the interface let it be', () => {
  const simple = '03000000 18000000 3c000000 0102030405060708 18000000';
  const narrow = '01000000 14000000 0100 0000 05000000 14000000';
  assert.deepEqual(read(SECTION + narrow + simple), { packets: [{ ...packet, at: 0 }], truncated: false });
});
test('pcapng in the other byte order', () => {
  const section = '0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c';
  assert.deepEqual(read(`${section} 00000001 00000014 0001 0000 00040000 00000014`), { packets: [], truncated: false });
});

test('a file cut in the middle of a record yields what was whole', () => {
  const file = encodePcap({ packets: [packet, packet] });
  const got = decodePcap(file.subarray(0, file.length - 1));
  assert.deepEqual(got, { ok: true, value: { packets: [packet], truncated: true } });
});
test('what cannot be is refused by name and place', () => {
  assert.deepEqual(read('00112233 00000000 00000000'), { kind: 'magic', have: 0x00112233 });
  assert.deepEqual(read('a1b2c3d4 0003 0000 00000000 00000000 00040000 00000001'), {
    kind: 'version',
    major: 3,
    minor: 0,
  });
  const record = 'a1b2c3d4 0002000400000000000000000004000000000001 00000000 00000000 7fffffff 00000000';
  assert.deepEqual(read(record), { kind: 'record', at: 24, length: 0x7fffffff });
  assert.deepEqual(read(`${SECTION} 06000000 00000000 00000000`), { kind: 'record', at: 28, length: 0 });
  const greedy = '06000000 24000000 00000000 00000000 00000000 05000000 05000000 01020304 24000000';
  assert.deepEqual(read(SECTION + INTERFACE + greedy), { kind: 'record', at: 60, length: 5 });
  const orphan = '06000000 20000000 03000000 00000000 00000000 00000000 00000000 20000000';
  assert.deepEqual(read(SECTION + INTERFACE + orphan), { kind: 'interface', at: 60, have: 3 });
});
