import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readDrbdCapture } from '../../../test/support/captures.ts';
import { hex, ip } from '../../../test/support/wire.ts';
import { us } from '../../base/index.ts';
import {
  type CapturedPacket,
  encodeIpv6,
  encodeTcp,
  gratuitousArp,
  LINK_TYPE,
  type MacAddress,
  type TcpSegment,
  TcpStream,
  unsolicitedAdvertisement,
} from '../index.ts';
import { dissect, renderMessage } from './index.ts';

const mac = '02:00:00:00:00:01' as MacAddress;
const captured = (bytes: Uint8Array, linkType: number = LINK_TYPE.ethernet): CapturedPacket => ({
  at: us(1_000_000),
  linkType,
  wireLength: bytes.length,
  bytes,
});
const lines = (...packets: CapturedPacket[]): string[] =>
  dissect({ packets, truncated: false }).messages.map((m) => renderMessage(m, 0).trim());
const segment = (seq: number, payload: Uint8Array, flags = 0x10): TcpSegment => ({
  sourcePort: 40000,
  destinationPort: 7788,
  seq: seq >>> 0,
  ack: 0,
  flags,
  window: 100,
  checksum: 0,
  urgent: 0,
  options: new Uint8Array(0),
  payload,
});

test('ARP, neighbour discovery and VRRP are told with their fields', () => {
  assert.deepEqual(lines(captured(gratuitousArp(mac, ip('192.0.2.99')))), [
    '1.000000 02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff ARP gratuitous-request sender=192.0.2.99 sender-mac=02:00:00:00:00:01 target=192.0.2.99 target-mac=ff:ff:ff:ff:ff:ff',
  ]);
  assert.deepEqual(lines(captured(unsolicitedAdvertisement(mac, ip('fe80::99'), false))), [
    '1.000000 fe80::99 > ff02::1 NDP advertisement target=fe80::99 router=false solicited=false override=true target-link-layer=02:00:00:00:00:01',
  ]);
  const advert = hex('45c0002000010000ff701899c0000201e0000012 313396010064d372c0000263');
  assert.deepEqual(lines(captured(advert, LINK_TYPE.raw)), [
    '1.000000 192.0.2.1 > 224.0.0.18 VRRP advertisement version=3 vrid=51 priority=150 interval=1s addresses=192.0.2.99 checksum=pseudo-header',
  ]);
  advert[25] = 1;
  assert.match(lines(captured(advert, LINK_TYPE.raw))[0] as string, /VRRP error kind=checksum have=\d+ want=\d+$/);
});
test('what is not spoken here is counted, and not shown', () => {
  const frame = hex('ffffffffffff 020000000001 88cc 0207');
  assert.deepEqual(dissect({ packets: [captured(frame)], truncated: false }), { messages: [], others: 1 });
});
test('DRBD over IPv6 is found at any port, its ends in brackets', () => {
  const ping = hex('8620ec20 0000 0013 00000000 00000000');
  const packet = encodeIpv6({
    trafficClass: 0,
    flowLabel: 0,
    hopLimit: 64,
    source: ip('fe80::1'),
    destination: ip('fe80::2'),
    extensions: [],
    protocol: 6,
    payload: encodeTcp(segment(1, ping)),
  });
  assert.deepEqual(lines(captured(packet, LINK_TYPE.raw)), [
    '1.000000 [fe80::1]:40000 > [fe80::2]:7788 DRBD P_PING socket=meta header=h100 volume=0',
  ]);
});
test('a capture that begins in the middle of a packet is read from the next header on, and says what it skipped', () => {
  const { packets } = readDrbdCapture('03-writes-protocol-C');
  const all = dissect({ packets, truncated: false }).messages;
  // Packets 28 to 88 of the file carry one write of 64 KiB.
  const some = dissect({ packets: packets.slice(50), truncated: false }).messages;
  const first = some.find((m) => m.protocol === 'DRBD');
  assert.equal(first?.message, 'skipped');
  assert.ok(Number(first.fields.find(([n]) => n === 'bytes')?.[1]) > 1000);
  const names = some.filter((m) => m.protocol === 'DRBD').map((m) => m.message);
  assert.ok(names.length > 5);
  const rest = names.slice(1);
  assert.deepEqual(
    rest,
    all
      .filter((m) => m.protocol === 'DRBD')
      .map((m) => m.message)
      .slice(-rest.length),
  );
});

test('segments in any order, twice and overlapping, give the stream once and in order', () =>
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 300 }),
      fc.array(fc.tuple(fc.nat(300), fc.integer({ min: 1, max: 80 })), { maxLength: 60 }),
      fc.integer({ min: 0, max: 0xffff_ffff }),
      fc.infiniteStream(fc.nat()),
      (bytes, extra, start, order) => {
        const parts: [number, Uint8Array][] = [];
        for (let at = 0; at < bytes.length; at += 37) parts.push([at, bytes.subarray(at, at + 37)]);
        for (const [at, n] of extra) if (at < bytes.length) parts.push([at, bytes.subarray(at, at + n)]);
        const shuffled = parts
          .map((p) => [order.next().value as number, p] as const)
          .sort((a, b) => a[0] - b[0])
          .map(([, p]) => p);
        const stream = new TcpStream();
        stream.segment(segment(start, new Uint8Array(0), 0x02));
        const got = shuffled.flatMap(([at, b]) => stream.segment(segment(start + 1 + at, b)));
        assert.ok(got.every((p) => p.kind === 'bytes'));
        assert.deepEqual(Uint8Array.from(got.flatMap((p) => (p.kind === 'bytes' ? [...p.bytes] : []))), bytes);
        assert.deepEqual(stream.end(), []);
      },
    ),
  ));
test('bytes that the capture has not are a gap, told at the end', () => {
  const stream = new TcpStream();
  assert.equal(stream.segment(segment(1, Uint8Array.of(1, 2))).length, 1);
  assert.deepEqual(stream.segment(segment(8, Uint8Array.of(9))), []);
  assert.deepEqual(stream.end(), [
    { kind: 'gap', length: 5 },
    { kind: 'bytes', bytes: Uint8Array.of(9) },
  ]);
});
test('a segment that is lost for good does not keep the rest for ever', () => {
  const stream = new TcpStream();
  stream.segment(segment(0, Uint8Array.of(1)));
  const big = new Uint8Array(1 << 16);
  let at = 1000;
  for (let i = 0; i < 256; i++, at += big.length) assert.deepEqual(stream.segment(segment(at, big)), []);
  const out = stream.segment(segment(at, big));
  assert.deepEqual(out[0], { kind: 'gap', length: 999 });
  assert.equal(out.length, 258);
});
test('the same ports used again begin a new connection', () => {
  const stream = new TcpStream();
  stream.segment(segment(100, Uint8Array.of(1, 2, 3)));
  stream.segment(segment(5000, new Uint8Array(0), 0x02));
  assert.deepEqual(stream.segment(segment(5001, Uint8Array.of(7))), [{ kind: 'bytes', bytes: Uint8Array.of(7) }]);
});
