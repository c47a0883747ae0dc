/** What a keepalived.conf says of macvlans, routes, rules and interfaces, on real kernels, beside the real keepalived. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { daemonProcesses } from './processes.ts';
import { CLIENT, Rig, type RigOptions } from './rig.ts';

/** Longer than anything here takes on a busy machine. Milliseconds. */
const PATIENCE = 60_000;

async function start(t: TestContext, o: RigOptions): Promise<Rig> {
  const rig = await Rig.start({ detail: true, ...o });
  t.after(() => rig.stop());
  // As on any host: nobody may send from an address that is not its own unless it asks for that.
  for (const r of rig.routers)
    await rig.host(r).run(['sysctl', '-qw', 'net.ipv4.ip_nonlocal_bind=0', 'net.ipv6.ip_nonlocal_bind=0']);
  return rig;
}
const sh = async (rig: Rig, host: string, script: string): Promise<string> =>
  (await rig.host(host).run(['sh', '-c', script])).stdout;
const said = (rig: Rig, host: string): string =>
  rig
    .daemon(host)
    .lines.map((l) => l.text)
    .join('\n');
/** Looks again until it holds; the last look is the failure. */
async function eventually(look: () => Promise<void> | void, withinMs = PATIENCE): Promise<void> {
  for (const end = Date.now() + withinMs; ; await sleep(50))
    try {
      return await look();
    } catch (e) {
      if (Date.now() > end) throw e;
    }
}
const instance = (name: string, vrid: number, priority: number, body: string): string => `
vrrp_instance ${name} {
  interface eth0
  virtual_router_id ${vrid}
  priority ${priority}
  advert_int 0.2
  version 3
${body}
}
`;
const addresses = (...lines: string[]): string => `  virtual_ipaddress {\n    ${lines.join('\n    ')}\n  }`;

describe('conformance', { concurrency: 3 }, () => {
  test('use_vmac: adverts leave by the macvlan and those of keepalived come in by it, over both families', async (t) => {
    const conf = (priority: number): string =>
      instance('VI_4', 51, priority, `  use_vmac\n${addresses('10.9.0.50')}`) +
      instance('VI_6', 52, priority, `  use_vmac\n${addresses('fe80::52/64', 'fd00:9::52/64')}`);
    const rig = await start(t, {
      routers: { r1: { software: 'holdfast', conf: conf(150) }, r2: { software: 'keepalived', conf: conf(100) } },
    });
    const settings = `cd /proc/sys/net/ipv4/conf; grep . all/rp_filter eth0/rp_filter eth0/arp_*`;
    await sh(rig, 'r1', 'echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter');
    const before = await sh(rig, 'r1', settings);
    // Both, before the better one comes: it is to hear adverts of either.
    rig.startDaemon('r2');
    await rig.holder('10.9.0.50', 'r2', PATIENCE);
    await rig.holder('fd00:9::52', 'r2', PATIENCE);
    rig.startDaemon('r1');
    await rig.holder('10.9.0.50', 'r1', PATIENCE);
    await rig.holder('fd00:9::52', 'r1', PATIENCE);
    // Whoever hears nothing would take over by silence. The news comes behind the address.
    for (const name of ['VI_4', 'VI_6'])
      await eventually(() =>
        assert.match(said(rig, 'r1'), new RegExp(`${name}: BACKUP -> MASTER: the master .* is below our 150`)),
      );
    const seen = await sh(rig, CLIENT, `timeout 25 tcpdump -l -eni eth0 -c 8 'ip proto 112 or ip6 proto 112' 2>&1`);
    assert.match(seen, / 00:00:5e:00:01:33 > 01:00:5e:00:00:12,/);
    assert.match(seen, / 00:00:5e:00:02:34 > 33:33:00:00:00:12,/);
    assert.doesNotMatch(seen, / 02:4c:\S+ > (01:00:5e|33:33)/);

    await sh(rig, 'r1', 'ip link delete vrrp.51');
    await eventually(async () => assert.match(await sh(rig, 'r1', 'ip address show dev vrrp.51'), /10\.9\.0\.50/));
    await rig.holder('10.9.0.50', 'r1', PATIENCE);
    await rig.stopDaemon('r1');
    await rig.holder('10.9.0.50', 'r2', PATIENCE);
    assert.equal(await sh(rig, 'r1', settings), before, 'settings are put back');
    await eventually(async () => assert.equal(await sh(rig, 'r1', 'nft list tables; ip -br link | grep vrrp'), ''));
  });

  test('no report of group membership bears the virtual hardware address', async (t) => {
    const conf = instance('VI', 51, 150, `  use_vmac\n${addresses('10.9.0.50')}`);
    const rig = await start(t, { routers: { r1: { software: 'holdfast', conf } } });
    rig.startDaemon('r1');
    await eventually(async () =>
      assert.match(await sh(rig, 'r1', 'nft list ruleset'), /"vrrp\.51" ip protocol igmp drop/),
    );
    await rig.holder('10.9.0.50', 'r1', PATIENCE);
    await sleep(1500); // what was sent before the filter stood is over
    const others = `'ether src 00:00:5e:00:01:33 and not ip proto 112 and not arp'`;
    const [leaks] = await Promise.all([
      sh(rig, CLIENT, `timeout 4 tcpdump -l -eni eth0 ${others} 2>/dev/null`),
      sh(rig, 'r1', 'sleep 0.5; ip link delete vrrp.51'),
    ]);
    assert.equal(leaks.trim(), '');
    await rig.holder('10.9.0.50', 'r1', PATIENCE);
  });

  test('a filter that a killed daemon left is gone with the next start', async (t) => {
    const conf = (accept: string): string => instance('VI', 51, 150, `  ${accept}\n${addresses('10.9.0.50')}`);
    const rig = await start(t, { routers: { r1: { software: 'holdfast', conf: conf('no_accept') } } });
    rig.startDaemon('r1');
    await eventually(async () => assert.match(await sh(rig, 'r1', 'nft list ruleset'), /ip daddr 10\.9\.0\.50 drop/));
    // The whole process group by one call: who sees another one die tidies up behind it.
    const daemon = rig.daemon('r1');
    const { parent, worker } = daemonProcesses(daemon.pid() as number);
    process.kill(-(daemon.entrancePid as number), 'SIGKILL');
    await daemon.exited;
    for (const pid of [worker, parent]) await eventually(() => assert.equal(existsSync(`/proc/${pid}`), false));
    assert.match(await sh(rig, 'r1', 'nft list tables'), /holdfast/);
    rig.startDaemon('r1', { software: 'holdfast', conf: conf('accept') });
    await eventually(async () => assert.equal(await sh(rig, 'r1', 'nft list tables'), ''));
  });

  test('routes and rules of every shape come and go with the master; static ones come back by themselves', async (t) => {
    const conf = `
track_group TG {
  group {
    VI
  }
}
static_ipaddress {
  10.9.0.77/32 dev eth0
}
static_routes {
  198.18.0.0/24 via 10.9.0.3 dev eth0 table 77 track_group TG
}
static_rules {
  from 10.9.0.77 table 77 preference 500 track_group TG
}
${instance(
  'VI',
  51,
  150,
  `${addresses('10.9.0.50/16')}
  virtual_ipaddress_excluded {
    fd00:9::50/64
  }
  virtual_routes {
    203.0.113.0/24 via 10.9.0.9 dev eth0 metric 17 table 100
    blackhole 203.0.114.0/24
    203.0.115.0/24 nexthop via 10.9.0.9 dev eth0 weight 2 nexthop via 10.9.0.8 dev eth0 weight 3
    append 203.0.116.0/24 via 10.9.0.9 dev eth0
    append 203.0.116.0/24 via 10.9.0.8 dev eth0
    fd01::/64 via fd00:9::9 dev eth0
  }
  virtual_rules {
    from 10.9.0.50 table 100 preference 1000
  }`,
)}`;
    const rig = await start(t, { routers: { r1: { software: 'holdfast', conf } } });
    const tables = (): Promise<string> =>
      sh(
        rig,
        'r1',
        'ip route show table all proto 18; ip -6 route show proto 18; ip rule | grep keepalived; ip -br -4 address',
      );
    const wanted = [
      /^203\.0\.113\.0\/24 via 10\.9\.0\.9 dev eth0 table 100 metric 17/m,
      /^blackhole 203\.0\.114\.0\/24/m,
      /^203\.0\.115\.0\/24[^a-z]+nexthop via 10\.9\.0\.9 dev eth0 weight 2[^a-z]+nexthop via 10\.9\.0\.8 dev eth0 weight 3/m,
      /^203\.0\.116\.0\/24 via 10\.9\.0\.9 dev eth0/m,
      /^203\.0\.116\.0\/24 via 10\.9\.0\.8 dev eth0/m,
      /^fd01::\/64 via fd00:9::9 dev eth0/m,
      /^198\.18\.0\.0\/24 via 10\.9\.0\.3 dev eth0 table 77/m,
      /^500:.*from 10\.9\.0\.77 lookup 77/m,
      /^1000:.*from 10\.9\.0\.50 lookup 100/m,
      /10\.9\.0\.77\/32/,
    ];
    const complete = async (): Promise<void> => {
      const have = await tables();
      for (const w of wanted) assert.match(have, w);
    };
    rig.startDaemon('r1');
    await eventually(complete);
    await sh(rig, 'r1', 'ip -6 route delete fd01::/64');
    await eventually(() => assert.match(said(rig, 'r1'), /MASTER -> BACKUP: somebody removed route fd01::\/64/));
    await eventually(complete);
    await sh(rig, 'r1', 'ip rule delete preference 500');
    await eventually(() => assert.match(said(rig, 'r1'), /MASTER -> FAULT: rule 500 of track_group TG/));
    await sh(rig, 'r1', 'ip rule add from 10.9.0.77 table 77 preference 500 protocol 18');
    await eventually(complete);
    await sh(
      rig,
      'r1',
      'ip link set eth0 down; sleep 0.3; ip link set eth0 up; ip -6 address add fd00:9::1/64 dev eth0 nodad',
    );
    await eventually(complete);
    await rig.stopDaemon('r1');
    assert.equal(
      await sh(
        rig,
        'r1',
        'ip route show table all proto 18; ip -6 route show table all proto 18; ip rule | grep keepalived',
      ),
      '',
    );
  });

  for (const software of ['holdfast', 'keepalived'] as const)
    test(`${software}: the loss of an interface that carries a further address or route is a fault, but for no_track`, async (t) => {
      const conf =
        instance('VI_A', 51, 150, addresses('10.9.0.51/16', '10.10.0.51/16 dev eth1')) +
        instance(
          'VI_B',
          52,
          150,
          `${addresses('10.9.0.52/16')}\n  virtual_routes {\n    203.0.113.0/24 via 10.10.0.9 dev eth1\n  }`,
        ) +
        instance('VI_C', 53, 150, addresses('10.9.0.53/16', '10.10.0.53/16 dev eth1 no_track'));
      const rig = await start(t, { routers: { r1: { software, conf } }, links: 2 });
      const all = ['10.9.0.51', '10.9.0.52', '10.9.0.53', '10.10.0.51', '10.10.0.53'];
      rig.startDaemon('r1');
      for (const a of all) await rig.holder(a, 'r1', PATIENCE);
      await sh(rig, 'r1', 'ip link set eth1 down');
      await rig.until(
        () => !rig.addresses.holders('10.9.0.51').length && !rig.addresses.holders('10.9.0.52').length,
        PATIENCE,
        () => 'the loss of eth1 should be a fault of VI_A and VI_B',
      );
      assert.deepEqual(rig.addresses.holders('10.9.0.53'), ['r1']);
      await sh(rig, 'r1', 'ip link set eth1 up');
      for (const a of all) await rig.holder(a, 'r1', PATIENCE);
      await eventually(async () =>
        assert.match(await sh(rig, 'r1', 'ip route'), /203\.0\.113\.0\/24 via 10\.10\.0\.9 dev eth1/),
      );
    });

  test('an interface that vanishes, comes back as another device and is renamed takes its instance along', async (t) => {
    const conf = `global_defs {\n  dynamic_interfaces allow_if_changes\n}\nstatic_ipaddress {\n  10.66.0.2/24 dev d0\n}\n${instance('VI', 51, 150, addresses('10.66.0.50/24')).replace('eth0', 'd0')}`;
    const rig = await start(t, { routers: { r1: { software: 'holdfast', conf } } });
    const device =
      'ip link add d0 type veth peer name d1 && ip address add 10.66.0.1/24 dev d0 && ip link set d0 up && ip link set d1 up';
    const there = (name: string): Promise<void> =>
      eventually(async () =>
        assert.match(await sh(rig, 'r1', `ip -br address show dev ${name}`), /10\.66\.0\.2\/24.* 10\.66\.0\.50\/24/),
      );
    rig.startDaemon('r1');
    await eventually(() => assert.match(said(rig, 'r1'), /INIT -> FAULT: there is no interface d0/));
    await sh(rig, 'r1', device);
    await there('d0');
    await sh(rig, 'r1', 'ip link delete d0; ip link add spare type dummy; ip link add d7 type veth peer name d8');
    await sh(rig, 'r1', device);
    await there('d0');
    await sh(rig, 'r1', 'ip link set d0 name dd');
    await eventually(async () =>
      assert.doesNotMatch(await sh(rig, 'r1', 'ip -br address show dev dd'), /10\.66\.0\.50/),
    );
    await sh(rig, 'r1', 'ip link set dd down; ip link set dd name d0; ip link set d0 up');
    await there('d0');
  });

  test('an address that another machine answers for: one line for each family, and the instance runs', async (t) => {
    const quick = '  garp_master_delay 1\n';
    const conf =
      instance('VI_4', 51, 150, quick + addresses('10.9.0.50/16', '10.9.0.51/16')) +
      instance('VI_6', 52, 150, quick + addresses('fe80::52/64', 'fd00:9::52/64'));
    const rig = await start(t, { routers: { r1: { software: 'holdfast', conf } } });
    await sh(rig, CLIENT, 'ip address add 10.9.0.51/16 dev eth0; ip address add fd00:9::52/64 dev eth0 nodad');
    rig.startDaemon('r1');
    const lines = (): string[] =>
      said(rig, 'r1').match(/machine with hardware address \S+ also answers for \S+/g) ?? [];
    await eventually(() => assert.equal(lines().length, 2, said(rig, 'r1')));
    await sleep(1000);
    assert.deepEqual(
      lines()
        .map((l) => l.split(' ').at(-1))
        .sort(),
      ['10.9.0.51', 'fd00:9::52'],
    );
    assert.deepEqual(rig.addresses.holders('10.9.0.50'), ['r1']);
  });
});
