import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IpAddress } from '../../base/index.ts';
import type { Link, LinkAddress } from '../../host/index.ts';
import type { MacAddress } from '../../wire/index.ts';
import { judge } from './judge.ts';
import { judgeRealServer, type RealServerFacts } from './real-server.ts';
import type { Evidence, ProbeServer, ProbeTarget, Reply, ServerEvidence } from './types.ts';

const VIP = '192.168.1.99' as IpAddress;
const MAC = '02:00:00:00:00:11' as MacAddress;
const OTHER = '02:00:00:00:00:99' as MacAddress;
const answered: Reply = { is: 'syn-ack', mss: 1460 };
const silence: Reply = { is: 'silence' };

const server = (method: ProbeServer['method'], port = 80, more: Partial<ProbeServer> = {}): ProbeServer => ({
  key: 's',
  address: '192.168.1.11' as IpAddress,
  port,
  method,
  tunnel: { type: 'ipip', port: 6080 },
  ...more,
});
const evidence = (s: Partial<ServerEvidence> = {}, e: Partial<Evidence> = {}): Evidence => ({
  vipHere: true,
  vipOnLoopback: false,
  sameSubnet: false,
  holders: [],
  servers: new Map([
    [
      's',
      {
        local: false,
        way: { mtu: 1500, gateway: undefined },
        mac: MAC,
        direct: answered,
        path: answered,
        refusesDatagrams: false,
        announcesVip: false,
        ...s,
      },
    ],
  ]),
  ...e,
});
const codes = (
  method: ProbeServer['method'],
  e: Evidence,
  port?: number,
  more: Partial<ProbeTarget & ProbeServer> = {},
): string[] => {
  const { vip, protocol, ...of } = more;
  const target: ProbeTarget = {
    service: 'x',
    protocol: protocol ?? 'tcp',
    vip: vip ?? VIP,
    port: 80,
    servers: [server(method, port, of)],
  };
  return judge(target, e).map((f) => f.code);
};

test('silence on the path has another cause in each mode, and silence everywhere is none of them', () => {
  const seen = evidence({ path: silence });
  assert.deepEqual(
    (['direct-routing', 'tunnel', 'nat'] as const).flatMap((m) => codes(m, seen)),
    ['vip-missing', 'tunnel-silent', 'default-route'],
  );
  for (const m of ['direct-routing', 'tunnel', 'nat'] as const)
    assert.deepEqual(codes(m, evidence({ path: silence, direct: silence })), ['no-answer']);
});
test('a packet that comes back, and one that finds no way, say that the address is missing', () => {
  assert.deepEqual(codes('direct-routing', evidence({ path: { is: 'bounced' } })), ['vip-missing']);
  assert.deepEqual(codes('direct-routing', evidence({ path: { is: 'unreachable', code: 1 } })), ['vip-missing']);
  assert.deepEqual(codes('direct-routing', evidence({ path: { is: 'unreachable', code: 13 } })), ['filtered']);
});
test('a reset tells a program on its own address from no program at all', () => {
  const reset: Reply = { is: 'reset' };
  assert.deepEqual(codes('direct-routing', evidence({ path: reset })), ['vip-not-listened']);
  assert.deepEqual(codes('direct-routing', evidence({ path: reset, direct: reset })), ['not-listening']);
  assert.deepEqual(codes('nat', evidence({ path: reset })), ['not-listening']);
});
test('TUN: segments that the server allows must fit with one header more, and IPIP must be taken', () => {
  assert.deepEqual(codes('tunnel', evidence()), ['tunnel-mtu']);
  assert.deepEqual(codes('tunnel', evidence({ path: { is: 'syn-ack', mss: 1440 } })), ['path-good']);
  assert.deepEqual(codes('tunnel', evidence({ path: { is: 'unreachable', code: 2 } })), ['no-decapsulation']);
  assert.deepEqual(codes('direct-routing', evidence()), ['path-good'], 'no tunnel, no header');
});
test('who answers for the address: a server, another machine, or nobody', () => {
  assert.deepEqual(codes('direct-routing', evidence({}, { holders: [MAC] })), ['path-good', 'arp-ignore']);
  assert.deepEqual(codes('direct-routing', evidence({}, { holders: [OTHER] })), ['other-holder', 'path-good']);
  assert.deepEqual(codes('direct-routing', evidence({}, { vipHere: false, holders: [OTHER] })), ['path-good']);
  assert.deepEqual(codes('direct-routing', evidence({}, { vipHere: false })), ['vip-nowhere', 'path-good']);
});
test('what cannot work is said without a packet: another port, another subnet, this very host', () => {
  assert.deepEqual(codes('direct-routing', evidence(), 8080), ['port-change']);
  assert.deepEqual(codes('nat', evidence(), 8080), ['path-good']);
  const routed = { way: { mtu: 1500, gateway: '192.168.1.1' as IpAddress } };
  assert.deepEqual(codes('direct-routing', evidence(routed)), ['not-on-link']);
  assert.deepEqual(codes('tunnel', evidence({ ...routed, path: { is: 'syn-ack', mss: 1400 } })), ['path-good']);
  assert.deepEqual(codes('direct-routing', evidence({ local: true })), ['local-server']);
  assert.deepEqual(codes('nat', evidence({}, { sameSubnet: true })), ['path-good', 'nat-same-subnet']);
});

test('IPv6: a server that answers for the address has it on the link, whatever it is asked by', () => {
  const six = { vip: 'fd00::99' as IpAddress, address: 'fd00::11' as IpAddress };
  const dr = (e: Evidence): string[] => codes('direct-routing', e, 80, six);
  assert.deepEqual(dr(evidence()), ['path-good']);
  assert.deepEqual(dr(evidence({}, { holders: [MAC] })), ['path-good', 'vip-on-link']);
  assert.deepEqual(dr(evidence({ announcesVip: true })), ['path-good', 'vip-on-link']);
  assert.deepEqual(dr(evidence({}, { holders: [OTHER] })), ['other-holder', 'path-good']);
});
test('a tunnel has the headers of both families that it joins, and those of its kind', () => {
  const fits = (mss: number, more: Partial<ProbeTarget & ProbeServer>): string[] =>
    codes('tunnel', evidence({ path: { is: 'syn-ack', mss } }), 80, more);
  const [vip, address] = ['fd00::99' as IpAddress, 'fd00::11' as IpAddress];
  for (const [more, most] of [
    [{}, 1500 - 60],
    [{ tunnel: { type: 'gue', port: 6080 } }, 1500 - 72],
    [{ tunnel: { type: 'gre', port: 0 } }, 1500 - 64],
    [{ vip }, 1500 - 80],
    [{ vip, address }, 1500 - 100],
    [{ address }, 1500 - 80],
  ] as const) {
    assert.deepEqual(fits(most, more), ['path-good'], JSON.stringify(more));
    assert.deepEqual(fits(most + 1, more), ['tunnel-mtu'], JSON.stringify(more));
  }
  assert.deepEqual(codes('tunnel', evidence({ path: { is: 'unreachable', code: 3 } })), ['no-decapsulation']);
  assert.deepEqual(codes('tunnel', evidence({ path: { is: 'unsent' } }), 80, { vip }), ['not-probed']);
});
test('UDP: any answer to TCP shows that the packet comes, a refused datagram that nobody listens, silence nothing', () => {
  const udp = (s: Partial<ServerEvidence>): string[] => codes('direct-routing', evidence(s), 80, { protocol: 'udp' });
  const reset: Reply = { is: 'reset' };
  assert.deepEqual(udp({ path: reset, direct: reset }), ['path-good']);
  assert.deepEqual(udp({}), ['path-good']);
  assert.deepEqual(udp({ path: reset, direct: reset, refusesDatagrams: true }), ['not-listening']);
  assert.deepEqual(udp({ path: silence, direct: reset }), ['vip-missing']);
  assert.deepEqual(udp({ path: silence, direct: silence }), ['not-probed']);
});

// ------------------------------------------------------------------------------------------ the server's own side

const link = (name: string, more: Partial<Link> = {}): Link => ({
  ifindex: name === 'lo' ? 1 : name === 'eth0' ? 2 : 3,
  name,
  mac: '',
  mtu: 1500,
  up: true,
  adminUp: true,
  loopback: name === 'lo',
  pointToPoint: false,
  multicast: true,
  hardware: name === 'lo' ? 772 : 1,
  kind: '',
  lower: 0,
  master: 0,
  ...more,
});
const at = (ifindex: number, length: number): LinkAddress =>
  ({ ifindex, prefix: { address: VIP, length } }) as LinkAddress;
const facts = (
  addresses: LinkAddress[],
  conf: Record<string, number>,
  links = [link('lo'), link('eth0')],
): RealServerFacts => ({
  vip: VIP,
  links,
  addresses,
  conf: (l, name) => conf[`${l}.${name}`],
});
const ready = { 'all.arp_ignore': 1, 'all.arp_announce': 2 };
const own = (f: RealServerFacts): string[] => judgeRealServer(f).map((x) => x.code);

test('a real server is ready with the address on lo and both ARP settings, of all or of each interface', () => {
  assert.deepEqual(own(facts([at(1, 32)], ready)), ['path-good']);
  assert.deepEqual(own(facts([at(1, 32)], { 'eth0.arp_ignore': 1, 'eth0.arp_announce': 2 })), ['path-good']);
  assert.deepEqual(own(facts([at(1, 32)], { 'lo.arp_ignore': 1 })), ['arp-ignore', 'arp-announce']);
});
test('the address where it must not be, or with a prefix that takes the subnet along', () => {
  assert.deepEqual(own(facts([], ready)), ['vip-missing']);
  assert.deepEqual(own(facts([at(2, 24)], ready)), ['vip-on-link']);
  assert.deepEqual(own(facts([at(1, 24)], ready)), ['lo-prefix']);
});
test('a tunnel device that is down, or whose packets the reverse path filter drops', () => {
  const tunnel = (adminUp: boolean): Link[] => [link('lo'), link('eth0'), link('tunl0', { hardware: 768, adminUp })];
  assert.deepEqual(own(facts([at(3, 32)], ready, tunnel(false))), ['tunnel-down']);
  assert.deepEqual(own(facts([at(3, 32)], { ...ready, 'all.rp_filter': 1 }, tunnel(true))), ['rp-filter']);
  assert.deepEqual(own(facts([at(3, 32)], { ...ready, 'tunl0.rp_filter': 2, 'all.rp_filter': 1 }, tunnel(true))), [
    'path-good',
  ]);
});
