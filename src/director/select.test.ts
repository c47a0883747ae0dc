import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type IpAddress, text } from '../base/index.ts';
import type { Route } from '../host/index.ts';
import type { Scheduler } from './config.ts';
import { exampleServer, exampleService } from './example.ts';
import { poolConfig } from './pool/index.ts';
import { widest } from './pool/wanted.ts';
import { refusedServers, type Way, wayTo } from './reach.ts';
import { choosePlane } from './select.ts';
import type { Plane, PlaneName, WantedService } from './types.ts';

const plane = (name: PlaneName, refuses?: string): Plane => ({
  name,
  refuses: () => (refuses === undefined ? undefined : { code: 'no', text: text(refuses, refuses) }),
  apply: () => [],
  counters: () => ({ ok: true, value: [] }),
  close: () => {},
});
const all = (['ipvs', 'nft', 'bpf', 'proxy'] as const).map((n) => plane(n));
const service = (
  method: 'nat' | 'direct-routing',
  scheduler: Scheduler,
  more: { upperThreshold?: number } = {},
): WantedService => {
  const servers = [exampleServer('192.168.1.11', { forwarding: { method }, ...more })];
  return widest(poolConfig(exampleService(servers, { scheduler }), { notifyAtStart: false }), [])[0] as WantedService;
};
const chosen = (
  s: WantedService,
  planes = all,
  o: { asked?: PlaneName; present?: PlaneName } = {},
): [PlaneName | undefined, string] => {
  const c = choosePlane(s, planes, { asked: o.asked, present: o.present });
  return c.ok
    ? [c.plane, c.why.en]
    : [undefined, c.passedOver.map((p) => `${p.plane}: ${p.refusal.text.en}`).join('; ')];
};

test('direct routing goes to the plane whose connections survive a change of director, and says so', () =>
  assert.deepEqual(chosen(service('direct-routing', 'wrr')), [
    'bpf',
    'established connections survive a change of director there with nothing to synchronise',
  ]));

test('schedulers that count connections, and limits, go to IPVS, which counts exactly', () => {
  for (const s of ['lc', 'wlc', 'sed', 'nq', 'lblc', 'lblcr', 'ovf', 'twos'] as const)
    assert.equal(chosen(service('direct-routing', s))[0], 'ipvs', s);
  assert.equal(chosen(service('direct-routing', 'rr', { upperThreshold: 100 }))[0], 'ipvs');
});

test('NAT goes to IPVS, and to nft where there is none', () => {
  assert.equal(chosen(service('nat', 'rr'))[0], 'ipvs');
  const planes = [plane('ipvs', 'the kernel has no ip_vs'), plane('nft'), plane('bpf')];
  assert.deepEqual(chosen(service('nat', 'rr'), planes), ['nft', 'ipvs cannot: the kernel has no ip_vs']);
});

test('the proxy is never taken unless it is asked for', () => {
  const planes = [plane('ipvs', 'a'), plane('nft', 'b'), plane('bpf', 'c'), plane('proxy')];
  assert.deepEqual(chosen(service('nat', 'rr'), planes), [undefined, 'ipvs: a; nft: b; bpf: c']);
  assert.deepEqual(chosen(service('nat', 'rr'), planes, { asked: 'proxy' }), ['proxy', 'it was asked for']);
  assert.equal(chosen(service('nat', 'rr'), planes, { present: 'proxy' })[0], undefined);
});

test('a plane that is asked for and cannot is not replaced behind the operator’s back', () =>
  assert.deepEqual(
    chosen(service('direct-routing', 'rr'), [plane('bpf'), plane('nft', 'no netdev')], { asked: 'nft' }),
    [undefined, 'nft: no netdev'],
  ));

test('a service stays on its plane as long as that can carry it', () => {
  assert.equal(chosen(service('direct-routing', 'rr'), all, { present: 'nft' })[0], 'nft');
  const planes = [plane('bpf'), plane('nft', 'x'), plane('ipvs')];
  assert.equal(chosen(service('direct-routing', 'rr'), planes, { present: 'nft' })[0], 'bpf');
});

// ------------------------------------------------------------------------------------------ what cannot work

const route = (destination: string | undefined, length: number, via?: string, metric = 0): Route => ({
  family: destination?.includes(':') ? 6 : 4,
  ...(destination === undefined ? {} : { destination: { address: destination as IpAddress, length } }),
  type: 'unicast',
  table: 254,
  protocol: 2,
  scope: 'link',
  metric,
  hops: [via === undefined ? { ifindex: 2 } : { via: via as IpAddress, ifindex: 2 }],
});

test('the longest prefix says how an address is reached, then the lowest metric', () => {
  const routes = [
    route(undefined, 0, '192.168.1.1'),
    route('192.168.1.0', 24),
    route('192.168.1.128', 25, '192.168.1.3', 100),
    route('192.168.1.128', 25, undefined, 10),
    route('fd00::', 64),
  ];
  const at = (a: string): Way => wayTo(a as IpAddress, routes, []);
  assert.deepEqual(at('192.168.1.11'), { is: 'on-link' });
  assert.deepEqual(at('192.168.1.200'), { is: 'on-link' });
  assert.deepEqual(at('10.0.0.1'), { is: 'routed', via: '192.168.1.1' });
  assert.deepEqual(at('fd00::9'), { is: 'on-link' });
  assert.deepEqual(at('fd01::9'), { is: 'unknown' });
  assert.deepEqual(at('127.0.0.1'), { is: 'local' });
});

const refused = (server: Parameters<typeof exampleServer>, way: Way = { is: 'on-link' }): string | undefined =>
  refusedServers(poolConfig(exampleService([exampleServer(...server)]), { notifyAtStart: false }), [], () => way)
    .values()
    .next().value?.en;

test('direct routing to another port, across a gateway or to another family is refused in one line that names the way out', () => {
  assert.equal(refused(['192.168.1.11']), undefined);
  assert.equal(
    refused(['192.168.1.11', { port: 8080 }]),
    'DR cannot change the port: the service has 80, this server 8080; use NAT, or let it listen on the service’s port'.replace(
      '’',
      "'",
    ),
  );
  assert.equal(
    refused(['10.9.0.1'], { is: 'routed', via: '192.168.1.1' as IpAddress }),
    'DR needs it in a subnet of this host, and packets to it go by the gateway 192.168.1.1; use TUN or NAT',
  );
  assert.equal(refused(['2001:db8::1']), 'it has an IPv6 address and the service is IPv4: only TUN crosses families');
});

test('NAT may change the port, TUN may cross subnets and families, and no route yet is no reason to refuse', () => {
  const way: Way = { is: 'routed', via: '192.168.1.1' as IpAddress };
  assert.equal(refused(['10.9.0.1', { port: 8080, forwarding: { method: 'nat' } }], way), undefined);
  const forwarding = { method: 'tunnel', type: 'ipip', checksum: 'none' } as const;
  assert.equal(refused(['2001:db8::1', { forwarding }], way), undefined);
  assert.equal(refused(['10.9.0.1'], { is: 'unknown' }), undefined);
  assert.equal(refused(['127.0.0.1'], { is: 'local' }), undefined);
});
