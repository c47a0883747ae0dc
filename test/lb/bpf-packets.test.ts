/** Single packets through the programs in the kernel, by BPF_PROG_TEST_RUN, beside the maps of a plane that runs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/index.ts';
import type { RunResult } from './bpf-plane-main.ts';
import { BpfRig, PORT, run, serverAddress, service, TALK, VIP4, VIP6, wanted } from './bpf-rig.ts';
import { type FrameSpec, frame, icmpError } from './frames.ts';

/** bpf-plane-main.ts, which must not be run here. */
const REFUSED = -1;

/** `next`: TC_ACT_UNSPEC, to whoever comes behind us. */
const TC = { next: 0xffff_ffff, shot: 2, redirect: 7 } as const;
const XDP = { drop: 1, pass: 2, tx: 3 } as const;
const servers = [{ n: 1 }, { n: 2 }, { n: 3 }];
const CLIENT = { 4: '10.8.0.100', 6: 'fd00:8::100' } as const;
const vipOf = (family: 4 | 6): string => (family === 4 ? VIP4 : VIP6);
const request = (family: 4 | 6, port: number, more: Partial<FrameSpec> = {}): FrameSpec => ({
  from: CLIENT[family],
  to: vipOf(family),
  protocol: 6,
  ports: [port, PORT],
  ...more,
});

/** With the one kind of server, what a packet was counted for tells where it went. */
async function packetsBy(plane: Awaited<ReturnType<BpfRig['plane']>>, service: number): Promise<readonly number[]> {
  return (await plane.counters())[service]?.servers.map((s) => s.packetsIn) ?? [];
}
const added = (before: readonly number[], after: readonly number[]): number[] =>
  after.map((n, i) => n - (before[i] ?? 0));
const codes = (r: readonly RunResult[]): number[] => r.map((x) => x.verdict);

test('packets: errors and fragments follow their flow, options do not hinder, what is not ours passes', async () => {
  await using rig = await BpfRig.start();
  const plane = rig.plane('d1');
  await plane.apply(wanted(...([4, 6] as const).map((f) => service({ vip: vipOf(f), servers }))));
  for (const [index, family] of ([4, 6] as const).entries()) {
    for (let port = 1000; port < 1012; port++) {
      let before = await packetsBy(plane, index);
      assert.deepEqual(codes(await plane.run('tc_director', [frame(request(family, port, { flags: 2 }))])), [
        TC.redirect,
      ]);
      const chosen = added(before, await packetsBy(plane, index));
      before = await packetsBy(plane, index);
      // What a router between server and client complains of quotes a packet from the VIP to the client.
      const answer = { from: vipOf(family), to: CLIENT[family], protocol: 6, ports: [PORT, port] as const };
      const error = icmpError(family === 4 ? '192.0.2.1' : '2001:db8::1', answer);
      assert.deepEqual(codes(await plane.run('tc_director', [error])), [TC.redirect]);
      assert.deepEqual(added(before, await packetsBy(plane, index)), chosen, 'an error goes where the flow goes');
    }
  }
  const before = await packetsBy(plane, 0);
  const parts = [0x2000, 0x2003, 0x0006].map((fragment) => frame(request(4, 1000, { fragment })));
  assert.deepEqual(codes(await plane.run('tc_director', parts)), [TC.redirect, TC.redirect, TC.redirect]);
  assert.deepEqual(added(before, await packetsBy(plane, 0)).sort(), [0, 0, 3], 'fragments go to one server');
  const orphan = frame({ ...request(4, 1000, { fragment: 0x0006 }), from: '10.8.0.101' });
  const others: readonly [Uint8Array, number][] = [
    [frame(request(4, 1001, { options: 8 })), TC.redirect],
    [frame(request(4, 1001, { machine: [2, 0, 0, 0, 0, 1] })), TC.next],
    [orphan, TC.next],
    [frame(request(4, 1001, { ports: [1001, 81] })), TC.next],
    [frame(request(4, 1001, { to: '10.8.0.1' })), TC.next],
    [frame(request(4, 1001, { protocol: 17 })), TC.next],
    [frame(request(4, 1001, { ttl: 1 })), TC.shot],
    [icmpError('192.0.2.1', { from: '10.8.0.1', to: CLIENT[4], protocol: 6, ports: [PORT, 1000] }), TC.next],
  ];
  assert.deepEqual(
    codes(
      await plane.run(
        'tc_director',
        others.map(([f]) => f),
      ),
    ),
    others.map(([, v]) => v),
  );
  const [once] = await plane.run('tc_director', [frame(request(4, 1001))]);
  const header = Buffer.from(once?.packet ?? '', 'hex').subarray(14, 34);
  assert.equal(header[8], 63, 'one hop less');
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += header.readUInt16BE(i);
  assert.equal((sum & 0xffff) + (sum >> 16), 0xffff, 'and the checksum is right');
});

test('what a fellow server sends to a service of this host is for this host, not sent on in a circle; the rest goes its way', async () => {
  await using rig = await BpfRig.start();
  const d1 = rig.host('d1');
  const plane = rig.plane('d1', { xdp: 'generic' });
  const both = [4, 6] as const;
  // 10.8.0.1, this host, is a server of the first two; of the others it is director alone.
  const mine = both.map((f) => service({ vip: vipOf(f), servers: [...servers, { n: -9 }] }));
  const others = both.map((f) => service({ vip: vipOf(f), port: TALK, servers }));
  await plane.apply(wanted(...mine, ...others));
  await plane.tick();
  const ports = Array.from({ length: 24 }, (_, i) => 3000 + i);
  const frames = (port: number) => both.flatMap((f) => ports.map((p) => frame(request(f, p, { ports: [p, port] }))));
  const before = codes(await plane.run('tc_director', frames(PORT)));
  assert.deepEqual(
    [...new Set(before)].sort(),
    [TC.next, TC.redirect].sort(),
    'some are chosen for this host, some are not',
  );
  // The frames come from 02:00:00:00:00:02 (frames.ts): now that is server 2.
  const known = (a: string, mac: string): Promise<string> =>
    run(d1, `ip neigh replace ${a} lladdr ${mac} dev eth0 nud permanent`);
  for (const f of both) await known(serverAddress(2, f), '02:00:00:00:00:02');
  await plane.tick();
  assert.deepEqual(new Set(codes(await plane.run('tc_director', frames(PORT)))), new Set([TC.next]));
  assert.deepEqual(new Set(codes(await plane.run('xdp_director', frames(PORT)))), new Set([XDP.pass]));
  assert.deepEqual(new Set(codes(await plane.run('tc_director', frames(TALK)))), new Set([TC.redirect]));
  // It has got another network card: what comes from there is a client like any other.
  for (const f of both) await known(serverAddress(2, f), '02:00:00:00:00:09');
  await plane.tick();
  assert.deepEqual(codes(await plane.run('tc_director', frames(PORT))), before);
});

const SEED = 20_261_129;
test(`hostile frames (seed ${SEED}): no crash, and nothing is sent that is not for a service`, async () => {
  await using rig = await BpfRig.start();
  const plane = rig.plane('d1', { xdp: 'generic' });
  await plane.apply(wanted(...([4, 6] as const).map((f) => service({ vip: vipOf(f), servers }))));
  const random = new Random(SEED);
  const bytes = (n: number): Uint8Array => Uint8Array.from({ length: n }, () => random.u32() & 255);
  const noise = Array.from({ length: 1500 }, (_, i) => {
    const b = bytes(20 + (i % 200));
    if (i % 3 === 1) b.set([8, 0, 0x45], 12);
    if (i % 3 === 2) b.set([0x86, 0xdd, 0x60], 12);
    return b;
  });
  const good = ([4, 6] as const).flatMap((f) => [
    frame(request(f, 2000)),
    icmpError(f === 4 ? '192.0.2.1' : '2001:db8::1', {
      from: vipOf(f),
      to: CLIENT[f],
      protocol: 6,
      ports: [PORT, 2000],
    }),
  ]);
  const cut = good.flatMap((g) => Array.from({ length: g.length - 15 }, (_, i) => g.subarray(0, 15 + i)));
  const bent = good.flatMap((g) =>
    Array.from({ length: 400 }, () => {
      const b = g.slice();
      b[12 + (random.u32() % (b.length - 12))] = random.u32() & 255;
      return b;
    }),
  );
  const address = (b: Uint8Array, six: boolean): string =>
    Buffer.from(b.subarray(six ? 38 : 30, six ? 54 : 34)).toString('hex');
  const vips = good.map((g, i) => address(g, i > 1));
  for (const program of ['tc_director', 'xdp_director'] as const)
    for (const frames of [noise, cut, bent]) {
      const results = await plane.run(program, frames);
      for (const [i, r] of results.entries()) {
        const sent = program === 'tc_director' ? r.verdict === TC.redirect : r.verdict === XDP.tx;
        const b = frames[i] as Uint8Array;
        if (sent) assert.ok(vips.includes(address(b, b[12] === 0x86)), `sent: ${Buffer.from(b).toString('hex')}`);
        const known: readonly number[] = Object.values(program === 'tc_director' ? TC : XDP);
        const refused = r.verdict === REFUSED && b.length < 54;
        assert.ok(known.includes(r.verdict) || refused, `verdict ${r.verdict} for ${b.length} bytes`);
      }
    }
});

test('what the plane takes for an exception is what the program chose differently: by every hash, in both families', async () => {
  await using rig = await BpfRig.start();
  const plane = rig.plane('d1');
  const kinds = [
    {},
    { scheduler: 'sh' },
    { scheduler: 'sh', flags: ['sh-port'] },
    { scheduler: 'dh' },
    { persistence: { seconds: 60, granularity: 29 } },
  ] as const;
  const all = ([4, 6] as const).flatMap((family) => kinds.map((kind, i) => ({ family, kind, port: PORT + i })));
  const weights = (first: number) =>
    wanted(
      ...all.map(({ family, kind, port }) => ({
        ...service({ vip: vipOf(family), port, servers: [{ n: 1, weight: first }, { n: 2 }, { n: 3 }] }),
        ...kind,
      })),
    );
  await plane.apply(weights(1));
  for (const { family, port } of all)
    await plane.run(
      'tc_director',
      Array.from({ length: 40 }, (_, i) =>
        frame({
          from: family === 4 ? `10.8.${i}.${i * 5}` : `fd00:8::${i}:${i * 77}`,
          to: vipOf(family),
          protocol: 6,
          ports: [2000 + i, port],
          flags: 2,
        }),
      ),
    );
  assert.deepEqual(await plane.exceptions(), [], 'the ring would choose all of them again');
  const counters = await plane.counters();
  await plane.apply(weights(0));
  const found = await plane.exceptions();
  const chosen = counters.map((c) => c.servers[0]?.connections ?? 0);
  assert.deepEqual(
    counters.map((c) => found.filter((f) => f.service === c.key && f.server === c.servers[0]?.key).length),
    chosen,
  );
  // Maglev moves 0.7 % of what the two others have at this size: 2 of some 270.
  const moved = found.length - chosen.reduce((a, b) => a + b, 0);
  assert.ok(moved >= 0 && moved <= 10, `${moved} of the other servers' flows moved`);
  assert.ok(found.length > 80, String(found.length));
});
