/** The power is cut at every write that a disk sees; what comes back must be consistent, or known not to be, and become equal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Broken, MirrorWorld } from '../../src/sim/index.ts';

const options = {
  protocol: 'C',
  checksums: false,
  integrity: false,
  onCongestion: 'block',
  alExtents: 67,
  planAhead: 0,
  bytes: 1 << 20,
  rounds: 0,
  places: 12,
  fresh: false,
} as const;

for (const who of [0, 1] as const)
  test(`a power cut at any write of ${who === 0 ? 'the primary' : 'the secondary'} (metadata, log, bitmap, data) loses nothing that was acknowledged`, (t) => {
    let cuts = 0;
    for (let write = 1; ; write++) {
      const w = new MirrorWorld(1, options);
      try {
        if (!w.runCut(who, write)) break; // there were no more writes
      } catch (e) {
        assert.fail(`cut at write ${write}: ${e instanceof Broken ? e.message : e}\n${w.world.tail(40)}`);
      }
      cuts++;
    }
    t.diagnostic(`${cuts} writes`);
    assert.ok(cuts > 40, `${cuts}`);
  });
