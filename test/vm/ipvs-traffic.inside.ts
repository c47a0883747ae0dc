/** Packets that the real module forwards as the plane told it: NAT, direct routing and the three tunnels. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Forwarding, ServerCounters, WantedServer } from '../../src/director/index.ts';
import { ipvsadm, LEDGER, newPlane, server, service, told, wanted } from './ipvs-rig.ts';

/**
 * ```
 * client 10.8.0.50 ── 10.8.0.1, VIP 10.8.0.100 director 10.9.0.1 ─┬─ s1 10.9.0.11
 *   └──────────────────────────────────────── 10.9.0.50 ──────────┴─ s2 10.9.0.12
 * ```
 * The servers' way back to the client is the director for NAT, and the client itself for all others.
 */
const SETUP = `
modprobe -a ipip ip_gre fou
sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
ip link add br0 type bridge
ip address add 10.9.0.1/24 dev br0
ip link set br0 up
add() { # name, end here, end there, address
  ip link add $2 type veth peer name $3 netns $1
  ip link set $2 up
  ip -n $1 address add $4 dev $3
  ip -n $1 link set $3 up
}
for n in c s1 s2; do
  ip netns add $n
  ip netns exec $n sysctl -q -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
  ip -n $n link set lo up
done
add c vc eth0 10.8.0.50/24
ip address add 10.8.0.1/24 dev vc
for i in 0 1 2 3 4 5; do ip address add 10.8.0.10$i/32 dev vc; done
add c vcb eth1 10.9.0.50/24
add s1 vs1 eth0 10.9.0.11/24
add s2 vs2 eth0 10.9.0.12/24
for v in vcb vs1 vs2; do ip link set $v master br0; done
for n in s1 s2; do
  for i in 0 1 2 3 4 5; do ip -n $n address add 10.8.0.10$i/32 dev lo; done
  ip -n $n link set tunl0 up
  ip -n $n link set gre0 up
  for d in tunl0 gre0 eth0; do ip netns exec $n sysctl -q -w net.ipv4.conf.$d.rp_filter=0; done
  ip netns exec $n ip fou add port 6080 gue
done
`;
const sh = (script: string): string => execFileSync('sh', ['-e', '-c', script], { encoding: 'utf8' });
const programs: ChildProcess[] = [];
function run(space: string, argv: readonly string[]): ChildProcess {
  const p = spawn('ip', ['netns', 'exec', space, ...argv], { stdio: ['pipe', 'pipe', 'inherit'] });
  programs.push(p);
  return p;
}
const firstOutput = (p: ChildProcess): Promise<string> =>
  new Promise((done) => p.stdout?.once('data', (b: Buffer) => done(b.toString().trim())));

before(() => {
  sh(SETUP);
  for (const s of ['s1', 's2']) {
    mkdirSync(`/run/www/${s}`, { recursive: true });
    writeFileSync(`/run/www/${s}/index.html`, `${s}\n`);
    run(s, ['busybox', 'httpd', '-f', '-p', '80', '-h', `/run/www/${s}`]);
  }
  rmSync(LEDGER, { force: true });
  ipvsadm('-C');
});
after(() => {
  ipvsadm('-C');
  for (const p of programs) p.kill('SIGKILL');
});

/** Where the servers send answers for the client. */
const answersBy = (gateway: string): void =>
  void sh(`for n in s1 s2; do ip -n $n route replace 10.8.0.0/24 via ${gateway}; done`);
/** Asks each address that it is told on a line six times, each time on a connection of its own. */
const ASK = `
const ask = (host) => new Promise((done) => require('http')
  .get({ host, agent: false, timeout: 5000 }, (r) => r.on('data', (b) => done(String(b).trim())))
  .on('error', (e) => done(e.code)));
process.stdin.on('data', async (line) => {
  const all = [];
  for (let i = 0; i < 6; i++) all.push(await ask(String(line).trim()));
  console.log(all.sort().join(' '));
});`;
let asking: ChildProcess | undefined;
const sixAnswers = (vip: string): Promise<string> => {
  asking ??= run('c', [process.execPath, '-e', ASK]);
  const answer = firstOutput(asking);
  asking.stdin?.write(`${vip}\n`);
  return answer;
};
const both = (forwarding: Forwarding): WantedServer[] =>
  ['10.9.0.11', '10.9.0.12'].map((address) => server(address, 80, { forwarding }));

const ways: readonly (readonly [name: string, forwarding: Forwarding, gateway: string])[] = [
  ['NAT', { method: 'nat' }, '10.9.0.1'],
  ['direct routing', { method: 'direct-routing' }, '10.9.0.50'],
  ['an IPIP tunnel', { method: 'tunnel', type: 'ipip', checksum: 'none' }, '10.9.0.50'],
  ['a GUE tunnel', { method: 'tunnel', type: 'gue', port: 6080, checksum: 'none' }, '10.9.0.50'],
  ['a GUE tunnel with checksums', { method: 'tunnel', type: 'gue', port: 6080, checksum: 'full' }, '10.9.0.50'],
  ['a GRE tunnel', { method: 'tunnel', type: 'gre', checksum: 'none' }, '10.9.0.50'],
];
// Each way has an address of its own: a connection outlives its service, and what comes late on it would be counted for the next.
for (const [i, [name, forwarding, gateway]] of ways.entries())
  test(`HTTP by ${name}: each server answers its share, and the counters say so`, async () => {
    answersBy(gateway);
    ipvsadm('-C');
    const vip = `10.8.0.10${i}`;
    const plane = newPlane();
    const outcomes = plane.apply(wanted([service(vip, 80, { scheduler: 'rr', servers: both(forwarding) })]));
    assert.deepEqual(
      outcomes.map((o) => o.result),
      [{ ok: true, value: 'changed' }],
    );
    assert.equal(await sixAnswers(vip), 's1 s1 s1 s2 s2 s2');
    let servers: readonly ServerCounters[] = [];
    // The kernel adds its counters up every two seconds.
    for (let i = 0; i < 50 && servers.reduce((n, x) => n + x.connections, 0) < 6; i++) {
      await sleep(200);
      const counters = plane.counters();
      servers = counters.ok ? (counters.value[0]?.servers ?? []) : [];
    }
    assert.equal(servers.length, 2);
    for (const s of servers) {
      assert.equal(s.connections, 3);
      assert.equal(s.active + s.inactive, 3);
      assert.ok(s.packetsIn >= 12 && s.bytesIn > 0);
      assert.equal(s.packetsOut > 0, forwarding.method === 'nat', 'answers are seen with NAT only');
    }
    plane.close({ keep: true });
  });

test('an established connection lives through a restart and a drain; new ones go elsewhere; a removed server gets nothing', async () => {
  answersBy('10.9.0.1');
  ipvsadm('-C');
  const servers = both({ method: 'nat' }).map((s) => ({ ...s, key: s.key.replace(':80', ':7'), port: 7 }));
  const echo = "require('net').createServer((s) => s.pipe(s)).listen(7, () => console.log('ready'))";
  for (const s of ['s1', 's2']) assert.equal(await firstOutput(run(s, [process.execPath, '-e', echo])), 'ready');
  const first = service('10.8.0.100', 7, { scheduler: 'rr', servers: servers.slice(0, 1) });
  newPlane().apply(wanted([first]));
  const pipe = "const s = require('net').connect(7, '10.8.0.100'); process.stdin.pipe(s).pipe(process.stdout)";
  const client = run('c', [process.execPath, '-e', pipe]);
  const says = async (words: string): Promise<void> => {
    const answer = firstOutput(client);
    client.stdin?.write(words);
    assert.equal(await answer, words);
  };
  await says('before');

  told.changes = 0;
  const plane = newPlane(); // another process
  plane.apply(wanted([structuredClone(first)]));
  assert.equal(told.changes, 0);
  await says('after the restart');

  const drained = [{ ...(servers[0] as WantedServer), weight: 0 }, servers[1] as WantedServer];
  plane.apply(wanted([{ ...first, servers: drained }]));
  await says('while draining');
  const counters = plane.counters();
  assert.ok(counters.ok);
  assert.deepEqual(
    counters.value[0]?.servers.map((s) => [s.key, s.active]),
    [
      ['10.9.0.11:7', 1],
      ['10.9.0.12:7', 0],
    ],
  );
  const other = run('c', [process.execPath, '-e', pipe]);
  const answer = firstOutput(other);
  other.stdin?.write('new');
  assert.equal(await answer, 'new');
  const now = plane.counters();
  assert.ok(now.ok);
  assert.deepEqual(
    now.value[0]?.servers.map((s) => s.active),
    [1, 1],
  );
  plane.apply(wanted([{ ...first, servers: servers.slice(1) }]));
  const silence = Promise.race([firstOutput(client), sleep(1500)]);
  client.stdin?.write('is anybody there');
  assert.equal(await silence, undefined);
});
