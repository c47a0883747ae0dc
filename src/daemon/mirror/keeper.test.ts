import assert from 'node:assert/strict';
import { test } from 'node:test';
import { afterDeath, FRESH, type Kept } from './keeper.ts';
import { patienceOf, resumeNow } from './resume.ts';

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
  // A peer that is there may take until the second try, at the next connect-int, and must not be met as primary too late.
  const net = (connectInterval: number, pingTimeout: number) =>
    ({ connectInterval, pingTimeout }) as unknown as Parameters<typeof patienceOf>[0];
  assert.equal(patienceOf(net(10_000, 500)), 11_000);
  assert.equal(patienceOf(net(1000, 100)), 5000);
  const now = (...[status, waited]: [Parameters<typeof resumeNow>[0], number]): boolean =>
    resumeNow(status, waited, 11_000);
  assert.equal(now(s('WFConnection'), 0), false);
  assert.equal(now(s('WFConnection'), 10_999), false);
  assert.equal(now(s('WFConnection'), 11_000), true);
  assert.equal(now(s('WFReportParams'), 60_000), false);
  assert.equal(now(s('Connected', 'Secondary'), 0), true);
  assert.equal(now(s('Connected', 'Primary'), 60_000), false);
  assert.equal(now(s('StandAlone'), 0), true);
});
