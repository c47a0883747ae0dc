/** A network namespace with a pair of veth links for tests of rtnetlink against the real kernel. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { after, before, beforeEach, test } from 'node:test';
import { type IpAddress, type IpPrefix, ok, type Result } from '../../src/base/index.ts';
import type {
  HostError,
  Link,
  LinkAddress,
  NetChange,
  NetCommand,
  NetTables,
  NextHop,
  plan,
  Route,
} from '../../src/host/index.ts';
import { type Addon, loadAddon } from '../../src/host/linux/addon.ts';
import { type LinuxNetwork, openNetwork } from '../../src/host/linux/netlink/index.ts';

const INSIDE = 'HOLDFAST_NETLINK_TEST_INSIDE';

/**
 * Runs the tests that `define` declares in a process of its own, in a network namespace that ends with it. `file` is
 * the test file that calls; outside it counts as one test, skipped with its reason where this is not root.
 */
export function inNamespace(file: string, define: () => void): void {
  if (process.env[INSIDE] === undefined) {
    test('in a network namespace', (t) => {
      if (process.getuid?.() !== 0) return t.skip('needs root to make a network namespace');
      const { NODE_TEST_CONTEXT, ...env } = process.env;
      const run = spawnSync('unshare', ['--net', process.execPath, '--test-reporter=spec', file], {
        env: { ...env, [INSIDE]: '1' },
        encoding: 'utf8',
      });
      for (const line of run.stdout.split('\n').filter((l) => l.startsWith('ℹ '))) t.diagnostic(line.slice(2));
      assert.equal(run.status, 0, `${run.stdout}\n${run.stderr}`);
    });
    return;
  }
  before(() => {
    addon = loadedOrThrow();
    sh('ip', 'link', 'set', 'lo', 'up');
    sh('ip', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1');
    net = open();
    net.watch((c) => changes.push(c));
    const found = net.linkByName('v0');
    assert.ok(found);
    v0 = found;
    const v1 = net.linkByName('v1') as Link;
    const lower = [v0, v1].map(
      (l): NetCommand => ({ do: 'link-set', ifindex: l.ifindex, up: true, noAddressGeneration: true }),
    );
    all(net.apply([...lower, { do: 'address-replace', address: address('10.0.0.1/24') }]));
    all(net.apply([{ do: 'address-replace', address: address('2001:db8::1/64') }]));
    net.drain();
    changes.length = 0;
  });
  beforeEach(() => {
    net.drain();
    changes.length = 0;
  });
  after(() => net.close());
  define();
}

export const ip = (s: string): IpAddress => s as IpAddress;
export const prefix = (s: string): IpPrefix => {
  const [address, length] = s.split('/') as [string, string];
  return { address: ip(address), length: Number(length) };
};
export const sh = (...argv: string[]): string => execFileSync(argv[0] as string, argv.slice(1), { encoding: 'utf8' });
const loadedOrThrow = (): Addon => {
  const loaded = loadAddon();
  assert.ok(loaded.ok, 'the native addon is built by npm run setup');
  return loaded.value;
};
export let addon: Addon;
export const logged: string[] = [];
export const log = { write: (e: { readonly code: string }): void => void logged.push(e.code) };
export const open = (): LinuxNetwork => {
  const n = openNetwork(addon, log);
  assert.ok(n.ok);
  return n.value;
};
export let net: LinuxNetwork;
export let v0: Link;
export const changes: NetChange[] = [];
export const named = (i: number): string | undefined => net.linkByIndex(i)?.name;
export const all = (results: readonly Result<void, HostError>[]): void => {
  for (const r of results) assert.deepEqual(r, ok(undefined));
};
export const heard = <K extends NetChange['kind']>(kind: K): Extract<NetChange, { kind: K }>[] => {
  net.drain();
  const found = changes.filter((c) => c.kind === kind) as Extract<NetChange, { kind: K }>[];
  changes.length = 0;
  return found;
};
/** The tables as a plan is given them. */
export const actual = (): Parameters<typeof plan>[1] => {
  const [r4, r6, p4, p6] = [net.routes({ family: 4 }), net.routes({ family: 6 }), net.rules(4), net.rules(6)];
  assert.ok(r4.ok && r6.ok && p4.ok && p6.ok);
  return {
    links: net.links(),
    addresses: net.addresses(),
    routes: [...r4.value, ...r6.value],
    rules: [...p4.value, ...p6.value],
  };
};
export const tables = (o: Partial<NetTables>): NetTables => ({ addresses: [], routes: [], rules: [], ...o });
export const address = (s: string, o: Partial<LinkAddress> = {}): LinkAddress => ({
  ifindex: v0.ifindex,
  prefix: prefix(s),
  scope: 'global',
  ...(s.includes(':') && { noDad: true }),
  ...o,
});

export const via = (s: string, o: Partial<NextHop> = {}): NextHop => ({ via: ip(s), ifindex: v0.ifindex, ...o });
export const route = (s: string | undefined, o: Partial<Route> = {}): Route => ({
  family: 4,
  ...(s !== undefined && { destination: prefix(s) }),
  type: 'unicast',
  table: 254,
  protocol: 18,
  scope: 'global',
  hops: [via('10.0.0.254')],
  ...(s?.includes(':') && { family: 6, hops: [via('2001:db8::fe')] }),
  ...o,
});
export const routes = (): Record<string, Route> => ({
  default: route(undefined),
  'table and metric': route('10.1.0.0/16', { table: 70_000, metric: 50, tos: 16 }),
  'source and metrics': route('10.2.0.0/16', {
    source: ip('10.0.0.1'),
    metrics: { mtu: 1400, advmss: 1300, initcwnd: 20, rto_min: 300, quickack: 1, congctl: 'cubic', locked: ['mtu'] },
  }),
  multipath: route('10.3.0.0/16', { hops: [via('10.0.0.2', { weight: 3 }), via('10.0.0.3')] }),
  'directly connected': route('10.4.0.0/16', { scope: 'link', hops: [{ ifindex: v0.ifindex }] }),
  onlink: route('10.5.0.0/16', { hops: [via('172.31.0.1', { onlink: true })] }),
  'by an IPv6 router': route('10.6.0.0/16', { hops: [via('2001:db8::fe')] }),
  realms: route('10.7.0.0/16', { hops: [via('10.0.0.254', { realms: 0x10002 })] }),
  local: route('10.8.0.1/32', { type: 'local', table: 255, scope: 'host', hops: [{ ifindex: 1 }] }),
  broadcast: route('10.8.0.255/32', {
    type: 'broadcast',
    table: 255,
    scope: 'link',
    hops: [{ ifindex: v0.ifindex }],
  }),
  multicast: route('239.0.0.0/8', { type: 'multicast', scope: 'link', hops: [{ ifindex: v0.ifindex }] }),
  'encap ip': route('10.9.0.0/16', {
    hops: [{ ifindex: v0.ifindex, encap: { kind: 'ip', options: { id: '7', dst: '10.0.0.9', ttl: '64' } } }],
    scope: 'link',
  }),
  'encap ip6': route('10.10.0.0/16', {
    hops: [{ ifindex: v0.ifindex, encap: { kind: 'ip6', options: { id: '7', dst: '2001:db8::9', hoplimit: '64' } } }],
    scope: 'link',
  }),
  'encap mpls': route('10.11.0.0/16', {
    hops: [via('10.0.0.254', { encap: { kind: 'mpls', options: { labels: '100/200' } } })],
  }),
  'encap ila': route('2001:db8:70::/64', {
    hops: [via('2001:db8::fe', { encap: { kind: 'ila', options: { locator: '2001:db8:0:1' } } })],
  }),
  ...Object.fromEntries(
    (['blackhole', 'unreachable', 'prohibit', 'throw'] as const).flatMap((type, i) => [
      [type, route(`10.2${i}.0.0/16`, { type, hops: [] })],
      [`${type} 6`, route(`2001:db8:2${i}::/48`, { type, hops: [] })],
    ]),
  ),
  'plain 6': route('2001:db8:30::/48', { metric: 77, table: 1000 }),
  'from 6': route('2001:db8:31::/48', { from: prefix('2001:db8::/64') }),
  'multipath 6': route('2001:db8:32::/48', { hops: [via('2001:db8::2', { weight: 2 }), via('2001:db8::3')] }),
  'expires 6': route('2001:db8:33::/48', { expiresSeconds: 600, preference: 'high' }),
  'host bits 6': route('2001:db8:34::7/48', { source: ip('2001:db8::1'), metrics: { mtu: 1300, hoplimit: 9 } }),
});
