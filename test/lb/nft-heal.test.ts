/** What another program does to the plane's tables is undone at the next look. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DR, NAT, PlaneProcess, Rig, server, service, skip, tally } from './rig.ts';

const direct = { forwarding: { method: 'direct-routing' } } as const;

test('a flushed ruleset and deleted elements are put back at the next tick, and told in one line; the guard too', {
  skip,
}, async () => {
  const rig = await Rig.start();
  await using _ = rig.lab;
  const plane = await PlaneProcess.start(rig.director);
  const services = [
    service(NAT[4], 80, [server(1, 1), server(2, 1)]),
    service(DR[4], 80, [server(1, 1, direct), server(2, 1, direct)]),
  ];
  const nft = async (line: string): Promise<string> => {
    const done = await rig.director.run(['nft', ...line.split(' ')]);
    assert.equal(done.code, 0, done.stderr);
    return done.stdout;
  };
  const now = async (): Promise<string[]> => {
    const all = await nft('list ruleset');
    return all
      .replaceAll(/counter packets \d+ bytes \d+|expires \S+/g, '')
      .split(/[\n,]/)
      .map((l) => l.trim())
      .sort();
  };
  assert.deepEqual(await plane.holds(services), ['changed', 'changed']);
  await plane.ask('tick');
  assert.equal(plane.stderr(), '');
  const before = await now();

  await nft('flush ruleset');
  assert.equal(await nft('list ruleset'), '');
  await plane.ask('tick');
  assert.deepEqual(await now(), before);
  assert.match(
    plane.stderr(),
    /nft-disturbed: another program changed table holdfast-lb or holdfast-guard .* 2 services/,
  );

  await nft('flush map inet holdfast-lb vip4');
  await nft('delete table inet holdfast-guard');
  await plane.ask('tick');
  assert.deepEqual(await now(), before);
  assert.equal(plane.stderr().trim().split('\n').length, 2);

  // A change that meets the damage before any tick repairs it on its way.
  await nft('flush map inet holdfast-lb to4');
  const heavier = [service(NAT[4], 80, [server(1, 2), server(2, 1)]), services[1] as (typeof services)[0]];
  await plane.holds(heavier);
  await plane.ask('tick');
  assert.deepEqual(tally(await rig.http(NAT[4], 80, 6)), { r1: 4, r2: 2 });

  // Another program's own table is none of our business.
  await nft('add table inet other');
  const said = plane.stderr();
  await plane.ask('tick');
  assert.equal(plane.stderr(), said);
  await plane.close(false);
});
