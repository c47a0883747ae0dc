/** Addresses, routes, rules and neighbours through rtnetlink: what is set is what the kernel has, and is taken away again. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ok } from '../../src/base/index.ts';
import { commandLine, describePlan, type NetChange, type NetCommand, plan, type Rule } from '../../src/host/index.ts';
import type { LinuxNetwork } from '../../src/host/linux/netlink/index.ts';
import {
  actual,
  address,
  all,
  changes,
  inNamespace,
  ip,
  named,
  net,
  open,
  prefix,
  route,
  routes,
  sh,
  tables,
  v0,
  via,
} from '../support/netlink-lab.ts';

inNamespace(import.meta.filename, () => {
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
    assert.match(shown, /192\.0\.2\.5\/32 .*dynamic[^\n]*\n\s*valid_lft (600|5\d\d)sec preferred_lft (300|2\d\d)sec/);
    assert.match(shown, /2001:db8:1::1\/128 scope global nodad deprecated/);
    assert.match(shown, /2001:db8:1::2\/64 scope global nodad home noprefixroute/);
    assert.match(shown, /2001:db8:1::3 peer 2001:db8:1::4\/128/);
    const again = open();
    const lasting = (n: LinuxNetwork): string[] =>
      n
        .addresses()
        .filter((a) => a.validSeconds === undefined)
        .map((a) => JSON.stringify(Object.entries(a).sort(([x], [y]) => (x < y ? -1 : 1))))
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
    assert.match(sh('ip', 'address', 'show', 'dev', 'v0'), /192\.0\.2\.9\/32[^\n]*\n\s*valid_lft (100|\d\d)sec/);
    all(net.apply([{ do: 'address-replace', address: vip }]));
    const deadline = Date.now() + 60_000;
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
    // In the user namespace of an ordinary user there is one user.
    const lastUser = Number(readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/)[2]) - 1;
    const forms: Partial<Rule>[] = [
      { from: prefix('10.0.0.0/8'), to: prefix('192.0.2.0/24') },
      { family: 6, from: prefix('2001:db8::/32'), action: { do: 'table', table: 70_000 } },
      { fwmark: 7, invert: true },
      { fwmark: 0, fwmask: 0xff },
      { tos: 16, iif: 'v0', oif: 'not-there-yet' },
      { realms: 0x10002, protocol: 18 },
      { suppressPrefixLength: 0, suppressGroup: 3 },
      { tunnelId: 77n },
      { uidRange: { from: Math.min(1000, lastUser), to: Math.min(1999, lastUser) } },
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
});
