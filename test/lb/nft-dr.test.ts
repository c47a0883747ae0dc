/** Direct routing by nft, with real HTTP and UDP; answers go past the director. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WantedServer } from '../../src/director/types.ts';
import { answersOn, DR, PlaneProcess, Rig, server, service, skip, tally } from './rig.ts';

const direct = { forwarding: { method: 'direct-routing' } } as const;
const pool = (weights: readonly number[], o: Parameters<typeof server>[2] = {}): WantedServer[] =>
  weights.map((w, i) => server(i + 1, w, { ...direct, ...o }));

/** So many flows that the shares of a hash are seen. */
const FLOWS = 400;
/** Each flow is hashed: of n, a share of p comes within six standard deviations of n p, but for two in a thousand million times. */
function isShare(by: Readonly<Record<string, number>>, shares: Readonly<Record<string, number>>): void {
  const n = Object.values(by).reduce((a, b) => a + b, 0);
  assert.deepEqual(Object.keys(by).sort(), Object.keys(shares).sort());
  for (const [name, p] of Object.entries(shares)) {
    const off = Math.abs((by[name] as number) - n * p);
    assert.ok(off <= 6 * Math.sqrt(n * p * (1 - p)) + n / 251, `${name}: ${JSON.stringify(by)}`);
  }
}

test('weights hold over TCP and UDP, IPv4 and IPv6, exactly so with one-packet scheduling, and no connection is tracked', {
  skip,
}, async () => {
  const rig = await Rig.start();
  await using _ = rig.lab;
  const plane = await PlaneProcess.start(rig.director);
  for (const f of [4, 6] as const) {
    await plane.holds([
      service(DR[f], 80, pool([6, 3, 3], { family: f })),
      service(DR[f], 53, pool([6, 3, 3], { family: f, port: 53 }), { protocol: 'udp' }),
    ]);
    const shares = { r1: 0.5, r2: 0.25, r3: 0.25 };
    const by = tally(await rig.http(DR[f], 80, FLOWS));
    isShare(by, shares);
    isShare(tally(await rig.udp(DR[f], FLOWS)), shares);
    await plane.holds([
      service(DR[f], 80, pool([6, 3, 3], { family: f })),
      service(DR[f], 53, pool([6, 3, 3], { family: f, port: 53 }), { protocol: 'udp', onePacket: true }),
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

test('a drained server keeps its connection and gets no new one; a removed one loses it; a killed plane is taken over', {
  skip,
}, async () => {
  const rig = await Rig.start();
  await using _ = rig.lab;
  const first = await PlaneProcess.start(rig.director);
  const all = service(DR[4], 80, pool([1, 1, 1]));
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
  await second.holds([service(DR[4], 80, pool([0, 1, 1]))]);
  isShare(tally(await rig.http(DR[4], 80, FLOWS)), { r2: 0.5, r3: 0.5 });
  for (const k of kept) await rig.goesOn(k, second, 'while r1 drains');
  await second.holds([service(DR[4], 80, pool([1, 1, 1]).slice(1))]);
  for (const k of kept) assert.equal(await answersOn(k), k.at !== 'r1', k.at);
  await second.close(false);
  assert.equal(await rig.nft('list', 'tables'), '');
});

test('connections survive the loss of every rule and every flow behind the guard: the hash finds their servers again', {
  skip,
}, async () => {
  const rig = await Rig.start();
  await using _ = rig.lab;
  const wanted = [service(DR[4], 80, pool([1, 1, 1]))];
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

test('persistence over direct routing sends a client to its server again, and away from one that drains', {
  skip,
}, async () => {
  const rig = await Rig.start();
  await using _ = rig.lab;
  const plane = await PlaneProcess.start(rig.director);
  const sticky = (weights: readonly number[]) => service(DR[4], 80, pool(weights), { persistence: { seconds: 60 } });
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
    await plane.holds([service(DR[f], 53, pool([1, 1, 1], { family: f, port: 53 }), { protocol: 'udp' })]);
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
