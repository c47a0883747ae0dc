/** Direct routing by the bpf plane, between real network stacks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BpfPlaneOptions } from '../../src/director/planes/bpf/index.ts';
import type { Wanted } from '../../src/director/types.ts';
import { startResponder } from '../../src/lab/index.ts';
import {
  BpfRig,
  everything,
  PORT,
  run,
  type ServerSpec,
  service,
  TALK,
  Talks,
  tally,
  three,
  VIP4,
  VIP6,
  wanted,
} from './bpf-rig.ts';

/** Each question by a socket of its own, all open until the last answer: no two of them may have the same port. */
const UDP_ASK = `
  const [address, port, n] = process.argv.slice(1);
  const { createSocket } = require('dgram');
  const ask = (left) => {
    if (left === 0) process.exit(0);
    const s = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    s.once('message', (m) => { console.log(m.toString().split(' ')[1]); ask(left - 1); });
    s.send('q', port, address);
  };
  ask(Number(n));
  setTimeout(() => process.exit(1), 60000);
`;
async function askUdp(rig: BpfRig, address: string, n: number): Promise<string[]> {
  const argv = [process.execPath, '-e', UDP_ASK, address, String(PORT), String(n)];
  const done = await rig.host('client').run(argv, { timeout: 90_000 });
  assert.equal(done.code, 0, `not all of ${n} were answered: ${done.stdout}${done.stderr}`);
  return done.stdout.trim().split('\n');
}

for (const [title, options, prepare] of [
  ['tc', {}, ''],
  ['XDP generic', { xdp: 'generic' }, ''],
] as const satisfies readonly (readonly [string, Partial<BpfPlaneOptions>, string])[])
  test(`DR by ${title} carries TCP and UDP of both families, and the counters tell of every connection`, async () => {
    await using rig = await BpfRig.start();
    const plane = rig.plane('d1', options);
    const first = await plane.apply(everything());
    assert.deepEqual(
      first.outcomes.map((o) => o.result),
      Array(6).fill({ ok: true, value: 'changed' }),
    );
    if (prepare) await run(rig.host('d1'), prepare);
    await plane.tick();
    for (const vip of [VIP4, VIP6]) {
      const by = tally(await rig.ask(60, vip));
      assert.deepEqual(Object.keys(by).sort(), ['s1', 's2', 's3'], JSON.stringify(by));
      const udp = tally(await askUdp(rig, vip, 60));
      assert.deepEqual(Object.keys(udp).sort(), ['s1', 's2', 's3'], JSON.stringify(udp));
    }
    const [tcp, udp] = await plane.counters();
    const total = (of: typeof tcp, what: 'connections' | 'active'): number =>
      (of?.servers ?? []).reduce((n, s) => n + s[what], 0);
    assert.equal(total(tcp, 'connections'), 60);
    assert.equal(total(tcp, 'active'), 0);
    assert.equal(total(udp, 'connections'), 60);
  });

test('native XDP on veth is refused with its reason, and tc carries what it would have carried', async () => {
  await using rig = await BpfRig.start();
  const plane = rig.plane('d1', { xdp: 'native' });
  const done = await plane.apply(wanted(service({ servers: three })));
  assert.deepEqual(
    done.outcomes.map((o) => o.result),
    [{ ok: true, value: 'changed' }],
  );
  await plane.program.line(/no native XDP on eth0: a veth sends by it only while its other end/, 60_000);
  await plane.tick();
  assert.equal(plane.program.text('stderr').match(/no native XDP/g)?.length, 1, 'said once');
  assert.doesNotMatch(await run(rig.host('d1'), 'ip link show dev eth0'), /xdp/);
  assert.deepEqual(Object.keys(tally(await rig.ask(60))).sort(), ['s1', 's2', 's3']);
});

test('connections go to servers in proportion to their weights, to none with weight 0', async () => {
  await using rig = await BpfRig.start();
  const plane = rig.plane('d1');
  await plane.apply(
    wanted(
      service({
        servers: [
          { n: 1, weight: 6 },
          { n: 2, weight: 3 },
          { n: 3, weight: 0 },
        ],
      }),
    ),
  );
  const by = tally(await rig.ask(700));
  // Of a binomial with n = 700 and p = 2/3 the standard deviation is 12.5: more than six of them.
  assert.ok(Math.abs((by.s1 ?? 0) - 467) < 80, JSON.stringify(by));
  assert.equal((by.s1 ?? 0) + (by.s2 ?? 0), 700);
});

test('what the plane cannot do is refused with its reason', async () => {
  await using rig = await BpfRig.start();
  const plane = rig.plane('d1');
  const plain = service({ servers: three });
  const [server] = plain.servers;
  assert.ok(server);
  const other = (more: object) => ({ ...plain, servers: [{ ...server, ...more }] });
  assert.deepEqual(
    await plane.refuses(
      wanted(
        plain,
        other({ port: 81 }),
        other({ address: '192.0.2.7' }),
        other({ address: 'fd00:8::11' }),
        other({ forwarding: { method: 'nat' } }),
        other({ address: '192.0.2.7', forwarding: { method: 'tunnel', type: 'ipip', checksum: 'none' } }),
        { ...plain, scheduler: 'lblc' },
        { ...plain, match: { by: 'fwmark', mark: 3, family: 4 } },
      ),
    ),
    [null, 'bpf-port', 'bpf-dr-off-link', 'bpf-family', 'bpf-nat', 'bpf-no-route', 'bpf-scheduler', 'bpf-fwmark'],
  );
});

test('lc: what is new goes where connections are fewest, as counted in the flow map', async () => {
  await using rig = await BpfRig.start();
  const plane = rig.plane('d1');
  const lc = (servers: readonly ServerSpec[]): Wanted => wanted(service({ port: TALK, scheduler: 'lc', servers }));
  await plane.apply(lc([{ n: 1 }]));
  await Talks.start(rig.host('client'), VIP4, 40);
  await plane.apply(lc([{ n: 1 }, { n: 2 }]));
  await plane.tick();
  const later = await Talks.start(rig.host('client'), VIP4, 240);
  const { by } = await later.now();
  // A quarter of the ring for the full server: 60 of 240, and six standard deviations of 6.7.
  assert.ok((by.s1 ?? 0) < 100, JSON.stringify(by));
  const [counters] = await plane.counters();
  assert.equal(counters?.servers[0]?.active, 40, 'as at the last look');
});

test('a director that is a real server as well: its share goes to its own stack, through the guard', async () => {
  await using rig = await BpfRig.start();
  await startResponder(rig.host('d1'), PORT);
  const plane = rig.plane('d1');
  // 10.8.0.1, the director's own address.
  await plane.apply(wanted(...[VIP4, VIP6].map((vip) => service({ vip, servers: [{ n: 1 }, { n: -9 }] }))));
  for (const vip of [VIP4, VIP6]) {
    const by = tally(await rig.ask(40, vip));
    assert.deepEqual(Object.keys(by).sort(), ['d1', 's1'], JSON.stringify(by));
  }
  const [first] = await plane.counters();
  assert.ok((first?.servers[1]?.packetsIn ?? 0) > 0);
});
