import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { IpAddress } from '../../base/index.ts';
import { decodeIpv4, decodeTcp, encodeIcmp, encodeTcp, type Ipv4Packet, TCP_FLAG } from '../../wire/index.ts';
import { type Flow, readFrame, replyTo, resetPacket, synPacket, tunnelled } from './packets.ts';

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
test('an ICMP error is known by what it quotes, inside a tunnel by the address there', () => {
  const server = '192.168.1.11' as IpAddress;
  const error = (cause: Uint8Array): Ipv4Packet => ({
    ...packet(synPacket(flow)),
    protocol: 1,
    source: server,
    destination: flow.source,
    payload: encodeIcmp(
      { kind: 'unreachable', code: 2, parameter: 0, cause: cause.subarray(0, 60) },
      { family: 4, source: server, destination: flow.source },
    ),
  });
  assert.deepEqual(replyTo(flow, error(synPacket(flow))), { is: 'unreachable', code: 2 });
  assert.deepEqual(replyTo(flow, error(tunnelled(synPacket(flow), flow.source, server))), {
    is: 'unreachable',
    code: 2,
  });
  assert.equal(replyTo({ ...flow, destination: server }, error(synPacket(flow))), undefined);
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
