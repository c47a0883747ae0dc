/** What status says of a resync that has just begun. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes } from '../../src/base/index.ts';
import type { MirrorConfig } from '../../src/mirror/index.ts';
import { MirrorPair } from '../../src/sim/index.ts';

const slow = (c: MirrorConfig): MirrorConfig => ({
  ...c,
  volumes: c.volumes.map((v) => ({
    ...v,
    options: { ...v.options, resync: { ...v.options.resync, rate: bytes(81_920) } },
  })),
});

test('a resync has no time left in its first second, and one that fits what is left from then on', () => {
  const p = new MirrorPair(slow).start();
  assert.equal(p.ask(0, { verb: 'primary', force: false }).ok, true);
  p.cutLine(true);
  p.runUntil('the loss of the peer', () => p.resource(0).connection !== 'Connected', 20);
  const writes = Array.from({ length: 160 }, (_, page) => p.write(0, page, 0x33));
  p.runUntil('the writes', () => writes.every((w) => w.result === 0), 20);
  p.cutLine(false);
  p.runUntil('a resync', () => p.volume(1).connection === 'SyncTarget', 60);
  const look = (who: 0 | 1) => p.resource(who).status().volumes[0]?.sync;
  for (let passed = 0; passed < 900; passed += 100) {
    for (const s of [look(0), look(1)])
      assert.deepEqual([s?.left, s?.stalled], [undefined, false], `after ${passed} ms`);
    p.pass(100);
  }
  p.pass(2000);
  for (const s of [look(0), look(1)]) {
    assert.ok(s?.left !== undefined && s.left > 1 && s.left < 30, JSON.stringify(s));
    assert.equal(s.stalled, false);
  }
});
