import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { golden } from '../../../../test/golden/golden.ts';
import { err, type IpAddress, ok, text } from '../../../base/index.ts';
import type { WantedServer, WantedService } from '../../types.ts';
import { Allocator } from './allocate.ts';
import { compile, prefixesOf } from './compile.ts';
import { describeChange } from './describe.ts';
import {
  rangeKey,
  readRangeKey,
  readServer,
  readServiceKey,
  readServiceValue,
  serviceKey,
  serviceValue,
  writeServer,
} from './layout.ts';
import { type Change, plan, planService } from './plan.ts';
import { RingCache, RingRoom, ringSize } from './rings.ts';
import { blocksFor, type Entry, entryText, type ServerRow, type ServiceTable, type Way } from './tables.ts';

const server = (n: number, weight = 1, more: Partial<WantedServer> = {}): WantedServer => ({
  key: `192.168.1.${n}:80`,
  address: `192.168.1.${n}` as IpAddress,
  port: 80,
  weight,
  forwarding: { method: 'direct-routing' },
  ...more,
});
const wantedService = (servers: readonly WantedServer[], more: Partial<WantedService> = {}): WantedService => ({
  key: 'tcp 192.168.1.99:80',
  match: {
    by: 'address',
    protocol: 'tcp',
    ranges: [{ from: '192.168.1.99' as IpAddress, to: '192.168.1.99' as IpAddress }],
    port: 80,
  },
  scheduler: 'wrr',
  flags: [],
  onePacket: false,
  servers,
  ...more,
});
const way = (s: WantedServer): Way =>
  s.forwarding.method === 'tunnel'
    ? {
        send: s.forwarding.type,
        ifindex: 2,
        source: '192.168.1.1' as IpAddress,
        mtu: 1500,
        guePort: s.forwarding.port ?? 0,
      }
    : { send: 'direct', ifindex: 2 };
const compiled = (
  s: WantedService,
  actual?: ServiceTable,
  allocator = new Allocator(actual ? [actual] : [], 100),
): ServiceTable => {
  const t = compile(s, actual, {
    allocator,
    rings: new RingCache(),
    room: new RingRoom(),
    way: (x) => ok(way(x)),
    weights: (x) => x.servers.map((y) => y.weight),
  });
  assert.ok(t.ok);
  return t.value;
};

test('plans of a small director: set up, drain, a server away, ranges and tunnels, nothing wanted', (t) => {
  const steps: [string, ReadonlyMap<string, ServiceTable>, ReadonlyMap<string, ServiceTable>][] = [];
  const name = 'tcp 192.168.1.99:80';
  const both = compiled(wantedService([server(11, 3), server(12)]));
  steps.push(['set up: two servers, weights 3 and 1', new Map([[name, both]]), new Map()]);
  const drained = compiled(wantedService([server(11, 3), server(12, 0)]), both);
  steps.push(['drain 192.168.1.12', new Map([[name, drained]]), new Map([[name, both]])]);
  const alone = compiled(wantedService([server(11, 3)]), drained);
  steps.push(['192.168.1.12 away', new Map([[name, alone]]), new Map([[name, drained]])]);
  steps.push(['the same again', new Map([[name, alone]]), new Map([[name, alone]])]);
  const ranges = [{ from: '10.0.0.5' as IpAddress, to: '10.0.0.16' as IpAddress }];
  const gue = { method: 'tunnel', type: 'gue', port: 6080, checksum: 'none' } as const;
  const wide = compiled(
    wantedService([server(21, 1, { forwarding: gue })], {
      match: { by: 'address', protocol: 'udp', ranges, port: 0 },
      onePacket: true,
      persistence: { seconds: 60, granularity: 24 },
    }),
    undefined,
    new Allocator([alone], 200),
  );
  steps.push([
    'beside it a range, by GUE',
    new Map([
      [name, alone],
      ['wide', wide],
    ]),
    new Map([[name, alone]]),
  ]);
  steps.push([
    'nothing wanted',
    new Map(),
    new Map([
      [name, alone],
      ['wide', wide],
    ]),
  ]);
  golden(
    t,
    'bpf-plan',
    steps.map(([title, w, a]) => [`# ${title}`, ...plan(w, a).map(describeChange), ''].join('\n')).join('\n'),
  );
});

/** What carrying out changes makes of the maps: the reading side of the plan. */
type Model = { servers: Map<number, ServerRow>; rings: Map<number, Uint32Array>; services: Map<string, ServiceTable> };
function carryOut(m: Model, c: Change): void {
  if (c.do === 'server-set') m.servers.set(c.row.id, c.row);
  if (c.do === 'server-clear') m.servers.delete(c.id);
  if (c.do === 'ring-set') m.rings.set(c.block, c.slots);
  if (c.do === 'service-set') m.services.set(entryText(c.entry), c.table);
  if (c.do === 'service-remove') m.services.delete(entryText(c.entry));
}
/** Every slot that the service points to names a server that is there. */
function assertWhole(m: Model): void {
  for (const t of m.services.values())
    for (let slot = 0; slot < t.ring.length; slot++) {
      const block = m.rings.get(t.block + (slot >> 10));
      const id = block?.[slot & 1023];
      assert.ok(id !== undefined && m.servers.has(id), `slot ${slot} names server ${id}, which is not there`);
    }
}
const pool = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 5 })), {
  selector: ([n]) => n,
  maxLength: 50,
});

test('at every moment of every plan each slot names a server that is there, and a kept server keeps its place', () =>
  fc.assert(
    fc.property(fc.array(pool, { minLength: 1, maxLength: 6 }), (pools) => {
      const model: Model = { servers: new Map(), rings: new Map(), services: new Map() };
      let actual: ServiceTable | undefined;
      for (const p of pools) {
        const next = compiled(wantedService(p.map(([n, w]) => server(n, w))), actual);
        for (const c of planService(next, actual)) {
          carryOut(model, c);
          // Servers that are about to be cleared are named by nobody: the ring was written before.
          assertWhole(model);
        }
        for (const row of next.servers) {
          const old = actual?.servers.find((r) => r.address === row.address);
          if (old) assert.deepEqual([row.id, row.serial], [old.id, old.serial]);
          assert.ok(row.id > 0);
        }
        assert.deepEqual(planService(next, next), []);
        assert.deepEqual([...model.servers.keys()].sort(), next.servers.map((r) => r.id).sort());
        actual = next;
      }
    }),
    { numRuns: 60 },
  ));

test('a server that comes to the place of another has another serial', () => {
  const first = compiled(wantedService([server(1)]));
  const allocator = new Allocator([first], 0);
  allocator.servers.give(first.servers[0]?.id as number);
  const second = compiled(wantedService([server(2)]), { ...first, servers: [] }, allocator);
  assert.equal(second.servers[0]?.id, first.servers[0]?.id);
  assert.notEqual(second.servers[0]?.serial, first.servers[0]?.serial);
});

test('an allocator made from what is there gives no place twice', () => {
  const a = compiled(wantedService([server(1), server(2)]));
  const b = compiled(wantedService([server(3)]), undefined, new Allocator([a], 0));
  const places = [a, b].flatMap((t) => t.servers.map((r) => r.id));
  assert.equal(new Set(places).size, 3);
  assert.ok(b.block >= a.block + blocksFor(a.ring.length));
  assert.notEqual(a.id, b.id);
});

test('rings: by the number of servers, and kept while that moves a little', () => {
  assert.deepEqual(
    [1, 10, 11, 40, 41, 400].map((n) => ringSize(n, 0)),
    [1021, 1021, 4093, 4093, 65537, 65537],
  );
  assert.deepEqual([ringSize(11, 1021), ringSize(9, 4093), ringSize(39, 65537)], [1021, 4093, 65537]);
});

const ip4 = fc.nat(0xffff_ffff).map((n) => [24, 16, 8, 0].map((s) => (n >>> s) & 255).join('.') as IpAddress);
const ip6 = fc.constantFrom('2001:db8::1', 'fd00:8::99', '::1', 'fe80::1:2:3').map((a) => a as IpAddress);
const entry = fc.record(
  {
    address: fc.oneof(ip4, ip6),
    protocol: fc.constantFrom('tcp' as const, 'udp' as const, 'sctp' as const),
    port: fc.nat(65535),
    length: fc.nat(32),
  },
  { noNullPrototype: true },
);
test('keys and values survive being written and read', () => {
  fc.assert(
    fc.property(entry, (e) => {
      const whole: Entry = { ...e, length: e.address.includes(':') ? 128 : 32 };
      assert.deepEqual(readServiceKey(serviceKey(whole)), whole);
      assert.deepEqual(readRangeKey(rangeKey(e)), e);
    }),
  );
  fc.assert(
    fc.property(fc.nat(32), fc.nat(15), fc.boolean(), fc.boolean(), (sourceBits, by, stateless, inTurn) => {
      const has = (bit: number): boolean => (by & bit) !== 0;
      const hashing = { source: has(1), sourcePort: has(2), destination: has(4), destinationPort: has(8), sourceBits };
      const t = { ...compiled(wantedService([server(1)])), hashing, stateless, inTurn };
      const read = readServiceValue(serviceValue(t));
      assert.deepEqual(read, { id: t.id, block: t.block, slots: t.ring.length, hashing, stateless, inTurn });
    }),
  );
  const ways: readonly Way[] = [
    { send: 'here' },
    { send: 'direct', ifindex: 7 },
    way(server(1, 1, { forwarding: { method: 'tunnel', type: 'gre', checksum: 'none' } })),
  ];
  for (const w of ways) {
    const row: ServerRow = {
      id: 5,
      serial: 0xfffffff0,
      address: '10.0.0.1' as IpAddress,
      port: 443,
      weight: 65535,
      way: w,
    };
    const b = new Uint8Array(72);
    writeServer(b, new DataView(b.buffer), 0, 9, row);
    assert.deepEqual(readServer(5, b), { service: 9, row });
  }
  assert.equal(readServer(5, new Uint8Array(72)), undefined);
});

test('a range is cut into blocks that hold exactly its addresses', () => {
  const number = (a: IpAddress): number => a.split('.').reduce((n, b) => n * 256 + Number(b), 0);
  const address = (n: number): IpAddress =>
    [24, 16, 8, 0].map((s) => Math.floor(n / 2 ** s) % 256).join('.') as IpAddress;
  fc.assert(
    fc.property(fc.nat(0xffff_0000), fc.nat(5000), (from, more) => {
      let at = from;
      for (const p of prefixesOf(address(from), address(from + more))) {
        assert.equal(number(p.address), at);
        assert.equal(at % 2 ** (32 - p.length), 0);
        at += 2 ** (32 - p.length);
      }
      assert.equal(at, from + more + 1);
    }),
  );
});

test('a service with a server that is not to be reached takes no place', () => {
  const allocator = new Allocator([], 0);
  const refusal = { code: 'x', text: text('no', '否') };
  const t = compile(wantedService([server(1), server(2)]), undefined, {
    allocator,
    rings: new RingCache(),
    room: new RingRoom(),
    way: (s) => (s.address.endsWith('.2') ? err(refusal) : ok(way(s))),
    weights: (x) => x.servers.map((y) => y.weight),
  });
  assert.deepEqual(t, err(refusal));
  assert.equal(allocator.servers.end, 1);
});
