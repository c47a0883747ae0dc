import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hex, ip, ip4, ip6 } from '../../test/support/wire.ts';
import { internetChecksum, ipBytes, us } from '../base/index.ts';
import {
  decodeAh,
  decodeIpv4,
  decodeIpv6,
  decodeVrrp,
  encodeIpv4,
  encodeVrrp,
  packAddresses,
  type ReceivedAdvert,
  sealAh,
  sumAddress,
  unpackAddresses,
  type VrrpPath,
  verifyAdvert,
  verifyAh,
  virtualMac,
} from './index.ts';

/**
 * IP packets that keepalived 2.2.7 sent on a veth (192.0.2.1, fe80::1 and 2001:db8::1 on it), each from
 *   vrrp_instance A { interface eth0; state BACKUP; virtual_router_id 51; priority 150; advert_int 1; ... }
 * with the lines given; `bye` is what it sent when it was stopped.
 */
const CAPTURED = {
  // version 2; virtual_ipaddress { 192.0.2.99/24 192.0.2.100/24 }
  v2: '45c0002c00010000ff70188dc0000201e0000012 213396020001c400c0000263c00002640000000000000000',
  v2bye: '45c0002c00030000ff70188bc0000201e0000012 2133000200015a01c0000263c00002640000000000000000',
  // version 2; authentication { auth_type PASS; auth_pass secret42 }
  v2pass: '45c0002800010000ff701891c0000201e0000012 21339601010114e8c00002637365637265743432',
  // version 3; virtual_ipaddress { 192.0.2.99/24 }
  v3: '45c0002000010000ff701899c0000201e0000012 313396010064d372c0000263',
  v3bye: '45c0002000030000ff701897c0000201e0000012 3133000100646973c0000263',
  // version 3; unicast_peer { 192.0.2.2 }
  v3unicast: '45c0002000010000ff7036a9c0000201c0000202 313396010064f182c0000263',
  // version 3; unicast_peer { 192.0.2.2 }; old_unicast_checksum
  v3old: '45c0002000010000ff7036a9c0000201c0000202 313396010064d372c0000263',
} as const;
/** version 3; virtual_ipaddress { fe80::99/64 2001:db8::99/64 } */
const V6 = `6c03cfce002870fffe800000000000000000000000000001ff020000000000000000000000000012
  3133960200640ccbfe80000000000000000000000000009920010db8000000000000000000000099`;
/** version 3; unicast_src_ip 2001:db8::1; unicast_peer { 2001:db8::2 }; virtual_ipaddress { 2001:db8::99/64 } */
const V6_UNICAST = `6c0a5cf30018704020010db800000000000000000000000120010db8000000000000000000000002
  313396010064ae1720010db8000000000000000000000099`;
/** version 2; authentication { auth_type AH; auth_pass k33p }; the second with unicast_peer { 192.0.2.2 } as well */
const AH = {
  multicast: `45c0004000010000ff3318b6c0000201e0000012
    70040000c000020100000001a12e6b73f731a82684347934 2133960102018466c00002630000000000000000`,
  unicast: `45c0004000010000ff3336c6c0000201c0000202
    70040000c0000201000000017dee542e6ce728ced11ca6f4 2133960102018466c00002630000000000000000`,
} as const;

function open(packet: string): { advert: ReceivedAdvert; path: VrrpPath; payload: Uint8Array } {
  const bytes = hex(packet);
  const six = (bytes[0] as number) >> 4 === 6;
  const outer = six ? decodeIpv6(bytes) : decodeIpv4(bytes);
  assert.ok(outer.ok);
  const { source, destination, payload } = outer.value;
  const path = { family: six ? 6 : 4, source, destination } as const;
  const got = decodeVrrp(payload, path);
  if (!got.ok) assert.fail(JSON.stringify(got.error));
  return { advert: got.value, path, payload };
}

for (const [name, packet] of Object.entries({ ...CAPTURED, V6, V6_UNICAST }))
  test(`what keepalived sent is decoded and encoded to the same bytes: ${name}`, () => {
    const { advert, path, payload } = open(packet);
    assert.deepEqual(encodeVrrp(advert, path, advert.checksum), payload);
  });

test('the fields of what keepalived sent are what it was configured with', () => {
  const { advert } = open(CAPTURED.v2);
  assert.deepEqual(
    [advert.version, advert.virtualRouter, advert.priority, advert.interval, advert.authType],
    [2, 51, 150, 1_000_000, 0],
  );
  assert.deepEqual(unpackAddresses(advert.addresses, 4), ['192.0.2.99', '192.0.2.100']);
  assert.equal(open(CAPTURED.v2bye).advert.priority, 0);
  const pass = open(CAPTURED.v2pass).advert;
  assert.deepEqual([pass.authType, Buffer.from(pass.authData).toString()], [1, 'secret42']);
  assert.equal(open(CAPTURED.v3).advert.interval, 1_000_000);
  assert.equal(open(CAPTURED.v3bye).advert.priority, 0);
  assert.deepEqual(unpackAddresses(open(V6).advert.addresses, 6), ['fe80::99', '2001:db8::99']);
});

test('decoding tells which form of checksum matched', () => {
  assert.equal(open(CAPTURED.v2).advert.checksum, 'plain');
  assert.equal(open(CAPTURED.v3).advert.checksum, 'pseudo-header');
  assert.equal(open(CAPTURED.v3unicast).advert.checksum, 'pseudo-header');
  assert.equal(open(CAPTURED.v3old).advert.checksum, 'pseudo-header-group');
  assert.equal(open(V6).advert.checksum, 'pseudo-header');
  const { advert, path } = open(CAPTURED.v3);
  const plain = encodeVrrp(advert, path, 'plain');
  assert.equal(internetChecksum(plain), 0, 'nothing but the packet is summed');
  const got = decodeVrrp(plain, path);
  assert.equal(got.ok && got.value.checksum, 'plain');
});

test('the form with the group is looked for in unicast only, and with the group that is configured', () => {
  const group = ip('224.0.0.77');
  const unicast = { family: 4, source: ip('192.0.2.1'), destination: ip('192.0.2.2') } as const;
  const packet = encodeVrrp(open(CAPTURED.v3).advert, { ...unicast, group }, 'pseudo-header-group');
  const known = decodeVrrp(packet, { ...unicast, group });
  assert.equal(known.ok && known.value.checksum, 'pseudo-header-group');
  assert.equal(decodeVrrp(packet, unicast).ok, false);
  assert.equal(decodeVrrp(packet, { ...unicast, destination: ip('224.0.0.18'), group }).ok, false);
});

test('every single damaged bit of a packet is noticed', () => {
  for (const packet of [CAPTURED.v2pass, CAPTURED.v3, V6]) {
    const { payload, path } = open(packet);
    for (let bit = 0; bit < payload.length * 8; bit++) {
      const damaged = payload.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      assert.equal(decodeVrrp(damaged, path).ok, false, `bit ${bit}`);
    }
  }
});

test('the error of a wrong checksum says what would have been right', () => {
  const { payload, path } = open(CAPTURED.v3);
  const damaged = payload.slice();
  damaged[6] = 0;
  damaged[7] = 1;
  assert.deepEqual(decodeVrrp(damaged, path), { ok: false, error: { kind: 'checksum', have: 1, want: 0xd372 } });
});

test('what follows the packet is handed on and not part of the checksum', () => {
  const { payload, path } = open(CAPTURED.v3);
  const got = decodeVrrp(Uint8Array.of(...payload, 1, 2, 3), path);
  assert.ok(got.ok);
  assert.deepEqual([got.value.pdu, got.value.trailer], [payload, Uint8Array.of(1, 2, 3)]);
});

test('intervals are whole seconds in version 2 and hundredths up to 40.95 s in version 3', () => {
  const { advert, path } = open(CAPTURED.v3);
  const through = (version: 2 | 3, interval: number): number => {
    const a = { ...advert, version, interval: us(interval), authData: new Uint8Array(8) };
    const got = decodeVrrp(encodeVrrp(a, path, 'pseudo-header'), path);
    return got.ok ? got.value.interval : Number.NaN;
  };
  assert.equal(through(3, 40_950_000), 40_950_000);
  assert.equal(through(3, 10_000), 10_000);
  assert.equal(through(3, 14_999), 10_000);
  assert.equal(through(2, 255_000_000), 255_000_000);
});

test('versions, types and virtual router 0 that do not exist are refused by name', () => {
  const { payload, path } = open(CAPTURED.v3);
  const kind = (at: number, value: number): string | undefined => {
    const b = payload.slice();
    b[at] = value;
    const got = decodeVrrp(b, path);
    return got.ok ? undefined : got.error.kind;
  };
  assert.equal(kind(0, 0x41), 'version');
  assert.equal(kind(0, 0x32), 'type');
  assert.equal(kind(1, 0), 'virtual-router');
  assert.equal(kind(3, 200), 'short');
});

for (const [name, packet] of Object.entries(AH)) {
  const key = new TextEncoder().encode('k33p');
  const zeroTtl = name === 'unicast';
  test(`the integrity check value that keepalived sent by ${name} is ours`, () => {
    const bytes = hex(packet);
    const outer = decodeIpv4(bytes);
    assert.ok(outer.ok);
    const header = bytes.subarray(0, 20);
    const inner = decodeAh(outer.value.payload);
    assert.ok(inner.ok);
    assert.deepEqual([inner.value.nextHeader, inner.value.spi, inner.value.sequence], [112, 0xc0000201, 1]);
    const before = bytes.slice();
    assert.equal(verifyAh(key, header, outer.value.payload, { zeroTtl }), true);
    assert.deepEqual(bytes, before, 'verifying changes nothing');
    assert.deepEqual(sealAh(key, header, inner.value, { zeroTtl }), outer.value.payload);
    // What a socket hands over may be a Buffer, whose slice() would be a view: it must stay as it was.
    const buffer = Buffer.from(bytes);
    assert.equal(verifyAh(key, buffer.subarray(0, 20), buffer.subarray(20), { zeroTtl }), true);
    assert.deepEqual(new Uint8Array(buffer), bytes);

    assert.equal(verifyAh(key, header, outer.value.payload, { zeroTtl: !zeroTtl }), false);
    assert.equal(verifyAh(new TextEncoder().encode('k33q'), header, outer.value.payload, { zeroTtl }), false);
    const hop = encodeIpv4({ ...outer.value, tos: 0, ttl: 254 }).subarray(0, 20);
    assert.equal(verifyAh(key, hop, outer.value.payload, { zeroTtl }), zeroTtl, 'only a mutable field may change');
    const advert = decodeVrrp(inner.value.payload, { ...outer.value, family: 4 });
    assert.equal(advert.ok && advert.value.authType, 2);
  });
}

test('no header, authentication header, packet or trailer makes verifying throw, and none made up passes', () => {
  const any = fc.uint8Array({ maxLength: 80 });
  fc.assert(
    fc.property(any, any, any, fc.boolean(), (key, header, packet, zeroTtl) => {
      assert.equal(verifyAh(key, header, packet, { zeroTtl }), false);
      assert.equal(verifyAdvert(key, packet, header, { family: 4, source: ip('192.0.2.1') }), false);
    }),
  );
  // As long as a real one: 24 bytes of AH, 28 of trailer.
  const exact = fc.tuple(
    fc.uint8Array({ minLength: 24, maxLength: 24 }),
    fc.uint8Array({ minLength: 28, maxLength: 28 }),
  );
  fc.assert(
    fc.property(any, exact, (key, [ah, trailer]) => {
      ah[1] = 4;
      assert.equal(verifyAh(key, new Uint8Array(20), ah, { zeroTtl: true }), false);
      assert.equal(verifyAdvert(key, ah, trailer, { family: 6, source: ip('fe80::1') }), false);
    }),
  );
});

test("the sum of an address's words read from its text is that of its bytes", () =>
  fc.assert(
    fc.property(fc.oneof(ip4, ip6), (a) => {
      assert.equal(internetChecksum(new Uint8Array(0), sumAddress(a)), internetChecksum(ipBytes(a)));
    }),
  ));
test('packed addresses unpack to the same list', () =>
  fc.assert(
    fc.property(fc.array(ip6, { maxLength: 90 }), (list) =>
      assert.deepEqual(unpackAddresses(packAddresses(list), 6), list),
    ),
  ));
test('virtual hardware addresses are those of RFC 9568 section 7.3', () => {
  assert.equal(virtualMac(4, 52), '00:00:5e:00:01:34');
  assert.equal(virtualMac(6, 255), '00:00:5e:00:02:ff');
});
