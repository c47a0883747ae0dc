/** What a kernel that decides of collisions leaves of an epoch: it never acknowledges it, and acknowledges those behind it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BlockAckPacket, DataPacket, DrbdPacket } from '../../../wire/index.ts';
import { Rig, rigConfig } from '../rig.fixture.ts';

type Barrier = DrbdPacket & { readonly kind: 'P_BARRIER' };
const isData = (p: DrbdPacket): p is DataPacket => p.kind === 'P_DATA';

function primary(): Rig {
  const rig = new Rig(rigConfig({ allowTwoPrimaries: true }));
  rig.connect();
  rig.promote();
  return rig;
}
let tag = 0;
/** What is sent of a write of 4 KiB there, and its barrier. */
function write(rig: Rig, page: number): { readonly data: DataPacket; readonly tag: number } {
  const bytes = new Uint8Array(4096).fill(page);
  rig.app({ op: 'write', tag: ++tag, offset: page * 4096, bytes, through: false });
  const data = rig.packets().find(isData);
  assert.ok(data);
  return { data, tag };
}
function answer(rig: Rig, kind: BlockAckPacket['kind'], { sector, id }: DataPacket): void {
  rig.hear({ kind, volume: 0, sector, id, size: 4096, seq: 1 }, 'meta');
}
const barriers = (packets: readonly DrbdPacket[]): Barrier[] =>
  packets.filter((p): p is Barrier => p.kind === 'P_BARRIER');
const acknowledge = (rig: Rig, { barrier }: Barrier, count: number): void =>
  rig.hear({ kind: 'P_BARRIER_ACK', volume: 0, barrier, setSize: count }, 'meta');
/** That its write was answered ends an epoch: within five milliseconds. */
function closed(rig: Rig): Barrier {
  rig.advance(6_000);
  const [one] = barriers(rig.packets());
  assert.ok(one);
  return one;
}

test('an epoch of which a write was superseded counts as acknowledged with the next one', () => {
  const rig = primary();
  const first = write(rig, 1);
  answer(rig, 'P_SUPERSEDED', first.data);
  assert.equal(rig.done.get(first.tag), 0);
  closed(rig);
  const second = write(rig, 2);
  answer(rig, 'P_WRITE_ACK', second.data);
  acknowledge(rig, closed(rig), 1);
  assert.equal(rig.volume.connection, 'Connected');
  const id = rig.ask({ verb: 'secondary' });
  assert.equal(rig.answers.get(id)?.ok, true, 'nothing is open any more');
});

test('where nothing comes behind it, a flush does', () => {
  const rig = primary();
  const first = write(rig, 1);
  answer(rig, 'P_SUPERSEDED', first.data);
  closed(rig);
  rig.advance(600_000);
  const said = rig.packets();
  const flush = said.find(isData);
  assert.ok(flush !== undefined && flush.flags === 32 && flush.data.length === 0);
  const [barrier] = barriers(said);
  assert.ok(barrier);
  acknowledge(rig, barrier, 1);
  assert.equal(rig.volume.connection, 'Connected');
  const id = rig.ask({ verb: 'secondary' });
  assert.equal(rig.answers.get(id)?.ok, true, 'nothing is open any more');
});

test('an epoch without a collision that is passed over is an error, as ever', () => {
  const rig = primary();
  answer(rig, 'P_WRITE_ACK', write(rig, 1).data);
  closed(rig);
  answer(rig, 'P_WRITE_ACK', write(rig, 2).data);
  acknowledge(rig, closed(rig), 1);
  assert.notEqual(rig.volume.connection, 'Connected');
});
