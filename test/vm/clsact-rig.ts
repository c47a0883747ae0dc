/** What both files about clsact share: a director in a guest whose kernel has no TCX links, two servers and a client around it. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { BpfPlane, type Forwarding, type ServiceOutcome } from '../../src/director/index.ts';
import { linuxBpf, linuxClock, linuxLog, linuxNetlink, loadAddon, openNetwork } from '../../src/host/linux/index.ts';
import { server, service, wanted } from './ipvs-rig.ts';

/**
 * ```
 * client 10.8.0.50 ─┐
 * s1     10.8.0.11 ─┼─ a bridge ─ d0 10.8.0.1, VIP 10.8.0.99: the director
 * s2     10.8.0.12 ─┘
 * ```
 */
const SETUP = `
sysctl -q -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.ip_forward=0
ip netns add sw
ip -n sw link add br0 type bridge
ip -n sw link set br0 up
port() { # end there, end in the switch, where
  ip link add $1 type veth peer name $2 netns sw
  ip -n sw link set $2 master br0
  ip -n sw link set $2 up
  [ -z "$3" ] || ip link set $1 netns $3
}
port d0 pd ''
ip address add 10.8.0.1/24 dev d0
ip address add 10.8.0.99/32 dev d0
ip link set d0 up
n=11
for h in s1 s2 c; do
  ip netns add $h
  ip netns exec $h sysctl -q -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \\
    net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
  ip -n $h link set lo up
  port eth0 p$h $h
  ip -n $h link set eth0 up
  if [ $h = c ]; then ip -n c address add 10.8.0.50/24 dev eth0
  else ip -n $h address add 10.8.0.$n/24 dev eth0; ip -n $h address add 10.8.0.99/32 dev lo; fi
  n=$((n + 1))
done
`;

export const sh = (script: string): string => execFileSync('sh', ['-e', '-c', script], { encoding: 'utf8' });
const programs: ChildProcess[] = [];
/** Nothing but what is not JavaScript, where that can be: an emulated processor takes seconds to start Node. */
export function start(argv: readonly string[]): ChildProcess {
  const [first, ...rest] = argv;
  const p = spawn(first as string, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  programs.push(p);
  return p;
}
/** An HTTP server that says its name. */
export function serve(space: string | undefined, name: string): void {
  mkdirSync(`/run/www/${name}`, { recursive: true });
  writeFileSync(`/run/www/${name}/index.html`, `${name}\n`);
  const httpd = ['busybox', 'httpd', '-f', '-p', '80', '-h', `/run/www/${name}`];
  start(space === undefined ? httpd : ['ip', 'netns', 'exec', space, ...httpd]);
}
export async function setUp(): Promise<void> {
  sh(SETUP);
  for (const s of ['s1', 's2']) serve(s, s);
  await known(() => network.addresses().some((a) => a.prefix.address === '10.8.0.99') && isUp('d0'));
}
/** The host's view of its links follows the kernel by notices, which wait until nothing else is done. */
export async function known(is: () => boolean): Promise<void> {
  for (let i = 0; !is(); i++) {
    assert.ok(i < 500, 'what was changed is not noticed');
    await sleep(20);
  }
}
export const isUp = (name: string): boolean => network.linkByName(name)?.adminUp === true;
export function tearDown(): void {
  for (const p of programs) p.kill('SIGKILL');
}
/** Who answered, each time on a connection of its own. */
export const ask = (address: string, times: number): string[] =>
  sh(`ip netns exec c sh -c 'for i in $(seq ${times}); do curl -s -m 10 http://${address}/ || echo none; done'`)
    .trim()
    .split('\n')
    .sort();
export const names = (all: readonly string[]): string[] => [...new Set(all)];

export const must = <T>(r: { ok: true; value: T } | { ok: false; error: unknown }): T => {
  assert.ok(r.ok, JSON.stringify(r));
  return r.value;
};
const addon = must(loadAddon());
const log = linuxLog(addon, { language: 'en', least: 'notice' });
export const network = must(openNetwork(addon, log));
const netlink = linuxNetlink(addon);
export const bpf = must(linuxBpf(netlink));
export const FOLDER = '/run/holdfast-bpf';
export const newPlane = (interfaces: readonly string[] = ['d0']): BpfPlane =>
  new BpfPlane({ bpf, network, netlink, log, clock: linuxClock(addon), folder: FOLDER, interfaces });
export const results = (outcomes: readonly ServiceOutcome[]) => outcomes.map((o) => o.result);
export const CHANGED = { ok: true, value: 'changed' } as const;
export const KEPT = { ok: true, value: 'kept' } as const;

export const filters = (device: string): string => sh(`tc filter show dev ${device} ingress`);
/** The kernel's number of the program in our filter. */
export const programOf = (device: string): string | undefined =>
  /holdfast-tc_director.* id (\d+)/.exec(filters(device))?.[1];
export const both = (forwarding: Forwarding, port = 80) =>
  ['10.8.0.11', '10.8.0.12'].map((address) => server(address, port, { forwarding }));
export const direct: Forwarding = { method: 'direct-routing' };
export const web = (servers = both(direct)) => wanted([service('10.8.0.99', 80, { servers })]);
