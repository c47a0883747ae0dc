import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type IpAddress, ms, us } from '../base/index.ts';
import type { Datagram } from '../host/index.ts';
import { packAddresses } from '../wire/index.ts';
import type { HmacAuthentication, Instance } from './config.ts';
import { describeDrop, describeOddity } from './describe.ts';
import { exampleAddress, exampleInstance } from './example.ts';
import { advertPacket, type Counters, ownChecksum } from './packets.ts';
import { type Drop, type Expectation, passwordBytes, receive } from './receive.ts';

const SOURCE = '10.0.0.1' as IpAddress;
const PEER = '10.0.0.2' as IpAddress;
const SIX = exampleInstance({
  version: 3,
  family: 6,
  addresses: [exampleAddress('fe80::9', 64)],
  multicastGroup: 'ff02::12' as IpAddress,
});
const packed = (i: Instance): Uint8Array => packAddresses(i.addresses.map((a) => a.prefix.address));

/** What arrives when `i` sends an advert. */
function sent(i: Instance, changes: Partial<Datagram> = {}, counters?: Counters, wall = 1_700_000_000_000): Datagram {
  const six = i.family === 6;
  const source = (six ? 'fe80::1' : SOURCE) as IpAddress;
  const unicast = i.unicastPeers !== undefined;
  const destination = unicast ? PEER : i.multicastGroup;
  const bytes = advertPacket(
    i,
    packed(i),
    i.priority,
    { source, destination, ttl: 255, checksum: ownChecksum(i, unicast) },
    counters ?? { ipId: 0, ahSequence: 0, hmacCounter: 0 },
    () => ms(wall),
  );
  return {
    bytes: six ? bytes : bytes.subarray(20),
    header: six ? undefined : bytes.subarray(0, 20),
    source,
    destination,
    sourcePort: undefined,
    ttl: 255,
    ifindex: 2,
    at: us(0),
    ...changes,
  };
}
const expecting = (i: Instance, changes: Partial<Expectation> = {}): Expectation => ({
  instance: i,
  peers: i.unicastPeers,
  addresses: packed(i),
  checksum: ownChecksum(i, i.unicastPeers !== undefined),
  key: passwordBytes(i.authentication.type === 'none' ? '' : i.authentication.password),
  wallSeconds: 1_700_000_000,
  lastSequence: undefined,
  lastStamp: undefined,
  ...changes,
});
const drop = (d: Datagram, x: Expectation): Drop['kind'] | 'accepted' => {
  const r = receive(d, x);
  return r.ok ? 'accepted' : r.error.kind;
};
const pass = exampleInstance({ authentication: { type: 'pass', password: 'secret' } });
const ah = exampleInstance({ authentication: { type: 'ah', password: 'secret' } });
const v3 = exampleInstance({ version: 3, advertInterval: us(100_000) });
const unicast = exampleInstance({ unicastPeers: [{ address: SOURCE }], checkUnicastSource: true });

test('what one instance sends, its like accepts, in every version, family and authentication', () => {
  for (const i of [exampleInstance(), pass, ah, v3, SIX, unicast]) {
    const r = receive(sent(i), expecting(i));
    assert.ok(r.ok, JSON.stringify(r));
    assert.equal(r.value.advert.priority, i.priority);
    assert.equal(r.value.advert.interval, i.advertInterval);
    assert.deepEqual(r.value.oddities, []);
  }
});
test('the IPv4 header is our own: TOS 0xC0, TTL 255, no DF, an id that rises', () => {
  const counters = { ipId: 41, ahSequence: 0, hmacCounter: 0 };
  const h = sent(exampleInstance(), {}, counters).header as Uint8Array;
  assert.deepEqual([h[1], h[6], h[8]], [0xc0, 0, 255]);
  assert.equal(((h[4] as number) << 8) | (h[5] as number), 42);
});
test('a multicast advert with another TTL than 255 was routed here and is dropped', () => {
  assert.equal(drop(sent(v3, { ttl: 254 }), expecting(v3)), 'ttl');
});
test("in unicast mode the TTL counts only by a peer's min_ttl and max_ttl", () => {
  assert.equal(drop(sent(unicast, { ttl: 3 }), expecting(unicast)), 'accepted');
  const strict = exampleInstance({ unicastPeers: [{ address: SOURCE, minTtl: 254 }] });
  assert.equal(drop(sent(strict, { ttl: 253 }), expecting(strict)), 'ttl');
});
test('the other version is dropped', () => {
  assert.equal(drop(sent(v3), expecting(exampleInstance())), 'other-version');
});
test('a wrong password, another authentication type, and a missing or wrong AH are dropped', () => {
  const other = exampleInstance({ authentication: { type: 'pass', password: 'other' } });
  assert.equal(drop(sent(other), expecting(pass)), 'password');
  assert.equal(drop(sent(exampleInstance()), expecting(pass)), 'auth-type');
  assert.equal(drop(sent(pass), expecting(ah)), 'ah');
  const wrong = exampleInstance({ authentication: { type: 'ah', password: 'other' } });
  assert.deepEqual(receive(sent(wrong), expecting(ah)), { ok: false, error: { kind: 'ah', reason: 'icv' } });
});
test('passwords are cut to eight bytes, as keepalived does', () => {
  const long = exampleInstance({ authentication: { type: 'pass', password: 'secretsecret' } });
  const same = exampleInstance({ authentication: { type: 'pass', password: 'secretse' } });
  assert.equal(drop(sent(long), expecting(same)), 'accepted');
});
test('an AH that was seen before is a replay', () => {
  const d = sent(ah, {}, { ipId: 0, ahSequence: 6, hmacCounter: 0 });
  assert.equal(drop(d, expecting(ah, { lastSequence: 6 })), 'accepted');
  assert.deepEqual(receive(d, expecting(ah, { lastSequence: 7 })), {
    ok: false,
    error: { kind: 'ah', reason: 'replay' },
  });
});
test('another interval is accepted in both versions, and said loudly', () => {
  for (const version of [2, 3] as const) {
    const i = exampleInstance({ version });
    const r = receive(sent(exampleInstance({ version, advertInterval: us(3_000_000) })), expecting(i));
    assert.ok(r.ok);
    assert.deepEqual(r.value.oddities, [{ kind: 'interval', have: 3_000_000, want: 1_000_000, version }]);
    const words = describeOddity(r.value.oddities[0] as never, SOURCE, 4);
    assert.match(words.en, /every 3 s, we every 1 s/);
  }
});
test('another list of addresses is accepted and said, unless skip_check_adv_addr', () => {
  const more = exampleInstance({ addresses: [exampleAddress('10.0.0.100', 24), exampleAddress('10.0.0.101', 24)] });
  const r = receive(sent(more), expecting(exampleInstance()));
  assert.ok(r.ok);
  assert.equal(r.value.oddities[0]?.kind, 'addresses');
  const skip = exampleInstance({ skipCheckAdvAddr: true });
  const s = receive(sent(more), expecting(skip));
  assert.deepEqual(s.ok && s.value.oddities, []);
});
test('every form of checksum is accepted and named, but the old unicast one where it is refused', () => {
  const as2 = exampleInstance({ version: 3, v3ChecksumAsV2: true });
  const plain = exampleInstance({ version: 3 });
  const r = receive(sent(as2), expecting(plain));
  assert.deepEqual(r.ok && r.value.oddities, [{ kind: 'checksum-form', have: 'plain', want: 'pseudo-header' }]);
  const old = exampleInstance({ version: 3, unicastPeers: [{ address: SOURCE }], oldUnicastChecksum: 'always' });
  assert.equal(drop(sent(old), expecting({ ...old, oldUnicastChecksum: 'auto' })), 'accepted');
  assert.equal(drop(sent(old), expecting({ ...old, oldUnicastChecksum: 'never' })), 'checksum');
});
test('multicast where unicast is configured is dropped, and the other way round', () => {
  assert.equal(drop(sent(exampleInstance()), expecting(unicast)), 'destination');
  assert.equal(drop(sent(unicast), expecting(exampleInstance())), 'destination');
});
test('check_unicast_src drops who is not a peer', () => {
  assert.equal(drop(sent(unicast, { source: '10.0.0.77' as IpAddress }), expecting(unicast)), 'not-a-peer');
});
test('owner_ignore_adverts listens to nobody', () => {
  const owner = exampleInstance({ priority: 255, ownerIgnoreAdverts: true });
  assert.equal(drop(sent(owner), expecting(owner)), 'owner-ignores');
});

const hmac = (changes: Partial<HmacAuthentication> = {}): HmacAuthentication => ({
  keys: [{ id: 1, key: Uint8Array.of(1, 2, 3) }],
  activeKey: 1,
  antiReplay: 'time',
  window: us(5_000_000),
  mode: 'enforce',
  ...changes,
});
test('auth_hmac: a signed advert passes once; unknown keys, wrong, old, repeated and unsigned ones do not', () => {
  const i = exampleInstance({ version: 3, hmac: hmac() });
  const d = sent(i);
  const ok = receive(d, expecting(i));
  assert.ok(ok.ok);
  const reason = (x: Datagram, e: Expectation): string => {
    const r = receive(x, e);
    return r.ok ? 'accepted' : r.error.kind === 'hmac' ? r.error.reason : r.error.kind;
  };
  assert.equal(reason(d, expecting(i, { lastStamp: ok.value.stamp })), 'replay');
  assert.equal(reason(d, expecting(i, { wallSeconds: 1_700_000_006 })), 'stale');
  const other = exampleInstance({ version: 3, hmac: hmac({ keys: [{ id: 1, key: Uint8Array.of(9) }] }) });
  assert.equal(reason(sent(other), expecting(i)), 'mac');
  const unknown = exampleInstance({
    version: 3,
    hmac: hmac({ keys: [{ id: 2, key: Uint8Array.of(9) }], activeKey: 2 }),
  });
  assert.equal(reason(sent(unknown), expecting(i)), 'key');
  const unsigned = exampleInstance({ version: 3 });
  assert.equal(reason(sent(unsigned), expecting(i)), 'missing');
  assert.equal(reason(sent(unsigned), expecting({ ...i, hmac: hmac({ mode: 'permissive' }) })), 'accepted');
  assert.equal(sent({ ...i, hmac: hmac({ mode: 'receive-only' }) }).bytes.length, sent(unsigned).bytes.length);
});
test('auth_hmac: two adverts of one millisecond are told apart by their counters', () => {
  const i = exampleInstance({ version: 3, hmac: hmac() });
  const counters = { ipId: 0, ahSequence: 0, hmacCounter: 0 };
  const [first, second] = [sent(i, {}, counters), sent(i, {}, counters)];
  const one = receive(first, expecting(i));
  assert.ok(one.ok);
  assert.equal(drop(second, expecting(i, { lastStamp: one.value.stamp })), 'accepted');
});
test('hostile bytes never throw, and every reason has its words in both languages', () => {
  const instances = [exampleInstance(), pass, ah, v3, SIX, unicast, exampleInstance({ version: 3, hmac: hmac() })];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(instances.length - 1), (bytes, at) => {
      const i = instances[at] as Instance;
      const r = receive(sent(i, { bytes }), expecting(i));
      if (!r.ok) assert.ok(describeDrop(r.error).en.length > 0 && describeDrop(r.error).zh.length > 0);
    }),
    { numRuns: 2000 },
  );
});
test('one flipped bit is never accepted as something else than what was sent', () => {
  for (const i of [pass, ah, SIX]) {
    const d = sent(i);
    for (let bit = 0; bit < d.bytes.length * 8; bit++) {
      const bytes = d.bytes.slice();
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      assert.equal(receive({ ...d, bytes }, expecting(i)).ok, false, `bit ${bit}`);
    }
  }
});
