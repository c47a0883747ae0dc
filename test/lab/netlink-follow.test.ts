/** Links and notices through rtnetlink: who did what, restarts that change nothing, losses, and a thousand addresses at once. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Link, type NetChange, type NetCommand, plan, type Rule, reconcile } from '../../src/host/index.ts';
import type { Addon } from '../../src/host/linux/addon.ts';
import { LinuxNetwork, openNetwork } from '../../src/host/linux/netlink/index.ts';
import { openNetlinkSocket } from '../../src/host/linux/netlink/socket.ts';
import {
  actual,
  addon,
  address,
  all,
  changes,
  heard,
  inNamespace,
  log,
  logged,
  net,
  open,
  prefix,
  route,
  routes,
  sh,
  tables,
  v0,
} from '../support/netlink-lab.ts';

inNamespace(import.meta.filename, () => {
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
    net.drain();
    changes.length = 0;
    all(net.apply([{ do: 'link-set', ifindex, name: 'vip51', mac: '00:00:5e:00:01:35' }]));
    net.drain();
    const told = changes.flatMap((c) =>
      c.kind === 'link' || c.kind === 'link-gone' ? [`${c.kind} ${c.link.name}`] : [],
    );
    assert.deepEqual(told.slice(-2), ['link-gone vrrp.51', 'link vip51'], 'who goes by names has lost the old one');
    all(net.apply([{ do: 'link-set', ifindex, up: true, noAddressGeneration: true }]));
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
    const nothing = { steps: [], unread: [] };
    const first = reconcile(net, wanted, tables({}));
    assert.ok(first.unread.length === 0 && first.steps.length > 20);
    all(first.steps.map((s) => s.result));
    const monitor = spawn('ip', ['monitor', 'link', 'address', 'route', 'rule'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let said = '';
    monitor.stdout.on('data', (d: Buffer) => {
      said += d;
    });
    try {
      // It says nothing when it is ready: it is when it tells of a change, and has told of all when it tells of the last.
      for (let i = 0; said === ''; i = (i + 1) % 2) {
        sh('ip', 'link', 'set', 'v1', 'txqueuelen', `${1000 + i}`);
        await sleep(50);
      }
      sh('ip', 'link', 'add', 'last0', 'type', 'veth', 'peer', 'name', 'last1');
      sh('ip', 'link', 'delete', 'last0');
      const gone = (name: string): boolean => new RegExp(`^Deleted \\d+: ${name}\\b.*\\n.*\\n`, 'm').test(said);
      while (!gone('last0') || !gone('last1')) await sleep(10);
      said = '';
      const second = open();
      const seen: NetChange[] = [];
      second.watch((c) => seen.push(c));
      assert.deepEqual(reconcile(second, wanted, wanted), nothing);
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
    all(last.steps.map((s) => s.result));
    assert.deepEqual(reconcile(net, tables({}), wanted), nothing);
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
});
