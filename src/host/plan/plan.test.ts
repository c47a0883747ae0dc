import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { golden } from '../../../test/golden/golden.ts';
import { err, type IpAddress, type IpPrefix, ok, text } from '../../base/index.ts';
import type { Link, LinkAddress, NetCommand, Network, Route, Rule } from '../ports.ts';
import { addressKey, routeKey, ruleKey } from './canonical.ts';
import { type ActualTables, describePlan, type NetTables, NO_TABLES, plan, reconcile } from './index.ts';

const ip = (s: string): IpAddress => s as IpAddress;
const prefix = (s: string): IpPrefix => {
  const [address, length] = s.split('/') as [string, string];
  return { address: ip(address), length: Number(length) };
};
const address = (s: string, o: Partial<LinkAddress> = {}): LinkAddress => ({
  ifindex: 2,
  prefix: prefix(s),
  scope: 'global',
  ...o,
});
const route = (s: string | undefined, o: Partial<Route> = {}): Route => ({
  family: s?.includes(':') ? 6 : 4,
  ...(s !== undefined && { destination: prefix(s) }),
  type: 'unicast',
  table: 254,
  protocol: 18,
  scope: 'global',
  hops: [{ via: ip('192.168.1.254'), ifindex: 2 }],
  ...o,
});
const rule = (priority: number, o: Partial<Rule> = {}): Rule => ({
  family: 4,
  priority,
  action: { do: 'table', table: 100 },
  ...o,
});
const eth0 = { ifindex: 2, name: 'eth0' } as Link;
const eth1 = { ifindex: 3, name: 'eth1' } as Link;
const names = new Map([eth0, eth1].map((l) => [l.ifindex, l.name]));
const tables = (o: Partial<NetTables> = {}): NetTables => ({ addresses: [], routes: [], rules: [], ...o });
const actually = (o: Partial<NetTables> = {}): ActualTables => ({ ...tables(o), links: [eth0, eth1] });
const show = (wanted: NetTables, actual: ActualTables, mine?: NetTables, language: 'en' | 'zh' = 'en'): string =>
  describePlan(plan(wanted, actual, mine), (i) => names.get(i), language);

const VIPS = tables({
  addresses: [
    address('192.168.1.99/32', { label: 'eth0:1' }),
    address('2001:db8::99/128', { noDad: true, preferredSeconds: 0 }),
    address('10.1.0.1/32', { peer: prefix('10.1.0.2/32'), ifindex: 3 }),
  ],
  routes: [
    route('10.9.0.0/16', { table: 100, metrics: { mtu: 1400, locked: ['mtu'] }, source: ip('192.168.1.99') }),
    route('10.8.0.0/16', {
      table: 100,
      hops: [
        { via: ip('192.168.1.1'), ifindex: 2, weight: 2 },
        { via: ip('10.1.0.2'), ifindex: 3 },
      ],
    }),
    route('2001:db8:9::/48', { hops: [], type: 'unreachable' }),
  ],
  rules: [rule(100, { from: prefix('192.168.1.99/32'), fwmark: 7 })],
});
/** The same as the kernel tells of it: with its defaults, and with what others have beside it. */
const KERNEL = actually({
  addresses: [
    address('127.0.0.1/8', { ifindex: 1, scope: 'host' }),
    address('192.168.1.10/24'),
    address('192.168.1.99/32', { label: 'eth0:1' }),
    address('10.1.0.1/32', { peer: prefix('10.1.0.2/32'), ifindex: 3 }),
    address('2001:db8::99/128', { noDad: true, preferredSeconds: 0, protocol: 0 }),
  ],
  routes: [
    route(undefined, { protocol: 3 }),
    ...VIPS.routes.slice(0, 2),
    route('2001:db8:9::/48', { hops: [{ ifindex: 1 }], type: 'unreachable', metric: 1024, preference: 'medium' }),
  ],
  rules: [rule(0, { protocol: 2 }), rule(100, { from: prefix('192.168.1.99/32'), fwmark: 7 }), rule(32766)],
});

test('what is there already is taken over without a command', () => {
  assert.deepEqual(plan(VIPS, KERNEL), []);
  assert.deepEqual(plan(VIPS, KERNEL, VIPS), []);
  assert.equal(show(VIPS, KERNEL, undefined, 'zh'), '# 无需改动');
});

test('taking over and giving back, as a reader of the log sees it', (t) => {
  const bare = actually({ addresses: [address('192.168.1.10/24')], routes: [route(undefined, { protocol: 3 })] });
  golden(t, 'netplan-takeover', show(VIPS, bare));
  golden(t, 'netplan-takeover-zh', show(VIPS, bare, undefined, 'zh'));
  golden(t, 'netplan-release', show(tables(), KERNEL, VIPS));
});

test('a changed configuration adds before it removes, and touches nothing of others', (t) => {
  const wanted = tables({
    addresses: [address('192.168.1.99/32', { label: 'eth0:vip' }), address('192.168.1.100/32')],
    routes: [route('10.9.0.0/16', { table: 100, hops: [{ via: ip('192.168.1.253'), ifindex: 2 }] })],
    rules: [rule(101, { from: prefix('192.168.1.100/32') })],
  });
  golden(t, 'netplan-reload', show(wanted, KERNEL, VIPS));
});

test('what others have under no key of ours is never named', () => {
  const foreign = actually({
    addresses: [address('192.168.1.50/24')],
    routes: [route('10.50.0.0/16')],
    rules: [rule(500)],
  });
  assert.deepEqual(plan(tables(), foreign, VIPS), []);
});

test('what the kernel takes along with the first address of a subnet is put back', (t) => {
  const before = actually({
    addresses: [address('10.0.0.5/24'), address('10.0.0.6/24', { secondary: true }), address('10.0.0.7/32')],
    routes: [route('10.20.0.0/16', { hops: [{ via: ip('10.0.0.254'), ifindex: 2 }], protocol: 4 })],
  });
  const mine = tables({ addresses: [address('10.0.0.5/24')] });
  golden(t, 'netplan-secondaries', show(tables({ addresses: [address('10.0.0.8/24')] }), before, mine));
  const keepsNothing = plan(tables(), actually({ addresses: [address('10.0.0.5/24')] }), mine);
  assert.deepEqual(
    keepsNothing.map((s) => s.command.do),
    ['address-remove'],
  );
});

test('a lifetime is renewed once less than half of it is left, and never for being counted down', () => {
  const want = tables({ addresses: [address('10.0.0.5/32', { validSeconds: 60 })] });
  const left = (validSeconds: number | undefined): string[] =>
    plan(
      want,
      actually({ addresses: [address('10.0.0.5/32', validSeconds === undefined ? {} : { validSeconds })] }),
    ).map((s) => s.command.do);
  assert.deepEqual(left(60), []);
  assert.deepEqual(left(30), []);
  assert.deepEqual(left(29), ['address-replace']);
  assert.deepEqual(left(undefined), ['address-replace']);
  assert.deepEqual(left(90), ['address-replace']);
});

test('an address that failed duplicate detection is tried again', () => {
  const want = tables({ addresses: [address('2001:db8::5/64')] });
  const steps = plan(want, actually({ addresses: [address('2001:db8::5/64', { tentative: true, dadFailed: true })] }));
  assert.deepEqual(
    steps.map((s) => s.command.do),
    ['address-remove', 'address-replace'],
  );
});

test('the label that the kernel makes of the link name is no difference', () => {
  const want = tables({ addresses: [address('10.0.0.5/32', { label: 'eth0' })] });
  assert.deepEqual(plan(want, actually({ addresses: [address('10.0.0.5/32')] })), []);
});

test('of routes appended under one key, only ours goes', () => {
  const [a, b] = ['192.168.1.1', '192.168.1.2'].map((via) =>
    route('10.9.0.0/16', { hops: [{ via: ip(via), ifindex: 2 }] }),
  ) as [Route, Route];
  const steps = plan(tables(), actually({ routes: [a, b] }), tables({ routes: [b] }));
  assert.deepEqual(
    steps.map((s) => s.command),
    [{ do: 'route-remove', route: b }],
  );
  const appended = plan(tables({ routes: [{ ...b, placement: 'append' }] }), actually({ routes: [a] }));
  assert.deepEqual(
    appended.map((s) => s.command),
    [{ do: 'route-replace', route: b, append: true }],
  );
});

test('a route of IPv4 is sent without host bits, which the kernel refuses', () => {
  const [step] = plan(tables({ routes: [route('10.9.1.2/16')] }), actually());
  assert.deepEqual(step?.command.do === 'route-replace' && step.command.route.destination, prefix('10.9.0.0/16'));
});

/** What the kernel's tables are after the commands, as far as keys go. */
function model(actual: ActualTables, commands: readonly NetCommand[]): ActualTables {
  const addresses = new Map(actual.addresses.map((a) => [addressKey(a), a]));
  const routes = new Map(actual.routes.map((r) => [routeKey(r), r]));
  const rules = new Map(actual.rules.map((r) => [ruleKey(r), r]));
  for (const c of commands) {
    if (c.do === 'address-replace') addresses.set(addressKey(c.address), c.address);
    if (c.do === 'address-remove') addresses.delete(addressKey(c.address));
    if (c.do === 'route-replace') routes.set(routeKey(c.route), c.route);
    if (c.do === 'route-remove') routes.delete(routeKey(c.route));
    if (c.do === 'rule-add') rules.set(ruleKey(c.rule), c.rule);
    if (c.do === 'rule-remove') rules.delete(ruleKey(c.rule));
  }
  return {
    links: actual.links,
    addresses: [...addresses.values()],
    routes: [...routes.values()],
    rules: [...rules.values()],
  };
}
const small = fc.integer({ min: 1, max: 5 });
const anyTables: fc.Arbitrary<NetTables> = fc.record({
  addresses: fc.uniqueArray(
    fc
      .record({ n: small, label: fc.boolean(), ifindex: fc.constantFrom(2, 3) })
      .map(({ n, label, ifindex }) => address(`10.0.0.${n}/32`, { ifindex, ...(label && { label: `vip:${n}` }) })),
    { selector: addressKey, maxLength: 5 },
  ),
  routes: fc.uniqueArray(
    fc
      .record({ n: small, via: small })
      .map(({ n, via }) => route(`10.${n}.0.0/16`, { hops: [{ via: ip(`192.168.1.${via}`), ifindex: 2 }] })),
    { selector: routeKey, maxLength: 5 },
  ),
  rules: fc.uniqueArray(
    small.map((n) => rule(n * 100)),
    { selector: ruleKey, maxLength: 5 },
  ),
});

test('after a plan is done there is nothing left to plan, all wanted is there, and what is of others is as it was', () => {
  fc.assert(
    fc.property(anyTables, anyTables, anyTables, (wanted, actual, mine) => {
      const before = { ...actual, links: [eth0, eth1] };
      const after = model(
        before,
        plan(wanted, before, mine).map((s) => s.command),
      );
      assert.deepEqual(plan(wanted, after, mine), []);
      const keys = (t: NetTables): string[] => [
        ...t.addresses.map(addressKey),
        ...t.routes.map(routeKey),
        ...t.rules.map(ruleKey),
      ];
      const ours = new Set([...keys(wanted), ...keys(mine)]);
      const others = (t: NetTables): string[] =>
        keys(t)
          .filter((k) => !ours.has(k))
          .sort();
      assert.deepEqual(others(after), others(before));
      assert.deepEqual(new Set(keys(after).filter((k) => ours.has(k))), new Set(keys(wanted)));
    }),
  );
});
test('a renewal sets every lifetime again, and nothing that has none', () => {
  const leased = address('192.168.1.99/32', { validSeconds: 5, preferredSeconds: 5 });
  const wanted = tables({ addresses: [leased, address('192.168.1.98/32')] });
  const commands = plan(wanted, actually(wanted), undefined, { renewLifetimes: true }).map((s) => s.command);
  assert.deepEqual(commands, [{ do: 'address-replace', address: leased }]);
});
/** A network whose routes are counted as they are asked for. */
function asked(
  actual: ActualTables,
  unreadable = false,
): { network: Network; questions: string[]; done: NetCommand[] } {
  const questions: string[] = [];
  const done: NetCommand[] = [];
  const refused = err({ code: 'ENOBUFS', doing: text('read', '读取') });
  const network = {
    links: () => actual.links,
    addresses: () => actual.addresses,
    routes: (o) => {
      questions.push(`routes ${o.family} ${o.table} ${o.protocol}`);
      return unreadable ? refused : ok(actual.routes);
    },
    rules: (family) => {
      questions.push(`rules ${family}`);
      return unreadable ? refused : ok(actual.rules);
    },
    apply: (commands) => {
      done.push(...commands);
      return commands.map(() => ok(undefined));
    },
  } as Partial<Network> as Network;
  return { network, questions, done };
}
test('only what is named is read: no routes for addresses alone, and of a table only the protocols in question', () => {
  const mine = tables({ addresses: [address('192.168.1.99/24', { secondary: true })] });
  const alone = asked(actually({ addresses: [address('192.168.1.10/24'), ...mine.addresses] }));
  reconcile(alone.network, NO_TABLES, mine);
  assert.deepEqual([alone.questions, alone.done.length], [[], 1]);
  const routed = asked(actually());
  reconcile(routed.network, VIPS, NO_TABLES);
  assert.deepEqual(routed.questions, ['routes 4 100 18', 'routes 6 254 18', 'rules 4']);
  // It goes as the first of its subnet: the kernel takes the other along, and routes that need it.
  const primary = asked(
    actually({ addresses: [address('192.168.1.10/24'), address('192.168.1.11/24', { secondary: true })] }),
  );
  reconcile(primary.network, NO_TABLES, tables({ addresses: [address('192.168.1.10/24')] }));
  assert.deepEqual(primary.questions, ['routes 4 254 undefined']);
});
test('tables that cannot be read stop nothing: all is put, and all that was held is removed', () => {
  const [blind, leaving] = [asked(actually(), true), asked(actually({ addresses: VIPS.addresses }), true)];
  const coming = reconcile(blind.network, VIPS, NO_TABLES);
  const going = reconcile(leaving.network, NO_TABLES, VIPS);
  const all = VIPS.addresses.length + VIPS.routes.length + VIPS.rules.length;
  assert.deepEqual([coming.steps.length, coming.unread.length], [all, 3]);
  assert.deepEqual([going.steps.length, going.unread.length], [all, 3]);
});
