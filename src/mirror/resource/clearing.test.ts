/** Clearing and discarding of any length, towards peers of any age. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DRBD_FEATURE, type DrbdPacket } from '../../wire/index.ts';
import { Rig, rigConfig } from './rig.fixture.ts';

const MIB = 1 << 20;
/** Larger than the activity log of 67 extents. */
const SIZE = 320 * MIB;

/** A primary whose peer agreed to these features and answers each write and each epoch at once. */
function clear(features: number, offset: number, length: number, unmap: boolean): { r: Rig; sent: DrbdPacket[] } {
  const r = new Rig(rigConfig(), SIZE);
  r.connect('Secondary', features);
  r.promote();
  r.disk.fill(7, offset, offset + length);
  r.app({ op: 'zero', tag: 5, offset, length, unmap });
  const sent: DrbdPacket[] = [];
  let count = 0;
  for (let packets = r.packets(); packets.length > 0; packets = r.packets())
    for (const p of packets) {
      sent.push(p);
      if (p.kind === 'P_BARRIER') {
        r.hear({ kind: 'P_BARRIER_ACK', volume: 0, barrier: p.barrier, setSize: count }, 'meta');
        count = 0;
      }
      if (p.kind !== 'P_ZEROES' && p.kind !== 'P_TRIM' && p.kind !== 'P_DATA') continue;
      count++;
      const size = 'size' in p ? p.size : p.data.length;
      r.hear({ kind: 'P_WRITE_ACK', volume: 0, sector: p.sector, id: p.id, size, seq: 1 }, 'meta');
    }
  assert.equal(r.done.get(5), 0, 'it is answered');
  assert.equal(r.disk.subarray(offset, offset + length).indexOf(7), -1);
  return { r, sent };
}
const lengths = (packets: readonly DrbdPacket[], kind: DrbdPacket['kind']): number[] =>
  packets.flatMap((p) => (p.kind !== kind ? [] : 'data' in p ? [p.data.length] : 'size' in p ? [p.size] : []));
const sum = (l: readonly number[]): number => l.reduce((a, b) => a + b, 0);

test('what covers the whole device goes in pieces that the peer takes and the activity log can hold', () => {
  const { r, sent } = clear(15, 4096, 300 * MIB, true);
  const pieces = lengths(sent, 'P_ZEROES');
  assert.equal(sum(pieces), 300 * MIB);
  assert.ok(Math.max(...pieces) <= 128 * MIB, 'AL_UPDATES_PER_TRANSACTION extents, halved');
  assert.deepEqual(
    sent.flatMap((p) => (p.kind === 'P_ZEROES' ? [p.sector % 8192] : [])).slice(1),
    pieces.slice(1).map(() => 0),
  );
  assert.equal(r.resource.quiet, true);
  assert.equal(r.volume.counters.ap, 0);
});
test('a peer without P_ZEROES is told P_TRIM, one without either gets zeros, each no longer than it takes', () => {
  const trim = clear(DRBD_FEATURE.trim, 0, 3 * MIB, true).sent;
  assert.deepEqual(lengths(trim, 'P_TRIM'), [MIB, MIB, MIB]);
  const keep = clear(DRBD_FEATURE.trim, 0, 2 * MIB, false).sent;
  assert.deepEqual(lengths(keep, 'P_DATA'), [MIB, MIB]);
  const plain = clear(0, 0, 2 * MIB, true).sent;
  assert.deepEqual(lengths(plain, 'P_DATA'), [MIB, MIB]);
  assert.deepEqual([lengths(plain, 'P_TRIM'), lengths(plain, 'P_ZEROES')], [[], []]);
});
test('a demotion waits for the last piece', () => {
  const r = new Rig(rigConfig(), SIZE);
  r.connect();
  r.promote();
  r.app({ op: 'zero', tag: 5, offset: 0, length: 200 * MIB, unmap: true });
  const id = r.ask({ verb: 'secondary' });
  for (let n = 0; n < 4; n++) {
    assert.equal(r.answers.get(id), undefined);
    for (const p of r.packets())
      if (p.kind === 'P_ZEROES')
        r.hear({ kind: 'P_WRITE_ACK', volume: 0, sector: p.sector, id: p.id, size: p.size, seq: 1 }, 'meta');
      else if (p.kind === 'P_BARRIER')
        r.hear({ kind: 'P_BARRIER_ACK', volume: 0, barrier: p.barrier, setSize: 1 }, 'meta');
  }
  for (const p of r.packets())
    if (p.kind === 'P_BARRIER') r.hear({ kind: 'P_BARRIER_ACK', volume: 0, barrier: p.barrier, setSize: 1 }, 'meta');
  assert.equal(r.done.get(5), 0);
  assert.equal(r.answers.get(id)?.ok, true);
  assert.equal(r.volume.role, 'Secondary');
});
