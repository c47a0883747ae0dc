/** Connections through the bpf plane's direct routing, while servers leave, processes end and directors die. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BpfRig, everything, run, service, Talks, tally, three, VIP4, VIP6 } from './bpf-rig.ts';

test('a drained server keeps its connections and gets no new one; a removed one loses them', async () => {
  await using rig = await BpfRig.start();
  const plane = rig.plane('d1');
  await plane.apply(everything());
  const talks = await Talks.start(rig.host('client'), VIP4, 60);
  const before = await talks.settled();
  assert.deepEqual(Object.keys(before.by).sort(), ['s1', 's2', 's3']);
  await plane.apply(everything([{ n: 1 }, { n: 2 }, { n: 3, weight: 0 }]));
  assert.deepEqual(await talks.settled(), { broken: 0, by: before.by });
  assert.equal(tally(await rig.ask(40)).s3, undefined);
  await plane.apply(everything([{ n: 1 }, { n: 2 }]));
  const { s3, ...others } = before.by;
  assert.deepEqual(await talks.settled(), { broken: s3, by: others });
});

test('the process may end, start again and find another program: no connection is cut, and what is as wanted is kept', async () => {
  await using rig = await BpfRig.start();
  const first = rig.plane('d1');
  await first.apply(everything());
  const talks = await Talks.start(rig.host('client'), VIP4, 60);
  const before = await talks.settled();
  await first.program.kill('SIGKILL');
  await first.program.exited;
  assert.deepEqual(await talks.settled(), { broken: 0, by: before.by });
  // Its programs are loaded anew and take the place of the old ones in the same links.
  const second = rig.plane('d1');
  const again = await second.apply(everything());
  assert.deepEqual(
    again.outcomes.map((o) => o.result),
    Array(6).fill({ ok: true, value: 'kept' }),
  );
  assert.deepEqual(await talks.settled(), { broken: 0, by: before.by });
  assert.deepEqual(tally(await rig.ask(20)).none, undefined);
  await second.close(false);
  assert.equal(
    (await run(rig.host('d1'), 'ls /run/holdfast-bpf | grep -v debug || true')).trim(),
    '',
    'nothing is left',
  );
});

test('the maps grow under load: ten times as many services, and no connection is cut', async () => {
  await using rig = await BpfRig.start();
  const plane = rig.plane('d1');
  await plane.apply(everything());
  const talks = await Talks.start(rig.host('client'), VIP4, 60);
  const before = await talks.settled();
  const many = Array.from({ length: 3000 }, (_, i) => service({ port: 10_000 + i, servers: three }));
  const grown = await plane.apply({ ...everything(), services: [...everything().services, ...many] });
  assert.ok(grown.outcomes.every((o) => o.result.ok));
  assert.deepEqual(await talks.settled(), { broken: 0, by: before.by });
  assert.equal(tally(await rig.ask(20)).none, undefined);
});

test('another director with an empty flow map takes over, and none of the open connections is broken', async () => {
  await using rig = await BpfRig.start();
  const one = rig.plane('d1');
  const two = rig.plane('d2');
  await one.apply(everything());
  await two.apply(everything([...three].reverse()));
  const talks = await Talks.start(rig.host('client'), VIP4, 100);
  const talks6 = await Talks.start(rig.host('client'), VIP6, 40);
  const before = [await talks.settled(), await talks6.settled()];
  await rig.host('d1').powerCut();
  await rig.takeAddress('d2');
  // TCP asks again when its own time has come, twice as late each time.
  let moved = 0;
  for (const end = performance.now() + 90_000; moved < 140 && performance.now() < end; ) {
    await new Promise((r) => setTimeout(r, 500));
    const counters = await two.counters();
    moved = counters.flatMap((c) => c.servers).reduce((n, s) => n + s.connections, 0);
  }
  assert.ok(moved >= 140, `${moved} flows passed through the second director`);
  assert.deepEqual([await talks.settled(), await talks6.settled()], before);
});

test('the guard: with program and maps gone for a second, the kernel answers nothing for the VIP and no connection dies', async () => {
  await using rig = await BpfRig.start();
  const first = rig.plane('d1');
  await first.apply(everything());
  const talks = await Talks.start(rig.host('client'), VIP4, 40);
  const before = await talks.settled();
  await first.program.kill('SIGKILL');
  await first.program.exited;
  await run(rig.host('d1'), 'rm -f $(ls -d /run/holdfast-bpf/* | grep -v debug)');
  assert.deepEqual((await rig.ask(1, VIP4, 2000)).join(), 'none', 'the program is away');
  const second = rig.plane('d1');
  await second.apply(everything());
  assert.deepEqual(await talks.settled(), before);
});
