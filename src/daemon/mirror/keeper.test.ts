import assert from 'node:assert/strict';
import { test } from 'node:test';
import { afterDeath, FRESH, type Kept } from './keeper.ts';
import { resumeNow } from './resume.ts';

const died = { up: true, down: false, code: 1, livedMs: 500 };
test('a mirror that was up is started again, later each time; one that never came up ends with its own code', () => {
  assert.deepEqual(afterDeath(FRESH, { ...died, up: false, code: 2 }), { end: 2 });
  assert.deepEqual(afterDeath(FRESH, { ...died, up: false, code: 0 }), { end: 1 });
  let kept: Kept = FRESH;
  const waits: number[] = [];
  for (let i = 0; i < 8; i++) {
    // The port is still held, say: that it was up once is enough.
    const next = afterDeath(kept, { ...died, up: i === 0 });
    assert.ok('kept' in next);
    waits.push(next.afterMs);
    kept = next.kept;
  }
  assert.deepEqual(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  const later = afterDeath(kept, { ...died, livedMs: 3_600_000 });
  assert.ok('kept' in later && later.afterMs === 100, 'a good life is forgiven');
});
test('what was taken down stays down', () => {
  assert.deepEqual(afterDeath(FRESH, { ...died, code: 0, down: true }), { end: 0 });
});

test('the role is taken up again when the peer is there, or has had its time; never beside another primary', () => {
  const volume = (peerRole: string) => [{ peerRole }];
  const s = (connection: string, peerRole = 'Unknown') =>
    ({ connection, volumes: volume(peerRole) }) as unknown as Parameters<typeof resumeNow>[0];
  assert.equal(resumeNow(s('WFConnection'), 0), false);
  assert.equal(resumeNow(s('WFConnection'), 5000), true);
  assert.equal(resumeNow(s('Connected', 'Secondary'), 0), true);
  assert.equal(resumeNow(s('Connected', 'Primary'), 60_000), false);
  assert.equal(resumeNow(s('StandAlone'), 0), true);
});
