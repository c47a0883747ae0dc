/** Direct routing by the bpf plane without TCX links: what is attached, who finds it, who takes it off. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import type { IpAddress } from '../../src/base/index.ts';
import type { WantedService } from '../../src/director/index.ts';
import { BpfPlane, type BpfPlaneOptions } from '../../src/director/planes/bpf/index.ts';
import { type BpfAddon, loadBpfAddon } from '../../src/host/linux/bpf/addon.ts';
import { LinuxBpf } from '../../src/host/linux/bpf/bpf.ts';
import { linuxClock, linuxNetlink, loadAddon, openNetwork } from '../../src/host/linux/index.ts';

/** Client and servers on one bridge, which is the director's device: 10.8.0.1, and the virtual address 10.8.0.99. */
const SETUP = `
ip link set lo up
ip link add br0 type bridge
ip address add 10.8.0.1/24 dev br0
ip address add 10.8.0.99/32 dev br0
ip link set br0 up
ip link add spare type veth peer name spare1
ip link set spare up
add() { # name, address
  ip netns add $1
  ip link add v$1 type veth peer name eth0 netns $1
  ip link set v$1 master br0 up
  ip -n $1 address add $2/24 dev eth0
  ip -n $1 link set lo up
  ip netns exec $1 sysctl -q -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 net.ipv4.conf.all.rp_filter=0
  ip -n $1 link set eth0 up
}
add client 10.8.0.100
for n in 1 2; do
  add s$n 10.8.0.1$n
  ip -n s$n address add 10.8.0.99/32 dev lo
done
`;
const SERVER = `require('http').createServer((_, a) => a.end(process.argv[1] + '\\n')).listen(80, () => console.log('ready'))`;
const sh = (script: string): string => execFileSync('sh', ['-e', '-c', script], { encoding: 'utf8' });
const servers: ChildProcess[] = [];
before(async () => {
  sh(SETUP);
  const ready = ['s1', 's2'].map((name) => {
    const argv = ['netns', 'exec', name, process.execPath, '-e', SERVER, name];
    const p = spawn('ip', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    servers.push(p);
    return new Promise((done) => p.stdout.once('data', done));
  });
  await Promise.all(ready);
});
after(() => {
  for (const p of servers) p.kill();
});

const TCX_INGRESS = 46;
const EINVAL = 22;
const addon = loadAddon();
assert.ok(addon.ok);
const said: string[] = [];
const log = { write: (e: { readonly text: { readonly en: string } }) => void said.push(e.text.en) };
const network = openNetwork(addon.value, log);
const netlink = linuxNetlink(addon.value);
const bpfAddon = loadBpfAddon();
assert.ok(network.ok && bpfAddon.ok);
/** On a kernel that has TCX links it is as if it had none: they are refused as older ones refuse them. */
const withoutTcx: BpfAddon = Object.assign(Object.create(bpfAddon.value) as BpfAddon, {
  createLink: (...[program, ifindex, type, flags]: Parameters<BpfAddon['createLink']>) =>
    type === TCX_INGRESS ? -EINVAL : bpfAddon.value.createLink(program, ifindex, type, flags),
});
const ports = {
  bpf: new LinuxBpf(withoutTcx, netlink),
  network: network.value,
  netlink,
  clock: linuxClock(addon.value),
  log,
};
const newPlane = (o: Partial<BpfPlaneOptions> = {}): BpfPlane =>
  new BpfPlane({ ...ports, folder: '/run/holdfast-bpf', interfaces: ['br0'], ...o });

const vip = '10.8.0.99' as IpAddress;
const services: readonly WantedService[] = [
  {
    key: `tcp ${vip}:80`,
    match: { by: 'address', protocol: 'tcp', ranges: [{ from: vip, to: vip }], port: 80 },
    scheduler: 'wrr',
    flags: [],
    onePacket: false,
    servers: ['10.8.0.11', '10.8.0.12'].map((a) => ({
      key: `${a}:80`,
      address: a as IpAddress,
      port: 80,
      weight: 1,
      forwarding: { method: 'direct-routing' },
    })),
  },
];
const apply = (p: BpfPlane, list = services): unknown[] =>
  p.apply({ services: list, timeouts: {}, sync: [] }).map((o) => (o.result.ok ? o.result.value : o.result.error));
/** Connections of their own each, by one process: in a guest every other one takes long. */
const ask = (n: number): string[] => {
  const urls = Array(n).fill(`http://${vip}/`).join(' ');
  const curl = `ip netns exec client curl -s --connect-timeout 10 -H 'Connection: close' --noproxy '*' ${urls}`;
  return sh(`${curl} || echo none`).trim().split('\n');
};
const filters = (device = 'br0'): string[] => [
  ...new Set(sh(`tc filter show dev ${device} ingress`).match(/holdfast-\w+/g)),
];
const programId = (): string | undefined => /\bid (\d+)/.exec(sh('tc filter show dev br0 ingress'))?.[1];

test('without TCX the program is a filter of clsact, and connections go to all servers', () => {
  const plane = newPlane();
  assert.deepEqual(apply(plane), ['changed']);
  assert.deepEqual(filters(), ['holdfast-tc_director'], said.join('\n'));
  assert.deepEqual([...new Set(ask(16))].sort(), ['s1', 's2']);
  plane.close({ keep: true });
});

test('without a process the filter goes on; the next one puts its own program into the same filter', () => {
  assert.equal(ask(4).includes('none'), false);
  const before = programId();
  const plane = newPlane();
  assert.deepEqual(apply(plane), ['kept']);
  assert.deepEqual(filters(), ['holdfast-tc_director']);
  assert.notEqual(programId(), before);
  assert.equal(ask(4).includes('none'), false);
  plane.close({ keep: true });
});

test('a filter that an earlier process left on a device that is no longer used is taken off, and nobody else’s', () => {
  const wide = newPlane({ interfaces: ['br0', 'spare'] });
  assert.deepEqual(apply(wide), ['kept']);
  assert.deepEqual(filters('spare'), ['holdfast-tc_director']);
  wide.close({ keep: true });
  sh('tc filter add dev spare ingress prio 7 protocol ip u32 match u32 0 0 action pass');
  const plane = newPlane();
  assert.deepEqual(apply(plane), ['kept']);
  assert.deepEqual(filters('spare'), []);
  assert.match(sh('tc filter show dev spare ingress'), /pref 7 u32/);
  plane.close({ keep: true });
});

test('where a process that starts wants nothing, the filter of the earlier one goes, and the maps with it', () => {
  const plane = newPlane();
  assert.deepEqual(apply(plane, []), []);
  assert.deepEqual(filters(), []);
  assert.equal(sh('ls /run/holdfast-bpf').trim(), '');
  plane.close({ keep: false });
});

test('generic XDP sends to servers behind the same device, and leaves with the process', () => {
  const plane = newPlane({ xdp: 'generic' });
  assert.deepEqual(apply(plane), ['changed'], said.join('\n'));
  assert.match(sh('ip link show dev br0'), /xdpgeneric/);
  ask(4); // the servers' link addresses are known now
  plane.tick();
  assert.deepEqual([...new Set(ask(16))].sort(), ['s1', 's2']);
  plane.close({ keep: false });
  assert.doesNotMatch(sh('ip link show dev br0'), /xdp/);
});
