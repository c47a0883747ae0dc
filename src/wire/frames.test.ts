import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hex, ip } from '../../test/support/wire.ts';
import {
  arpRequest,
  decodeArp,
  decodeBfd,
  decodeEthernet,
  decodeIcmp,
  decodeIpv4,
  decodeIpv6,
  decodeNdp,
  decodeUdp,
  duplicateProbe,
  encodeBfd,
  encodeEthernet,
  encodeIcmp,
  encodeIpv4,
  encodeUdp,
  gratuitousArp,
  type MacAddress,
  macBytes,
  multicastMac,
  renumberIpv4,
  unsolicitedAdvertisement,
} from './index.ts';

const mac = '02:00:00:00:00:01' as MacAddress;
const kindOf = (r: { ok: true } | { ok: false; error: { kind: string } }): string => (r.ok ? 'ok' : r.error.kind);

// The three frames below are keepalived 2.2.7's own, on becoming master of 192.0.2.99, fe80::99 and 2001:db8::99.
test('a gratuitous ARP is byte for byte what keepalived sends', () => {
  const frame = hex(`ffffffffffff 020000000001 0806 0001080006040001
    020000000001 c0000263 ffffffffffff c0000263`);
  assert.deepEqual(gratuitousArp(mac, ip('192.0.2.99')), frame);
});
test('an unsolicited neighbour advertisement is byte for byte what keepalived sends', () => {
  assert.deepEqual(
    unsolicitedAdvertisement(mac, ip('fe80::99'), false),
    hex(`333300000001 020000000001 86dd 6000000000203aff fe800000000000000000000000000099
      ff020000000000000000000000000001 8800566b20000000 fe800000000000000000000000000099 0201 020000000001`),
  );
  assert.deepEqual(
    unsolicitedAdvertisement(mac, ip('2001:db8::99'), false),
    hex(`333300000001 020000000001 86dd 6000000000203aff 20010db8000000000000000000000099
      ff020000000000000000000000000001 8800f7fa20000000 20010db8000000000000000000000099 0201 020000000001`),
  );
});
test('the router flag of an advertisement says whether the link forwards', () => {
  const frame = decodeEthernet(unsolicitedAdvertisement(mac, ip('fe80::99'), true));
  const packet = frame.ok ? decodeIpv6(frame.value.payload) : assert.fail();
  const message = packet.ok ? decodeNdp(packet.value.payload, packet.value) : assert.fail();
  assert.deepEqual(message.ok && message.value, {
    kind: 'advertisement',
    target: 'fe80::99',
    router: true,
    solicited: false,
    override: true,
    options: [{ kind: 'target-link-layer', mac }],
  });
});

test('a BFD packet of keepalived is decoded and encoded to the same bytes', () => {
  // bfd_instance B { neighbor_ip 192.0.2.2; source_ip 192.0.2.1; min_rx 200; min_tx 200; idle_tx 1000 }, nobody answering
  const bytes = hex('204005186c7c49ed00000000000f424000030d4000000000');
  const got = decodeBfd(bytes);
  assert.deepEqual(got.ok && got.value, {
    diagnostic: 0,
    state: 'down',
    poll: false,
    final: false,
    controlPlaneIndependent: false,
    demand: false,
    multiplier: 5,
    myDiscriminator: 0x6c7c49ed,
    yourDiscriminator: 0,
    desiredMinTx: 1_000_000,
    requiredMinRx: 200_000,
    requiredMinEchoRx: 0,
    authentication: undefined,
  });
  assert.deepEqual(got.ok && encodeBfd(got.value), bytes);
});
test('BFD packets that RFC 5880 section 6.8.6 has thrown away are refused by name', () => {
  const good = hex('20c005180000000100000002000f4240000f424000000000');
  const bad = (at: number, value: number): string => {
    const b = good.slice();
    b[at] = value;
    return kindOf(decodeBfd(b));
  };
  assert.equal(kindOf(decodeBfd(good)), 'ok');
  assert.equal(bad(0, 0x40), 'version');
  assert.equal(bad(3, 23), 'length');
  assert.equal(bad(3, 25), 'length');
  assert.equal(bad(2, 0), 'multiplier');
  assert.equal(bad(1, 0xc1), 'multipoint');
  assert.equal(bad(7, 0), 'my-discriminator');
  assert.equal(bad(1, 0xc4), 'length', 'an authentication section announced and absent');
});

test('a tagged frame yields its tags outermost first, and the type behind them', () => {
  const got = decodeEthernet(hex('ffffffffffff 020000000001 88a8 a064 8100 1065 0800 45'));
  assert.deepEqual(got.ok && [got.value.tags, got.value.etherType, got.value.payload], [
    [
      { protocol: 0x88a8, priority: 5, dropEligible: false, id: 100 },
      { protocol: 0x8100, priority: 0, dropEligible: true, id: 101 },
    ],
    0x0800,
    Uint8Array.of(0x45),
  ]);
  assert.equal(kindOf(decodeEthernet(hex('ffffffffffff 020000000001 8100 0001'))), 'short');
});
test('duplicate address detection asks the solicited-node group, from no address', () => {
  const f = decodeEthernet(duplicateProbe(mac, ip('fd00:9::12:3456')));
  assert.ok(f.ok);
  assert.equal(f.value.destination, '33:33:ff:12:34:56');
  const packet = decodeIpv6(f.value.payload);
  assert.ok(packet.ok);
  const { source, destination, hopLimit, payload } = packet.value;
  assert.deepEqual([source, destination, hopLimit], ['::', 'ff02::1:ff12:3456', 255]);
  const asked = decodeNdp(payload, { source, destination });
  assert.deepEqual(asked.ok && asked.value, { kind: 'solicitation', target: 'fd00:9::12:3456', options: [] });
});
test('padding to the shortest frame is no part of an ARP or IPv4 packet', () => {
  const arp = decodeEthernet(
    encodeEthernet({ destination: mac, source: mac, tags: [], etherType: 0x806, payload: new Uint8Array(46) }),
  );
  assert.ok(arp.ok);
  const asked = decodeEthernet(arpRequest(mac, ip('192.0.2.1'), ip('192.0.2.2')));
  assert.ok(asked.ok);
  arp.value.payload.set(asked.value.payload);
  assert.deepEqual(decodeArp(arp.value.payload), decodeArp(asked.value.payload));
  const packet = hex('45c0002000010000ff701899c0000201e0000012 313396010064d372c0000263 000000000000');
  const ipv4 = decodeIpv4(packet);
  assert.equal(ipv4.ok && ipv4.value.payload.length, 12);
});
test('ARP of another hardware, protocol or operation is refused by name', () => {
  const good = hex('0001080006040001 020000000001 c0000263 ffffffffffff c0000263');
  const bad = (at: number, value: number): string => {
    const b = good.slice();
    b[at] = value;
    return kindOf(decodeArp(b));
  };
  assert.deepEqual([bad(1, 6), bad(4, 8), bad(3, 6), bad(7, 3)], ['hardware', 'hardware', 'protocol', 'operation']);
});
test('a damaged IPv4 header is refused with the checksum that it should have', () => {
  const packet = hex('45c0002000010000ff701899c0000201e0000012 313396010064d372c0000263');
  packet[10] = 0;
  assert.deepEqual(decodeIpv4(packet), { ok: false, error: { kind: 'checksum', have: 0x99, want: 0x1899 } });
});
test('a packet that is given another number is the packet that would have been made with it', () => {
  const word = fc.integer({ min: 0, max: 0xffff });
  const made = (id: number, tos: number): Uint8Array =>
    encodeIpv4({
      tos,
      id,
      dontFragment: false,
      moreFragments: false,
      fragmentOffset: 0,
      ttl: 255,
      protocol: 112,
      source: ip('192.0.2.1'),
      destination: ip('224.0.0.18'),
      options: new Uint8Array(0),
      payload: hex('313396010064d372c0000263'),
    });
  fc.assert(
    fc.property(word, word, fc.integer({ min: 0, max: 255 }), (before, after, tos) => {
      const packet = made(before, tos);
      renumberIpv4(packet, after);
      assert.deepEqual(packet, made(after, tos));
    }),
  );
});
test('IPv4 options are filled up to a multiple of four', () => {
  const got = decodeIpv4(
    encodeIpv4({
      tos: 0,
      id: 1,
      dontFragment: true,
      moreFragments: false,
      fragmentOffset: 0,
      ttl: 1,
      protocol: 2,
      source: ip('192.0.2.1'),
      destination: ip('224.0.0.22'),
      options: hex('9404000094'), // router alert and one byte more
      payload: new Uint8Array(0),
    }),
  );
  assert.deepEqual(got.ok && got.value.options, hex('9404000094000000'));
});
test('an IPv6 packet with endless extension headers is refused, not followed', () => {
  const chain = hex('3c00000000000000'.repeat(40));
  const packet = new Uint8Array(40 + chain.length);
  packet.set(hex('60000000 0000 3c40'));
  new DataView(packet.buffer).setUint16(4, chain.length);
  packet.set(chain, 40);
  assert.equal(kindOf(decodeIpv6(packet)), 'extensions');
});
test('an option of length zero ends a neighbour discovery packet, not the decoder', () => {
  const path = { source: ip('fe80::1'), destination: ip('ff02::1') };
  const got = decodeNdp(
    hex('8700 8dc5 00000000 fe800000000000000000000000000099 0100 000000000000').map((b, i) =>
      i === 2 || i === 3 ? 0 : b,
    ),
    path,
  );
  assert.ok(!got.ok && got.error.kind === 'checksum');
  const fixed = hex('8700 0000 00000000 fe800000000000000000000000000099 0100 000000000000');
  new DataView(fixed.buffer).setUint16(2, got.error.want);
  assert.deepEqual(decodeNdp(fixed, path), { ok: false, error: { kind: 'option', at: 24 } });
});
test('UDP without a checksum passes over IPv4 and not over IPv6', () => {
  const four = { source: ip('192.0.2.1'), destination: ip('192.0.2.2') };
  const six = { source: ip('fe80::1'), destination: ip('fe80::2') };
  const datagram = { sourcePort: 49152, destinationPort: 3784, payload: Uint8Array.of(1, 2, 3) };
  const bare = encodeUdp(datagram, four);
  bare.fill(0, 6, 8);
  assert.deepEqual(decodeUdp(bare, four), { ok: true, value: datagram });
  assert.equal(kindOf(decodeUdp(bare, six)), 'checksum');
});
test('a UDP checksum that adds up to zero is sent as all ones, since zero says that there is none', () => {
  const path = { source: ip('fe80::1'), destination: ip('fe80::2') };
  let ones = 0;
  for (let v = 0; v <= 0xffff; v++) {
    const datagram = { sourcePort: 49152, destinationPort: 3784, payload: Uint8Array.of(v >> 8, v & 0xff) };
    const bytes = encodeUdp(datagram, path);
    const field = ((bytes[6] as number) << 8) | (bytes[7] as number);
    assert.notEqual(field, 0);
    if (field !== 0xffff) continue;
    ones++;
    assert.deepEqual(decodeUdp(bytes, path), { ok: true, value: datagram });
  }
  assert.ok(ones > 0);
});
test('an ICMP error carries the parameter and the packet that caused it', () => {
  const path = { family: 4, source: ip('192.0.2.1'), destination: ip('192.0.2.2') } as const;
  // RFC 1191: fragmentation needed, next hop takes 1400 bytes
  const m = { kind: 'unreachable', code: 4, parameter: 1400, cause: Uint8Array.of(0x45) } as const;
  const bytes = encodeIcmp(m, path);
  assert.deepEqual([...bytes.subarray(0, 2), ...bytes.subarray(4)], [3, 4, 0, 0, 0x05, 0x78, 0x45]);
  assert.deepEqual(decodeIcmp(bytes, path), { ok: true, value: m });
});
test('the bytes of a hardware address, and where a group lives on Ethernet', () => {
  assert.deepEqual(macBytes('00:00:5e:00:01:0a' as MacAddress), Uint8Array.of(0, 0, 0x5e, 0, 1, 10));
  assert.equal(multicastMac(ip('224.128.0.18')), '01:00:5e:00:00:12');
  assert.equal(multicastMac(ip('ff02::12')), '33:33:00:00:00:12');
});
