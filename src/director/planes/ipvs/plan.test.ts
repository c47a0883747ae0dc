import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { golden } from '../../../../test/golden/golden.ts';
import type { IpAddress } from '../../../base/index.ts';
import type { IpvsDaemon } from '../../../wire/index.ts';
import type { Scheduler, SchedulerFlag } from '../../config.ts';
import type { WantedServer, WantedService } from '../../types.ts';
import { type IpvsTable, ipvsKey } from './actual.ts';
import { describePlan } from './describe.ts';
import { after, type IpvsWanted, plan } from './plan.ts';
import { poolsOf } from './wanted.ts';

const ip = (s: string): IpAddress => s as IpAddress;
const server = (address: string, more: Partial<WantedServer> = {}): WantedServer => ({
  key: address,
  address: ip(address),
  port: 80,
  weight: 1,
  forwarding: { method: 'direct-routing' },
  ...more,
});
const service = (address: string, more: Partial<WantedService> = {}): WantedService => ({
  key: `tcp ${address}:80`,
  match: { by: 'address', protocol: 'tcp', ranges: [{ from: ip(address), to: ip(address) }], port: 80 },
  scheduler: 'wrr',
  flags: [],
  onePacket: false,
  servers: [server('192.168.1.61'), server('192.168.1.62', { weight: 2 })],
  ...more,
});
const EMPTY: IpvsTable = { pools: new Map(), daemons: [], timeouts: { tcp: 900, tcpfin: 120, udp: 300 } };
const NONE = new Set<string>();
const wanted = (services: readonly WantedService[], more: Partial<IpvsWanted> = {}): IpvsWanted => ({
  pools: services.flatMap(poolsOf),
  daemons: [],
  timeouts: {},
  ...more,
});
const tableOf = (w: IpvsWanted): IpvsTable => after(plan(w, EMPTY, NONE), EMPTY);
const master: IpvsDaemon = {
  role: 'master',
  interface: 'eth0',
  id: 51,
  maxLength: 0,
  port: 8848,
  ttl: 0,
  group: ip('224.0.0.81'),
};

test('a fresh kernel is given everything, servers in the order of the configuration', (t) => {
  const everything = wanted(
    [
      service('192.168.1.99'),
      service('192.168.1.100', {
        scheduler: 'sh',
        flags: ['sh-port', 'sh-fallback'],
        persistence: { seconds: 360, granularity: 24 },
        servers: [
          server('192.168.1.61', {
            forwarding: { method: 'nat' },
            port: 8080,
            upperThreshold: 1000,
            lowerThreshold: 800,
          }),
          server('192.168.2.7', { forwarding: { method: 'tunnel', type: 'ipip', checksum: 'none' } }),
          server('192.168.2.8', { forwarding: { method: 'tunnel', type: 'gue', checksum: 'remote' } }),
          server('192.168.2.9', { forwarding: { method: 'tunnel', type: 'gre', checksum: 'full' }, weight: 0 }),
        ],
      }),
      service('2001:db8::99', { persistence: { seconds: 60, granularity: 64 }, servers: [server('2001:db8::61')] }),
      { ...service(''), match: { by: 'fwmark', mark: 3, family: 6 }, servers: [server('2001:db8::61', { port: 0 })] },
      {
        ...service(''),
        match: {
          by: 'address',
          protocol: 'udp',
          ranges: [{ from: ip('192.168.1.101'), to: ip('192.168.1.102') }],
          port: 5060,
        },
        onePacket: true,
        persistence: { seconds: 60, engine: 'sip' },
      },
    ],
    { daemons: [master], timeouts: { udp: 30 } },
  );
  golden(t, 'ipvs-fresh', describePlan(plan(everything, EMPTY, NONE), 'en'));
});

const before = wanted([service('192.168.1.99'), service('192.168.1.100'), service('192.168.1.101')], {
  daemons: [master],
});
const later = wanted(
  [
    service('192.168.1.99', {
      scheduler: 'wlc',
      servers: [
        server('192.168.1.62', { weight: 0 }),
        server('192.168.1.63'),
        server('192.168.1.64', { forwarding: { method: 'nat' } }),
      ],
    }),
    service('192.168.1.100'),
  ],
  { daemons: [{ ...master, id: 52 }], timeouts: { tcp: 1200 } },
);

test('a reload says what differs, in both languages, and leaves what is right alone', (t) => {
  const mine = new Set(['tcp 192.168.1.99:80', 'tcp 192.168.1.100:80', 'tcp 192.168.1.101:80', 'sync master']);
  const steps = plan(later, tableOf(before), mine);
  golden(t, 'ipvs-reload', describePlan(steps, 'en'));
  golden(t, 'ipvs-reload-zh', describePlan(steps, 'zh'));
});

test('all servers down: the sorry server comes before the others go', (t) => {
  const sorry = wanted([service('192.168.1.99', { servers: [server('192.168.1.70')] })]);
  golden(t, 'ipvs-sorry', describePlan(plan(sorry, tableOf(wanted([service('192.168.1.99')])), NONE), 'en'));
});

test('what is as it should be is adopted without a command, whoever put it there', (t) => {
  golden(t, 'ipvs-adopt', describePlan(plan(before, tableOf(before), NONE), 'en'));
});

test('a service and a daemon of others stay', () => {
  const nothing = wanted([]);
  assert.deepEqual(plan(nothing, tableOf(before), NONE), []);
  const steps = plan(nothing, tableOf(before), new Set(['tcp 192.168.1.99:80']));
  assert.deepEqual(
    steps.map((s) => s.command.do),
    ['service-remove'],
  );
});

// ---- properties

const weight = fc.integer({ min: 0, max: 65535 });
const forwarding = fc.constantFrom<WantedServer['forwarding']>(
  { method: 'nat' },
  { method: 'direct-routing' },
  { method: 'tunnel', type: 'ipip', checksum: 'none' },
  { method: 'tunnel', type: 'gue', port: 6080, checksum: 'full' },
);
const someServer = fc
  .tuple(fc.integer({ min: 1, max: 5 }), weight, forwarding, fc.constantFrom(undefined, 10))
  .map(([n, w, f, upper]) =>
    server(`10.0.0.${n}`, { weight: w, forwarding: f, ...(upper !== undefined && { upperThreshold: upper }) }),
  );
const someService = fc
  .record({
    last: fc.integer({ min: 1, max: 6 }),
    scheduler: fc.constantFrom<Scheduler>('wrr', 'mh', 'lblcr'),
    flags: fc.subarray<SchedulerFlag>(['flag-1', 'flag-3']),
    servers: fc.uniqueArray(someServer, { selector: (s) => s.key, maxLength: 4 }),
    persistence: fc.constantFrom(undefined, { seconds: 50 }, { seconds: 60, granularity: 16 }),
  })
  .map(({ last, persistence, ...more }) =>
    service(`192.0.2.${last}`, { ...more, ...(persistence !== undefined && { persistence }) }),
  );
const someWanted = fc
  .tuple(
    fc.uniqueArray(someService, { selector: (s) => s.key }),
    fc.subarray([master, { ...master, role: 'backup' as const }]),
  )
  .map(([services, daemons]) => wanted(services, { daemons }));

test('once a plan is done there is nothing left to do, from any table to any other', () => {
  fc.assert(
    fc.property(someWanted, someWanted, (first, second) => {
      const mine = new Set([...tableOf(first).pools.keys(), 'sync master', 'sync backup']);
      const done = after(plan(second, tableOf(first), mine), tableOf(first));
      assert.deepEqual(plan(second, done, mine), []);
      assert.deepEqual([...done.pools.keys()].sort(), second.pools.map((p) => ipvsKey(p.service.identity)).sort());
    }),
  );
});

test('a pool with servers before and after is never empty in between', () => {
  fc.assert(
    fc.property(someWanted, someWanted, (first, second) => {
      let table = tableOf(first);
      for (const step of plan(second, table, NONE)) {
        const had = step.key === undefined ? 0 : (table.pools.get(step.key)?.servers.length ?? 0);
        table = after([step], table);
        const goal = second.pools.find((p) => ipvsKey(p.service.identity) === step.key)?.servers.length ?? 0;
        const has = step.key === undefined ? 0 : (table.pools.get(step.key)?.servers.length ?? 0);
        if (had > 0 && goal > 0) assert.ok(has > 0, step.command.do);
      }
    }),
  );
});
