/**
 * rtnetlink against the real kernel. Run as root; the tests run in a process of its own inside a network namespace
 * that ends with it: `npm test -- test/lab/netlink.test.ts`.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { after, before, beforeEach, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type IpAddress, type IpPrefix, ok, type Result } from '../../src/base/index.ts';
import {
  commandLine,
  describePlan,
  type HostError,
  type Link,
  type LinkAddress,
  type NetChange,
  type NetCommand,
  type NetTables,
  type NextHop,
  plan,
  type Route,
  type Rule,
  reconcile,
} from '../../src/host/index.ts';
import { type Addon, loadAddon } from '../../src/host/linux/addon.ts';
import { LinuxNetwork, openNetwork } from '../../src/host/linux/netlink/index.ts';
import { openNetlinkSocket } from '../../src/host/linux/netlink/socket.ts';

const INSIDE = 'HOLDFAST_NETLINK_TEST_INSIDE';

if (process.env[INSIDE] === undefined) {
  test('rtnetlink in a network namespace', (t) => {
    if (process.getuid?.() !== 0) return t.skip('needs root to make a network namespace');
    const { NODE_TEST_CONTEXT, ...env } = process.env;
    const run = spawnSync('unshare', ['--net', process.execPath, '--test-reporter=spec', import.meta.filename], {
      env: { ...env, [INSIDE]: '1' },
      encoding: 'utf8',
    });
    for (const line of run.stdout.split('\n').filter((l) => l.startsWith('ℹ '))) t.diagnostic(line.slice(2));
    assert.equal(run.status, 0, `${run.stdout}\n${run.stderr}`);
  });
} else {
  inside();
}

function inside(): void {
  const ip = (s: string): IpAddress => s as IpAddress;
  const prefix = (s: string): IpPrefix => {
    const [address, length] = s.split('/') as [string, string];
    return { address: ip(address), length: Number(length) };
  };
  const sh = (...argv: string[]): string => execFileSync(argv[0] as string, argv.slice(1), { encoding: 'utf8' });
  const loaded = loadAddon();
  assert.ok(loaded.ok, 'the native addon is built by npm run setup');
  const addon = loaded.value;
  const logged: string[] = [];
  const log = { write: (e: { readonly code: string }): void => void logged.push(e.code) };
  const open = (): LinuxNetwork => {
    const n = openNetwork(addon, log);
    assert.ok(n.ok);
    return n.value;
  };
  let net: LinuxNetwork;
  let v0: Link;
  const changes: NetChange[] = [];
  const named = (i: number): string | undefined => net.linkByIndex(i)?.name;
  const all = (results: readonly Result<void, HostError>[]): void => {
    for (const r of results) assert.deepEqual(r, ok(undefined));
  };
  const heard = <K extends NetChange['kind']>(kind: K): Extract<NetChange, { kind: K }>[] => {
    net.drain();
    const found = changes.filter((c) => c.kind === kind) as Extract<NetChange, { kind: K }>[];
    changes.length = 0;
    return found;
  };
  /** The tables as a plan is given them. */
  const actual = (): Parameters<typeof plan>[1] => {
    const [r4, r6, p4, p6] = [net.routes({ family: 4 }), net.routes({ family: 6 }), net.rules(4), net.rules(6)];
    assert.ok(r4.ok && r6.ok && p4.ok && p6.ok);
    return {
      links: net.links(),
      addresses: net.addresses(),
      routes: [...r4.value, ...r6.value],
      rules: [...p4.value, ...p6.value],
    };
  };
  const tables = (o: Partial<NetTables>): NetTables => ({ addresses: [], routes: [], rules: [], ...o });
  const address = (s: string, o: Partial<LinkAddress> = {}): LinkAddress => ({
    ifindex: v0.ifindex,
    prefix: prefix(s),
    scope: 'global',
    ...(s.includes(':') && { noDad: true }),
    ...o,
  });

  before(() => {
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

  test('a link is told of as it is: down, up, without carrier, with its kind and what it stands on', () => {
    assert.equal(net.linkByName('v0')?.up, true);
    assert.equal(net.linkByName('lo')?.loopback, true);
    assert.equal(net.linkByName('nothing'), undefined);
    sh('ip', 'link', 'set', 'v1', 'down');
    const [last] = heard('link')
      .filter((c) => c.link.name === 'v0')
      .slice(-1);
    assert.deepEqual([last?.link.up, last?.link.adminUp], [false, true], 'the other end went down: no carrier');
    sh('ip', 'link', 'set', 'v1', 'up');
    net.drain();
    assert.equal(net.linkByName('v0')?.up, true);
    assert.match(sh('ip', 'link', 'show', 'v0'), new RegExp(`link/ether ${net.linkByName('v0')?.mac} `));
  });

  test('addresses of every form are set, told of as asked for, and taken away again', () => {
    const wanted = [
      address('192.0.2.1/32', { label: 'v0:vip' }),
      address('192.0.2.2/24', { broadcast: ip('192.0.2.255'), scope: 'site' }),
      address('192.0.2.3/32', { peer: prefix('192.0.2.4/32'), scope: 'link' }),
      address('192.0.2.5/32', { validSeconds: 600, preferredSeconds: 300 }),
      address('2001:db8:1::1/128', { preferredSeconds: 0 }),
      address('2001:db8:1::2/64', { noPrefixRoute: true, home: true }),
      address('2001:db8:1::3/128', { peer: prefix('2001:db8:1::4/128') }),
      address('2001:db8:1::5/128', { validSeconds: 600 }),
    ];
    all(net.apply(wanted.map((a) => ({ do: 'address-replace', address: a }))));
    assert.equal(describePlan(plan(tables({ addresses: wanted }), actual()), named, 'en'), '# nothing to do');
    const shown = sh('ip', 'address', 'show', 'dev', 'v0');
    assert.match(shown, /inet 192\.0\.2\.1\/32 scope global v0:vip/);
    assert.match(shown, /inet 192\.0\.2\.2\/24 brd 192\.0\.2\.255 scope site v0/);
    assert.match(shown, /inet 192\.0\.2\.3 peer 192\.0\.2\.4\/32 scope link/);
    assert.match(shown, /192\.0\.2\.5\/32 .*dynamic[^\n]*\n\s*valid_lft (600|599)sec preferred_lft (300|299)sec/);
    assert.match(shown, /2001:db8:1::1\/128 scope global nodad deprecated/);
    assert.match(shown, /2001:db8:1::2\/64 scope global nodad home noprefixroute/);
    assert.match(shown, /2001:db8:1::3 peer 2001:db8:1::4\/128/);
    const again = open();
    const lasting = (n: LinuxNetwork): string[] =>
      n
        .addresses()
        .filter((a) => a.validSeconds === undefined)
        .map((a) => JSON.stringify(a))
        .sort();
    assert.deepEqual(lasting(again), lasting(net), 'followed and read afresh are the same');
    again.close();
    const remove = wanted.map((a): NetCommand => ({ do: 'address-remove', address: a }));
    all(net.apply(remove));
    all(net.apply(remove)); // absent counts as done
    assert.deepEqual(
      net.addresses().filter((a) => /^(192|2001:db8:1:)/.test(a.prefix.address)),
      [],
    );
  });

  test("a lifetime is set again from its start: a dead man's switch", async () => {
    const vip = address('192.0.2.9/32', { validSeconds: 1 });
    all(net.apply([{ do: 'address-replace', address: vip }]));
    all(net.apply([{ do: 'address-replace', address: { ...vip, validSeconds: 100 } }]));
    assert.match(sh('ip', 'address', 'show', 'dev', 'v0'), /192\.0\.2\.9\/32[^\n]*\n\s*valid_lft (100|99)sec/);
    all(net.apply([{ do: 'address-replace', address: vip }]));
    const deadline = Date.now() + 10_000;
    let gone: NetChange | undefined;
    while (gone === undefined && Date.now() < deadline) {
      await sleep(100);
      gone = changes.find((c) => c.kind === 'address-gone');
    }
    changes.length = 0;
    assert.ok(gone?.kind === 'address-gone', 'the kernel takes away what nobody renews');
    assert.equal(gone.address.prefix.address, '192.0.2.9');
    assert.equal(gone.own, undefined);
  });

  const via = (s: string, o: Partial<NextHop> = {}): NextHop => ({ via: ip(s), ifindex: v0.ifindex, ...o });
  const route = (s: string | undefined, o: Partial<Route> = {}): Route => ({
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
  const routes = (): Record<string, Route> => ({
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

  test('routes of every kind that this kernel permits are set, found to be as wanted, and taken away', (t) => {
    for (const [name, r] of Object.entries(routes())) {
      const [step, ...rest] = plan(tables({ routes: [r] }), actual());
      assert.ok(step && rest.length === 0, `${name}: one command`);
      const [done] = net.apply([step.command]);
      if (!done?.ok) {
        assert.ok(
          ['ENOTSUP', 'EINVAL', 'ENODEV'].includes(done?.error.code ?? '') && /encap|from/.test(name),
          `${name}: ${done?.error.code} ${done?.error.doing.en}`,
        );
        t.diagnostic(`not in this kernel: ${name} (${done?.error.code}: ${done?.error.doing.en})`);
        continue;
      }
      assert.equal(describePlan(plan(tables({ routes: [r] }), actual()), named, 'en'), '# nothing to do', name);
      const release = plan(tables({}), actual(), tables({ routes: [r] }));
      assert.equal(release.length, 1, `${name}: ${describePlan(release, named, 'en')}`);
      all(net.apply(release.map((s) => s.command)));
      assert.deepEqual(plan(tables({}), actual(), tables({ routes: [r] })), [], `${name} is gone`);
    }
  });

  test('a route differs, is replaced in place, and a second one is appended', () => {
    const [a, b] = [route('10.40.0.0/16'), route('10.40.0.0/16', { hops: [via('10.0.0.253')] })];
    const there = (): string[] =>
      actual()
        .routes.filter((r) => r.destination?.address === '10.40.0.0')
        .map((r) => r.hops[0]?.via ?? '');
    all(net.apply([{ do: 'route-replace', route: a }]));
    all(net.apply([{ do: 'route-replace', route: b }]));
    assert.deepEqual(there(), ['10.0.0.253']);
    all(net.apply([{ do: 'route-replace', route: a, append: true }]));
    assert.deepEqual(there(), ['10.0.0.253', '10.0.0.254']);
    all(net.apply([a, b].map((r) => ({ do: 'route-remove', route: r }))));
    assert.deepEqual(there(), []);
  });

  test('rules of every form are set, found to be as wanted, and taken away', () => {
    const rule = (o: Partial<Rule>): Rule => ({ family: 4, priority: 1000, action: { do: 'table', table: 100 }, ...o });
    const forms: Partial<Rule>[] = [
      { from: prefix('10.0.0.0/8'), to: prefix('192.0.2.0/24') },
      { family: 6, from: prefix('2001:db8::/32'), action: { do: 'table', table: 70_000 } },
      { fwmark: 7, invert: true },
      { fwmark: 0, fwmask: 0xff },
      { tos: 16, iif: 'v0', oif: 'not-there-yet' },
      { realms: 0x10002, protocol: 18 },
      { suppressPrefixLength: 0, suppressGroup: 3 },
      { tunnelId: 77n },
      { uidRange: { from: 1000, to: 1999 } },
      { action: { do: 'table', table: 0 }, l3mdev: true },
      { ipProtocol: 6, sourcePorts: { from: 80, to: 80 }, destinationPorts: { from: 1000, to: 2000 } },
      { action: { do: 'goto', priority: 32_766 } },
      { action: { do: 'nop' } },
      { action: { do: 'blackhole' }, family: 6 },
      { action: { do: 'unreachable' } },
      { action: { do: 'prohibit' } },
    ];
    const wanted = tables({ rules: forms.map((f, i) => rule({ ...f, priority: 1000 + i })) });
    const steps = plan(wanted, actual());
    assert.equal(steps.length, forms.length);
    const results = net.apply(steps.map((s) => s.command));
    results.forEach((r, i) => {
      const line = commandLine(steps[i]?.command as NetCommand, named);
      assert.deepEqual(r, ok(undefined), line);
    });
    assert.equal(describePlan(plan(wanted, actual()), named, 'en'), '# nothing to do');
    all(net.apply(steps.map((s) => s.command))); // what is there counts as done
    const release = plan(tables({}), actual(), wanted);
    assert.equal(release.length, forms.length);
    all(net.apply(release.map((s) => s.command)));
    all(net.apply(release.map((s) => s.command)));
    assert.deepEqual(plan(tables({}), actual(), wanted), []);
  });

  test('a rule of ours with a protocol is told apart from a narrower one of others at the same priority', () => {
    sh(
      'ip',
      'rule',
      'add',
      'from',
      '10.0.0.0/8',
      'fwmark',
      '1',
      'priority',
      '700',
      'table',
      '100',
      'protocol',
      'static',
    );
    const ours: Rule = {
      family: 4,
      priority: 700,
      from: prefix('10.0.0.0/8'),
      action: { do: 'table', table: 100 },
      protocol: 18,
    };
    all(
      net.apply([
        { do: 'rule-add', rule: ours },
        { do: 'rule-remove', rule: ours },
      ]),
    );
    assert.match(sh('ip', 'rule'), /^700:\s+from 10\.0\.0\.0\/8 fwmark 0x1 lookup 100 proto static\s*$/m);
    sh('ip', 'rule', 'del', 'priority', '700');
  });

  test("the kernel's refusal is named, explained in its words, and does not stop what is behind it", () => {
    const results = net.apply([
      { do: 'route-replace', route: route('10.50.0.0/16', { hops: [{ via: ip('172.31.9.9') }] }) },
      { do: 'address-replace', address: address('192.0.2.77/32') },
      { do: 'address-replace', address: { ...address('192.0.2.78/32'), ifindex: 4242 } },
      {
        do: 'route-replace',
        route: route('10.51.0.0/16', { hops: [via('10.0.0.9', { encap: { kind: 'ip', options: { dst: 'x' } } })] }),
      },
      { do: 'address-remove', address: address('192.0.2.77/32') },
    ]);
    assert.deepEqual(
      results.map((r) => (r.ok ? 'done' : r.error.code)),
      ['ENETUNREACH', 'done', 'ENODEV', 'EINVAL', 'done'],
    );
    const [first] = results;
    assert.ok(first && !first.ok);
    assert.match(
      first.error.doing.en,
      /^set a route \(ip route replace 10\.50\.0\.0\/16 via 172\.31\.9\.9 .*: the kernel says "Nexthop has invalid gateway"$/,
    );
    assert.match(first.error.doing.zh, /^设置路由（ip route replace .*：内核答复/);
  });

  test('a macvlan is made, raised, renamed and removed', () => {
    const mac = '00:00:5e:00:01:33';
    const add: NetCommand = { do: 'macvlan-add', name: 'vrrp.51', lower: v0.ifindex, mac, mode: 'private' };
    all(net.apply([add]));
    all(net.apply([add])); // it is there already
    const other = net.apply([{ ...add, mac: '00:00:5e:00:01:34' }])[0];
    assert.equal(other?.ok === false && other.error.code, 'EEXIST', 'a link of that name that is not the wanted one');
    const link = net.linkByName('vrrp.51') as Link;
    assert.deepEqual([link.kind, link.lower, link.mac, link.up], ['macvlan', v0.ifindex, mac, false]);
    assert.match(sh('ip', '-d', 'link', 'show', 'vrrp.51'), /macvlan mode private/);
    const { ifindex } = link;
    all(net.apply([{ do: 'link-set', ifindex, name: 'vip51', mac: '00:00:5e:00:01:35', noAddressGeneration: true }]));
    all(net.apply([{ do: 'link-set', ifindex, up: true }]));
    const now = net.linkByIndex(ifindex);
    assert.deepEqual([now?.name, now?.mac, now?.adminUp], ['vip51', '00:00:5e:00:01:35', true]);
    assert.equal(net.linkByName('vrrp.51'), undefined);
    assert.doesNotMatch(sh('ip', '-6', 'address', 'show', 'dev', 'vip51'), /fe80/);
    all(net.apply([{ do: 'address-replace', address: { ...address('192.0.2.60/32'), ifindex } }]));
    net.drain();
    changes.length = 0;
    all(net.apply([{ do: 'link-remove', ifindex }]));
    all(net.apply([{ do: 'link-remove', ifindex }]));
    assert.equal(net.linkByIndex(ifindex), undefined);
    net.drain();
    assert.deepEqual(
      changes.flatMap((c) =>
        c.kind === 'address-gone' ? [c.address.prefix.address] : c.kind === 'link-gone' ? [c.link.name] : [],
      ),
      ['192.0.2.60', 'vip51'],
    );
    changes.length = 0;
  });

  test('a bridge takes a port and lets it go, which is no end of the port', () => {
    sh('ip', 'link', 'add', 'br0', 'type', 'bridge');
    sh('ip', 'link', 'add', 'p0', 'type', 'veth', 'peer', 'name', 'p1');
    net.drain();
    const [bridge, port] = ['br0', 'p0'].map((n) => net.linkByName(n)) as [Link, Link];
    all(net.apply([{ do: 'link-set', ifindex: port.ifindex, master: bridge.ifindex }]));
    assert.equal(net.linkByName('p0')?.master, bridge.ifindex);
    all(net.apply([{ do: 'link-set', ifindex: port.ifindex, master: 0 }]));
    assert.equal(net.linkByName('p0')?.master, 0);
    all(net.apply([bridge, port].map((l) => ({ do: 'link-remove', ifindex: l.ifindex }))));
    assert.equal(net.linkByName('p1'), undefined);
  });

  test('who did it is told: our own removals are own, those of others and what the kernel takes along are not', () => {
    const [a, b] = [address('192.0.2.20/24'), address('192.0.2.21/24')];
    const [r, p] = [route('10.60.0.0/16'), { family: 4, priority: 500, action: { do: 'nop' } } as Rule];
    const set = (): void =>
      all(
        net.apply([
          { do: 'address-replace', address: a },
          { do: 'address-replace', address: b },
          { do: 'route-replace', route: r },
          { do: 'rule-add', rule: p },
        ]),
      );
    const gone = (): string[] => {
      net.drain();
      const seen = changes.flatMap((c) => {
        if (c.kind === 'address-gone') return [`${c.address.prefix.address}${c.own ? ' own' : ''}`];
        if (c.kind === 'route-gone' && c.route.protocol === 18) return [`route${c.own ? ' own' : ''}`];
        return c.kind === 'rule-gone' ? [`rule${c.own ? ' own' : ''}`] : [];
      });
      changes.length = 0;
      return seen.sort();
    };
    sh('sysctl', '-qw', 'net.ipv4.conf.v0.promote_secondaries=0', 'net.ipv4.conf.all.promote_secondaries=0');
    set();
    assert.equal(net.addresses().find((x) => x.prefix.address === '192.0.2.21')?.secondary, true);
    all(
      net.apply([
        { do: 'address-remove', address: a },
        { do: 'route-remove', route: r },
        { do: 'rule-remove', rule: p },
      ]),
    );
    assert.deepEqual(gone(), ['192.0.2.20 own', '192.0.2.21', 'route own', 'rule own']);
    set();
    net.drain();
    changes.length = 0;
    sh('ip', 'address', 'del', '192.0.2.20/24', 'dev', 'v0');
    sh('ip', 'route', 'del', '10.60.0.0/16');
    sh('ip', 'rule', 'del', 'priority', '500');
    assert.deepEqual(gone(), ['192.0.2.20', '192.0.2.21', 'route', 'rule']);
  });

  test('a plan that removes the first address of a subnet leaves the others and their routes there', () => {
    const [ours, theirs] = [address('192.0.2.20/24'), address('192.0.2.21/24')];
    all(net.apply([ours, theirs].map((a) => ({ do: 'address-replace', address: a }))));
    sh('ip', 'route', 'add', '10.61.0.0/16', 'via', '192.0.2.254');
    const steps = plan(tables({}), actual(), tables({ addresses: [ours] }));
    all(net.apply(steps.map((s) => s.command)));
    assert.match(sh('ip', 'address', 'show', 'dev', 'v0'), /192\.0\.2\.21\/24/);
    assert.match(sh('ip', 'route'), /10\.61\.0\.0\/16 via 192\.0\.2\.254/);
    assert.deepEqual(plan(tables({}), actual(), tables({ addresses: [ours] })), []);
    all(net.apply([{ do: 'address-remove', address: theirs }]));
  });

  test('neighbours are read and forgotten', () => {
    sh('ip', 'neigh', 'add', '10.0.0.42', 'lladdr', '02:00:00:00:00:42', 'dev', 'v0');
    sh('ip', 'neigh', 'add', '2001:db8::42', 'lladdr', '02:00:00:00:00:43', 'dev', 'v0');
    const read = (): string[] => {
      const n = net.neighbours(v0.ifindex);
      assert.ok(n.ok);
      return n.value
        .filter((x) => x.state === 0x80)
        .map((x) => `${x.address} ${x.mac}`)
        .sort();
    };
    assert.deepEqual(read(), ['10.0.0.42 02:00:00:00:00:42', '2001:db8::42 02:00:00:00:00:43']);
    const forget = ['10.0.0.42', '2001:db8::42'].map(
      (a): NetCommand => ({ do: 'neighbour-remove', neighbour: { ifindex: v0.ifindex, address: ip(a) } }),
    );
    all(net.apply(forget));
    all(net.apply(forget));
    assert.deepEqual(read(), []);
  });

  test('a restart takes over all that is there: no command, and the kernel has nothing to tell', async () => {
    const wanted = tables({
      addresses: [
        address('192.0.2.1/32', { label: 'v0:1' }),
        address('2001:db8:1::1/128', { preferredSeconds: 0 }),
        address('192.0.2.5/32', { validSeconds: 600 }),
      ],
      routes: Object.values(routes()).filter((r) => r.hops.every((h) => h.encap === undefined) && r.from === undefined),
      rules: [{ family: 4, priority: 600, action: { do: 'table', table: 100 }, from: prefix('192.0.2.1/32') }],
    });
    const first = reconcile(net, wanted, tables({}));
    assert.ok(first.ok && first.value.length > 20);
    all(first.value.map((s) => s.result));
    const monitor = spawn('ip', ['monitor', 'link', 'address', 'route', 'rule'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let said = '';
    monitor.stdout.on('data', (d: Buffer) => {
      said += d;
    });
    try {
      // It says nothing when it is ready: it is when it tells of a change.
      for (let i = 0; said === ''; i = (i + 1) % 2) {
        sh('ip', 'link', 'set', 'v1', 'txqueuelen', `${1000 + i}`);
        await sleep(50);
      }
      said = '';
      const second = open();
      const seen: NetChange[] = [];
      second.watch((c) => seen.push(c));
      assert.deepEqual(reconcile(second, wanted, wanted), ok([]));
      second.drain();
      await sleep(200);
      second.close();
      assert.deepEqual(seen, []);
      assert.equal(said, '');
    } finally {
      monitor.kill();
      await once(monitor, 'exit');
    }
    const last = reconcile(net, tables({}), wanted);
    assert.ok(last.ok);
    all(last.value.map((s) => s.result));
    assert.deepEqual(reconcile(net, tables({}), wanted), ok([]));
  });

  test('notices that were lost are answered by reading everything again', () => {
    const small = openNetlinkSocket(addon, {
      groups: 0x1 | 0x10,
      options: [],
      receiveBuffer: 4096,
      slots: 8,
      slotBytes: 16 << 10,
    });
    const asks = openNetlinkSocket(addon, {
      groups: 0,
      options: [],
      receiveBuffer: 1 << 20,
      slots: 8,
      slotBytes: 32 << 10,
    });
    assert.ok(small.ok && asks.ok);
    const n = LinuxNetwork.open({ monitor: small.value, requests: asks.value }, log);
    assert.ok(n.ok);
    const seen: NetChange[] = [];
    n.value.watch((c) => seen.push(c));
    const many = Array.from({ length: 200 }, (_, i) => address(`198.51.100.${i + 1}/32`));
    all(net.apply(many.map((a) => ({ do: 'address-replace', address: a }))));
    logged.length = 0;
    n.value.drain();
    assert.ok(seen.some((c) => c.kind === 'resync'));
    assert.ok(logged.includes('network.overrun'));
    assert.equal(n.value.addresses().filter((a) => a.prefix.address.startsWith('198.51.100.')).length, 200);
    n.value.close();
    all(net.apply(many.map((a) => ({ do: 'address-remove', address: a }))));
  });

  test('a thousand addresses are a few system calls', (t) => takeOver(t));
  function takeOver(t: TestContext): void {
    const many = Array.from({ length: 1000 }, (_, i) => address(`10.200.${i >> 8}.${i & 255}/32`));
    const lines = (verb: string): string => many.map((a) => `address ${verb} ${a.prefix.address}/32 dev v0\n`).join('');
    const batch = (verb: string): number => {
      const from = performance.now();
      execFileSync('ip', ['-batch', '-'], { input: lines(verb) });
      return performance.now() - from;
    };
    let calls = 0;
    const counting: Addon = {
      ...addon,
      send: (...a) => {
        calls++;
        return addon.send(...a);
      },
      receive: (...a) => {
        calls++;
        return addon.receive(...a);
      },
    };
    const opened = openNetwork(counting, log);
    assert.ok(opened.ok);
    const net = opened.value;
    const ours = (command: 'address-replace' | 'address-remove'): number => {
      const commands = many.map((a): NetCommand => ({ do: command, address: a }));
      calls = 0;
      const from = performance.now();
      const results = net.apply(commands);
      const took = performance.now() - from;
      all(results);
      assert.ok(calls <= 8, `${calls} system calls`);
      net.drain();
      return took;
    };
    const times = { ours: [] as number[], ip: [] as number[] };
    for (let run = 0; run < 5; run++) {
      times.ours.push(ours('address-replace'));
      assert.equal(net.addresses().filter((a) => a.prefix.address.startsWith('10.200.')).length, 1000);
      ours('address-remove');
      times.ip.push(batch('add'));
      batch('del');
      net.drain();
    }
    const median = (list: number[]): string => (list.sort((a, b) => a - b)[2] as number).toFixed(1);
    net.close();
    t.diagnostic(`1000 addresses added: ${median(times.ours)} ms, ip -batch ${median(times.ip)} ms (medians of 5)`);
  }
}
