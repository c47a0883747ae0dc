/** Direct routing by nft, with real HTTP and UDP; answers go past the director. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WantedServer } from '../../src/director/types.ts';
import { DR, direct, directPool, FLOWS, isShare, PlaneProcess, Rig, server, service, skip, tally } from './rig.ts';

test('weights hold over TCP and UDP, IPv4 and IPv6, exactly so with one-packet scheduling, and no connection is tracked', {
  skip,
}, async () => {
  const rig = await Rig.start();
  await using _ = rig.lab;
  const plane = await PlaneProcess.start(rig.director);
  for (const f of [4, 6] as const) {
    await plane.holds([
      service(DR[f], 80, directPool([6, 3, 3], { family: f })),
      service(DR[f], 53, directPool([6, 3, 3], { family: f, port: 53 }), { protocol: 'udp' }),
    ]);
    const shares = { r1: 0.5, r2: 0.25, r3: 0.25 };
    const by = tally(await rig.http(DR[f], 80, FLOWS));
    isShare(by, shares);
    isShare(tally(await rig.udp(DR[f], FLOWS)), shares);
    await plane.holds([
      service(DR[f], 80, directPool([6, 3, 3], { family: f })),
      service(DR[f], 53, directPool([6, 3, 3], { family: f, port: 53 }), { protocol: 'udp', onePacket: true }),
    ]);
    assert.deepEqual(tally(await rig.udp(DR[f], 12)), { r1: 6, r2: 3, r3: 3 });
    const [tcp] = await plane.counters();
    assert.deepEqual(
      tcp?.servers.map((s) => s.connections),
      [by['r1'], by['r2'], by['r3']],
    );
    for (const s of tcp?.servers ?? []) assert.ok(s.packetsIn > s.connections && s.packetsOut === 0);
  }
  assert.equal((await rig.director.run(['cat', '/proc/sys/net/netfilter/nf_conntrack_count'])).stdout.trim(), '0');
});

test('persistence over direct routing sends a client to its server again, and away from one that drains', {
  skip,
}, async () => {
  const rig = await Rig.start();
  await using _ = rig.lab;
  const plane = await PlaneProcess.start(rig.director);
  const sticky = (weights: readonly number[]) =>
    service(DR[4], 80, directPool(weights), { persistence: { seconds: 60 } });
  await plane.holds([sticky([1, 1, 1])]);
  const [at, ...more] = Object.keys(tally(await rig.http(DR[4], 80, 6)));
  assert.deepEqual(more, []);
  const i = Number((at as string).slice(1));
  await plane.holds([sticky([1, 2, 3].map((n) => (n === i ? 0 : 1)))]);
  const after = Object.keys(tally(await rig.http(DR[4], 80, 6)));
  assert.equal(after.length, 1);
  assert.notEqual(after[0], at);
});

test('an ICMP error about a packet to the client reaches the server that sent it', { skip }, async () => {
  const rig = await Rig.start();
  await using _ = rig.lab;
  const plane = await PlaneProcess.start(rig.director);
  // The client's kernel answers every reply with "port unreachable".
  const reject = 'add table inet t { chain c { type filter hook input priority 0; udp sport 53 reject; } ; }';
  assert.equal((await rig.client.run(['nft', reject])).code, 0);
  for (const f of [4, 6] as const) {
    await plane.holds([service(DR[f], 53, directPool([1, 1, 1], { family: f, port: 53 }), { protocol: 'udp' })]);
    const errors = async (): Promise<number[]> =>
      Promise.all(
        ['r1', 'r2', 'r3'].map(async (name) => {
          const { stdout } = await rig.lab.host(name).run(['cat', f === 4 ? '/proc/net/snmp' : '/proc/net/snmp6']);
          if (f === 6) return Number(/Icmp6InDestUnreachs\s+(\d+)/.exec(stdout)?.[1]);
          const [head, values] = stdout.split('\n').filter((l) => l.startsWith('Icmp:')) as [string, string];
          return Number(values.split(' ')[head.split(' ').indexOf('InDestUnreachs')]);
        }),
      );
    const before = await errors();
    const ask = `const s=require('dgram').createSocket('udp${f}');s.bind(7000+Number(process.argv[2]),()=>s.send('x',53,process.argv[1],()=>setTimeout(()=>s.close(),100)))`;
    for (let i = 0; i < 6; i++) await rig.client.run([process.execPath, '-e', ask, DR[f], String(i)]);
    const total = (of: readonly number[]): number => of.reduce((a, b) => a + b, 0);
    let after = await errors();
    for (const end = performance.now() + 60_000; total(after) < total(before) + 6 && performance.now() < end; ) {
      await sleep(50);
      after = await errors();
    }
    const [udp] = await plane.counters();
    assert.deepEqual(
      after.map((n, i) => n - (before[i] as number)),
      udp?.servers.map((s) => s.connections),
    );
  }
});

test('the director that is a real server itself takes its share, behind the guard', { skip }, async () => {
  const rig = await Rig.start();
  await using _ = rig.lab;
  const plane = await PlaneProcess.start(rig.director);
  await rig.director
    .spawn([
      process.execPath,
      '-e',
      "require('http').createServer((q, r) => r.end('director')).listen(80, '::', () => console.log('up'))",
    ])
    .line(/^up$/, 60_000);
  const self = { ...server(1, 1, direct), key: '10.77.2.1:80', address: '10.77.2.1' as WantedServer['address'] };
  await plane.holds([service(DR[4], 80, [self, server(2, 1, direct)])]);
  isShare(tally(await rig.http(DR[4], 80, FLOWS)), { director: 0.5, r2: 0.5 });
});

test('two directors that are real servers and do not agree: what one sends is for the server on the other, and nothing circles', {
  skip,
}, async () => {
  const rig = await Rig.start();
  await using _ = rig.lab;
  const [one, two] = [await PlaneProcess.start(rig.director), await PlaneProcess.start(rig.lab.host('r1'))];
  for (const f of [4, 6] as const) {
    const address = (f === 4 ? '10.77.2.1' : 'fd77:2::1') as WantedServer['address'];
    const servers = (director: number, r1: number): WantedServer[] => [
      { ...server(1, director, { ...direct, family: f }), key: 'director', address },
      server(1, r1, { ...direct, family: f }),
    ];
    await one.holds([service(DR[f], 80, servers(0, 1))]);
    await two.holds([service(DR[f], 80, servers(1, 0))]);
    if (f === 4) assert.deepEqual(await rig.http(DR[f], 80, 1, 3000), ['! ETIMEDOUT'], 'they send it to each other');
    // A tick asks for the other's link address, one behind it knows it.
    for (const end = performance.now() + 60_000; performance.now() < end; ) {
      await two.ask('tick');
      if ((await rig.http(DR[f], 80, 1, 500)).join() === 'r1') break;
    }
    assert.deepEqual(await rig.http(DR[f], 80, 5), Array(5).fill('r1'));
  }
});
