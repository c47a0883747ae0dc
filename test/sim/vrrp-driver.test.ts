/** The driver on simulated hosts: what it does to the kernel's tables, told apart from what the machine decides. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type IpAddress, us } from '../../src/base/index.ts';
import { Segment, SimHost, World } from '../../src/sim/index.ts';
import {
  exampleAddress,
  exampleConfig,
  exampleGroup,
  exampleInstance,
  type Instance,
  type LastWill,
  type Notification,
  Vrrp,
  type VrrpConfig,
  type VrrpOptions,
  type WantedRoute,
  type WantedRule,
} from '../../src/vrrp/index.ts';

const S = 1_000_000;
const VIP = '10.0.0.100';

class Lab {
  readonly world = new World(1);
  readonly segment = new Segment('net', this.world);
  readonly hosts: SimHost[] = [];
  readonly told: string[] = [];
  readonly notified: Notification[] = [];
  will: LastWill | undefined;

  host(): SimHost {
    const n = this.hosts.length + 1;
    const host = new SimHost(`h${n}`, this.world);
    host.connect('eth0', this.segment, `02:00:00:00:00:0${n}`, { address: `10.0.0.${n}` as IpAddress, length: 24 });
    this.hosts.push(host);
    return host;
  }
  run(host: SimHost, config: VrrpConfig, options: Partial<VrrpOptions> = {}): Vrrp {
    let vrrp: Vrrp | undefined;
    host.boot((ports) => {
      vrrp = new Vrrp(config, ports, {
        leaseAddresses: true,
        adopt: new Set(),
        uptime: us(0),
        notify: (n) => {
          this.told.push(n.fifo.trim());
          this.notified.push(n);
        },
        willChanged: (will) => {
          this.will = will;
        },
        ...options,
      });
      vrrp.start();
    });
    return vrrp as Vrrp;
  }
  wait(seconds: number): void {
    this.world.runUntil(this.world.now + seconds * S);
  }
}
/** Read anew, so that an assertion on one reading says nothing about the next. */
const willOf = (lab: Lab): LastWill | undefined => lab.will;
const state = (v: Vrrp, at = 0): string => v.status().instances[at]?.state ?? 'none';
const one = (changes: Partial<Instance> = {}, more: Partial<VrrpConfig> = {}): VrrpConfig =>
  exampleConfig([exampleInstance(changes)], more);

test('a lone host takes its address, keeps it by renewing the lease, and gives it up when it stops', () => {
  const lab = new Lab();
  const host = lab.host();
  const vrrp = lab.run(host, one());
  lab.wait(60);
  assert.equal(state(vrrp), 'MASTER');
  assert.ok(host.holds(VIP));
  vrrp.stop();
  assert.ok(!host.holds(VIP));
  assert.deepEqual(lab.told, ['INSTANCE "VI_1" BACKUP 100', 'INSTANCE "VI_1" MASTER 100', 'INSTANCE "VI_1" STOP 100']);
});
test('a killed process leaves no address: the kernel takes it away when the lease ends', () => {
  const lab = new Lab();
  const host = lab.host();
  lab.run(host, one());
  lab.wait(10);
  host.kill();
  lab.wait(1.5);
  assert.ok(host.holds(VIP), 'the lease still runs');
  lab.wait(2);
  assert.ok(!host.holds(VIP), 'and has ended before another host becomes master');
});
test('without leases the address of a killed process stays, and the next start removes it', () => {
  const lab = new Lab();
  const host = lab.host();
  lab.run(host, one(), { leaseAddresses: false });
  lab.wait(10);
  host.kill();
  lab.wait(60);
  assert.ok(host.holds(VIP));
  lab.run(host, one(), { leaseAddresses: false });
  assert.ok(!host.holds(VIP));
});
test('an adopted instance goes on as master and its address never leaves', () => {
  const lab = new Lab();
  const host = lab.host();
  lab.run(host, one());
  lab.wait(10);
  host.kill();
  const vrrp = lab.run(host, one(), { adopt: new Set(['VI_1']) });
  assert.equal(state(vrrp), 'MASTER');
  assert.ok(host.holds(VIP));
});
test("an owner's own address is neither leased nor taken away", () => {
  const lab = new Lab();
  const host = lab.host();
  const owner = one({ priority: 255, addresses: [exampleAddress('10.0.0.1', 24)] });
  const vrrp = lab.run(host, owner);
  lab.wait(20);
  assert.equal(state(vrrp), 'MASTER');
  vrrp.stop();
  lab.wait(20);
  assert.ok(host.holds('10.0.0.1'));
});
test('the last will names a resignation for every link and what is to be removed; a backup has none', () => {
  const lab = new Lab();
  const vrrp = lab.run(lab.host(), one());
  lab.wait(1);
  assert.deepEqual(willOf(lab), { adverts: [], commands: [] });
  lab.wait(5);
  assert.equal(willOf(lab)?.adverts.length, 1);
  assert.equal(willOf(lab)?.adverts[0]?.bytes[22], 0, 'priority 0 behind the IPv4 header');
  assert.deepEqual(
    willOf(lab)?.commands.map((c) => c.do),
    ['address-remove'],
  );
  vrrp.stop();
  assert.deepEqual(willOf(lab), { adverts: [], commands: [] });
});
test('the last will of a master with auth_hmac is made anew in time: its peer believes it whenever it is executed', () => {
  const keys = [{ id: 1, key: new Uint8Array(16) }];
  const hmac = { keys, activeKey: 1, antiReplay: 'time', window: us(6 * S), mode: 'enforce' } as const;
  for (const seconds of [20, 20.9, 21.7]) {
    const lab = new Lab();
    const [a, b] = [lab.host(), lab.host()];
    const backup = lab.run(b, one({ hmac }));
    lab.run(a, one({ hmac, priority: 200 }));
    lab.wait(seconds);
    assert.equal(state(backup), 'BACKUP');
    a.kill();
    const will = willOf(lab)?.adverts[0] ?? assert.fail();
    lab.segment.send(
      { name: 'supervisor', carrier: () => true, arrive: () => {} },
      {
        kind: 'ip',
        family: 4,
        protocol: 112,
        source: '10.0.0.1',
        destination: '224.0.0.18',
        ttl: 255,
        header: will.bytes.subarray(0, 20),
        payload: will.bytes.subarray(20),
      },
    );
    lab.wait(1);
    assert.equal(state(backup), 'MASTER', `after ${seconds} s`);
  }
});
test('a reload that changes nothing touches nothing', () => {
  const lab = new Lab();
  const host = lab.host();
  const vrrp = lab.run(host, one());
  lab.wait(10);
  const told = lab.told.length;
  vrrp.reload(one());
  lab.wait(10);
  assert.equal(state(vrrp), 'MASTER');
  assert.equal(lab.told.length, told);
});
test('a reload adds and drops links in place: nobody changes state, and what is heard on them counts at once', () => {
  const lab = new Lab();
  const second = new Segment('second', lab.world);
  const hosts = [lab.host(), lab.host()];
  hosts.forEach((h, at) => {
    const prefix = { address: `10.1.0.${at + 1}` as IpAddress, length: 24 };
    h.connect('eth1', second, `02:00:00:00:01:0${at + 1}`, prefix);
  });
  const config = (priority: number, links: Instance['links']): VrrpConfig => one({ priority, links });
  const routers = hosts.map((h, at) => lab.run(h, config(200 - at, [])));
  const states = (): string[] => routers.map((r) => state(r));
  lab.wait(10);
  const told = lab.told.length;
  const extra = [{ interface: 'eth1', peers: [] }];
  routers.forEach((r, at) => {
    r.reload(config(200 - at, extra));
  });
  lab.segment.cut('h1', 'h2');
  lab.wait(20);
  assert.deepEqual([states(), lab.told.length], [['MASTER', 'BACKUP'], told], 'adverts come by the new link');
  lab.segment.heal();
  lab.wait(2);
  routers.forEach((r, at) => {
    r.reload(config(200 - at, []));
  });
  let heard = 0;
  for (const h of hosts)
    h.delivered = (_, ifindex) => {
      if (ifindex === 3) heard++;
    };
  lab.wait(10);
  assert.deepEqual([states(), lab.told.length, heard], [['MASTER', 'BACKUP'], told, 0], 'the sockets there are closed');
});
test('a reload changes the list of unicast peers in place', () => {
  const lab = new Lab();
  const hosts = [lab.host(), lab.host(), lab.host()];
  const config = (at: number, ...peers: number[]): VrrpConfig =>
    one({ priority: 200 - at, unicastPeers: peers.map((n) => ({ address: `10.0.0.${n}` as IpAddress })) });
  const master = lab.run(hosts[0] as SimHost, config(0, 2));
  const second = lab.run(hosts[1] as SimHost, config(1, 1));
  lab.wait(10);
  const told = lab.told.length;
  master.reload(config(0, 2, 3));
  const third = lab.run(hosts[2] as SimHost, config(2, 1, 2));
  lab.wait(10);
  assert.deepEqual([state(master), state(second), state(third)], ['MASTER', 'BACKUP', 'BACKUP']);
  assert.deepEqual(lab.told.slice(told), ['INSTANCE "VI_1" BACKUP 198']);
  master.reload(config(0, 3));
  lab.wait(10);
  assert.equal(state(second), 'MASTER', 'it is no peer any more and hears nobody');
});
test('of two masters with equal priority the first link that both hear each other on decides, not the order on another', () => {
  for (const first of ['cut', 'whole'] as const) {
    const lab = new Lab();
    const second = new Segment('second', lab.world);
    const hosts = [lab.host(), lab.host()];
    hosts.forEach((h, at) => {
      const prefix = { address: `10.1.0.${2 - at}` as IpAddress, length: 24 }; // the opposite order
      h.connect('eth1', second, `02:00:00:00:01:0${at + 1}`, prefix);
    });
    for (const s of [lab.segment, second])
      for (const [a, b] of [
        ['h1', 'h2'],
        ['h2', 'h1'],
      ] as const)
        s.cut(a, b);
    const routers = hosts.map((h) => lab.run(h, one({ links: [{ interface: 'eth1', peers: [] }] })));
    lab.wait(10);
    assert.deepEqual(
      routers.map((r) => state(r)),
      ['MASTER', 'MASTER'],
    );
    second.heal();
    if (first === 'whole') lab.segment.heal();
    lab.wait(first === 'whole' ? 1.1 : 4);
    assert.deepEqual(
      routers.map((r) => state(r)),
      first === 'whole' ? ['BACKUP', 'MASTER'] : ['MASTER', 'BACKUP'],
    );
    const told = lab.told.length;
    lab.segment.heal();
    lab.wait(20);
    assert.equal(lab.told.length, told, 'and it stays so');
  }
});
test('a reload moves an address from one master to another without a gap', () => {
  const lab = new Lab();
  const host = lab.host();
  const at = (name: string, vrid: number, ...addresses: string[]): Instance =>
    exampleInstance({ name, virtualRouterId: vrid, addresses: addresses.map((a) => exampleAddress(a, 24)) });
  const vrrp = lab.run(host, exampleConfig([at('A', 1, '10.0.0.100', '10.0.0.101'), at('B', 2, '10.0.0.102')]));
  lab.wait(10);
  let gaps = 0;
  host.changed = () => {
    if (!host.holds('10.0.0.101')) gaps++;
  };
  vrrp.reload(exampleConfig([at('A', 1, '10.0.0.100'), at('B', 2, '10.0.0.102', '10.0.0.101')]));
  vrrp.reload(exampleConfig([at('B', 2, '10.0.0.102', '10.0.0.101', '10.0.0.100')]));
  lab.wait(10);
  assert.equal(gaps, 0);
  assert.ok(host.holds('10.0.0.100') && host.holds('10.0.0.101') && host.holds('10.0.0.102'));
  assert.deepEqual(lab.told.slice(-1), ['INSTANCE "A" DELETED 100']);
});
test('a changed priority and a dropped address take effect in place', () => {
  const lab = new Lab();
  const host = lab.host();
  const two = [exampleAddress(VIP, 24), exampleAddress('10.0.0.101', 24)];
  const vrrp = lab.run(host, one({ addresses: two }));
  lab.wait(10);
  vrrp.reload(one({ priority: 90 }));
  assert.equal(state(vrrp), 'MASTER');
  assert.equal(vrrp.status().instances[0]?.priority, 90);
  assert.ok(host.holds(VIP) && !host.holds('10.0.0.101'));
});
test('a carrier that is lost is a fault with its reason, and coming back elects again', () => {
  const lab = new Lab();
  const host = lab.host();
  const vrrp = lab.run(host, one());
  lab.wait(10);
  host.setCarrier('eth0', false);
  lab.wait(1);
  assert.equal(state(vrrp), 'FAULT');
  assert.deepEqual(vrrp.status().instances[0]?.faults, [{ kind: 'link-down', interface: 'eth0' }]);
  assert.ok(!host.holds(VIP));
  host.setCarrier('eth0', true);
  lab.wait(10);
  assert.equal(state(vrrp), 'MASTER');
});
test('interface_up_down_delays hold a short loss of carrier back', () => {
  const lab = new Lab();
  const host = lab.host();
  const vrrp = lab.run(host, one({}, { interfaceDelays: [{ interface: 'eth0', down: us(2 * S), up: us(0) }] }));
  lab.wait(10);
  host.setCarrier('eth0', false);
  lab.wait(1);
  host.setCarrier('eth0', true);
  lab.wait(5);
  assert.equal(state(vrrp), 'MASTER');
  host.setCarrier('eth0', false);
  lab.wait(3);
  assert.equal(state(vrrp), 'FAULT');
});
test('an instance whose interface does not exist has a fault; the others run', () => {
  const lab = new Lab();
  const missing = exampleInstance({ name: 'X', interface: 'eth9', virtualRouterId: 9 });
  const vrrp = lab.run(lab.host(), exampleConfig([missing, exampleInstance()]));
  lab.wait(10);
  assert.deepEqual([state(vrrp, 0), state(vrrp, 1)], ['FAULT', 'MASTER']);
});
test('an address that somebody removed makes it resign and elect again, unless it has no_track', () => {
  for (const kind of ['follow', 'ignore'] as const) {
    const lab = new Lab();
    const host = lab.host();
    const addresses = [exampleAddress(VIP, 24), { ...exampleAddress('10.0.0.101', 24), tracking: { kind } }];
    const vrrp = lab.run(host, one({ addresses }));
    lab.wait(10);
    host.removeAddress('10.0.0.101');
    lab.wait(0.001);
    assert.equal(state(vrrp), kind === 'follow' ? 'BACKUP' : 'MASTER');
    lab.wait(5);
    assert.ok(host.holds('10.0.0.101'), 'it is back by then');
  }
});
test('a lost static object of a track group is a fault of its instances, until it is back', () => {
  const lab = new Lab();
  const host = lab.host();
  const fixed = { ...exampleAddress('10.0.0.50', 24), tracking: { kind: 'group', group: 'G' } as const };
  const config = one(
    {},
    { statics: { addresses: [fixed], routes: [], rules: [] }, trackGroups: [{ name: 'G', instances: ['VI_1'] }] },
  );
  const vrrp = lab.run(host, config);
  lab.wait(10);
  assert.ok(host.holds('10.0.0.50'));
  host.removeAddress('10.0.0.50');
  lab.wait(1);
  assert.equal(state(vrrp), 'FAULT');
});
const fixedRoute: WantedRoute = {
  family: 4,
  how: 'replace',
  type: 'unicast',
  destination: { address: '10.9.0.0' as IpAddress, length: 16 },
  table: 254,
  hops: [{ via: '10.0.0.254' as IpAddress }],
  tracking: { kind: 'follow' },
};
const fixedRule: WantedRule = {
  rule: { family: 4, priority: 100, action: { do: 'table', table: 100 } },
  tracking: { kind: 'follow' },
};
test('a static route or rule that is gone is a fault, which ends the moment it is back', () => {
  const tracking = { kind: 'group', group: 'G' } as const;
  const statics = { addresses: [], routes: [{ ...fixedRoute, tracking }], rules: [{ ...fixedRule, tracking }] };
  const config = one({}, { statics, trackGroups: [{ name: 'G', instances: ['VI_1'] }] });
  const lab = new Lab();
  const host = lab.host();
  const vrrp = lab.run(host, config);
  lab.wait(10);
  const route = host.routing.routes[0] ?? assert.fail();
  const rule = host.routing.rules[0] ?? assert.fail();
  host.routing.removeRoutes(() => true);
  lab.wait(0.001);
  assert.equal(state(vrrp), 'FAULT');
  host.routing.putRoute({ ...route, protocol: 3 }); // somebody at the keyboard
  lab.wait(0.001);
  assert.equal(state(vrrp), 'BACKUP');
  host.routing.removeRules(() => true);
  lab.wait(0.001);
  assert.equal(state(vrrp), 'FAULT');
  host.routing.putRule(rule);
  lab.wait(0.001);
  assert.equal(state(vrrp), 'BACKUP');
  host.routing.removeRules(() => true);
  lab.wait(0.001);
  vrrp.reload(config); // puts it back
  assert.equal(state(vrrp), 'BACKUP');
});
test('what a killed process left is removed at the next start, also what is configured no more; static objects stay', () => {
  const lab = new Lab();
  const host = lab.host();
  const other = { ...fixedRoute, destination: { address: '10.8.0.0' as IpAddress, length: 16 } };
  const statics = { addresses: [exampleAddress('10.0.0.50', 24)], routes: [other], rules: [] };
  lab.run(host, one({ routes: [fixedRoute], rules: [fixedRule] }, { statics }), { leaseAddresses: false });
  lab.wait(10);
  assert.deepEqual([host.routing.routes.length, host.routing.rules.length], [2, 1]);
  const ours = host.routing.routes.find((r) => r.destination?.address === '10.9.0.0') ?? assert.fail();
  host.routing.putRoute({ ...ours, table: 99, protocol: 4 }); // another's
  host.kill();
  let gaps = 0;
  host.changed = () => {
    if (!host.holds('10.0.0.50')) gaps++;
  };
  lab.run(host, one({ addresses: [exampleAddress('10.0.0.101', 24)] }, { statics }));
  assert.ok(!host.holds(VIP));
  assert.deepEqual(
    host.routing.routes.map((r) => [r.destination?.address, r.table]),
    [
      ['10.8.0.0', 254],
      ['10.9.0.0', 99],
    ],
  );
  assert.deepEqual([host.routing.rules.length, gaps], [0, 0]);
});
test('an appended route is put beside another of its key, and goes alone', () => {
  const lab = new Lab();
  const host = lab.host();
  const appended = { ...fixedRoute, how: 'append' as const };
  const second = { ...appended, hops: [{ via: '10.0.0.253' as IpAddress }] };
  const vrrp = lab.run(host, one({ routes: [appended, second] }));
  const theirs = { family: 4, type: 'unicast', table: 254, protocol: 4, scope: 'global' } as const;
  const destination = { address: '10.9.0.0' as IpAddress, length: 16 };
  host.routing.putRoute({ ...theirs, destination, hops: [{ via: '10.0.0.9' as IpAddress, ifindex: 2 }] });
  lab.wait(10);
  assert.deepEqual(
    host.routing.routes.map((r) => r.hops[0]?.via),
    ['10.0.0.9', '10.0.0.254', '10.0.0.253'],
  );
  host.routing.removeRoutes((r) => r.hops[0]?.via === '10.0.0.253');
  lab.wait(0.001);
  assert.equal(state(vrrp), 'BACKUP', 'it is missed');
  lab.wait(10);
  vrrp.stop();
  assert.deepEqual(
    host.routing.routes.map((r) => r.hops[0]?.via),
    ['10.0.0.9'],
  );
});
test('two instances of one host with one VRID: the second has a fault', () => {
  const lab = new Lab();
  const vrrp = lab.run(lab.host(), exampleConfig([exampleInstance(), exampleInstance({ name: 'VI_2' })]));
  lab.wait(10);
  assert.deepEqual([state(vrrp, 0), state(vrrp, 1)], ['MASTER', 'FAULT']);
});
test('a sync group tells its states once, beside those of its members', () => {
  const lab = new Lab();
  const instances = [1, 2].map((n) =>
    exampleInstance({ name: `I${n}`, virtualRouterId: n, addresses: [exampleAddress(`10.0.0.${100 + n}`, 24)] }),
  );
  const vrrp = lab.run(lab.host(), exampleConfig(instances, { groups: [exampleGroup(['I1', 'I2'])] }));
  lab.wait(10);
  assert.deepEqual(
    lab.told.filter((x) => x.startsWith('GROUP')),
    ['GROUP "VG_1" BACKUP 0', 'GROUP "VG_1" MASTER 0'],
  );
  assert.equal(vrrp.status().groups[0]?.state, 'MASTER');
});
test('a script without a result is waited for; its failure is a fault', () => {
  const lab = new Lab();
  const tracks = { ...exampleInstance().tracks, scripts: [{ name: 'chk', weight: { value: 0, reverse: false } }] };
  const vrrp = lab.run(lab.host(), one({ tracks }));
  lab.wait(10);
  assert.equal(state(vrrp), 'INIT');
  vrrp.setTracker('script', 'chk', 'up');
  lab.wait(10);
  assert.equal(state(vrrp), 'MASTER');
  vrrp.setTracker('script', 'chk', 'down');
  assert.equal(state(vrrp), 'FAULT');
});
test('peers that are configured differently are heard, and statistics count what was thrown away', () => {
  const lab = new Lab();
  const [a, b] = [lab.host(), lab.host()];
  const high = lab.run(a, one({ priority: 200, advertInterval: us(2 * S) }));
  const low = lab.run(b, one({ addresses: [exampleAddress('10.0.0.101', 24)] }));
  lab.wait(30);
  assert.deepEqual([state(high), state(low)], ['MASTER', 'BACKUP'], 'other interval, other addresses');
  const { stats } = low.status().instances[0] ?? assert.fail();
  assert.ok((stats.oddities.interval ?? 0) > 0 && (stats.oddities.addresses ?? 0) > 0);
  const c = lab.host();
  const stranger = lab.run(c, one({ authentication: { type: 'pass', password: 'x' } }));
  lab.wait(10);
  assert.ok((stranger.status().instances[0]?.stats.dropped['auth-type'] ?? 0) > 0);
});
test('a stalled process is reported with its length and takes nothing over', () => {
  const lab = new Lab();
  const [a, b] = [lab.host(), lab.host()];
  lab.run(a, one({ priority: 200 }));
  const backup = lab.run(b, one());
  lab.wait(10);
  b.freeze();
  lab.wait(30);
  b.resume();
  lab.wait(10);
  assert.equal(state(backup), 'BACKUP');
  const { stats } = backup.status().instances[0] ?? assert.fail();
  assert.equal(stats.becameMaster, 0);
  assert.ok(stats.stalls >= 1 && stats.longestStall > 29 * S);
});
test('an address on another interface that is down is a fault, as with keepalived, unless it has no_track', () => {
  for (const kind of ['follow', 'ignore'] as const) {
    const lab = new Lab();
    const host = lab.host();
    host.connect('eth1', lab.segment, '02:00:00:00:01:01', { address: '10.1.0.1' as IpAddress, length: 24 });
    const second = { ...exampleAddress('10.1.0.9', 24, 'eth1'), tracking: { kind } };
    const vrrp = lab.run(host, one({ addresses: [exampleAddress(VIP, 24), second] }));
    lab.wait(10);
    assert.equal(state(vrrp), 'MASTER');
    host.setCarrier('eth1', false);
    lab.wait(1);
    assert.equal(state(vrrp), kind === 'follow' ? 'FAULT' : 'MASTER');
    host.setCarrier('eth1', true);
    lab.wait(10);
    assert.ok(state(vrrp) === 'MASTER' && host.holds('10.1.0.9'));
  }
});
test('a first notice about an interface with delays is no change of it', () => {
  const lab = new Lab();
  const host = lab.host();
  const tracks = { ...exampleInstance().tracks, interfaces: [{ name: 'eth0', weight: { value: 0, reverse: false } }] };
  const vrrp = lab.run(host, one({ tracks }, { interfaceDelays: [{ interface: 'eth0', down: us(0), up: us(9 * S) }] }));
  lab.wait(10);
  host.setCarrier('eth0', true);
  lab.wait(1);
  vrrp.setTracker('file', 'any', 'up');
  vrrp.reload(one({ tracks, priority: 90 }, { interfaceDelays: [{ interface: 'eth0', down: us(0), up: us(9 * S) }] }));
  assert.equal(state(vrrp), 'MASTER');
});
test('log_unknown_vrids names each VRID once, however often and from wherever it comes', () => {
  const lab = new Lab();
  const logged: string[] = [];
  lab.world.note = (who, what) => void (who === 'h1' && logged.push(what));
  lab.run(lab.host(), one({}, { logUnknownVrids: true }));
  for (const vrid of [77, 77, 78]) lab.run(lab.host(), one({ virtualRouterId: vrid }));
  lab.wait(20);
  assert.equal(logged.filter((l) => l.startsWith('vrrp.unknown-vrid')).length, 2);
});
