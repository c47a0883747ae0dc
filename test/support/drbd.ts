/** Values of DRBD packets, for each dialect in which they are tried. */
import fc from 'fast-check';
import {
  DRBD_FEATURE,
  DRBD_TEST_DIALECTS,
  type DrbdDialect,
  type DrbdPacket,
  headerForm,
  sector,
} from '../../src/wire/index.ts';

const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u53 = fc.maxSafeNat();
const u64 = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
const octets = (minLength: number, maxLength = minLength): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength, maxLength });
const name = (maxLength: number): fc.Arbitrary<string> =>
  fc
    .array(fc.integer({ min: 0x21, max: 0x7e }), { maxLength })
    .map((codes) => codes.map((c) => String.fromCharCode(c)).join(''));
const place = u53.map(sector);

const kinds = <K extends DrbdPacket['kind']>(...k: readonly K[]): fc.Arbitrary<K> => fc.constantFrom(...k);

export function drbdPacket(d: DrbdDialect): fc.Arbitrary<DrbdPacket> {
  const volume = headerForm(d.version, 0) === 'h100' ? u16 : fc.constant(0);
  const block = { volume, sector: place, id: u64 };
  const digest = octets(d.digestLength);
  const data = fc.oneof(octets(0, 40), octets(512));
  const all: fc.Arbitrary<unknown>[] = [
    record({ kind: kinds('P_DATA', 'P_DATA_REPLY', 'P_RS_DATA_REPLY'), ...block, seq: u32, flags: u32, digest, data }),
    record({ kind: kinds('P_TRIM', 'P_ZEROES'), ...block, seq: u32, flags: u32, size: u32 }),
    record({ kind: kinds('P_WSAME'), ...block, seq: u32, flags: u32, size: u32, digest, data }),
    record({
      kind: kinds('P_DATA_REQUEST', 'P_RS_DATA_REQUEST', 'P_OV_REQUEST', 'P_RS_THIN_REQ'),
      ...block,
      size: u32,
      pad: u32,
    }),
    record({ kind: kinds('P_OV_REPLY', 'P_CSUM_RS_REQUEST'), ...block, size: u32, pad: u32, digest: octets(0, 64) }),
    record({
      kind: kinds(
        'P_RECV_ACK',
        'P_WRITE_ACK',
        'P_RS_WRITE_ACK',
        'P_SUPERSEDED',
        'P_NEG_ACK',
        'P_NEG_DREPLY',
        'P_NEG_RS_DREPLY',
        'P_OV_RESULT',
        'P_RS_IS_IN_SYNC',
        'P_RS_CANCEL',
        'P_RETRY_WRITE',
      ),
      ...block,
      size: u32,
      seq: u32,
    }),
    record({ kind: kinds('P_OUT_OF_SYNC', 'P_RS_DEALLOCATED'), volume, sector: place, size: u32, pad: u32 }),
    record({ kind: kinds('P_BARRIER'), volume, barrier: u32, pad: u32 }),
    record({ kind: kinds('P_BARRIER_ACK'), volume, barrier: u32, setSize: u32 }),
    record({ kind: kinds('P_BITMAP'), volume, words: fc.nat(8).chain((n) => octets(n * 8)) }),
    record({ kind: kinds('P_COMPRESSED_BITMAP'), volume, encoding: u8, code: octets(0, 40) }),
    record({ kind: kinds('P_UNPLUG_REMOTE', 'P_PING', 'P_PING_ACK'), volume }),
    record({ kind: kinds('P_AUTH_CHALLENGE', 'P_AUTH_RESPONSE'), volume, bytes: octets(1, 80) }),
    record({
      kind: kinds('P_PROTOCOL', 'P_PROTOCOL_UPDATE'),
      volume,
      protocol: u32,
      afterSb: fc.tuple(u32, u32, u32),
      connectFlags: u32,
      twoPrimaries: u32,
      integrity: d.version >= 87 ? name(70) : fc.constant(''),
    }),
    record({
      kind: kinds('P_SYNC_PARAM'),
      volume,
      resyncRate: u32,
      verifyAlg: d.version >= 88 ? name(70) : fc.constant(''),
      csumsAlg: fc.constant(''),
      controller: fc.constant(undefined),
    }),
    record({
      kind: kinds('P_SYNC_PARAM89'),
      volume,
      resyncRate: u32,
      verifyAlg: name(63),
      csumsAlg: name(63),
      controller:
        d.version >= 95
          ? record({ planAhead: u32, delayTarget: u32, fillTarget: u32, maxRate: u32 })
          : fc.constant(undefined),
    }),
    record({
      kind: kinds('P_UUIDS'),
      volume,
      uuids: record({ current: u64, bitmap: u64, history: fc.tuple(u64, u64) }),
      bits: u53,
      flags: u53,
    }),
    record({
      kind: kinds('P_SIZES'),
      volume,
      diskSize: place,
      userSize: place,
      currentSize: place,
      maxBioSize: u32,
      queueOrderType: u16,
      growFlags: u16,
      limits:
        (d.features & DRBD_FEATURE.writeSame) === 0
          ? fc.constant(undefined)
          : record({
              physicalBlockSize: u32,
              logicalBlockSize: u32,
              alignmentOffset: u32,
              ioMin: u32,
              ioOpt: u32,
              discardEnabled: u8,
              discardZeroesData: u8,
              writeSameCapable: u8,
              pad: u8,
            }),
    }),
    record({ kind: kinds('P_STATE'), volume, state: u32 }),
    record({ kind: kinds('P_SYNC_UUID'), volume, uuid: u64 }),
    record({ kind: kinds('P_STATE_CHG_REQ', 'P_CONN_ST_CHG_REQ'), volume, mask: u32, value: u32 }),
    record({
      kind: kinds('P_STATE_CHG_REPLY', 'P_CONN_ST_CHG_REPLY'),
      volume,
      result: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
    }),
    record({ kind: kinds('P_DELAY_PROBE'), volume, bytes: octets(8) }),
  ];
  // These travel in the oldest header whatever is agreed, so a stream of 100 and later has none.
  if (d.version < 100) {
    all.push(record({ kind: kinds('P_INITIAL_META', 'P_INITIAL_DATA'), volume }));
    all.push(
      record({
        kind: kinds('P_CONNECTION_FEATURES'),
        volume,
        minVersion: u32,
        features: u32,
        maxVersion: u32,
        rest: octets(60),
      }),
    );
  }
  return fc.oneof(...all) as fc.Arbitrary<DrbdPacket>;
}

const runs = record({
  first: fc.boolean(),
  lengths: fc.array(
    fc
      .oneof(
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 1, max: 3_000_000 }),
        fc.maxSafeNat().map((n) => n + 1),
      )
      .map((n) => Math.min(n, Number.MAX_SAFE_INTEGER)),
    { maxLength: 20 },
  ),
});

export const drbdArbitraries: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  ...Object.fromEntries(Object.entries(DRBD_TEST_DIALECTS).map(([n, d]) => [`drbd packet, ${n}`, drbdPacket(d)])),
  'drbd runs': runs,
};
