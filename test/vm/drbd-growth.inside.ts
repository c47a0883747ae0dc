/** A volume that grows with both its disks, whoever is asked and whoever is primary. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Growth, LOWER, RESIZE } from './drbd-growth-rig.ts';
import { primary, secondary } from './drbd-roles.ts';

let g: Growth;
before(async () => {
  g = await Growth.start(16);
});
after(() => g?.rig.stop());

let byte = 0x60;
for (const [asked, who] of [
  ['ours', 'ours'],
  ['kern', 'ours'],
  ['kern', 'kern'],
  ['ours', 'kern'],
] as const)
  test(`both disks have grown, ${asked} is asked to resize while ${who} is primary: the volume grows on both, with its data`, async () => {
    await primary(g.rig, who);
    const before = await g.sizeOf('ours');
    await g.disk('ours');
    const alone = await g.rig.ask(RESIZE);
    assert.equal(await g.sizeOf('ours'), before, `one disk alone has grown: ${alone.text.en}`);
    await g.disk('kern');
    if (asked === 'kern') await g.rig.adm('resize', 'r0/0');
    else await g.resize('ours');
    const size = await g.grownBeyond(before);
    await g.rig.settled();
    assert.equal(await g.sizeOf('kern'), size);
    await g.write(who, ++byte, size - 65536);
    const grown = await g.rig.equal();
    assert.deepEqual([grown[0], grown[size - 65536], grown[size - 1]], [0x51, byte, byte]);
    await secondary(g.rig, who);
  });

for (const asked of ['ours', 'kern'] as const)
  test(`with --assume-clean, asked of ${asked}, both grow, and nothing is copied`, async () => {
    const { rig } = g;
    const before = await g.sizeOf('ours');
    await primary(rig, 'ours');
    await g.disks();
    const { ns } = (await rig.volume()).counters;
    await g.resize(asked, '--assume-clean');
    const size = await g.grownBeyond(before);
    await rig.settled();
    assert.deepEqual([await g.sizeOf('kern'), (await rig.volume()).counters.ns], [size, ns]);
    const [mine, theirs] = g.hashes(size);
    assert.notEqual(mine, theirs, 'what was never equal is not');
    await rig.io(`write -P ${++byte} ${before} ${size - before}`, 'flush');
    await rig.equal();
    await secondary(rig, 'ours');
  });

test('and so large it is when both start anew', async () => {
  const size = await g.sizeOf('ours');
  const before = await g.rig.equal();
  await g.rig.configure({}, LOWER);
  await g.rig.up();
  await g.rig.settled();
  assert.deepEqual(await g.sizes(), [size, size]);
  assert.ok((await g.rig.equal()).equals(before));
});
