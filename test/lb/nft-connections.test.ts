/** Connections through nft's direct routing, while servers leave, planes are killed and rules are lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DR, directPool, FLOWS, isShare, losesOnly, PlaneProcess, Rig, service, skip, tally } from './rig.ts';

test('a drained server keeps its connection and gets no new one; a removed one loses it; a killed plane is taken over', {
  skip,
}, async () => {
  const rig = await Rig.start();
  await using _ = rig.lab;
  const first = await PlaneProcess.start(rig.director);
  const all = service(DR[4], 80, directPool([1, 1, 1]));
  await first.holds([all]);
  const kept: Awaited<ReturnType<Rig['keep']>>[] = [];
  while (new Set(kept.map((k) => k.at)).size < 3) kept.push(await rig.keep(DR[4], 80));
  const at = (name: string): number => kept.filter((k) => k.at === name).length;
  await first.kill();
  const second = await PlaneProcess.start(rig.director);
  assert.deepEqual(await second.holds([all]), ['kept']);
  for (const k of kept) await rig.goesOn(k, second, 'after the restart');
  const [counters] = await second.counters();
  assert.deepEqual(
    counters?.servers.map((s) => s.active),
    [at('r1'), at('r2'), at('r3')],
  );
  await second.holds([service(DR[4], 80, directPool([0, 1, 1]))]);
  isShare(tally(await rig.http(DR[4], 80, FLOWS)), { r2: 0.5, r3: 0.5 });
  for (const k of kept) await rig.goesOn(k, second, 'while r1 drains');
  await second.holds([service(DR[4], 80, directPool([1, 1, 1]).slice(1))]);
  await losesOnly('r1', kept);
  await second.close(false);
  assert.equal(await rig.nft('list', 'tables'), '');
});

test('connections survive the loss of every rule and every flow behind the guard: the hash finds their servers again', {
  skip,
}, async () => {
  const rig = await Rig.start();
  await using _ = rig.lab;
  const wanted = [service(DR[4], 80, directPool([1, 1, 1]))];
  const first = await PlaneProcess.start(rig.director);
  await first.holds(wanted);
  const kept: Awaited<ReturnType<Rig['keep']>>[] = [];
  // A hash may send any number of flows to one server: on until there are two.
  while (kept.length < 6 || new Set(kept.map((k) => k.at)).size < 2) kept.push(await rig.keep(DR[4], 80));
  const second = await PlaneProcess.start(rig.director);
  await first.close(true);
  await rig.nft('delete', 'table', 'netdev', 'holdfast-lb');
  await sleep(300);
  await second.holds(wanted);
  for (const k of kept) await rig.goesOn(k, second, 'with the rules put again');
});
