/** Online verify, put in the place of each of two kernels of capture 06, whose disks are what captures 02 to 05 made of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drbdSights } from '../../../../test/support/captures.ts';
import {
  DRBD_CONNECTIONS,
  type DrbdPacket,
  NO_BLOCK_ID,
  STATE_BITS,
  sector,
  VERIFY_VERDICT,
} from '../../../wire/index.ts';
import { Rig, rigConfig, stateOf } from '../rig.fixture.ts';
import { digestOf } from './digest.ts';

const NAME = '06-online-verify-mismatch';
type Packet<K extends DrbdPacket['kind']> = DrbdPacket extends infer P
  ? P extends { readonly kind: infer L }
    ? K extends L
      ? P & { readonly kind: K }
      : never
    : never
  : never;
const of = <K extends DrbdPacket['kind']>(packets: readonly DrbdPacket[], kind: K): Packet<K>[] =>
  packets.filter((p): p is Packet<K> => p.kind === kind);
const captured = drbdSights(NAME).map((s) => s.packet);

/** What both kernels' disks held before three blocks of b's were altered. */
function content(): Uint8Array {
  const disk = new Uint8Array(1968 * 512);
  for (const name of [
    '02-initial-full-sync',
    '03-writes-protocol-C',
    '04-discard-and-zeroes',
    '05-disconnect-reconnect-bitmap-resync',
  ])
    for (const { packet: p } of drbdSights(name))
      if (p.kind === 'P_RS_DATA_REPLY' || p.kind === 'P_DATA') disk.set(p.data, p.sector * 512);
      else if (p.kind === 'P_TRIM' || p.kind === 'P_ZEROES') disk.fill(0, p.sector * 512, p.sector * 512 + p.size);
  return disk;
}
const VERIFY_S = {
  mask: 0x1f0,
  value: DRBD_CONNECTIONS.indexOf('VerifyS') << STATE_BITS.connection[0],
};
const bits = (r: Rig): number[] => [...r.volume.bitmap.ranges()].flatMap((b) => range(b.from, b.to));
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
const DIFFERENT = [50, 150, 151];

test('in the place of the kernel that verifies, the same requests, the same verdicts, the same end', () => {
  const r = new Rig();
  r.connect();
  r.disk.set(content());
  const id = r.ask({ verb: 'verify', volume: undefined, start: undefined, stop: undefined });
  assert.deepEqual(r.packets(), [{ kind: 'P_STATE_CHG_REQ', volume: 0, ...VERIFY_S }]);
  r.hear({ kind: 'P_STATE_CHG_REPLY', volume: 0, result: 1 }, 'meta');
  assert.equal(r.answers.get(id)?.ok, true);
  assert.equal(r.volume.connection, 'VerifyS');
  const replies = new Map(of(captured, 'P_OV_REPLY').map((p) => [p.sector, p]));
  const requests: DrbdPacket[] = [];
  const results: DrbdPacket[] = [];
  for (
    let step = 0;
    step < 20 && r.volume.connection === 'VerifyS' && !results.some((p) => p.kind === 'P_PING');
    step++
  ) {
    r.advance(100_000);
    for (const p of r.packets())
      if (p.kind === 'P_OV_REQUEST') {
        requests.push(p);
        r.hear(replies.get(p.sector) ?? assert.fail('the kernel was not asked that'));
      } else results.push(p);
    for (const p of r.packets()) results.push(p);
  }
  assert.deepEqual(
    requests,
    of(captured, 'P_OV_REQUEST').map((p) => ({ ...p, pad: 0 })),
  );
  const verdicts = (l: readonly DrbdPacket[]) =>
    of(l, 'P_OV_RESULT')
      .map((p) => [p.sector, p.id])
      .sort();
  assert.deepEqual(verdicts(results), verdicts(captured));
  assert.deepEqual(bits(r), DIFFERENT);
  assert.equal(r.volume.connection, 'VerifyS', 'the ping is not answered yet');
  assert.equal(r.resource.status().volumes[0]?.sync?.found, 3 * 4096);
  r.hear({ kind: 'P_PING_ACK', volume: 0 }, 'meta');
  assert.equal(r.volume.connection, 'Connected');
  assert.deepEqual(of(r.packets(), 'P_STATE').length, 1);
});

test('in the place of the kernel that is verified, the same digests, and the same blocks marked', () => {
  const r = new Rig();
  r.connect('Primary');
  r.disk.set(content());
  r.hear({ kind: 'P_STATE_CHG_REQ', volume: 0, ...VERIFY_S });
  assert.deepEqual(r.packets(), [{ kind: 'P_STATE_CHG_REPLY', volume: 0, result: 1 }]);
  assert.equal(r.volume.connection, 'VerifyT');
  const theirs = new Map(of(captured, 'P_OV_REPLY').map((p) => [p.sector, p.digest]));
  for (const p of of(captured, 'P_OV_REQUEST')) r.hear(p);
  const replies = of(r.packets(), 'P_OV_REPLY');
  assert.equal(replies.length, 246);
  const other = replies.filter((p) => Buffer.compare(p.digest, theirs.get(p.sector) as Uint8Array) !== 0);
  assert.deepEqual(
    other.map((p) => p.sector / 8).sort((a, b) => a - b),
    DIFFERENT,
    'three blocks of the kernel were altered',
  );
  for (const p of of(captured, 'P_OV_RESULT')) r.hear(p, 'meta');
  assert.deepEqual(bits(r), DIFFERENT);
  assert.equal(r.volume.connection, 'Connected', 'the last block ends it, as in the kernel');
});

const block = (at: number) => ({ volume: 0, sector: sector(at * 8), id: NO_BLOCK_ID, size: 4096, pad: 0 });
const SAME = digestOf('crc32c', new Uint8Array(4096));
const begun = (r: Rig, start?: number, stop?: number): void => {
  r.ask({ verb: 'verify', volume: 0, start: start as never, stop: stop as never });
  r.hear({ kind: 'P_STATE_CHG_REPLY', volume: 0, result: 1 }, 'meta');
  r.advance(0);
};

test('a write of a block that is being verified waits on the primary until the verdict, and never looks like a difference', () => {
  const r = new Rig();
  r.connect();
  r.promote();
  begun(r, 0, 4096);
  assert.deepEqual(of(r.packets(), 'P_OV_REQUEST'), [{ kind: 'P_OV_REQUEST', ...block(0) }]);
  r.app({ op: 'write', tag: 1, offset: 0, bytes: new Uint8Array(4096).fill(7), through: false });
  assert.deepEqual(of(r.packets(), 'P_DATA'), []);
  r.hear({ kind: 'P_OV_REPLY', ...block(0), digest: SAME });
  const after = r.packets().map((p) => p.kind);
  assert.ok(after.indexOf('P_OV_RESULT') < after.indexOf('P_DATA') && after.includes('P_DATA'), `${after}`);
  assert.equal(r.volume.bits, 0);
});

test('the primary that is verified keeps its writes back from its reading to the verdict', () => {
  const r = new Rig();
  r.connect();
  r.promote();
  r.hear({ kind: 'P_STATE_CHG_REQ', volume: 0, ...VERIFY_S });
  r.hear({ kind: 'P_OV_REQUEST', ...block(3) });
  r.app({ op: 'write', tag: 1, offset: 3 * 4096, bytes: new Uint8Array(4096).fill(7), through: false });
  assert.deepEqual(
    r.packets().map((p) => p.kind),
    ['P_STATE_CHG_REPLY', 'P_OV_REPLY'],
  );
  r.hear({ kind: 'P_OV_RESULT', ...block(3), id: VERIFY_VERDICT.inSync, seq: 1 } as DrbdPacket, 'meta');
  assert.ok(r.packets().some((p) => p.kind === 'P_DATA'));
});

test('a secondary that verifies lets the writes of the primary through, and lets its locks go when the peer is promoted', () => {
  const r = new Rig();
  r.connect('Secondary');
  begun(r, 0, 8192);
  r.packets();
  const write = { volume: 0, sector: sector(0), id: 77n as never, seq: 1, flags: 256, digest: new Uint8Array(0) };
  r.hear({ kind: 'P_STATE_CHG_REQ', volume: 0, mask: 3, value: 1 });
  r.hear({ kind: 'P_DATA', ...write, data: new Uint8Array(4096).fill(9) });
  assert.deepEqual(
    r.packets().map((p) => p.kind),
    ['P_STATE_CHG_REPLY', 'P_WRITE_ACK'],
  );
  r.hear({ kind: 'P_OV_REPLY', ...block(0), digest: digestOf('crc32c', new Uint8Array(4096).fill(9)) });
  r.hear({ kind: 'P_OV_REPLY', ...block(1), digest: SAME });
  assert.equal(r.volume.bits, 0);
});

test('a verify that is interrupted goes on where it was, one with an end tells the peer, and each refusal has its reason', () => {
  const r = new Rig();
  r.connect();
  begun(r);
  for (const p of of(r.packets(), 'P_OV_REQUEST').slice(0, 5)) r.hear({ ...p, kind: 'P_OV_REPLY', digest: SAME });
  r.resource.handle({ kind: 'closed', because: { en: 'cut', zh: '断' } }, r.now as never);
  r.run();
  r.said();
  const again = new Rig();
  const not = again.ask({ verb: 'verify', volume: 0, start: undefined, stop: undefined });
  assert.deepEqual(again.answers.get(not)?.ok === false && again.answers.get(not), {
    ok: false,
    code: 'needs-connection',
    text: { en: 'bravo is not connected', zh: '未连接 bravo' },
  });
  r.connect();
  begun(r);
  assert.equal(of(r.packets(), 'P_OV_REQUEST')[0]?.sector, 5 * 8);
  const none = new Rig(rigConfig({ verify: undefined }));
  none.connect();
  none.ask({ verb: 'verify', volume: 0, start: undefined, stop: undefined });
  assert.match(JSON.stringify([...none.answers.values()].at(-1)), /no-verify-alg/);
  none.hear({ kind: 'P_STATE_CHG_REQ', volume: 0, ...VERIFY_S });
  assert.deepEqual(none.packets(), [{ kind: 'P_STATE_CHG_REPLY', volume: 0, result: -14 }]);
  const end = new Rig();
  end.connect('Primary');
  end.hear({ kind: 'P_STATE_CHG_REQ', volume: 0, ...VERIFY_S });
  end.hear({ kind: 'P_OV_REQUEST', ...block(9) });
  end.hear({ kind: 'P_OV_RESULT', ...block(9), id: VERIFY_VERDICT.outOfSync, seq: 1 } as DrbdPacket, 'meta');
  assert.equal(end.volume.connection, 'VerifyT');
  end.hear({
    kind: 'P_STATE',
    volume: 0,
    state: stateOf('Connected', ['Primary', 'Secondary'], ['UpToDate', 'UpToDate']),
  });
  assert.equal(end.volume.connection, 'Connected');
  assert.deepEqual(bits(end), [9]);
});
