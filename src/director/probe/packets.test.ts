import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { familyOf, type IpAddress, internetChecksum } from '../../base/index.ts';
import {
  decodeIpv4,
  decodeTcp,
  decodeUdp,
  encodeIcmp,
  encodeTcp,
  type Ipv4Packet,
  type MacAddress,
  sumPseudoHeader,
  TCP_FLAG,
  unsolicitedAdvertisement,
} from '../../wire/index.ts';
import {
  emptyDatagram,
  type Flow,
  type IpPacket,
  ipFrame,
  neighbourRequest,
  readFrame,
  replyTo,
  resetPacket,
  synPacket,
  tunnelled,
} from './packets.ts';

const flow: Flow = {
  source: '192.168.1.10' as IpAddress,
  sourcePort: 41_000,
  destination: '192.168.1.99' as IpAddress,
  port: 80,
  sequence: 0xffff_ffff,
};
const packet = (b: Uint8Array): Ipv4Packet => {
  const got = decodeIpv4(b);
  assert.ok(got.ok);
  return got.value;
};
const answer = (flags: number, ack: number, options = new Uint8Array(0)): Ipv4Packet => ({
  ...packet(synPacket(flow)),
  source: flow.destination,
  destination: flow.source,
  payload: encodeTcp({
    sourcePort: flow.port,
    destinationPort: flow.sourcePort,
    seq: 1,
    ack,
    flags,
    window: 0,
    checksum: 0,
    urgent: 0,
    options,
    payload: new Uint8Array(0),
  }),
});

test('an answer counts only if it acknowledges this very SYN, across the wrap of sequence numbers', () => {
  const both = TCP_FLAG.syn | TCP_FLAG.ack;
  assert.deepEqual(replyTo(flow, answer(both, 0, Uint8Array.of(1, 2, 4, 0x05, 0xa0, 0, 0, 0))), {
    is: 'syn-ack',
    mss: 1440,
  });
  assert.deepEqual(replyTo(flow, answer(TCP_FLAG.rst | TCP_FLAG.ack, 0)), { is: 'reset' });
  assert.equal(replyTo(flow, answer(both, 7)), undefined);
});
test('our own packet that comes back was sent on by whoever got it', () => {
  assert.deepEqual(replyTo(flow, packet(synPacket(flow))), { is: 'bounced' });
  assert.equal(replyTo({ ...flow, sourcePort: 5 }, packet(synPacket(flow))), undefined);
});
const flow6: Flow = { ...flow, source: 'fd00::10' as IpAddress, destination: 'fd00::99' as IpAddress };
const tunnels = ['ipip', 'gue', 'gre'] as const;
test('an ICMP error is known by what it quotes, inside a tunnel of either family by the address there', () => {
  for (const f of [flow, flow6])
    for (const from of ['192.168.1.10', 'fd00::10'] as IpAddress[]) {
      const server = (familyOf(from) === 4 ? '192.168.1.11' : 'fd00::11') as IpAddress;
      const error = (cause: Uint8Array, g: Flow, by: IpAddress): IpPacket => {
        const [source, destination] = [by, g.source];
        const family = familyOf(by);
        const message = {
          kind: 'unreachable',
          code: family === 4 ? 2 : 3,
          parameter: 0,
          cause: cause.subarray(0, 140),
        } as const;
        const protocol = family === 4 ? 1 : 58;
        return { source, destination, protocol, payload: encodeIcmp(message, { family, source, destination }) };
      };
      const code = familyOf(from) === 4 ? 2 : 1;
      if (familyOf(from) === familyOf(f.source))
        assert.deepEqual(replyTo(f, error(synPacket(f), f, server)), { is: 'unreachable', code });
      for (const type of tunnels) {
        const outer = tunnelled(synPacket(f), from, server, { type, port: 6080 });
        // It comes to whoever sent the outer packet: that is the flow's source where the families are one.
        const g = { ...f, source: from };
        assert.deepEqual(
          replyTo(g, error(outer, g, server)),
          { is: 'unreachable', code },
          `${type} ${f.source} in ${from}`,
        );
        assert.equal(replyTo({ ...g, destination: server }, error(outer, g, server)), undefined);
      }
    }
});
test('over IPv6 a header that nobody takes is an unreachable protocol, and a policy a prohibition', () => {
  const by = 'fd00::11' as IpAddress;
  const path = { family: 6, source: by, destination: flow6.source } as const;
  const answer = (kind: 'unreachable' | 'parameter-problem', code: number): IpPacket => ({
    ...path,
    protocol: 58,
    payload: encodeIcmp({ kind, code, parameter: 0, cause: synPacket(flow6) }, path),
  });
  const code = (p: IpPacket): number | undefined => {
    const got = replyTo(flow6, p);
    return got?.is === 'unreachable' ? got.code : undefined;
  };
  assert.equal(code(answer('parameter-problem', 1)), 2);
  assert.equal(code(answer('parameter-problem', 0)), undefined);
  assert.deepEqual(
    [0, 1, 3, 4, 5, 6].map((c) => code(answer('unreachable', c))),
    [0, 13, 1, 3, 13, 13],
  );
});
test('a neighbour is known by discovery as by ARP: who asks by its address, who answers by the one that was asked for', () => {
  const mac = '02:00:00:00:00:11' as MacAddress;
  const [asker, target] = ['fd00::11', 'fd00::99'] as IpAddress[] as [IpAddress, IpAddress];
  assert.deepEqual(readFrame(neighbourRequest(mac, asker, target)), {
    kind: 'neighbour',
    operation: 'request',
    mac,
    address: asker,
  });
  assert.deepEqual(readFrame(unsolicitedAdvertisement(mac, target, false)), {
    kind: 'neighbour',
    operation: 'reply',
    mac,
    address: target,
  });
  const arp = neighbourRequest(mac, '10.0.0.1' as IpAddress, '10.0.0.2' as IpAddress);
  assert.deepEqual(readFrame(arp), { kind: 'neighbour', operation: 'request', mac, address: '10.0.0.1' });
});
test('what is sent is right on the wire: TCP and UDP with their checksums, in both families', () => {
  for (const f of [flow, flow6]) {
    const seen = (b: Uint8Array): IpPacket => {
      const got = readFrame(ipFrame(b, '02:00:00:00:00:01' as MacAddress, '02:00:00:00:00:02' as MacAddress));
      assert.ok(got?.kind === 'ip');
      return got.packet;
    };
    const { payload } = seen(synPacket(f));
    assert.equal(internetChecksum(payload, sumPseudoHeader(f.source, f.destination, 6, payload.length)), 0);
    assert.ok(decodeUdp(seen(emptyDatagram(f)).payload, f).ok);
  }
});
test('the reset that ends the probe stands behind the SYN', () => {
  const got = decodeTcp(packet(resetPacket(flow)).payload);
  assert.ok(got.ok);
  assert.deepEqual([got.value.flags, got.value.seq], [TCP_FLAG.rst, 0]);
});
test('no frame and no packet make the reading throw', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), (b) => void readFrame(b)));
  fc.assert(
    fc.property(fc.constantFrom(1, 6, 4), fc.uint8Array({ maxLength: 80 }), (protocol, payload) => {
      replyTo(flow, {
        ...packet(synPacket(flow)),
        protocol,
        payload,
        source: flow.destination,
        destination: flow.source,
      });
    }),
  );
});
