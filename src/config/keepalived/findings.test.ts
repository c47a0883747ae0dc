/** What is found wrong with a whole that is made of good parts. Each code is provoked once, with nothing else beside it. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkAgainstHost, type HostFacts } from './host-check.ts';
import { readKeepalivedConf } from './reader.ts';
import { filesOf } from './testdata/files.ts';

const read = (text: string, more: Record<string, string> = {}) =>
  readKeepalivedConf({ file: 'k', files: filesOf({ ...more, k: text }) });
const vi = (inside: string, name = 'V', vrid = 1, vip = `10.0.0.${vrid}`): string =>
  `vrrp_instance ${name} {\n interface eth0\n virtual_router_id ${vrid}\n virtual_ipaddress {\n ${vip}\n }\n${inside}\n}\n`;
const vs = (inside: string, head = '10.0.0.1 80', protocol = 'protocol TCP'): string =>
  `virtual_server ${head} {\n${protocol}\n${inside}\n}\n`;
const rs = (inside = '', head = '10.0.0.3 80'): string => `real_server ${head} {\n${inside}\n}\n`;
const bfd = (name: string, inside = 'neighbor_ip 10.0.0.9'): string => `bfd_instance ${name} {\n${inside}\n}\n`;
const group = (name: string, ...members: string[]): string =>
  `vrrp_sync_group ${name} {\n group {\n${members.join('\n')}\n }\n}\n`;

const ERRORS: Readonly<Record<string, string>> = {
  'bfd-name-long': bfd('x'.repeat(32)),
  'bfd-session-repeated': bfd('a') + bfd('b'),
  'block-too-deep': `${'a {\n'.repeat(40)}${'}\n'.repeat(40)}`,
  'block-unexpected': vi('priority 5 {\n}'),
  'check-port-missing': vs(rs('TCP_CHECK {\n}', '10.0.0.3'), 'fwmark 3', ''),
  'fifo-repeated': 'global_defs {\n notify_fifo /f\n vrrp_notify_fifo /f\n}\n',
  'group-member-repeated': vi('', 'A') + vi('', 'B', 2) + group('G', 'A', 'B') + group('H', 'A', 'B'),
  'ip-family-unneeded': vs(`ip_family inet\n${rs()}`),
  'regex-unusable': vs(rs('HTTP_GET {\n url {\n path /\n regex a++\n }\n}')),
  'name-repeated': vi('', 'A') + vi('', 'A', 2),
  'persistence-off': vs(`persistence_granularity 24\n${rs()}`),
  'port-missing': vs(rs(), '10.0.0.1'),
  'quote-unterminated': 'global_defs {\n router_id "a\n}\n',
  'real-server-missing': vs(''),
  'real-server-repeated': vs(rs() + rs()),
  'sync-daemon-repeated': vi('lvs_sync_daemon_interface eth1', 'A') + vi('lvs_sync_daemon_interface eth1', 'B', 2),
  'track-quorum-order': 'vrrp_track_process p {\n process x\n quorum 3\n quorum_max 2\n}\n',
  'ttl-order': vi('unicast_peer {\n10.0.0.9 min_ttl 9 max_ttl 3\n10.0.0.8\n}'),
  'tunnel-checksum': vs(`lvs_method TUN type gre remcsum\n${rs()}`),
  'tunnel-port': vs(`lvs_method TUN type gue csum\n${rs()}`),
  'virtual-server-group-unknown': vs(rs(), 'group nope'),
  'virtual-server-repeated': vs(rs()) + vs(rs()),
  'vrrp-address-family': vi('', 'V', 1, '10.0.0.1\nfe80::1'),
  'vrrp-advert-int-range': vi('version 3\nadvert_int 41'),
  'vrrp-auth-v3': vi('version 3\nauthentication {\nauth_pass x\n}'),
  'vrrp-hmac-key-repeated': vi('version 3\nauth_hmac {\nkey 1 a\nkey 1 b\n}'),
  'vrrp-nopreempt-delay': vi('nopreempt\npreempt_delay 3'),
  'vrrp-nopreempt-owner': vi('nopreempt\npriority 255'),
  'vrrp-owner-weights': vi('priority 255\ntrack_interface {\neth1 weight 3\n}'),
  'vrrp-source-both': vi('mcast_src_ip 10.0.0.8\nunicast_src_ip 10.0.0.7\nunicast_peer {\n10.0.0.9\n}'),
  'vrrp-v2-ipv6': vi('version 2', 'V', 1, 'fe80::1'),
  'vrrp-vmac-both': vi('use_vmac\nuse_ipvlan 10.0.0.5/24'),
  'vrrp-vmac-interface': vi('use_vmac\nmcast_src_ip 10.0.0.9').replace('interface eth0', ''),
  'vrrp-vmac-name': vi('use_vmac x', 'A') + vi('use_vmac x', 'B', 2),
};
const WARNINGS: Readonly<Record<string, string>> = {
  'address-repeated': vi('', 'V', 1, '10.0.0.1\n10.0.0.1'),
  'group-member-weights': vi('track_interface {\neth1 weight 3\n}', 'A') + vi('', 'B', 2) + group('G', 'A', 'B'),
  'group-single': vi('', 'A') + group('G', 'A'),
  'port-direct-routing': vs(`lvs_method DR\n${rs('', '10.0.0.3 81')}`),
  'protocol-missing': vs(rs(), '10.0.0.1 80', ''),
  'protocol-fwmark': vs(rs(), 'fwmark 3'),
  'route-gw-deprecated': vi('virtual_routes {\n10.1.0.0/16 gw 10.0.0.9 dev eth0\n}'),
  'route-or-deprecated': vi('virtual_routes {\n10.1.0.0/16 via 10.0.0.9 dev eth0 or 10.0.0.8\n}'),
  'route-untracked': vi('virtual_routes {\n10.1.0.0/16 via 10.0.0.9\n}'),
  'reload-repeat-alone': 'global_defs {\nreload_repeat\n}\n',
  'tls-compliant-unseen': vs(rs('SSL_GET {\ntls_compliant\nurl {\npath /\n}\n}')),
  'url-path-missing': vs(rs('HTTP_GET {\nurl {\n}\n}')),
  'vrrp-ah-master': vi('state MASTER\npriority 9\nauthentication {\nauth_type AH\nauth_pass x\n}'),
  'vrrp-auth-pass-long': vi('authentication {\nauth_pass 123456789\n}'),
  'vrrp-owner-backup': vi('priority 255\nstate BACKUP'),
  'vrrp-peer-repeated': vi('unicast_peer {\n10.0.0.9\n10.0.0.9\n}'),
  'vrrp-peer-self': vi('unicast_src_ip 10.0.0.8\nunicast_peer {\n10.0.0.8\n10.0.0.9\n}'),
  'vrrp-unicast-no-peer': vi('unicast_src_ip 10.0.0.8'),
  'vrrp-unicast-ttl-alone': vi('unicast_ttl 3'),
  'vrrp-xmit-base-set': vi('use_vmac\nunicast_peer {\n10.0.0.9\n}'),
  'word-repeated': vi('priority 3\npriority 4'),
};
for (const [code, text] of Object.entries(ERRORS))
  test(`${code} refuses the file`, () => {
    const r = read(text);
    // A refused value can be missed by its block as well; the errors of one kind are what counts.
    assert.deepEqual(
      [...new Set(r.diagnostics.filter((d) => d.severity === 'error').map((d) => d.code))],
      errorsOf(code),
    );
    assert.equal(r.config, undefined);
  });
function errorsOf(code: string): string[] {
  return code === 'block-too-deep' ? ['word-unknown', code] : [code];
}
for (const [code, text] of Object.entries(WARNINGS))
  test(`${code} warns and no more`, () => {
    const r = read(text);
    assert.deepEqual(
      r.diagnostics.map((d) => [d.severity, d.code]),
      [['warning', code]],
    );
    assert.ok(r.config);
  });

test('a bomb of includes ends in one error for each way into it', () => {
  const chain = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`f${i}`, `include f${i + 1}`]));
  assert.deepEqual(
    read('include f0', chain).diagnostics.map((d) => d.code),
    ['include-too-deep'],
  );
  const files = { ...filesOf({ k: 'includea gone' }), glob: () => ['gone'] };
  assert.deepEqual(
    readKeepalivedConf({ file: 'k', files }).diagnostics.map((d) => d.code),
    ['include-unreadable'],
  );
});

const HOST: HostFacts = { links: new Set(['lo', 'eth0']) };
test('the host is asked for interfaces, but not for those that we make', () => {
  const text = vi('use_vmac vm1\ntrack_interface {\n eth9\n vm1\n}\n');
  const r = read(text);
  const told = checkAgainstHost(r.config!, HOST, r.interfaces);
  assert.deepEqual(
    told.map((d) => [d.severity, d.code, d.place?.line]),
    [['error', 'interface-missing', 9]],
  );
  const dynamic = read(`${text}global_defs {\ndynamic_interfaces\n}\n`);
  assert.deepEqual(
    checkAgainstHost(dynamic.config!, HOST).map((d) => d.severity),
    ['warning'],
  );
});
test('no finding is without a test that provokes it', () => {
  const files = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' });
  const texts = (like: RegExp): string =>
    files
      .filter((f) => like.test(f))
      .map((f) => readFileSync(join(import.meta.dirname, f), 'utf8'))
      .join('\n');
  const sources = texts(/(?<!\.test)\.ts$/);
  const tests = texts(/\.test\.ts$|words\.txt$/);
  const codes = new Set(
    [...sources.matchAll(/(?:fault|error|warn|drop|refuse|\])\(\s*'([a-z0-9]+-[a-z0-9-]+)'|code: '([a-z0-9-]+)'/g)].map(
      (m) => m[1] ?? m[2]!,
    ),
  );
  assert.ok(codes.size > 120, `${codes.size} codes found`);
  assert.deepEqual(
    [...codes].filter((c) => !tests.includes(c)),
    [],
  );
});
