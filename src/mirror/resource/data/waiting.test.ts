/** What the peer sent and what waits here: reads behind writes; and when the connection is lost it is not written later. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random, text, us } from '../../../base/index.ts';
import { type BlockId, DRBD_WRITE_FLAG, sector } from '../../../wire/index.ts';
import { Rig, rigConfig, stateOf } from '../rig.fixture.ts';
import type { DiskOperation } from '../types.ts';

const BLOCK = 4096;
const isData = (o: DiskOperation): boolean => o.op === 'write' && o.bytes[0] === 0xda;
let next = 1;
function write(r: Rig, place: number, blocks: number, flags: number = DRBD_WRITE_FLAG.sendWriteAck): void {
  const seq = next++;
  r.hear({
    kind: 'P_DATA',
    volume: 0,
    sector: sector(place * 8),
    id: BigInt(seq) as BlockId,
    seq,
    flags,
    digest: new Uint8Array(0),
    data: new Uint8Array(blocks * BLOCK).fill(0xda),
  });
}
const written = (r: Rig): number => r.effects.filter((e) => e.kind === 'disk' && isData(e.operation)).length;

test('a write that waits for one that waits is dropped with it', () => {
  const r = new Rig(rigConfig());
  r.connect('Primary');
  r.holdDisk = isData;
  write(r, 0, 1);
  write(r, 0, 2); // behind the first
  write(r, 1, 1); // behind the second alone
  assert.equal(written(r), 1);
  r.resource.handle({ kind: 'closed', because: text('a test', '测试') }, us(r.now));
  r.run();
  assert.equal(written(r), 1);
  r.said();
  for (const end of r.held.splice(0)) end();
  assert.deepEqual(
    r.packets().filter((p) => p.kind === 'P_WRITE_ACK'),
    [],
  );
});

for (let seed = 1; seed <= 30; seed++)
  test(`nothing that waited is written or acknowledged after the connection is lost: seed ${seed}`, () => {
    const random = new Random(seed);
    const r = new Rig(rigConfig());
    r.connect('Primary');
    r.holdDisk = isData;
    for (let n = random.between(2, 20); n > 0; n--) write(r, random.between(0, 12), random.between(1, 5));
    const before = written(r);
    r.resource.handle({ kind: 'closed', because: text('a test', '测试') }, us(r.now));
    r.run();
    r.said();
    while (r.held.length > 0) r.held.splice(random.between(0, r.held.length - 1), 1)[0]?.();
    assert.equal(written(r), before);
    assert.deepEqual(
      r.packets().filter((p) => p.kind === 'P_WRITE_ACK'),
      [],
    );
    assert.equal(r.volume.counters.ua, 0);
    assert.equal(r.volume.locks.size, 0);
  });

test('a read of the peer waits with the writes that it sent before: in A its application has been told that they are done', () => {
  const r = new Rig(rigConfig({ protocol: 'A' }));
  r.connect('Primary');
  let holds = true;
  r.holdDisk = (o) => holds && o.op === 'write' && o.through;
  // Its disk goes: what it writes next waits until our metadata say that ours is the only one.
  r.hear({
    kind: 'P_STATE',
    volume: 0,
    state: stateOf('Connected', ['Primary', 'Secondary'], ['Diskless', 'UpToDate']),
  });
  write(r, 5, 1, 0);
  r.hear({ kind: 'P_DATA_REQUEST', volume: 0, sector: sector(5 * 8), id: 77n as BlockId, size: BLOCK, pad: 0 });
  const answers = (): number[] => r.packets().flatMap((p) => (p.kind === 'P_DATA_REPLY' ? [p.data[0] as number] : []));
  assert.deepEqual(answers(), []);
  holds = false;
  while (r.held.length > 0) r.held.shift()?.();
  assert.deepEqual(answers(), [0xda]);
});
