import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeAcknowledgement, decodeRoute, encapFault, encodeRoute } from './index.ts';

test('an attribute that claims more than there is, or less than its own header, is refused and named', () => {
  const b = encodeRoute({ family: 4, type: 'unicast', table: 254, protocol: 4, scope: 'global', hops: [] });
  for (const length of [3, 200]) {
    const bad = b.slice();
    new Uint16Array(bad.buffer, 12, 1)[0] = length; // of RTA_TABLE, the first attribute
    assert.deepEqual(decodeRoute(bad), { ok: false, error: { kind: 'attribute', type: 15 } });
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
