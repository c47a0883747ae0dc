import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { beforeEach, test } from 'node:test';
import { renderIpvsadm } from '../../src/api/index.ts';
import type { IpvsPlane, Scheduler, WantedService } from '../../src/director/index.ts';
import { describePlan } from '../../src/director/planes/ipvs/describe.ts';
import { plan } from '../../src/director/planes/ipvs/plan.ts';
import { poolsOf } from '../../src/director/planes/ipvs/wanted.ts';
import { linuxFiles } from '../../src/host/linux/files.ts';
import { ip, ipvsadm, LEDGER, newPlane, said, server, service, told, wanted } from './ipvs-rig.ts';

function looksLikeIpvsadm(plane: IpvsPlane): void {
  const [rows, head] = [plane.rows(), plane.info()];
  assert.ok(rows.ok && head.ok);
  for (const [view, option] of [
    ['list', []],
    ['stats', ['--stats']],
    ['rate', ['--rate']],
  ] as const)
    assert.equal(renderIpvsadm(rows.value, head.value, view), ipvsadm('-Ln', ...option));
}

const loaded = existsSync('/sys/module/ip_vs');
test('asking for the family makes the kernel load the module', { skip: loaded && 'it is loaded' }, () => {
  assert.equal(newPlane().refuses(service('10.77.0.100', 80)), undefined);
  assert.ok(existsSync('/sys/module/ip_vs'));
});

beforeEach(() => {
  ipvsadm('-C');
  rmSync(LEDGER, { force: true });
  said.length = 0;
});

test('every scheduler is set and seen by ipvsadm, and the one that the kernel lacks is named', () => {
  const schedulers: Scheduler[] = [
    'rr',
    'wrr',
    'lc',
    'wlc',
    'lblc',
    'lblcr',
    'sh',
    'mh',
    'dh',
    'fo',
    'ovf',
    'sed',
    'nq',
    'twos',
  ];
  const plane = newPlane();
  const outcomes = plane.apply(wanted(schedulers.map((scheduler, i) => service('10.77.0.100', 80 + i, { scheduler }))));
  const failed = outcomes.flatMap((o) => (o.result.ok ? [] : [o.result.error]));
  assert.equal(failed.length, 1);
  assert.match(failed[0]?.doing.en ?? '', /^ipvsadm -A -t 10\.77\.0\.100:93 -s twos: .*modules ip_vs_twos/);
  assert.equal(failed[0]?.code, 'ENOENT');
  const lines = ipvsadm('-Sn');
  for (const [i, s] of schedulers.slice(0, -1).entries()) {
    assert.match(lines, new RegExp(`^-A -t 10\\.77\\.0\\.100:${80 + i} -s ${s}$`, 'm'));
    assert.match(lines, new RegExp(`^-a -t 10\\.77\\.0\\.100:${80 + i} -r 10\\.77\\.0\\.3:80 -m -w 3$`, 'm'));
  }
  looksLikeIpvsadm(plane);
});

const everything: WantedService[] = [
  service('10.77.0.100', 80, {
    servers: [
      server('10.77.0.2', 80, {
        forwarding: { method: 'direct-routing' },
        weight: 65535,
        upperThreshold: 100,
        lowerThreshold: 50,
      }),
      server('10.77.0.3', 80, { forwarding: { method: 'tunnel', type: 'ipip', checksum: 'none' }, weight: 0 }),
      server('10.77.0.4', 80, { forwarding: { method: 'tunnel', type: 'gue', port: 6081, checksum: 'remote' } }),
      server('10.77.0.5', 80, { forwarding: { method: 'tunnel', type: 'gre', checksum: 'full' } }),
      server('2001:db8::5', 80, { forwarding: { method: 'tunnel', type: 'ipip', checksum: 'none' } }),
    ],
  }),
  service('10.77.0.101', 0, {
    scheduler: 'sh',
    flags: ['sh-port', 'sh-fallback'],
    persistence: { seconds: 60, granularity: 24 },
  }),
  service('10.77.0.102', 80, { scheduler: 'mh', flags: ['mh-port'] }),
  service('10.77.0.103', 80, { scheduler: 'rr', flags: ['flag-1', 'flag-3'] }),
  {
    ...service('10.77.0.104', 53),
    key: 'dns',
    match: { by: 'address', protocol: 'udp', ranges: [{ from: ip('10.77.0.104'), to: ip('10.77.0.106') }], port: 53 },
    onePacket: true,
  },
  {
    ...service('10.77.0.107', 5060),
    key: 'sip',
    match: { by: 'address', protocol: 'udp', ranges: [{ from: ip('10.77.0.107'), to: ip('10.77.0.107') }], port: 5060 },
    persistence: { seconds: 100, engine: 'sip' },
  },
  {
    ...service('10.77.0.108', 9),
    key: 'sctp',
    match: { by: 'address', protocol: 'sctp', ranges: [{ from: ip('10.77.0.108'), to: ip('10.77.0.108') }], port: 9 },
  },
  {
    ...service('0.0.0.0', 0),
    key: 'mark',
    match: { by: 'fwmark', mark: 2147483647, family: 4 },
    servers: [server('10.77.0.2', 0, { forwarding: { method: 'direct-routing' } })],
  },
  {
    ...service('0.0.0.0', 0),
    key: 'mark6',
    match: { by: 'fwmark', mark: 7, family: 6 },
    persistence: { seconds: 300, granularity: 64 },
    servers: [server('2001:db8::2', 0, { forwarding: { method: 'direct-routing' } })],
  },
  service('2001:db8::100', 443, {
    servers: [server('2001:db8::2', 443), server('2001:db8:1111:2222:3333:4444:5555:6666', 443)],
  }),
];

test('every kind of service and server is set, read back as it was wanted, and shown as ipvsadm shows it', () => {
  const plane = newPlane();
  for (const s of everything) assert.equal(plane.refuses(s), undefined, s.key);
  const outcomes = plane.apply(wanted(everything));
  assert.deepEqual(
    outcomes.map((o) => o.result),
    everything.map(() => ({ ok: true, value: 'changed' })),
  );
  looksLikeIpvsadm(plane);
  told.changes = 0;
  const again = newPlane().apply(wanted(everything));
  assert.deepEqual(
    again.map((o) => o.result),
    everything.map(() => ({ ok: true, value: 'kept' })),
  );
  assert.equal(told.changes, 0, 'a restart touches nothing');
});

test('what ipvsadm restores from its own listing is adopted without a message', () => {
  const listed = everything.map((s) => ({
    ...s, // its listing has no thresholds
    servers: s.servers.map(({ upperThreshold, lowerThreshold, ...x }) => x),
  }));
  newPlane().apply(wanted(listed));
  const listing = ipvsadm('-Sn');
  ipvsadm('-C');
  rmSync(LEDGER);
  for (const line of listing.trim().split('\n')) ipvsadm(...line.split(' '));
  told.changes = 0;
  const outcomes = newPlane().apply(wanted(listed));
  assert.ok(outcomes.every((o) => o.result.ok && o.result.value === 'kept'));
  assert.equal(told.changes, 0);
});

test('our printed plan, pasted into a shell, does what we do', () => {
  const plane = newPlane();
  plane.apply(wanted(everything));
  const ours = ipvsadm('-Ln', '--thresholds') + ipvsadm('-Sn');
  ipvsadm('-C');
  const table = { pools: new Map(), daemons: [], timeouts: { tcp: 900, tcpfin: 120, udp: 300 } };
  const steps = plan({ pools: everything.flatMap(poolsOf), daemons: [], timeouts: {} }, table, new Set());
  execFileSync('sh', ['-e', '-c', describePlan(steps, 'en')]);
  assert.equal(ipvsadm('-Ln', '--thresholds') + ipvsadm('-Sn'), ours);
});

test('a restart removes what an earlier run put there and is no longer wanted, and nothing of others', () => {
  ipvsadm('-A', '-t', '10.77.0.200:80', '-s', 'rr');
  ipvsadm('-a', '-t', '10.77.0.200:80', '-r', '10.77.0.9:80', '-m');
  const [a, b, c] = [service('10.77.0.100', 80), service('10.77.0.101', 80), service('10.77.0.102', 80)];
  newPlane().apply(wanted([a, b]));
  const plane = newPlane();
  told.changes = 0;
  plane.apply(wanted([b, c]));
  assert.equal(told.changes, 1 + 3, 'a service goes, one comes with two servers');
  assert.deepEqual(ipvsadm('-Sn').match(/^-A.*$/gm), [
    '-A -t 10.77.0.101:80 -s wrr',
    '-A -t 10.77.0.102:80 -s wrr',
    '-A -t 10.77.0.200:80 -s rr',
  ]);
  plane.close({ keep: true });
  assert.match(ipvsadm('-Sn'), /10\.77\.0\.101/);
  const last = newPlane();
  last.apply(wanted([b, c]));
  last.close({ keep: false });
  assert.equal(ipvsadm('-Sn'), '-A -t 10.77.0.200:80 -s rr\n-a -t 10.77.0.200:80 -r 10.77.0.9:80 -m -w 1\n');
  assert.equal(linuxFiles.read(LEDGER, 100)?.length, 0);
});

test('flush clears the table, and what is wanted comes back', () => {
  ipvsadm('-A', '-t', '10.77.0.200:80', '-s', 'rr');
  const plane = newPlane();
  assert.ok(plane.flush().ok);
  assert.equal(ipvsadm('-Sn'), '');
  plane.apply(wanted([service('10.77.0.100', 80)]));
  assert.match(ipvsadm('-Sn'), /^-A -t 10\.77\.0\.100:80 -s wrr$/m);
});

test('with nothing wanted and nothing ours, the kernel is not even asked', () => {
  told.dumps = told.changes = 0;
  assert.deepEqual(newPlane().apply(wanted([])), []);
  assert.deepEqual(told, { dumps: 0, changes: 0 });
});

test('of a thousand services one changes its weight: one message, and one line is other', () => {
  const all = Array.from({ length: 1000 }, (_, i) => service(`10.78.${i >> 8}.${i & 255}`, 80));
  const plane = newPlane();
  const first = plane.apply(wanted(all));
  assert.ok(first.every((o) => o.result.ok && o.result.value === 'changed'));
  const before = ipvsadm('-Sn').split('\n');
  told.changes = told.dumps = 0;
  const changed = service('10.78.1.7', 80, { servers: [server('10.77.0.2'), server('10.77.0.3', 80, { weight: 9 })] });
  const next = all.map((s) => (s.key === changed.key ? changed : s));
  const outcomes = plane.apply(wanted(next));
  assert.deepEqual(told, { changes: 1, dumps: 0 });
  assert.deepEqual(
    outcomes.filter((o) => o.result.ok && o.result.value === 'changed').map((o) => o.key),
    [changed.key],
  );
  const after = ipvsadm('-Sn').split('\n');
  assert.deepEqual(
    after.filter((l, i) => l !== before[i]),
    ['-a -t 10.78.1.7:80 -r 10.77.0.3:80 -m -w 9'],
  );
  // The same by a new process, from equal configuration: everything is read once, and nothing written.
  told.changes = 0;
  newPlane().apply(wanted(structuredClone(next)));
  assert.equal(told.changes, 0);
});

test('what another program changes behind our back is put right: at the next change, or when counters are read', () => {
  const plane = newPlane();
  const [a, b] = [service('10.77.0.100', 80), service('10.77.0.101', 80)];
  plane.apply(wanted([a, b]));
  const right = ipvsadm('-Sn');
  ipvsadm('-D', '-t', '10.77.0.100:80');
  const heavier = service('10.77.0.100', 80, { servers: [server('10.77.0.2', 80, { weight: 5 })] });
  const outcomes = plane.apply(wanted([heavier, b]));
  assert.deepEqual(
    outcomes.map((o) => o.result),
    [
      { ok: true, value: 'changed' },
      { ok: true, value: 'kept' },
    ],
  );
  assert.match(ipvsadm('-Sn'), /^-a -t 10\.77\.0\.100:80 -r 10\.77\.0\.2:80 -m -w 5$/m);
  plane.apply(wanted([a, b]));
  assert.equal(ipvsadm('-Sn'), right);
  ipvsadm('-e', '-t', '10.77.0.101:80', '-r', '10.77.0.3:80', '-m', '-w', '77');
  ipvsadm('-a', '-t', '10.77.0.101:80', '-r', '10.77.0.77:80', '-m');
  plane.tick();
  assert.notEqual(ipvsadm('-Sn'), right, 'nothing was known of it yet');
  assert.ok(plane.counters().ok);
  plane.tick();
  assert.equal(ipvsadm('-Sn'), right);
  assert.deepEqual(said, []);
});

test('two services for the same packets: the first has them, the second is told why', () => {
  const rival = { ...service('10.77.0.100', 80), key: 'group x', servers: [server('10.77.0.9')] };
  const outcomes = newPlane().apply(wanted([service('10.77.0.100', 80), rival]));
  assert.ok(outcomes[0]?.result.ok);
  assert.ok(outcomes[1] && !outcomes[1].result.ok);
  assert.equal(outcomes[1].result.error.doing.en, 'group x: tcp 10.77.0.100:80 takes the same packets');
  assert.doesNotMatch(ipvsadm('-Sn'), /10\.77\.0\.9/);
});

test('timeouts: those that are wanted are set, the others stay', () => {
  ipvsadm('--set', '900', '120', '300');
  const plane = newPlane();
  plane.apply(wanted([service('10.77.0.100', 80)], { timeouts: { tcp: 800, udp: 30 } }));
  assert.equal(ipvsadm('-L', '--timeout'), 'Timeout (tcp tcpfin udp): 800 120 30\n');
  told.changes = 0;
  newPlane().apply(wanted([service('10.77.0.100', 80)], { timeouts: { tcp: 800, udp: 30 } }));
  assert.equal(told.changes, 0);
});

test('synchronisation daemons are started, adopted, changed and stopped; those of others are left', () => {
  execFileSync('sh', [
    '-e',
    '-c',
    'ip link add sync0 type dummy; ip address add 10.79.0.1/24 dev sync0; ip link set sync0 up multicast on',
  ]);
  const daemons = (): string => ipvsadm('-L', '--daemon');
  const s = [service('10.77.0.100', 80)];
  const one = { role: 'master', interface: 'sync0', id: 51, port: 8848, group: ip('224.0.0.81') } as const;
  const two = {
    role: 'backup',
    interface: 'sync0',
    id: 51,
    port: 9000,
    group: ip('224.0.0.99'),
    maxLength: 1400,
    ttl: 3,
  } as const;
  const plane = newPlane();
  plane.apply(wanted(s, { sync: [one, two] }));
  assert.equal(
    daemons(),
    'master sync daemon (mcast=sync0, syncid=51, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)\n' +
      'backup sync daemon (mcast=sync0, syncid=51, maxlen=1400, group=224.0.0.99, port=9000, ttl=3)\n',
  );
  told.changes = 0;
  const second = newPlane();
  second.apply(wanted(s, { sync: [one, two] }));
  assert.equal(told.changes, 0);
  second.apply(wanted(s, { sync: [{ ...one, id: 52 }] }));
  assert.equal(
    daemons(),
    'master sync daemon (mcast=sync0, syncid=52, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)\n',
  );
  second.apply(wanted(s, { sync: [{ ...one, interface: 'no-such' }] }));
  assert.deepEqual(said, [
    'ipvsadm --start-daemon master --mcast-interface no-such --syncid 51 --mcast-group 224.0.0.81 --mcast-port 8848: there is no interface no-such: ENODEV',
  ]);
  second.apply(wanted(s));
  assert.equal(daemons(), '');
  ipvsadm('--start-daemon', 'backup', '--mcast-interface', 'sync0', '--syncid', '7');
  second.apply(wanted([]));
  second.close({ keep: false });
  assert.match(daemons(), /^backup sync daemon .*syncid=7/);
  ipvsadm('--stop-daemon', 'backup');
});
