import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { drbdSights } from '../../../test/support/captures.ts';
import { drbdPacket } from '../../../test/support/drbd.ts';
import { hex } from '../../../test/support/wire.ts';
import { crc32c } from '../../base/index.ts';
import {
  type BlockId,
  DRBD_OPENING,
  DRBD_TEST_DIALECTS,
  type DrbdDialect,
  type DrbdPacket,
  DrbdStream,
  decodeHeader,
  decodePacket,
  decodeRuns,
  decodeState,
  describeChange,
  describeState,
  encodePacket,
  encodeRuns,
  encodeState,
  headerForm,
  maxBioSize,
  RunWriter,
  sector,
} from './index.ts';

const dialect = (name: string): DrbdDialect => DRBD_TEST_DIALECTS[name] ?? assert.fail(name);
const d101 = dialect('protocol 101');
const write = (data: Uint8Array, digest = new Uint8Array(0)): DrbdPacket => ({
  kind: 'P_DATA',
  volume: 0,
  sector: sector(8),
  id: 1n as BlockId,
  seq: 1,
  flags: 0x102,
  digest,
  data,
});
const errorOf = (r: { ok: true } | { ok: false; error: { kind: string } }): string => (r.ok ? 'ok' : r.error.kind);

test('the header form is the oldest until 100 is agreed, but for large packets of 95 to 99', () => {
  assert.deepEqual(
    [0, 86, 94, 95, 99, 100, 101].map((v) => [headerForm(v, 100), headerForm(v, 32769)]),
    [
      ['h80', 'h80'],
      ['h80', 'h80'],
      ['h80', 'h80'],
      ['h80', 'h95'],
      ['h80', 'h95'],
      ['h100', 'h100'],
      ['h100', 'h100'],
    ],
  );
});
test('the opening packets keep the oldest header after 100 is agreed', () => {
  for (const kind of ['P_INITIAL_DATA', 'P_INITIAL_META'] as const)
    assert.equal(encodePacket({ kind, volume: 0 }, d101).length, 8);
});
test('a large write of protocol 96 travels in the big header and comes back', () => {
  const d = dialect('protocol 96');
  const p = write(new Uint8Array(65536).fill(7), new Uint8Array(20));
  const bytes = encodePacket(p, d);
  assert.deepEqual(bytes.subarray(0, 8), hex('835a 0000 0001002c'));
  assert.deepEqual(decodePacket(bytes, d), { ok: true, value: p });
});
test('a header of another form, a pad that is not zero and an unknown command are refused by name', () => {
  const good = encodePacket({ kind: 'P_PING', volume: 0 }, d101);
  const bad = (at: number, value: number, d: DrbdDialect = d101): string => {
    const b = good.slice();
    b[at] = value;
    return errorOf(decodePacket(b, d));
  };
  assert.equal(bad(0, 0x83), 'magic');
  assert.equal(bad(15, 1), 'header-pad');
  assert.equal(bad(7, 0x05), 'command', 'P_BECOME_SYNC_TARGET is retired');
  assert.equal(bad(7, 0x40), 'command', 'P_PEER_ACK is of DRBD 9');
  assert.equal(bad(0, 0x86, DRBD_OPENING), 'magic', 'a 16 byte header before the features');
  assert.equal(errorOf(decodePacket(hex('835a 0013 00000000'), dialect('protocol 89'))), 'magic');
});
test('P_SIZES has its 24 bytes more exactly when WSAME is agreed', () => {
  const sizes = drbdSights('01-first-connect-idle').find((s) => s.packet.kind === 'P_SIZES') ?? assert.fail();
  assert.equal(errorOf(decodePacket(sizes.bytes, sizes.dialect)), 'ok');
  assert.equal(errorOf(decodePacket(sizes.bytes, { ...sizes.dialect, features: 0xb })), 'length');
});
test('a sector beyond 2^53 and a name that does not end are refused by name', () => {
  const p = encodePacket({ kind: 'P_OUT_OF_SYNC', volume: 0, sector: sector(0), size: 4096, pad: 0 }, d101);
  p[16] = 0x80;
  assert.equal(errorOf(decodePacket(p, d101)), 'number');
  const protocol = drbdSights('12-auth-two-volumes-connect-clear-bitmap').find((s) => s.packet.kind === 'P_PROTOCOL');
  const bytes = Uint8Array.from(protocol?.bytes ?? assert.fail());
  bytes[bytes.length - 1] = 0x61;
  assert.equal(errorOf(decodePacket(bytes, d101)), 'name');
});

test('the authentication of capture 12 is HMAC-SHA1 of the challenge with the secret, in both directions', () => {
  const sights = drbdSights('12-auth-two-volumes-connect-clear-bitmap');
  for (const way of ['forward', 'back'] as const) {
    const challenge = sights.find((s) => s.direction !== way && s.packet.kind === 'P_AUTH_CHALLENGE')?.packet;
    const response = sights.find((s) => s.direction === way && s.packet.kind === 'P_AUTH_RESPONSE')?.packet;
    assert.ok(challenge?.kind === 'P_AUTH_CHALLENGE' && response?.kind === 'P_AUTH_RESPONSE');
    const want = createHmac('sha1', 'not-a-secret').update(challenge.bytes).digest();
    assert.equal(Buffer.from(response.bytes).toString('hex'), want.toString('hex'));
  }
});
test('the integrity digest of every write of capture 13 is CRC-32C of its payload, little-endian', () => {
  let tried = 0;
  for (const { packet } of drbdSights('13-writes-with-integrity-digest')) {
    if (packet.kind !== 'P_DATA') continue;
    assert.equal(new DataView(packet.digest.slice().buffer).getUint32(0, true), crc32c(packet.data));
    tried++;
  }
  assert.ok(tried > 1);
});

test('the state words of the captures read as their listing says', () => {
  assert.equal(describeState(0xd081), 'cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown');
  assert.equal(describeState(0x110a6), 'cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate');
  assert.equal(describeChange(0x1f0, 0x10), 'cs:Disconnecting');
  assert.equal(describeChange(0x3, 0x1), 'ro:Primary');
});
test('every state word of 23 bits survives taking apart and putting together', () =>
  fc.assert(
    fc.property(fc.nat(0x7f_ffff), (word) => assert.equal(encodeState(decodeState(word)), word)),
    { numRuns: 500 },
  ));

test('run-length codes seen on the wire decode to their runs and are written again', () => {
  const vectors: [string, boolean, number[]][] = [
    ['a2 5f31', true, [246]],
    ['12 17bf133e30', false, [10, 2, 88, 1, 145]],
    ['62 ef03', false, [48]],
    ['62 006f03', false, [1, 1, 1, 1, 44]],
    ['f2 efdf01', true, [48, 16]],
  ];
  for (const [bytes, first, lengths] of vectors) {
    const b = hex(bytes);
    assert.deepEqual(decodeRuns(b[0] ?? 0, b.subarray(1)), { ok: true, value: { first, lengths } });
    const { encoding, code } = encodeRuns({ first, lengths });
    assert.deepEqual(Uint8Array.of(encoding, ...code), b);
  }
});
test('the ends of every level of the code survive', () => {
  const ends = [1, 2, 3, 4, 5, 8, 9, 16, 17, 48, 49, 304, 305, 8496, 8497, 2105648, 2105649, 17181974832, 17181974833];
  const { encoding, code } = encodeRuns({ first: true, lengths: ends });
  assert.deepEqual(decodeRuns(encoding, code), { ok: true, value: { first: true, lengths: ends } });
});
test('runs that do not fit one packet go on in the next, broken only between runs', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 300 }), (lengths) => {
      const got: number[] = [];
      for (let i = 0; i < lengths.length; ) {
        const w = new RunWriter(i % 2 === 0, 40);
        while (i < lengths.length && w.push(lengths[i] as number)) i++;
        const { encoding, code } = w.done();
        assert.ok(code.length <= 40);
        const part = decodeRuns(encoding, code);
        if (!part.ok) assert.fail(part.error.kind);
        got.push(...part.value.lengths);
      }
      assert.deepEqual(got, lengths);
    }),
  );
});
test('a code of another encoding, or cut inside a run, is refused by name', () => {
  assert.equal(errorOf(decodeRuns(0xa1, hex('5f31'))), 'encoding');
  assert.equal(errorOf(decodeRuns(0x82, hex('5f'))), 'run');
});

for (const [name, d] of Object.entries(DRBD_TEST_DIALECTS))
  test(`packets of ${name} come out of a stream as they went in, however it is cut and wherever payloads are received`, () =>
    fc.assert(
      fc.property(
        fc.array(drbdPacket(d), { maxLength: 8 }),
        fc.array(fc.nat(200), { maxLength: 40 }),
        fc.boolean(),
        (packets, cuts, fills) => {
          const whole = Buffer.concat(packets.map((p) => encodePacket(p, d)));
          const stream = new DrbdStream();
          stream.agree(d);
          const got: DrbdPacket[] = [];
          const take = (): void => {
            for (let n = stream.next(); ; n = stream.next()) {
              if (!n.ok) assert.fail(n.error.kind);
              if (n.value === undefined) return;
              got.push(n.value);
            }
          };
          const give = (chunk: Uint8Array): void => {
            const { gap } = stream;
            const n = fills && gap !== undefined ? Math.min(gap.length, chunk.length) : 0;
            gap?.set(chunk.subarray(0, n));
            stream.filled(n);
            take();
            stream.feed(chunk.subarray(n));
            take();
          };
          let at = 0;
          for (const c of cuts) {
            give(Uint8Array.from(whole.subarray(at, at + c)));
            at = Math.min(whole.length, at + c);
          }
          give(Uint8Array.from(whole.subarray(at)));
          assert.deepEqual(got, packets);
          assert.equal(stream.buffered, 0);
        },
      ),
    ));

test('a payload that arrives in pieces is put where the owner says, and nowhere else; a whole one is a view', () => {
  const data = Uint8Array.from({ length: 4096 }, (_, i) => i);
  const bytes = encodePacket(write(data), d101);
  const slots: Uint8Array[] = [];
  const stream = new DrbdStream((n) => {
    slots.push(new Uint8Array(n));
    return slots.at(-1) as Uint8Array;
  });
  stream.agree(d101);
  stream.feed(bytes);
  const whole = stream.next();
  assert.ok(whole.ok && whole.value?.kind === 'P_DATA');
  assert.equal(whole.value.data.buffer, bytes.buffer);
  assert.equal(slots.length, 0);
  stream.feed(bytes.subarray(0, 100));
  assert.deepEqual(stream.next(), { ok: true, value: undefined });
  stream.feed(bytes.subarray(100));
  const pieced = stream.next();
  assert.ok(pieced.ok && pieced.value?.kind === 'P_DATA');
  assert.equal(pieced.value.data, slots[0]);
  assert.deepEqual(pieced.value.data, data);
});
test('a header that announces more than a packet can have is refused before anything is kept for it', () => {
  const header = (command: number, length: number): Uint8Array => {
    const b = hex('8620ec20 0000 0000 00000000 00000000');
    const v = new DataView(b.buffer);
    v.setUint16(6, command);
    v.setUint32(8, length);
    return b;
  };
  let placed = 0;
  const first = (b: Uint8Array): string => {
    const stream = new DrbdStream((n) => {
      placed += n;
      return new Uint8Array(n);
    });
    stream.agree(d101);
    stream.feed(b);
    return errorOf(stream.next());
  };
  assert.equal(first(header(0, 0xffff_ffff)), 'length');
  assert.equal(first(header(0, maxBioSize(101) + 25)), 'length');
  assert.equal(first(header(0, maxBioSize(101) + 24)), 'ok');
  assert.equal(first(header(0x0b, 4081)), 'length', 'a parameter packet fits in 4096 bytes with its header');
  assert.equal(placed, 0);
});
test('the form of headers changes between two packets of one chunk', () => {
  const features: DrbdPacket = {
    kind: 'P_CONNECTION_FEATURES',
    volume: 0,
    minVersion: 86,
    features: 0,
    maxVersion: 101,
    rest: new Uint8Array(60),
  };
  const stream = new DrbdStream();
  stream.feed(Buffer.concat([encodePacket(features, DRBD_OPENING), encodePacket({ kind: 'P_PING', volume: 0 }, d101)]));
  const first = stream.next();
  assert.equal(first.ok && first.value?.kind, 'P_CONNECTION_FEATURES');
  stream.agree(d101);
  const second = stream.next();
  assert.equal(second.ok && second.value?.kind, 'P_PING');
});
test('decodeHeader says how many bytes would do', () => {
  const v = new DataView(new ArrayBuffer(7));
  assert.deepEqual(decodeHeader(v, 0, 101), { ok: false, error: { kind: 'short', need: 16, have: 7 } });
});
