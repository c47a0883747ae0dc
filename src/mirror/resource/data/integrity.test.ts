/** Digests of data, held to the packets of two kernels with data-integrity-alg crc32c (captures 13 and 16). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drbdSights } from '../../../../test/support/captures.ts';
import { type DataPacket, type DrbdPacket, sector } from '../../../wire/index.ts';
import { Rig, rigConfig } from '../rig.fixture.ts';
import { signed, tampered } from './integrity.ts';

const data = (name: string): DataPacket[] =>
  drbdSights(name).flatMap(({ packet: p }) => (p.kind === 'P_DATA' || p.kind === 'P_RS_DATA_REPLY' ? [p] : []));

test('the kernels put the same digest in front of the same data, and one changed bit is noticed', () => {
  const packets = [...data('13-writes-with-integrity-digest'), ...data('16-invalidate-remote')];
  assert.ok(packets.length >= 3);
  for (const p of packets) {
    assert.deepEqual(signed({ ...p, digest: new Uint8Array(0) }, 'crc32c'), p);
    assert.equal(tampered(p, 'crc32c'), undefined);
    const other = p.data.slice();
    other[other.length - 1] = (other.at(-1) as number) ^ 1;
    assert.match(tampered({ ...p, data: other }, 'crc32c')?.en ?? '', /changed on the way/);
  }
});

test('every write goes out with its digest; one that came in wrong is not written, and ends the connection', () => {
  const r = new Rig(rigConfig({ dataIntegrity: 'crc32c' }));
  r.connect('Primary');
  const [kernel] = data('13-writes-with-integrity-digest');
  assert.ok(kernel);
  r.hear({ ...kernel, volume: 0 });
  assert.deepEqual(
    r.packets().map((p) => p.kind),
    ['P_WRITE_ACK'],
  );
  r.hear({ ...kernel, volume: 0, sector: sector(80), data: kernel.data.map((b) => b ^ 1) });
  assert.ok(r.disk.subarray(80 * 512, 88 * 512).every((b) => b === 0));
  assert.equal(r.resource.connection, 'WFConnection');
  const w = new Rig(rigConfig({ dataIntegrity: 'crc32c' }));
  w.connect();
  w.promote();
  w.app({ op: 'write', tag: 1, offset: 0, bytes: kernel.data, through: false });
  const sent = w.packets().find((p): p is DataPacket => p.kind === 'P_DATA');
  assert.deepEqual(sent?.digest, kernel.digest);
});

test('zeros go as what the peer knows: P_ZEROES, else P_TRIM, else data; with digests never as P_ZEROES', () => {
  const sent = (features: number, integrity?: 'crc32c'): DrbdPacket['kind'] | undefined => {
    const r = new Rig(rigConfig({ dataIntegrity: integrity }));
    r.connect('Secondary', features);
    r.promote();
    r.app({ op: 'zero', tag: 1, offset: 0, length: 8192, unmap: true });
    return r.packets()[0]?.kind;
  };
  assert.deepEqual([sent(15), sent(7), sent(0), sent(15, 'crc32c')], ['P_ZEROES', 'P_TRIM', 'P_DATA', 'P_TRIM']);
});
