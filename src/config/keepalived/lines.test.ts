/** The words of address, route and rule lines, one by one: what each says, and that it survives being written back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeKeepalivedConf } from './describe.ts';
import { ROUTE_WORDS } from './grammar/routes.ts';
import { RULE_WORDS } from './grammar/rules.ts';
import { readKeepalivedConf } from './reader.ts';
import { filesOf } from './testdata/files.ts';

const NAMES = { '/etc/iproute2/rt_tables': '# tables\n100 blue\n0x65 red\n', '/etc/iproute2/rt_realms': '7 far\n' };
const read = (text: string) => readKeepalivedConf({ file: 'k', files: filesOf({ ...NAMES, k: text }) });

type Kind = 'addresses' | 'routes' | 'rules';
const BLOCKS: Readonly<Record<Kind, string>> = {
  addresses: 'static_ipaddress',
  routes: 'static_routes',
  rules: 'static_rules',
};
/** The line as it was understood, or the codes of what was found wrong with it. */
function understood(kind: Kind, line: string): unknown {
  const text = `${BLOCKS[kind]} {\n${line}\n}\ntrack_group G {\n group {\n }\n}\n`;
  const r = read(text);
  if (!r.config) return r.diagnostics.filter((d) => d.severity === 'error').map((d) => d.code);
  assert.deepEqual(read(describeKeepalivedConf(r.config)).config, r.config, describeKeepalivedConf(r.config));
  return JSON.parse(JSON.stringify(r.config.vrrp.statics[kind][0]));
}
function check(kind: Kind, table: Readonly<Record<string, object | string>>): void {
  for (const [line, expected] of Object.entries(table)) {
    const got = understood(kind, line);
    if (typeof expected === 'string') assert.deepEqual(got, [expected], line);
    else
      for (const [k, v] of Object.entries(expected))
        assert.deepEqual((got as Record<string, unknown>)[k], v, `${line}: ${k}`);
  }
}

test('every word of an address line', () =>
  check('addresses', {
    '10.0.0.1': { prefix: { address: '10.0.0.1', length: 32 }, interface: 'eth0', interfaceGiven: false },
    'dev eth1 10.0.0.1/24': { interface: 'eth1', interfaceGiven: true },
    '10.0.0.1/24 brd 10.0.0.255': { broadcast: '10.0.0.255' },
    '10.0.0.1/24 broadcast +': { broadcast: 'derive' },
    '10.0.0.1/24 brd -': { broadcast: 'none' },
    '10.0.0.1/24 scope link': { scope: 'link' },
    '10.0.0.1/24 scope 77': { scope: 77 },
    '10.0.0.1/24 scope 254': { scope: 'host' },
    '10.0.0.1/24 label eth0:9': { label: 'eth0:9' },
    '10.0.0.1 peer 10.0.0.2/32': { peer: { address: '10.0.0.2', length: 32 } },
    'fe80::1/64 home': { home: true },
    'fe80::1/64 -nodad': { detectDuplicates: true },
    'fe80::1/64 mngtmpaddr noprefixroute autojoin': { manageTempAddr: true, noPrefixRoute: true, autoJoin: true },
    '10.0.0.1 preferred_lft forever': { preferredSeconds: 'forever' },
    '10.0.0.1 preferred_lft 60': { preferredSeconds: 60 },
    '10.0.0.1 use_vmac': { useVmac: true },
    '10.0.0.1 no_track': { tracking: { kind: 'ignore' } },
    '10.0.0.1 track_group G': { tracking: { kind: 'group', group: 'G' } },
    '10.0.0.1 track_group H': 'track-group-unknown',
    '10.0.0.1 scope 300': 'scope-invalid',
    '10.0.0.1 peer fe80::1': 'address-family',
    'fe80::1 brd +': 'address-broadcast-ipv6',
    'dev eth0': 'address-missing',
    '10.0.0.1 dev': 'value-missing',
    '10.0.0.': 'address-invalid',
    '010.0.0.1': 'address-invalid',
  }));

const hop = { interface: 'eth0' };
test('every word of a route', () =>
  check('routes', {
    'to 10.1.0.0/16 dev eth0': {
      destination: { address: '10.1.0.0', length: 16 },
      hops: [hop],
      how: 'replace',
      table: 254,
    },
    'add default via 10.0.0.9': { hops: [{ via: '10.0.0.9' }], family: 4, tracking: { kind: 'ignore' } },
    'append 10.1.0.0/16 oif eth0': { how: 'append' },
    'prepend 10.1.0.0/16 dev eth0': { how: 'prepend' },
    'inet6 default dev eth0': { family: 6 },
    'inet 10.1.0.0/16 dev eth0': { family: 4 },
    '::/0 via fe80::1 dev eth0': { family: 6 },
    '0.0.0.0/0 gw 10.0.0.9 dev eth0': { hops: [{ via: '10.0.0.9', interface: 'eth0' }] },
    '10.1.0.0/16 via 10.0.0.8 or 10.0.0.9': { hops: [{ via: '10.0.0.8' }, { via: '10.0.0.9' }] },
    'src 10.0.0.1 10.1.0.0/16 dev eth0': { source: '10.0.0.1' },
    '10.1.0.0/16 from 10.2.0.0/16 dev eth0': { from: { address: '10.2.0.0', length: 16 } },
    '10.1.0.0/16 dev eth0 table blue': { table: 100 },
    '10.1.0.0/16 dev eth0 table red': { table: 101 },
    '10.1.0.0/16 dev eth0 table 4294967295': { table: 4294967295 },
    '10.1.0.0/16 dev eth0 metric 5': { metric: 5 },
    '10.1.0.0/16 dev eth0 priority 5': { metric: 5 },
    '10.1.0.0/16 dev eth0 preference 5': { metric: 5 },
    '10.1.0.0/16 dev eth0 scope nowhere': { scope: 'nowhere' },
    '10.1.0.0/16 dev eth0 protocol bird': { protocol: 12 },
    '10.1.0.0/16 dev eth0 proto 99': { protocol: 99 },
    '10.1.0.0/16 dev eth0 tos 0x04': { tos: 4 },
    '10.1.0.0/16 dev eth0 dsfield 8': { tos: 8 },
    '10.1.0.0/16 dev eth0 mtu lock 1000 hoplimit 100 advmss 101 rtt 2s rttvar 103ms reordering 104 window 105': {
      metrics: {
        locked: ['mtu'],
        mtu: 1000,
        hoplimit: 100,
        advmss: 101,
        rtt: 2000,
        rttvar: 103,
        reordering: 104,
        window: 105,
      },
    },
    '10.1.0.0/16 dev eth0 cwnd 106 ssthresh lock 107 rto_min 108 initcwnd 109 initrwnd 110 quickack on features ecn': {
      metrics: {
        locked: ['ssthresh'],
        cwnd: 106,
        ssthresh: 107,
        rto_min: 108,
        initcwnd: 109,
        initrwnd: 110,
        quickack: 1,
        features: 1,
      },
    },
    '10.1.0.0/16 dev eth0 congctl lock cubic fastopen_no_cookie 1': {
      metrics: { locked: ['congctl'], congctl: 'cubic', fastopen_no_cookie: 1 },
    },
    '10.1.0.0/16 dev eth0 realms far/9 onlink weight 3': {
      hops: [{ interface: 'eth0', realms: 7 * 65536 + 9, onlink: true, weight: 3 }],
    },
    '10.1.0.0/16 nexthop via 10.0.0.8 dev eth0 weight 2 nexthop via 10.0.0.9 onlink': {
      hops: [
        { via: '10.0.0.8', interface: 'eth0', weight: 2 },
        { via: '10.0.0.9', onlink: true },
      ],
    },
    '10.1.0.0/16 encap ip id 7 dst 10.9.0.1 ttl 64 dev eth0': {
      hops: [{ interface: 'eth0', encap: { kind: 'ip', options: { id: '7', dst: '10.9.0.1', ttl: '64' } } }],
    },
    '10.1.0.0/16 encap ip6 src fe80::1 tc 3 flags 1 dev eth0': {
      hops: [{ interface: 'eth0', encap: { kind: 'ip6', options: { src: 'fe80::1', tc: '3', flags: '1' } } }],
    },
    '10.1.0.0/16 encap mpls 100/200 ttl 9 dev eth0': {
      hops: [{ interface: 'eth0', encap: { kind: 'mpls', options: { labels: '100/200', ttl: '9' } } }],
    },
    'fd00::/64 encap ila 1:2:3:4 dev eth0': {
      hops: [{ interface: 'eth0', encap: { kind: 'ila', options: { locator: '1:2:3:4' } } }],
    },
    '10.1.0.0/16 dev eth0 ttl-propagate disabled': { ttlPropagate: false },
    '10.1.0.0/16 dev eth0 expires 60': { expiresSeconds: 60 },
    'fd00::/64 dev eth0 pref high': { preference: 'high' },
    '10.1.0.0/16 dev eth0 vrf red': { vrf: 'red' },
    '10.1.0.0/16 dev eth0 no_track': { tracking: { kind: 'ignore' } },
    '10.1.0.0/16 dev eth0 track_group G': { tracking: { kind: 'group', group: 'G' } },
    ...Object.fromEntries(
      ['unicast', 'local', 'broadcast', 'anycast', 'multicast', 'nat'].map((t) => [
        `${t} 10.1.0.0/16 dev eth0`,
        { type: t },
      ]),
    ),
    ...Object.fromEntries(
      ['blackhole', 'unreachable', 'prohibit', 'throw'].map((t) => [`${t} 10.1.0.0/16`, { type: t, hops: [] }]),
    ),
    'blackhole 10.1.0.0/16 dev eth0': 'route-hop-unexpected',
    '10.1.0.0/16': 'route-hop-missing',
    'via 10.0.0.9': 'route-destination-missing',
    '10.1.0.0/16 frob dev eth0': 'route-word-unknown',
    '10.1.0.0/16 dev eth0 table nosuch': 'name-unknown',
    '10.1.0.0/16 dev eth0 realms x': 'realms-invalid',
    '10.1.0.0/16 dev eth0 src 10.0.0.0/8': 'address-invalid',
    '10.1.0.0/16 encap foo dev eth0': 'choice-invalid',
  }));

test('every word of a rule', () =>
  check('rules', {
    'from 10.1.0.0/16 to 10.2.0.0/16 table 7 preference 5': {
      rule: {
        family: 4,
        from: { address: '10.1.0.0', length: 16 },
        to: { address: '10.2.0.0', length: 16 },
        action: { do: 'table', table: 7 },
        priority: 5,
      },
    },
    'not from all lookup blue order 5': {
      rule: { invert: true, family: 4, action: { do: 'table', table: 100 }, priority: 5 },
    },
    'inet6 from any table main priority 5': { rule: { family: 6, action: { do: 'table', table: 254 }, priority: 5 } },
    'inet tos 4 goto 40 priority 5': { rule: { family: 4, tos: 4, action: { do: 'goto', priority: 40 }, priority: 5 } },
    'dsfield 8 nop priority 5': { rule: { family: 4, tos: 8, action: { do: 'nop' }, priority: 5 } },
    'fwmark 0x18/12 blackhole priority 5': {
      rule: { family: 4, fwmark: 24, fwmask: 12, action: { do: 'blackhole' }, priority: 5 },
    },
    'iif eth0 oif eth1 unreachable priority 5': {
      rule: { family: 4, iif: 'eth0', oif: 'eth1', action: { do: 'unreachable' }, priority: 5 },
    },
    'dev eth0 type prohibit priority 5': { rule: { family: 4, iif: 'eth0', action: { do: 'prohibit' }, priority: 5 } },
    'realms 30/20 prohibit priority 5': {
      rule: { family: 4, realms: 30 * 65536 + 20, action: { do: 'prohibit' }, priority: 5 },
    },
    'suppress_prefixlength 3 suppress_ifgroup 4 table 7 priority 5': {
      rule: { family: 4, suppressPrefixLength: 3, suppressGroup: 4, action: { do: 'table', table: 7 }, priority: 5 },
    },
    'sup_pl 3 sup_group default table 7 priority 5': {
      rule: { family: 4, suppressPrefixLength: 3, suppressGroup: 0, action: { do: 'table', table: 7 }, priority: 5 },
    },
    'tunnel-id 9 uidrange 10000-19999 l3mdev priority 5': {
      rule: {
        family: 4,
        tunnelId: 9,
        uidRange: { from: 10000, to: 19999 },
        l3mdev: true,
        action: { do: 'table', table: 0 },
        priority: 5,
      },
    },
    'ipproto udp sport 10-20 dport 53 protocol 12 table 7 priority 5': {
      rule: {
        family: 4, ipProtocol: 17, sourcePorts: { from: 10, to: 20 }, destinationPorts: { from: 53, to: 53 }, protocol: 12,
        action: { do: 'table', table: 7 }, priority: 5,
      }, // biome-ignore format: fields in the order of the line
    },
    'ip_proto 6 table 7 priority 5 no_track': { tracking: { kind: 'ignore' } },
    'table 7 priority 5 track_group G': { tracking: { kind: 'group', group: 'G' } },
    'from fd00::/8 table 7': {
      rule: { family: 6, from: { address: 'fd00::', length: 8 }, action: { do: 'table', table: 7 }, priority: 16384 },
    },
    'from 10.1.0.0/16 to fd00::/8 table 7 priority 5': 'address-family',
    'from 10.1.0.0/16': 'rule-action-missing',
    frob: 'rule-word-unknown',
    'fwmark x table 7': 'fwmark-invalid',
    'type frob': 'choice-invalid',
    'sport 20-10 table 7': 'range-invalid',
  }));

test('made up preferences go down from 16384, for each family', () => {
  const r = read('static_rules {\n from 10.1.0.0/16 table 1\n from 10.2.0.0/16 table 2\n from fd00::/8 table 3\n}\n');
  assert.deepEqual(
    r.config?.vrrp.statics.rules.map((x) => x.rule.priority),
    [16384, 16383, 16384],
  );
  assert.deepEqual(
    r.diagnostics.map((d) => d.code),
    Array(3).fill('rule-preference-missing'),
  );
});

test('the tables above name every word of routes and rules', async () => {
  const own = await import('node:fs').then((fs) => fs.readFileSync(import.meta.filename, 'utf8'));
  for (const w of [...ROUTE_WORDS, ...RULE_WORDS]) assert.match(own, new RegExp(`['\\s]${w}['\\s]`), w);
});
