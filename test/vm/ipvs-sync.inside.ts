/**
 * Two directors, network namespaces with an IPVS each: the kernel's synchronisation daemons carry the connections from the
 * master to the backup as the plane told them, and the address is moved as VRRP moves it.
 *
 * ```
 * client 10.7.0.50 ─┐           ┌─ a 10.7.0.1 ─┐
 * r1     10.7.0.11 ─┼─ a bridge ┤              ├ VIP 10.7.0.99 on either
 * r2     10.7.0.12 ─┘           └─ b 10.7.0.2 ─┘
 * ```
 * All sockets are this process's: whatever else is started takes seconds in an emulated guest.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { IpvsPlane, SyncDaemon } from '../../src/director/index.ts';
import { syncFindings } from '../../src/director/index.ts';
import { syncOf } from '../../src/director/pool/index.ts';
import { linuxSysctl } from '../../src/host/linux/sysctl.ts';
import { inNamespace, ip, newPlane, server, service, wanted } from './ipvs-rig.ts';

const VIP = '10.7.0.99';
const PORT = 7;
const PATIENCE_MS = 40_000;
const sh = (script: string): string => execFileSync('sh', ['-e', '-c', script], { encoding: 'utf8' });
const station = (name: string, last: number, more = ''): string => `
ip netns add ${name}
ip link add p${name} type veth peer name eth0 netns ${name}
ip link set p${name} master sync0 up
ip netns exec ${name} sysctl -q -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 ${more}
ip -n ${name} link set lo up
ip -n ${name} address add 10.7.0.${last}/24 dev eth0
ip -n ${name} link set eth0 up
`;
const real = (name: string, last: number): string => `
${station(name, last, 'net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2')}
ip -n ${name} address add ${VIP}/32 dev lo
`;
/** As docs/lb.md has it. */
const NEWS = 'net.ipv4.vs.sync_threshold="3 0" net.ipv4.vs.sync_refresh_period=10';
const LAST = { a: 1, b: 2 } as const;
type Name = keyof typeof LAST;
const SERVERS: Readonly<Record<string, string>> = { '10.7.0.11': 'r1', '10.7.0.12': 'r2' };

const planes = new Map<Name, IpvsPlane>();
const daemon: SyncDaemon = { interface: 'eth0', instance: 'VI_1', port: 8848, group: ip('224.0.0.81') };
const balanced = service(VIP, PORT, {
  scheduler: 'rr',
  servers: Object.keys(SERVERS).map((a) => server(a, PORT, { forwarding: { method: 'direct-routing' } })),
});
/** What the director tells its plane when VRRP says so, behind the address as at a takeover. */
async function turn(name: Name, master: boolean): Promise<void> {
  const had = sh(`ip -n ${name} -4 -o address show dev eth0`).includes(VIP);
  if (had !== master) sh(`ip -n ${name} address ${master ? 'add' : 'del'} ${VIP}/24 dev eth0`);
  if (master) sh('ip -n client neigh flush dev eth0'); // what a gratuitous ARP does
  const sync = syncOf(daemon, { master, virtualRouterId: 7 });
  const outcomes = await inNamespace(name, () => planes.get(name)?.apply(wanted([balanced], { sync })));
  for (const o of outcomes ?? assert.fail('no plane')) assert.ok(o.result.ok, JSON.stringify(o));
  assert.equal(
    sh(`ip netns exec ${name} ipvsadm -L --daemon`),
    `${master ? 'master' : 'backup'} sync daemon (mcast=eth0, syncid=7, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)\n`,
  );
}
async function powerOn(name: Name): Promise<void> {
  sh(station(name, LAST[name], NEWS));
  await inNamespace(name, () => assert.deepEqual(syncFindings(linuxSysctl.get), []));
  rmSync(`/run/sync-${name}.ipvs`, { force: true });
  planes.set(name, newPlane(`/run/sync-${name}.ipvs`));
  await turn(name, false);
}
/** Nothing of it is heard any more, and nothing that it knew is left. */
function powerCut(name: Name): void {
  sh(`ip link del p${name}`);
  planes.get(name)?.close({ keep: true });
  sh(`ip netns del ${name}`);
}
/** Established connections as the kernel's table has them: the server of each of the client's ports. */
const table = (name: Name): Map<number, string> =>
  new Map(
    [...sh(`ip netns exec ${name} ipvsadm -Lnc`).matchAll(/ESTABLISHED 10\.7\.0\.50:(\d+) +\S+ +([\d.]+):/g)].map(
      (m) => [Number(m[1]), SERVERS[m[2] as string] ?? ''],
    ),
  );

type Talk = { readonly socket: Socket; says: boolean; readonly by: Set<string>; closed: boolean };
const talks: Talk[] = [];
async function open(says: boolean): Promise<Talk> {
  const socket = await inNamespace('client', () => connect({ host: VIP, port: PORT, noDelay: true }));
  const talk: Talk = { socket, says, by: new Set(), closed: false };
  talks.push(talk);
  socket.on('data', (b) => talk.by.add(String(b).slice(0, 2)));
  socket.on('error', () => {});
  socket.on('close', () => {
    talk.closed = true;
  });
  await until('it is open', () => socket.readyState === 'open' || talk.closed);
  return talk;
}
async function until(what: string, is: () => boolean): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; !is(); await sleep(100)) {
    if (Date.now() < end) continue;
    const tables = [...planes.keys()].map((n) => `${n}: ${[...table(n)].join(' ')}`);
    assert.fail(`${what}: not within ${PATIENCE_MS / 1000} s; ${tables.join('; ')}`);
  }
}
const portOf = (t: Talk): number => t.socket.localPort ?? 0;
/** Each connection's server, by its port. */
const placed = (): Map<number, string> => new Map(talks.map((t) => [portOf(t), [...t.by].join(' and ')]));
/** Every connection that talks is answered from now on, over and over, and none has ended. */
async function goOn(): Promise<void> {
  for (const t of talks) t.by.clear();
  await until('all are answered', () => talks.every((t) => t.closed || !t.says || t.by.size > 0));
  assert.deepEqual(
    talks.map((t) => t.closed),
    talks.map(() => false),
  );
}
async function knows(name: Name, at: ReadonlyMap<number, string>): Promise<void> {
  await until(`${name} knows`, () => [...at.keys()].every((port) => table(name).has(port)));
  const known = table(name);
  assert.deepEqual(new Map([...at.keys()].map((port) => [port, known.get(port)])), at);
}

const listening: Server[] = [];
let speaking: NodeJS.Timeout;
before(async () => {
  sh(`modprobe ip_vs
ip link add sync0 type bridge mcast_snooping 0
ip link set sync0 up
${station('client', 50)}${real('r1', 11)}${real('r2', 12)}`);
  for (const r of ['r1', 'r2'])
    listening.push(
      await inNamespace(r, () =>
        createServer((s) => s.on('error', () => {}).on('data', () => void s.write(r))).listen(PORT),
      ),
    );
  speaking = setInterval(() => {
    for (const t of talks) if (t.says && !t.closed) t.socket.write('?');
  }, 200);
  await powerOn('a');
  await powerOn('b');
  await turn('a', true);
});
after(() => {
  clearInterval(speaking);
  for (const t of talks) t.socket.destroy();
  for (const s of listening) s.close();
  for (const p of planes.values()) p.close({ keep: true });
});

test('connections that the master balances are in the table of the backup, at the same servers: also one that was only opened', async () => {
  for (let i = 0; i < 6; i++) await open(true);
  await goOn();
  assert.deepEqual([...new Set(placed().values())].sort(), ['r1', 'r2']);
  const silent = await open(false);
  await knows('b', new Map([...placed()].filter(([port]) => port !== portOf(silent))));
  await until('the silent one', () => table('b').has(portOf(silent)));
  assert.equal(table('b').get(portOf(silent)), table('a').get(portOf(silent)));
  const counters = planes.get('b')?.counters();
  assert.ok(counters?.ok);
  assert.equal(
    counters.value[0]?.servers.reduce((n, s) => n + s.active, 0),
    7,
  );
});

test('the master loses its power: every connection goes on at its server over the backup, which takes new ones', async () => {
  const before = table('b');
  powerCut('a');
  await turn('b', true);
  for (const t of talks) t.says = true;
  await goOn();
  assert.deepEqual(placed(), before);
  for (let i = 0; i < 2; i++) await open(true);
  await goOn();
});

test('the old master comes back with an empty table, is told of all, and takes over again without a loss', async () => {
  const at = placed();
  assert.equal(at.size, 9);
  await powerOn('a');
  assert.equal(table('a').size, 0);
  await knows('a', at);
  await turn('b', false);
  await turn('a', true);
  await goOn();
  assert.deepEqual(placed(), at);
  await open(true);
  await goOn();
  await knows('b', placed());
});
