/** Values of every netlink codec, by its name, for the tests that walk all codecs. */
import fc from 'fast-check';
import { type Family, hostLength, type IpAddress, type IpPrefix, ipFromBytes } from '../../src/base/index.ts';
import type {
  Acknowledgement,
  ConntrackEntry,
  ConntrackTuple,
  Filter,
  GenericFamily,
  IpvsDaemon,
  IpvsDestination,
  IpvsIdentity,
  IpvsService,
  IpvsStats,
  Link,
  LinkAddress,
  Neighbour,
  NetlinkMessage,
  NextHop,
  netlinkCodecs,
  Route,
  RouteEncap,
  RouteMetrics,
  Rule,
} from '../../src/wire/netlink/index.ts';

/** fast-check's records have no prototype unless told; what is decoded has one. */
const record = <T extends object, K extends keyof T>(
  all: { [P in keyof T]: fc.Arbitrary<T[P]> },
  o: { readonly requiredKeys?: K[] } = {},
): fc.Arbitrary<T> => fc.record(all, { ...o, noNullPrototype: true } as never) as unknown as fc.Arbitrary<T>;
/** A record of which each optional part may be missing altogether. */
const parts = <T extends object>(all: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<Partial<T>> =>
  record(all, { requiredKeys: [] }) as fc.Arbitrary<Partial<T>>;
const u8 = fc.integer({ min: 1, max: 255 });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const seconds = fc.integer({ min: 0, max: 0xffff_fffe });
const ifindex = fc.integer({ min: 1, max: 0x7fff_ffff });
const yes = fc.constant(true);
const name = fc.stringMatching(/^[a-z][a-z0-9.:]{0,14}$/);
const hex2 = fc.stringMatching(/^[0-9a-f]{2}$/);
const mac = fc.constantFrom(6, 20).chain((n) => fc.array(hex2, { minLength: n, maxLength: n }).map((b) => b.join(':')));
const address = (f: Family): fc.Arbitrary<IpAddress> =>
  fc.uint8Array({ minLength: hostLength(f) / 8, maxLength: hostLength(f) / 8 }).map(ipFromBytes);
const prefix = (f: Family): fc.Arbitrary<IpPrefix> =>
  record({ address: address(f), length: fc.integer({ min: 0, max: hostLength(f) }) });
const scope = fc.constantFrom<LinkAddress['scope']>('global', 'site', 'link', 'host', 7);
const family = fc.constantFrom<Family>(4, 6);
const range = (n: fc.Arbitrary<number>) => record({ from: n, to: n });

const link: fc.Arbitrary<Link> = fc
  .record({
    ifindex,
    name,
    mac: fc.oneof(mac, fc.constant('')),
    mtu: u32,
    up: fc.boolean(),
    adminUp: fc.boolean(),
    loopback: fc.boolean(),
    pointToPoint: fc.boolean(),
    multicast: fc.boolean(),
    hardware: u16,
    kind: fc.constantFrom('', 'macvlan', 'vlan', 'bond'),
    lower: fc.oneof(ifindex, fc.constant(0)),
    master: fc.oneof(ifindex, fc.constant(0)),
  })
  .map((l) => ({ ...l, up: l.up && l.adminUp }));

const linkAddress: fc.Arbitrary<LinkAddress> = family.chain((f) =>
  fc
    .record({
      required: record({ ifindex, prefix: prefix(f), scope }),
      peer: fc.option(prefix(f), { nil: undefined }),
      optional: parts<LinkAddress>({
        broadcast: address(f),
        label: name,
        noPrefixRoute: yes,
        autoJoin: yes,
        protocol: u8,
        ...(f === 6
          ? { noDad: yes, home: yes, manageTempAddr: yes, tentative: yes, dadFailed: yes }
          : { secondary: yes }),
      } as never),
      lifetimes: fc.option(fc.tuple(seconds, seconds), { nil: undefined }),
    })
    .map(({ required, peer, optional, lifetimes }) => ({
      ...required,
      ...(peer !== undefined &&
        peer.address !== required.prefix.address && {
          peer,
          prefix: { address: required.prefix.address, length: hostLength(f) },
        }),
      ...optional,
      ...(lifetimes !== undefined && {
        validSeconds: Math.max(...lifetimes),
        preferredSeconds: Math.min(...lifetimes),
      }),
    })),
);

const text = (n: fc.Arbitrary<number | bigint>): fc.Arbitrary<string> => n.map(String);
const encap: fc.Arbitrary<RouteEncap> = fc.oneof(
  parts({
    labels: fc.array(fc.integer({ min: 0, max: 0xfffff }), { minLength: 1, maxLength: 4 }).map((l) => l.join('/')),
    ttl: text(u8),
  }).map((options) => ({ kind: 'mpls' as const, options: options as Record<string, string> })),
  parts({
    id: text(fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn })),
    dst: address(4),
    src: address(4),
    ttl: text(u8),
    tos: text(u8),
    flags: text(u16),
  }).map((options) => ({ kind: 'ip' as const, options: options as Record<string, string> })),
  parts({ dst: address(6), hoplimit: text(u8), tc: text(u8) }).map((options) => ({
    kind: 'ip6' as const,
    options: options as Record<string, string>,
  })),
  parts({
    locator: fc.constantFrom('2001:db8:0:1', '0:0:0:0'),
    'csum-mode': fc.constantFrom('neutral-map', 'no-action', '77'),
    'ident-type': fc.constantFrom('luid', '32'),
    'hook-type': fc.constantFrom('output', 'input'),
  }).map((options) => ({ kind: 'ila' as const, options: options as Record<string, string> })),
);
const hop = (f: Family): fc.Arbitrary<NextHop> =>
  record(
    { via: fc.oneof(address(f), address(6)), ifindex, onlink: yes, encap, realms: u32 },
    { requiredKeys: ['ifindex'] },
  );
const metrics: fc.Arbitrary<RouteMetrics> = record(
  {
    mtu: u32,
    rtt: u32,
    advmss: u32,
    quickack: u32,
    congctl: name,
    locked: fc.constantFrom(['mtu'], ['mtu', 'congctl']),
  },
  { requiredKeys: ['mtu'] },
);
const route: fc.Arbitrary<Route> = family.chain((f) =>
  fc
    .record({
      required: record({
        family: fc.constant(f),
        type: fc.constantFrom<Route['type']>('unicast', 'local', 'blackhole', 'throw', 'nat'),
        table: u32,
        protocol: u8,
        scope: fc.oneof(scope, fc.constant('nowhere' as const)),
        hops: fc.oneof(
          fc.constant([]),
          hop(f).map((h) => [h]),
          fc
            .array(fc.tuple(hop(f), fc.integer({ min: 1, max: 256 })), { minLength: 2, maxLength: 4 })
            .map((hops) => hops.map(([h, weight]) => (weight === 1 ? h : { ...h, weight }))),
        ),
      }),
      optional: parts<Route>({
        destination: prefix(f),
        from: prefix(f),
        tos: u8,
        metric: u32,
        source: address(f),
        metrics,
        expiresSeconds: u32,
        preference: fc.constantFrom('low', 'medium', 'high'),
        ttlPropagate: fc.boolean(),
      } as never),
    })
    .map(({ required, optional }) => ({ ...required, ...optional })),
);

const rule: fc.Arbitrary<Rule> = family.chain((f) =>
  fc
    .record({
      required: record({
        family: fc.constant(f),
        priority: u32,
        action: fc.oneof(
          u32.map((table) => ({ do: 'table' as const, table })),
          u32.map((priority) => ({ do: 'goto' as const, priority })),
          fc.constantFrom('nop', 'blackhole', 'unreachable', 'prohibit').map((d) => ({ do: d as 'nop' })),
        ),
      }),
      optional: parts<Rule>({
        invert: yes,
        from: prefix(f),
        to: prefix(f),
        tos: u8,
        iif: name,
        oif: name,
        realms: u32,
        suppressPrefixLength: fc.integer({ min: 0, max: 128 }),
        suppressGroup: fc.integer({ min: 0, max: 1000 }),
        tunnelId: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
        uidRange: range(u32),
        ipProtocol: u8,
        sourcePorts: range(u16),
        destinationPorts: range(u16),
        protocol: u8,
      } as never),
      mark: fc.option(fc.tuple(u32, fc.integer({ min: 1, max: 0xffff_fffe })), { nil: undefined }),
      l3mdev: fc.boolean(),
    })
    .map(({ required, optional, mark, l3mdev }) => ({
      ...required,
      ...(l3mdev && { action: { do: 'table' as const, table: 0 }, l3mdev }),
      ...optional,
      ...(mark !== undefined && { fwmark: mark[0], fwmask: mark[1] }),
    })),
);

const neighbour: fc.Arbitrary<Neighbour> = family.chain((f) =>
  record({ ifindex, address: address(f), mac: fc.oneof(mac, fc.constant('')), state: u16 }),
);
const place = { ifindex, parent: u32, priority: u16, protocol: u16, handle: u32 };
const filter: fc.Arbitrary<Filter> = fc.oneof(
  record({ ...place, kind: fc.constantFrom('flower', 'u32') }),
  record<Filter, 'ifindex' | 'parent' | 'priority' | 'protocol' | 'handle' | 'kind'>(
    { ...place, kind: fc.constant('bpf'), name, direct: fc.boolean(), descriptor: u32, program: u32 },
    { requiredKeys: ['ifindex', 'parent', 'priority', 'protocol', 'handle', 'kind'] },
  ),
);
const header = record({ type: u16, flags: u16, sequence: u32, port: u32 });
const messages: fc.Arbitrary<NetlinkMessage[]> = fc.array(
  fc.tuple(header, fc.uint8Array({ maxLength: 40 })).map(([h, payload]) => ({ ...h, payload })),
  { maxLength: 5 },
);
const acknowledgement: fc.Arbitrary<Acknowledgement> = record(
  {
    errno: fc.integer({ min: 0, max: 4095 }),
    request: header,
    message: fc.string({ unit: 'grapheme' }).filter((s) => !s.includes('\0')),
    offset: u32,
  },
  { requiredKeys: ['errno', 'request'] },
);

const tuple = (f: Family): fc.Arbitrary<ConntrackTuple> =>
  record({ source: address(f), destination: address(f), protocol: u8, sourcePort: u16, destinationPort: u16 });
const conntrackAny: fc.Arbitrary<ConntrackEntry> = family.chain((f) =>
  record<ConntrackEntry, 'family' | 'original' | 'reply' | 'status' | 'mark'>(
    {
      family: fc.constant(f),
      original: tuple(f),
      reply: tuple(f),
      status: u32,
      mark: u32,
      timeout: u32,
      tcpState: fc.constantFrom('none', 'established', 'time-wait', 'syn-sent2'),
      tcpLiberal: fc.boolean(),
      destinationNat: record({ address: address(f), port: u16 }),
    } as never,
    { requiredKeys: ['family', 'original', 'reply', 'status', 'mark'] },
  ),
);
/** Flags stand with a state. */
const conntrack = conntrackAny.map(({ tcpLiberal, ...e }) =>
  tcpLiberal === undefined || e.tcpState === undefined ? e : { ...e, tcpLiberal },
);

const genericFamily: fc.Arbitrary<GenericFamily> = record({ id: u16, name, version: u32 });
const u64 = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
const ipvsStats: fc.Arbitrary<IpvsStats> = record({
  connections: u64,
  packetsIn: u64,
  packetsOut: u64,
  bytesIn: u64,
  bytesOut: u64,
  connectionRate: u64,
  packetRateIn: u64,
  packetRateOut: u64,
  byteRateIn: u64,
  byteRateOut: u64,
});
const ipvsIdentity: fc.Arbitrary<IpvsIdentity> = fc.oneof(
  family.chain((f) => record({ by: fc.constant('address' as const), protocol: u16, address: address(f), port: u16 })),
  record({ by: fc.constant('fwmark' as const), mark: fc.integer({ min: 1, max: 0xffff_ffff }), family }),
);
const ipvsService: fc.Arbitrary<IpvsService> = record(
  {
    identity: ipvsIdentity,
    scheduler: name,
    flags: u32,
    timeout: u32,
    netmask: u32,
    engine: name,
    stats: ipvsStats,
  },
  { requiredKeys: ['identity', 'scheduler', 'flags', 'timeout', 'netmask'] },
);
const ipvsDestination: fc.Arbitrary<IpvsDestination> = record(
  {
    address: fc.oneof(address(4), address(6)),
    port: u16,
    forward: fc.constantFrom('nat' as const, 'local' as const, 'tunnel' as const, 'direct-routing' as const),
    weight: u32,
    upperThreshold: u32,
    lowerThreshold: u32,
    tunnel: record({ type: fc.constantFrom('ipip' as const, 'gue' as const, 'gre' as const), port: u16, flags: u16 }),
    counts: record({ active: u32, inactive: u32, persistent: u32 }),
    stats: ipvsStats,
  },
  { requiredKeys: ['address', 'port', 'forward', 'weight', 'upperThreshold', 'lowerThreshold', 'tunnel'] },
);
const ipvsDaemon: fc.Arbitrary<IpvsDaemon> = record(
  {
    role: fc.constantFrom('master' as const, 'backup' as const),
    interface: name,
    id: u32,
    maxLength: u16,
    group: fc.oneof(address(4), address(6)),
    port: u16,
    ttl: fc.integer({ min: 0, max: 255 }),
  },
  { requiredKeys: ['role', 'interface', 'id', 'maxLength', 'port', 'ttl'] },
);

const wide = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
const maybe = <T>(a: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(a, { nil: undefined });

export const netlinkArbitraries: Record<(typeof netlinkCodecs)[number]['name'], fc.Arbitrary<unknown>> = {
  'netlink messages': messages,
  'netlink acknowledgement': acknowledgement,
  'rtnetlink link': link,
  'rtnetlink address': linkAddress,
  'rtnetlink route': route,
  'rtnetlink rule': rule,
  'rtnetlink neighbour': neighbour,
  'rtnetlink filter': filter,
  'conntrack entry': conntrack,
  'generic netlink family': genericFamily,
  'ipvs service': ipvsService,
  'ipvs destination': ipvsDestination,
  'ipvs daemon': ipvsDaemon,
  'ipvs timeouts': record({ tcp: u32, tcpfin: u32, udp: u32 }),
  'ipvs info': record({ version: u32, connectionTableSize: u32 }),
  'nbd netlink setup': record({
    command: fc.integer({ min: 1, max: 5 }),
    setup: record({
      index: maybe(u32),
      size: maybe(wide),
      blockSize: maybe(wide),
      timeout: maybe(wide),
      serverFlags: maybe(wide),
      clientFlags: maybe(wide),
      deadConnTimeout: maybe(wide),
      backend: maybe(fc.string({ unit: 'grapheme-ascii', maxLength: 40 })),
      sockets: fc.array(u32, { maxLength: 5 }),
    }),
  }),
  'nbd netlink device': record({ command: fc.integer({ min: 1, max: 5 }), index: maybe(u32) }),
  'nbd netlink status': fc.array(record({ index: u32, connected: fc.boolean() }), { maxLength: 20 }),
};
