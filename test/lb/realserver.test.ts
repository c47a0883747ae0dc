/** Real servers that `holdfast realserver` alone prepares, behind the bpf plane. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Host, Lab, type Program, startResponder } from '../../src/lab/index.ts';
import { askHttp, PORT, RemotePlane, run, service, tally, VIP4, VIP6, wanted } from './bpf-rig.ts';

const HOLDFAST = join(import.meta.dirname, '../../src/cli/main.ts');
const VIPS = [VIP4, VIP6];
const agent = (host: Host, ...options: string[]): Program =>
  host.spawn([process.execPath, '--no-warnings', HOLDFAST, 'realserver', ...options]);
async function started(host: Host, ...options: string[]): Promise<Program> {
  const p = agent(host, ...VIPS, ...options);
  await p.line(new RegExp(`^${VIP4} ${VIP6}$`), 60_000);
  return p;
}
/** What the agent may change, as text; the folder for pins may stay, what is pinned in it not. */
const state = (host: Host): Promise<string> =>
  run(
    host,
    'ip -o address show dev lo | sed "s/ *valid_lft.*//"; cat /proc/sys/net/ipv4/conf/all/arp_ignore ' +
      '/proc/sys/net/ipv4/conf/all/arp_announce /proc/sys/net/ipv4/conf/*/rp_filter; ' +
      'ls /run/*.bpf 2>/dev/null | grep -v debug || true',
  );

/** Stations as they come from the box, reverse path filter strict; only the responder listens. */
async function startLab(): Promise<Lab> {
  const station = (n: number) => ({
    sysctls: { 'net.ipv4.conf.all.rp_filter': '1' },
    links: { eth0: { to: 'lan', addresses: [`10.8.0.${n}/24`, `fd00:8::${n}/64`] } },
  });
  const lab = await Lab.start({
    switches: ['lan'],
    hosts: { client: station(100), d1: station(1), s1: station(11), s2: station(12) },
  });
  await Promise.all(['s1', 's2'].map((name) => startResponder(lab.host(name), PORT)));
  await run(lab.host('d1'), `ip addr add ${VIP4}/32 dev eth0; ip -6 addr add ${VIP6}/128 dev eth0 nodad`);
  return lab;
}

for (const [title, forwarding, options] of [
  ['DR', { method: 'direct-routing' }, []],
  ['TUN by IPIP', { method: 'tunnel', type: 'ipip', checksum: 'none' }, ['--tunnel', 'ipip']],
  [
    'TUN by GUE',
    { method: 'tunnel', type: 'gue', port: 6081, checksum: 'none' },
    ['--tunnel', 'gue', '--gue-port', '6081'],
  ],
  ['TUN by GRE', { method: 'tunnel', type: 'gre', checksum: 'none' }, ['--tunnel', 'gre']],
] as const)
  test(`${title} works with real servers that the command alone prepares, and nothing is left when it ends`, async () => {
    await using lab = await startLab();
    const before = await state(lab.host('s1'));
    const agents = await Promise.all(['s1', 's2'].map((name) => started(lab.host(name), ...options)));
    const plane = new RemotePlane(lab.host('d1'));
    const servers = [{ n: 1 }, { n: 2 }];
    const done = await plane.apply(wanted(...VIPS.map((vip) => service({ vip, servers, forwarding }))));
    assert.ok(
      done.outcomes.every((o) => o.result.ok),
      JSON.stringify(done),
    );
    for (const vip of VIPS) {
      const by = tally(await askHttp(lab.host('client'), 40, vip));
      assert.deepEqual(Object.keys(by).sort(), ['s1', 's2'], `${vip}: ${JSON.stringify(by)}`);
    }
    // The client's neighbour table still says the director: no real server answered for the address.
    const d1 = /([0-9a-f:]{17})/.exec(await run(lab.host('d1'), 'cat /sys/class/net/eth0/address'))?.[1] ?? '';
    assert.match(await run(lab.host('client'), `ip neigh show ${VIP4}`), new RegExp(d1));
    for (const a of agents) await a.kill('SIGTERM');
    for (const a of agents) assert.equal((await a.exited).code, 0, a.text('stderr'));
    assert.equal(await state(lab.host('s1')), before);
  });

test('what somebody takes off lo comes back; what was there before the agent stays behind it', async () => {
  await using lab = await startLab();
  const s1 = lab.host('s1');
  await run(s1, `ip address add ${VIP6}/128 dev lo nodad`);
  const a = await started(s1);
  await run(s1, `ip address del ${VIP4}/32 dev lo`);
  await run(
    s1,
    `for i in $(seq 500); do ip -o address show dev lo | grep -q ${VIP4}/32 && exit 0; sleep 0.1; done; exit 1`,
  );
  await a.kill('SIGTERM');
  await a.exited;
  const after = await run(s1, 'ip -o address show dev lo');
  assert.ok(after.includes(`${VIP6}/128`) && !after.includes(VIP4), after);
});

test('--once does it and ends, a killed agent leaves it, --keep leaves it, and --undo undoes what any of them did', async () => {
  await using lab = await startLab();
  const s1 = lab.host('s1');
  const before = await state(s1);
  const once = agent(s1, ...VIPS, '--once', '--tunnel', 'gue');
  assert.equal((await once.exited).code, 0, once.text('stderr'));
  const set = await state(s1);
  assert.ok(VIPS.every((v) => set.includes(v)) && set.includes('link-'), set);
  const killed = await started(s1, '--tunnel', 'gue');
  await killed.kill('SIGKILL');
  await killed.exited;
  assert.equal(await state(s1), set);
  const kept = await started(s1, '--tunnel', 'gue', '--keep');
  await kept.kill('SIGTERM');
  assert.equal((await kept.exited).code, 0, kept.text('stderr'));
  assert.equal(await state(s1), set);
  const undo = agent(s1, '--undo');
  assert.equal((await undo.exited).code, 0, undo.text('stderr'));
  assert.equal(await state(s1), before);
});
