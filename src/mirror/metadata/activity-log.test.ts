import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Random } from '../../base/index.ts';
import {
  ActivityLog,
  type AlGeometry,
  type AlWrite,
  alBlockIndex,
  alBlocks,
  BLOCK_BYTES,
  decodeAlBlock,
  freshRing,
  MAX_UPDATES,
  maxExtents,
  replayActivityLog,
} from './index.ts';

const EIGHT: AlGeometry = { stripes: 1, stripeSize4k: 8 };
const write = (ring: Uint8Array, w: AlWrite): void => ring.set(w.bytes, w.block * BLOCK_BYTES);
/** Makes an extent hot, whatever it takes. */
function heat(log: ActivityLog, ring: Uint8Array, extent: number): void {
  if (log.begin(extent) === 'hot') return;
  const t = log.transaction() ?? assert.fail('a pending extent wants a transaction');
  write(ring, t);
  log.committed();
}

test('transactions go round the ring, and from stripe to stripe', () => {
  const order = (g: AlGeometry): number[] => Array.from({ length: alBlocks(g) + 1 }, (_, t) => alBlockIndex(g, t));
  assert.deepEqual(order(EIGHT), [0, 1, 2, 3, 4, 5, 6, 7, 0]);
  assert.deepEqual(order({ stripes: 2, stripeSize4k: 4 }), [0, 4, 1, 5, 2, 6, 3, 7, 0]);
});
test('a write waits for the transaction that names its extent, and the next one to that extent does not', () => {
  const log = new ActivityLog(67, EIGHT);
  assert.equal(log.begin(5), 'pending');
  assert.equal(log.begin(5), 'pending', 'a second write before the commit waits too');
  const t = log.transaction();
  assert.deepEqual(
    t?.updates.map((u) => u.extent),
    [5],
  );
  assert.equal(log.transaction(), undefined, 'one is in flight');
  assert.equal(log.begin(5), 'pending', 'and is not durable yet');
  assert.deepEqual(log.committed(), [5]);
  assert.equal(log.begin(5), 'hot');
  assert.equal(log.active, 1);
});
test('extents that come while a transaction is in flight go into the next one together', () => {
  const log = new ActivityLog(67, EIGHT);
  log.begin(1);
  log.transaction();
  for (let e = 2; e < 10; e++) log.begin(e);
  log.committed();
  assert.deepEqual(
    log.transaction()?.updates.map((u) => u.extent),
    [2, 3, 4, 5, 6, 7, 8, 9],
  );
});
test('a transaction has at most 64 updates: the next extent must ask again', () => {
  const log = new ActivityLog(200, EIGHT);
  for (let e = 0; e < MAX_UPDATES; e++) assert.equal(log.begin(e), 'pending');
  assert.equal(log.begin(1000), 'full');
  log.transaction();
  assert.equal(log.begin(1000), 'pending');
});
test('the least recently used extent that nobody holds is thrown out, and its bitmap page is to be written before', () => {
  const log = new ActivityLog(67, EIGHT);
  const ring = freshRing(8);
  for (let e = 0; e < 67; e++) heat(log, ring, e * 32);
  assert.equal(log.begin(9999), 'full', 'all are held');
  for (const e of [3, 1, 2]) log.end(e * 32);
  assert.equal(log.begin(3 * 32), 'hot', 'used again');
  assert.equal(log.begin(9999), 'pending');
  const t = log.transaction();
  assert.deepEqual(t?.bitmapPages, [1], 'extent 32 has its bits in page 1');
  log.committed();
  assert.equal(log.begin(32), 'pending', 'it is cold now');
});
test('an extent given back while its transaction is under way is not thrown out before it is hot', () => {
  const log = new ActivityLog(67, EIGHT);
  log.begin(7);
  log.end(7);
  assert.equal(log.active, 1);
  log.transaction();
  log.committed();
  assert.equal(log.active, 0);
  assert.equal(log.begin(7), 'hot');
});
test('an extent is not given back more often than it was taken', () => {
  const log = new ActivityLog(67, EIGHT);
  assert.throws(() => log.end(1), /given back as often/);
});
test('no log has more slots than a ring with one torn block can tell', () => {
  assert.equal(maxExtents(EIGHT), 7 * 919);
  assert.throws(() => new ActivityLog(7 * 919 + 1, EIGHT), /describe all slots/);
});
test('the first transaction of a log is byte for byte what a kernel wrote, but for the slot that it chose', () => {
  const log = new ActivityLog(67, EIGHT);
  log.begin(0);
  const got = decodeAlBlock(log.transaction()?.bytes ?? assert.fail());
  assert.ok(got.ok && got.value.kind === 'update');
  const { number, updates, contextSize, contextStart, context } = got.value;
  assert.deepEqual([number, updates, contextSize, contextStart], [0, [{ slot: 66, extent: 0 }], 67, 0]);
  assert.ok(context.every((e) => e === 0xffff_ffff));
});

/**
 * One run: random writes, the transactions that they need, and a crash at a random moment that may tear the block being
 * written. What had been let go must be in what the ring says.
 */
function crashRun(seed: number): void {
  const random = new Random(seed);
  const g = random.pick<AlGeometry>([
    EIGHT,
    { stripes: 1, stripeSize4k: 2 },
    { stripes: 2, stripeSize4k: 4 },
    { stripes: 3, stripeSize4k: 5 },
  ]);
  const size = Math.min(maxExtents(g), random.pick([67, 100, 919, 920, 1237, 6433]));
  const log = new ActivityLog(size, g);
  const ring = freshRing(alBlocks(g));
  const span = random.pick([60, size, size * 3]);
  const held: number[] = []; // writes that are on their way, or whose epoch is not acknowledged
  const waiting: number[] = [];
  const steps = random.between(1, 400);
  let torn: number | undefined;
  for (let i = 0; i < steps; i++) {
    for (let n = random.between(0, 40); n > 0; n--) {
      const extent = random.between(0, span);
      const got = log.begin(extent);
      if (got === 'hot') held.push(extent);
      else if (got === 'pending') waiting.push(extent);
    }
    const t = log.transaction();
    if (t !== undefined) {
      if (random.chance(0.02) || i === steps - 1) {
        torn = t.block;
        break; // the power goes while it is written
      }
      write(ring, t);
      const hot = new Set(log.committed());
      for (let w = waiting.length - 1; w >= 0; w--)
        if (hot.has(waiting[w] as number)) held.push(...waiting.splice(w, 1));
    }
    while (held.length > 0 && random.chance(0.9)) {
      const [done] = held.splice(random.between(0, held.length - 1), 1) as [number];
      log.end(done);
    }
  }
  if (torn !== undefined)
    for (let at = torn * BLOCK_BYTES + random.between(0, 4095); at < (torn + 1) * BLOCK_BYTES; at++)
      ring[at] = random.u32();
  const replay = replayActivityLog(ring, g);
  assert.ok(replay.complete, `seed ${seed}: a crash leaves the log complete`);
  const hot = new Set(replay.hot);
  for (const e of held) assert.ok(hot.has(e), `seed ${seed}: extent ${e} is forgotten`);
  assert.ok(replay.hot.length <= size, `seed ${seed}: no more extents than slots`);
}
test('a crash at any moment, with the block being written torn, forgets no extent that a write was let go to', () => {
  const base = Number(process.env['HOLDFAST_SEED'] ?? 1);
  for (let seed = base; seed < base + 400; seed++) crashRun(seed);
});

test('a ring of which more is damaged than a crash does says that it is not complete', () => {
  const log = new ActivityLog(6433, EIGHT);
  const ring = freshRing(8);
  for (let e = 0; e < 20; e++) heat(log, ring, e);
  assert.ok(replayActivityLog(ring, EIGHT).complete);
  ring[1 * BLOCK_BYTES + 100] = 1; // transaction 17 of 0..19
  assert.ok(!replayActivityLog(ring, EIGHT).complete, 'the slots that only older ones tell may have changed in it');
  assert.deepEqual(replayActivityLog(ring, EIGHT).damaged, [1]);
  assert.ok(!replayActivityLog(new Uint8Array(8 * BLOCK_BYTES), EIGHT).complete, 'nothing valid at all');
});
test('a fresh ring is complete and names nothing; the first transaction torn likewise', () => {
  const ring = freshRing(8);
  assert.deepEqual(replayActivityLog(ring, EIGHT), { hot: [], transactions: 0, damaged: [], complete: true });
  ring[50] = 1;
  assert.deepEqual(replayActivityLog(ring, EIGHT), { hot: [], transactions: 0, damaged: [0], complete: true });
});
test('no ring whatever makes the replay throw', () =>
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 0, max: 8 }), (noise, blocks) => {
      const ring = freshRing(blocks);
      ring.set(noise.subarray(0, ring.length));
      const replay = replayActivityLog(ring, EIGHT);
      assert.ok(replay.transactions === 0);
    }),
  ));
