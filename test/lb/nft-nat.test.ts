/** NAT by nft, with real HTTP and UDP through client, director and real servers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WantedServer } from '../../src/director/types.ts';
import { losesOnly, NAT, PlaneProcess, Rig, server, service, skip, tally } from './rig.ts';

const pool = (weights: readonly number[], o: Parameters<typeof server>[2] = {}): WantedServer[] =>
  weights.map((w, i) => server(i + 1, w, o));

test('weights are exact over TCP and UDP, IPv4 and IPv6, with and without another port', { skip }, async () => {
  const rig = await Rig.start();
  await using _ = rig.lab;
  const plane = await PlaneProcess.start(rig.director);
  for (const f of [4, 6] as const) {
    await plane.holds([
      service(NAT[f], 80, pool([6, 3, 3], { family: f })),
      service(NAT[f], 81, pool([6, 3, 3], { family: f, port: 8080 })),
      service(NAT[f], 53, pool([6, 3, 3], { family: f, port: 53 }), { protocol: 'udp' }),
    ]);
    const weights = { r1: 6, r2: 3, r3: 3 };
    assert.deepEqual(tally(await rig.http(NAT[f], 80, 12)), weights);
    assert.deepEqual(tally(await rig.http(NAT[f], 81, 12)), weights);
    assert.deepEqual(tally(await rig.udp(NAT[f], 12)), weights);
    const [tcp] = await plane.counters();
    assert.deepEqual(
      tcp?.servers.map((s) => s.connections),
      [6, 3, 3],
    );
    for (const s of tcp?.servers ?? []) assert.ok(s.packetsIn > 0 && s.packetsOut > 0 && s.bytesOut > s.packetsOut);
  }
  // Every port of an address, and a mark that somebody else's table puts.
  await rig.nft(
    'add table ip marker { chain c { type filter hook prerouting priority mangle; tcp dport 8080 meta mark set 7; } ; }',
  );
  await plane.holds([
    service(NAT[4], 0, pool([1, 1, 1], { port: 0 })),
    {
      ...service(NAT[4], 0, pool([1, 0, 0], { port: 0 })),
      key: 'fwmark 7 ipv4',
      match: { by: 'fwmark', mark: 7, family: 4 },
    },
  ]);
  assert.deepEqual(tally(await rig.http(NAT[4], 80, 3)), { r1: 1, r2: 1, r3: 1 });
  await plane.holds([
    {
      ...service(NAT[4], 0, pool([1, 0, 0], { port: 0 })),
      key: 'fwmark 7 ipv4',
      match: { by: 'fwmark', mark: 7, family: 4 },
    },
  ]);
  assert.deepEqual(tally(await rig.http(NAT[4], 8080, 3)), { r1: 3 });
});

test('a drained server keeps its connection and gets no new one; a removed one loses it; a killed plane is taken over', {
  skip,
}, async () => {
  const rig = await Rig.start();
  await using _ = rig.lab;
  // Somebody else's tables, as Docker and firewalld have them.
  await rig.nft(
    'add table ip docker { chain PREROUTING { type nat hook prerouting priority dstnat; } ; set s { type ipv4_addr; } ; }',
  );
  await rig.nft('add table inet firewalld { chain c { type filter hook forward priority filter + 10; } ; }');
  const foreign = async (): Promise<string> =>
    (await rig.nft('list', 'table', 'ip', 'docker')) + (await rig.nft('list', 'table', 'inet', 'firewalld'));
  const before = await foreign();
  const other = service(NAT[4], 81, pool([1, 1, 1], { port: 8080 }));
  const first = await PlaneProcess.start(rig.director);
  assert.deepEqual(await first.holds([service(NAT[4], 80, pool([1, 1, 1])), other]), ['changed', 'changed']);
  const kept = [await rig.keep(NAT[4], 80), await rig.keep(NAT[4], 80), await rig.keep(NAT[4], 80)];
  assert.deepEqual(kept.map((k) => k.at).sort(), ['r1', 'r2', 'r3']);

  // Killed, and another process takes over: nothing is sent for what is as it should be.
  const listed = (await rig.nft('-s', 'list', 'table', 'inet', 'holdfast-lb')).replaceAll(
    /counter packets \d+ bytes \d+/g,
    '',
  );
  await first.kill();
  const second = await PlaneProcess.start(rig.director);
  const monitor = rig.director.spawn(['nft', 'monitor']);
  /** What the monitor has told so far, once it has told of everything: a table of the test's own comes and goes last. */
  const told = async (): Promise<string[]> => {
    const name = `mark-${monitor.lines.length}`;
    for (const end = performance.now() + 60_000; !monitor.text('stdout').includes(`delete table ip ${name}`); ) {
      assert.ok(performance.now() < end, `nft monitor tells of nothing: ${monitor.text('stderr')}`);
      await rig.nft('add', 'table', 'ip', name);
      await rig.nft('delete', 'table', 'ip', name);
      await sleep(50);
    }
    return monitor.lines
      .filter((l) => l.from === 'stdout' && !/^# new generation|holdfast-probe| table ip mark-/.test(l.text))
      .map((l) => l.text);
  };
  await told();
  assert.deepEqual(await second.holds([service(NAT[4], 80, pool([1, 1, 1])), other]), ['kept', 'kept']);
  assert.deepEqual(await told(), []);
  const now = (await rig.nft('-s', 'list', 'table', 'inet', 'holdfast-lb')).replaceAll(
    /counter packets \d+ bytes \d+/g,
    '',
  );
  assert.equal(now, listed);
  for (const k of kept) await rig.goesOn(k, second, 'after the restart');

  // Drain r1.
  assert.deepEqual(await second.holds([service(NAT[4], 80, pool([0, 1, 1])), other]), ['changed', 'kept']);
  assert.deepEqual(tally(await rig.http(NAT[4], 80, 6)), { r2: 3, r3: 3 });
  for (const k of kept) await rig.goesOn(k, second, 'while r1 drains');
  // What the monitor saw of that change concerns this service alone: elements with its mark, which the monitor writes in
  // either order of bytes, and the chain that takes turns for it, of two slots where it had three: four rules, two of each.
  const changed = (await told()).filter((l) => /^(add|delete|insert)/.test(l));
  assert.ok(changed.length > 0 && changed.length < 16, changed.join('\n'));
  const own =
    /inet holdfast-lb ([\w-]+ \{ (0xa0001[0-9a-f]{3}|0x[0-9a-f]{2}1000a0) |(kinds \{ \w+ : goto )?by-turn-[23]-0008)/;
  for (const l of changed) assert.match(l, own);

  // Remove r1 and its connection is cut.
  const [r2, r3] = [server(2, 1), server(3, 1)];
  await second.holds([service(NAT[4], 80, [r2, r3]), other]);
  await losesOnly('r1', kept);
  assert.equal(await foreign(), before);
  await second.close(false);
  assert.equal(await rig.nft('list', 'tables'), 'table ip docker\ntable inet firewalld\n');
});

test('with a hash scheduler, open connections survive a director that knows none of them', { skip }, async () => {
  const rig = await Rig.start();
  await using _ = rig.lab;
  const plane = await PlaneProcess.start(rig.director);
  await plane.holds([service(NAT[4], 80, pool([1, 1, 1]), { scheduler: 'mh', flags: ['mh-port'] })]);
  const kept: Awaited<ReturnType<Rig['keep']>>[] = [];
  // A hash may send any number of flows to one server: on until there are two.
  while (kept.length < 6 || new Set(kept.map((k) => k.at)).size < 2) kept.push(await rig.keep(NAT[4], 80));
  for (let i = 0; i < 5; i++) {
    assert.deepEqual(await plane.ask('flush-conntrack'), [{ errno: 0 }]);
    await sleep(100);
  }
  for (const k of kept) await rig.goesOn(k, plane, 'with no entry left');
});

test('persistence sends a client to its server again, and away from one that drains', { skip }, async () => {
  const rig = await Rig.start();
  await using _ = rig.lab;
  const plane = await PlaneProcess.start(rig.director);
  const sticky = (weights: readonly number[], f: 4 | 6) =>
    service(NAT[f], 80, pool(weights, { family: f }), { persistence: { seconds: 60, granularity: f === 4 ? 24 : 64 } });
  for (const f of [4, 6] as const) {
    await plane.holds([sticky([1, 1, 1], f)]);
    const [at, ...more] = Object.keys(tally(await rig.http(NAT[f], 80, 6)));
    assert.deepEqual(more, []);
    const i = Number((at as string).slice(1));
    await plane.holds([
      sticky(
        [1, 2, 3].map((n) => (n === i ? 0 : 1)),
        f,
      ),
    ]);
    const after = Object.keys(tally(await rig.http(NAT[f], 80, 6)));
    assert.equal(after.length, 1);
    assert.notEqual(after[0], at);
  }
});

test('least connections: an idle server gets most of the new ones', { skip }, async () => {
  const rig = await Rig.start();
  await using _ = rig.lab;
  const plane = await PlaneProcess.start(rig.director);
  const wanted = service(NAT[4], 80, pool([1, 1, 1]), { scheduler: 'wlc' });
  await plane.holds([service(NAT[4], 80, [server(1, 1)])]);
  const kept = [];
  for (let i = 0; i < 6; i++) kept.push(await rig.keep(NAT[4], 80));
  await plane.holds([wanted]);
  await plane.ask('tick');
  const [counters] = await plane.counters();
  assert.deepEqual(
    counters?.servers.map((s) => s.active),
    [6, 0, 0],
  );
  const n = tally(await rig.http(NAT[4], 80, 30));
  assert.ok((n['r1'] ?? 0) < 8, JSON.stringify(n));
  assert.ok((n['r2'] ?? 0) > 8 && (n['r3'] ?? 0) > 8, JSON.stringify(n));
});
