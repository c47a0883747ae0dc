import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { netlinkArbitraries } from '../../../test/support/netlink.ts';
import { decodeAcknowledgement, encapFault, encodeRoute, netlinkCodecs } from './index.ts';

type Codec = {
  readonly name: keyof typeof netlinkArbitraries;
  readonly decode: (
    b: Uint8Array,
  ) =>
    | { readonly ok: true; readonly value: unknown }
    | { readonly ok: false; readonly error: { readonly kind: string } };
  readonly encode: (v: never) => Uint8Array;
};

for (const codec of netlinkCodecs as readonly Codec[]) {
  const any = netlinkArbitraries[codec.name];
  test(`${codec.name}: what is encoded decodes to the same`, () =>
    fc.assert(
      fc.property(any, (v) => assert.deepEqual(codec.decode(codec.encode(v as never)), { ok: true, value: v })),
      { numRuns: 300 },
    ));
  test(`${codec.name}: no bytes make it throw, and what is understood of them can be sent again`, () => {
    const hostile = (b: Uint8Array): void => {
      const got = codec.decode(b);
      if (!got.ok) return;
      const again = codec.decode(codec.encode(got.value as never));
      assert.deepEqual(again, got);
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), hostile), { numRuns: 2000 });
    const mutated = fc
      .tuple(any, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }), fc.nat({ max: 8 }))
      .map(([v, edits, cut]) => {
        const b = codec.encode(v as never);
        for (const [at, byte] of edits) if (b.length > 0) b[at % b.length] = byte;
        return b.subarray(0, Math.max(0, b.length - cut));
      });
    fc.assert(fc.property(mutated, hostile), { numRuns: 3000 });
  });
}

test('an attribute that claims more than there is, or less than its own header, is refused and named', () => {
  const b = encodeRoute({ family: 4, type: 'unicast', table: 254, protocol: 4, scope: 'global', hops: [] });
  const route = netlinkCodecs.find((c) => c.name === 'rtnetlink route') as unknown as Codec;
  for (const length of [3, 200]) {
    const bad = b.slice();
    new Uint16Array(bad.buffer, 12, 1)[0] = length; // of RTA_TABLE, the first attribute
    assert.deepEqual(route.decode(bad), { ok: false, error: { kind: 'attribute', type: 15 } });
  }
});

test('an acknowledgement that repeats the whole request has its words behind it', () => {
  const request = [...new Uint8Array(Uint32Array.of(24).buffer), ...new Uint8Array(20)]; // header says 24 bytes
  const words = [...new Uint8Array(Uint16Array.of(7, 1).buffer), ...Buffer.from('no\0\0')];
  const b = Uint8Array.from([...new Uint8Array(Int32Array.of(-22).buffer), ...request, ...words]);
  const got = decodeAcknowledgement(b, 0x200);
  assert.ok(got.ok);
  assert.equal(got.value.errno, 22);
  assert.equal(got.value.message, 'no');
});

test('an encapsulation that cannot be sent is named before it is tried', () => {
  assert.equal(encapFault({ kind: 'ip', options: { id: '7', dst: '10.0.0.1' } }), undefined);
  assert.equal(encapFault({ kind: 'ip', options: { dst: '2001:db8::1' } }), 'dst');
  assert.equal(encapFault({ kind: 'ip6', options: { ttl: '3' } }), 'ttl');
  assert.equal(encapFault({ kind: 'mpls', options: { labels: '100/1048576' } }), 'labels');
  assert.equal(encapFault({ kind: 'ila', options: { locator: '2001:db8::1' } }), 'locator');
});
