/** Two primaries that write the same places at once: each write is answered, and both disks end equal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MirrorConfig } from '../../src/mirror/index.ts';
import { MirrorPair } from '../../src/sim/index.ts';

const two = (c: MirrorConfig): MirrorConfig => ({ ...c, net: { ...c.net, allowTwoPrimaries: true } });
function both(seed: number): MirrorPair {
  const p = new MirrorPair(two, seed).start();
  for (const who of [0, 1] as const) assert.equal(p.ask(who, { verb: 'primary', force: false }).ok, true);
  return p;
}

test('300 rounds of colliding writes of both sides: all are answered, and both disks are equal at the end', () => {
  let collisions = 0;
  for (let seed = 1; seed <= 10; seed++) {
    const p = both(seed);
    const { random: r } = p.world;
    const writes: { result: number | undefined }[] = [];
    for (let round = 0; round < 30; round++) {
      for (const who of [0, 1] as const)
        for (let i = r.between(1, 4); i > 0; i--) {
          const bytes = new Uint8Array(r.between(1, 4) * 4096).fill(r.between(1, 255));
          const state: { result: number | undefined } = { result: undefined };
          writes.push(state);
          p.nodes[who].app({ op: 'write', offset: r.between(0, 5) * 4096, bytes, through: false }, (result) => {
            state.result = result;
          });
        }
      p.world.runUntil(p.world.now + r.between(50, 3000));
    }
    p.runUntil('all answers', () => writes.every((w) => w.result === 0), 30);
    p.pass(2000);
    assert.ok(p.equalStates(), `seed ${seed}`);
    for (let page = 0; page < 12; page++)
      assert.equal(p.onDisk(0, page), p.onDisk(1, page), `seed ${seed}, page ${page}`);
    for (const who of [0, 1] as const)
      collisions += p.reasons(who).filter((t) => t.startsWith('both sides wrote')).length;
  }
  assert.ok(collisions > 20, `${collisions} collisions were seen`);
});
test('a write that came behind the acknowledgement of the peer is not taken for the older one', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const p = both(seed);
    for (let i = 0; i < 10; i++) {
      const who = (i % 2) as 0 | 1;
      const first = p.write(who, 3, i + 1);
      p.runUntil('a write', () => first.result === 0, 5);
      const second = p.write((1 - who) as 0 | 1, 3, i + 101);
      p.runUntil('a write', () => second.result === 0, 5);
      p.pass(20);
      assert.deepEqual([p.onDisk(0, 3), p.onDisk(1, 3)], [i + 101, i + 101], `seed ${seed}`);
    }
  }
});
test('one of two primaries is killed amid colliding writes: the other goes on, and both are equal when it is back', () => {
  for (let seed = 1; seed <= 15; seed++) {
    const p = both(seed);
    const { random: r } = p.world;
    const burst = (who: 0 | 1): void => {
      for (let i = 0; i < 4; i++) p.write(who, r.between(0, 5), r.between(1, 255));
    };
    for (let round = 0; round < 8; round++) {
      burst(0);
      burst(1);
      p.pass(1);
    }
    p.nodes[1].kill(r.chance(0.5));
    burst(0);
    p.runUntil('the loss of the peer', () => p.resource(0).connection !== 'Connected', 20);
    const alone = p.write(0, 2, 0x77);
    p.runUntil('a write alone', () => alone.result === 0, 5);
    p.nodes[1].boot();
    p.runUntil('the resync', () => p.equalStates(), 60);
    p.pass(3000);
    for (let page = 0; page < 12; page++)
      assert.equal(p.onDisk(0, page), p.onDisk(1, page), `seed ${seed}, page ${page}`);
  }
});
test('two primaries that lose each other are a split brain: both stay apart with after-sb-2pri disconnect', () => {
  const p = both(1);
  p.cutLine(true);
  p.runUntil('the loss of the peer', () => p.nodes.every((n) => n.resource?.connection !== 'Connected'), 20);
  const writes = [p.write(0, 1, 1), p.write(1, 1, 2)];
  p.runUntil('writes', () => writes.every((w) => w.result === 0), 5);
  p.cutLine(false);
  p.runUntil('StandAlone', () => p.nodes.every((n) => n.resource?.connection === 'StandAlone'), 60);
  assert.deepEqual([p.onDisk(0, 1), p.onDisk(1, 1)], [1, 2], 'nobody has overwritten anything');
});
test('a write that waits for a larger one of the peer comes behind it on both sides, whoever decides', () => {
  const p = both(1);
  const { random: r } = p.world;
  for (let round = 0; round < 600; round++) {
    const who = r.pick([0, 1] as const);
    const large = { result: undefined as number | undefined };
    p.nodes[who].app(
      { op: 'write', offset: 0, bytes: new Uint8Array(12288).fill(round % 251), through: false },
      (x) => {
        large.result = x;
      },
    );
    p.world.runUntil(p.world.now + r.between(20, 900));
    const small = p.write((1 - who) as 0 | 1, 1, 255);
    for (let i = 0; i < 5000 && (large.result === undefined || small.result === undefined); i++)
      p.world.runUntil(p.world.now + 50);
    assert.deepEqual([large.result, small.result], [0, 0]);
    p.pass(30);
    for (let page = 0; page < 3; page++)
      assert.equal(p.onDisk(0, page), p.onDisk(1, page), `round ${round}, page ${page}`);
  }
});
