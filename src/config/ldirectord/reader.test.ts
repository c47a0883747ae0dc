import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ip } from '../../../test/support/wire.ts';
import { renderDiagnostic, seconds } from '../../base/index.ts';
import type { Checker, VirtualServer } from '../../director/config.ts';
import { filesOf } from '../keepalived/testdata/files.ts';
import { type LdirectordResult, readLdirectordCf } from './reader.ts';
import { WORDS } from './words.ts';

const FILE = '/etc/ha.d/ldirectord.cf';
const read = (text: string): LdirectordResult =>
  readLdirectordCf({
    file: FILE,
    files: filesOf({ [FILE]: text, '/etc/services': 'gopher 70/tcp\n' }),
    hostName: 'lb1',
    resolve: (name, family) => (family === 4 && name === 'web1.example' ? ip('192.0.2.11') : undefined),
  });
const codes = (text: string): string[] =>
  read(text).diagnostics.map((d) => `${d.place?.line}:${d.place?.column} ${d.code}`);
const virtuals = (text: string): readonly VirtualServer[] => {
  const r = read(text);
  assert.ok(r.config, JSON.stringify(r.diagnostics, null, 1));
  return r.config.director.virtualServers;
};
/** The only checker of the only server of a virtual server on this port with these lines. */
const checker = (port: number, ...lines: string[]): Checker => {
  const [v] = virtuals(
    `virtual=192.0.2.1:${port}\n\treal=192.0.2.11:${port} masq\n${lines.map((l) => `\t${l}\n`).join('')}`,
  );
  return v?.realServers[0]?.checkers[0] as Checker;
};

const SAMPLE = `# a farm
checktimeout=3
checkinterval = 2
failurecount=4
autoreload=yes
quiescent=no
fallback=127.0.0.1:80
emailalert="admin@example.com, oncall@example.com"
emailalertfrom = lb@example.com

virtual=192.0.2.1:80
    real=192.0.2.11->192.0.2.13:80 gate 5   # three of them
    real=web1.example:http masq 2 "special.html", "fine"
    service=http
    request="index.html"
    receive="Test Page"
    virtualhost=www.example.com
    scheduler=wlc
    persistent=600
    netmask=255.255.255.0
    fallbackcommand="/usr/local/bin/alarm now"

virtual6=[2001:db8::1]:443
	real6=[2001:db8::11]:443 ipip
	checktype=3

virtual = 7
	real=192.0.2.21:8080 gate
	checktype=connect
	quiescent=yes
`;

test('a whole file: servers, ranges, names, inheritance', () => {
  const r = read(SAMPLE);
  assert.deepEqual(r.diagnostics, []);
  assert.equal(r.config?.autoReload, true);
  assert.deepEqual(r.config?.mail, { to: ['admin@example.com', 'oncall@example.com'], from: 'lb@example.com' });
  const [web, six, mark] = virtuals(SAMPLE) as [VirtualServer, VirtualServer, VirtualServer];
  assert.deepEqual(web.service, { by: 'address', address: '192.0.2.1', port: 80, protocol: 'tcp' });
  assert.equal(web.scheduler, 'wlc');
  assert.deepEqual(web.persistence, { seconds: 600, granularity: 24 });
  assert.deepEqual(web.quorumDown?.argv, ['/usr/local/bin/alarm', 'now', 'start']);
  assert.deepEqual(web.quorumUp?.argv, ['/usr/local/bin/alarm', 'now', 'stop']);
  assert.deepEqual(
    web.realServers.map((s) => [s.address, s.port, s.weight, s.forwarding.method, s.inhibitOnFailure]),
    [
      ['192.0.2.11', 80, 5, 'direct-routing', false],
      ['192.0.2.12', 80, 5, 'direct-routing', false],
      ['192.0.2.13', 80, 5, 'direct-routing', false],
      ['192.0.2.11', 80, 2, 'nat', false],
    ],
  );
  assert.deepEqual(web.sorryServer, {
    address: '127.0.0.1',
    port: 80,
    forwarding: { method: 'direct-routing' },
    inhibitOnFailure: false,
  });
  const [first, , , own] = web.realServers.map((s) => s.checkers[0]);
  assert.deepEqual(first, {
    kind: 'http',
    tls: false,
    timing: {
      interval: seconds(2),
      retry: 3,
      retryDelay: seconds(2),
      warmup: seconds(1),
      alpha: true,
      logAllFailures: false,
    },
    connection: { address: '192.0.2.11', port: 80, timeout: seconds(30) },
    protocol: '1.1',
    fastRecovery: false,
    urls: [
      {
        path: '/index.html',
        virtualHost: 'www.example.com',
        statusCodes: [{ from: 200, to: 299 }],
        regex: { pattern: 'Test Page', mustNotMatch: false, options: [] },
        tlsCompliant: false,
      },
    ],
  });
  assert.ok(own?.kind === 'http');
  assert.deepEqual([own.urls[0]?.path, own.urls[0]?.regex?.pattern], ['/special.html', 'fine']);
  const alternating = six.realServers[0]?.checkers[0];
  assert.ok(alternating?.kind === 'alternating');
  assert.deepEqual(
    [alternating.connects, alternating.full.kind, alternating.connection.timeout],
    [3, 'http', seconds(3)],
  );
  assert.deepEqual(mark.service, { by: 'fwmark', mark: 7, family: 4 });
  assert.equal(mark.realServers[0]?.inhibitOnFailure, true);
  assert.deepEqual(mark.realServers[0]?.checkers[0]?.kind, 'tcp');
});

test('every service that is negotiated with, by its own name or by its port', () => {
  const kinds: readonly (readonly [number, readonly string[], string])[] = [
    [21, [], 'ftp'],
    [25, [], 'smtp'],
    [587, [], 'smtp'],
    [53, ['protocol=udp'], 'dns'],
    [80, [], 'http'],
    [443, [], 'http'],
    [3128, ['request="http://x.example/"'], 'http'],
    [110, [], 'pop'],
    [995, [], 'pop'],
    [119, [], 'nntp'],
    [143, [], 'imap'],
    [993, [], 'imap'],
    [389, [], 'ldap'],
    [1812, ['protocol=udp', 'secret="file:/s"'], 'radius'],
    [5060, ['protocol=udp'], 'sip'],
    [3306, ['login=u', 'database=d', 'request="select 1"'], 'mysql'],
    [5432, ['login=u', 'database=d', 'request="select 1"'], 'postgres'],
    [7777, [], 'fixed'],
    [7777, ['service=simpletcp', 'request="PING\\n"', 'receive="PONG"'], 'simple'],
  ];
  for (const [port, lines, kind] of kinds) assert.equal(checker(port, ...lines).kind, kind, `port ${port}`);
  assert.deepEqual((checker(7777, 'service=simpletcp', 'request="A\\nB"') as { request: string }).request, 'A\nB');
});

test('every check type', () => {
  assert.equal(checker(80, 'checktype=connect').kind, 'tcp');
  assert.equal(checker(53, 'checktype=connect').kind, 'ping', 'UDP services are pinged');
  assert.equal(checker(80, 'checktype=ping').kind, 'ping');
  assert.deepEqual(checker(80, 'checktype=on'), { kind: 'fixed', up: true });
  assert.deepEqual(checker(80, 'checktype=off'), { kind: 'fixed', up: false });
  for (const type of ['external', 'external-perl']) {
    const c = checker(80, `checktype=${type}`, 'checkcommand="/bin/check -v"', 'checktimeout=7');
    assert.ok(c.kind === 'misc');
    assert.deepEqual(c.script.argv, ['/bin/check', '-v', '192.0.2.1', '80', '192.0.2.11', '80']);
    assert.equal(c.timeout, seconds(7));
  }
  const c = checker(80, 'checkport=8080', 'checktype=connect');
  assert.ok(c.kind === 'tcp');
  assert.equal(c.connection.port, 8080);
});

test('timeouts inherit as the manual says', () => {
  const timeout = (...lines: string[]): number =>
    (checker(80, ...lines) as { connection: { timeout: number } }).connection.timeout / 1e6;
  assert.equal(timeout(), 30);
  assert.equal(timeout('negotiatetimeout=9'), 9);
  assert.equal(timeout('checktype=connect'), 5);
  assert.equal(timeout('checktype=connect', 'negotiatetimeout=9'), 9);
  assert.equal(timeout('checktype=connect', 'negotiatetimeout=9', 'checktimeout=2'), 2);
});

test('a whole URL as request names the machine that is asked', () => {
  const c = checker(80, 'request="http://192.0.2.99:81/x"');
  assert.ok(c.kind === 'http');
  assert.deepEqual([c.connection.address, c.connection.port, c.urls[0]?.path], ['192.0.2.99', 81, '/x']);
});

test('secrets by file are kept by reference; in clear they are told about and never printed', () => {
  const mysql = ['login=u', 'database=d', 'request="select 1"'];
  const c = checker(3306, ...mysql, 'passwd="file:/etc/holdfast/mysql"');
  assert.ok(c.kind === 'mysql');
  assert.deepEqual(c.password, { file: '/etc/holdfast/mysql' });
  const r = read(
    'virtual=192.0.2.1:3306\n\treal=192.0.2.2:3306 masq\n\tlogin=u\n\tdatabase=d\n\trequest="q"\n\tpasswd="hunter2"\n',
  );
  assert.deepEqual(
    r.diagnostics.map((d) => d.code),
    ['secret-in-clear'],
  );
  assert.ok(!JSON.stringify(r.diagnostics).includes('hunter2'));
});

test('all that is wrong is told at once, each at its place', () => {
  assert.deepEqual(
    codes(`chekinterval=5
checkinterval=soon
	real=192.0.2.1:80 gate
virtual=192.0.2.1
virtual=192.0.2.1:80
	real=192.0.2.11:80 gat
	real=192.0.2.300:80 gate
	real=192.0.2.11
	real6=[2001:db8::1]:80 gate
	autoreload=yes
	scheduler=wrrr
	quiescent=maybe
	nonsense
virtual=192.0.2.1:80
	real=192.0.2.11:81 gate
	service=oracle
`),
    [
      '1:1 word-unknown',
      '2:15 ldirectord-value',
      '3:2 word-misplaced',
      '4:1 real-server-none',
      '4:9 ldirectord-address',
      '6:21 ldirectord-method',
      '7:7 ldirectord-address',
      '8:7 ldirectord-syntax',
      '9:2 ldirectord-family',
      '10:2 word-misplaced',
      '11:12 ldirectord-value',
      '12:12 ldirectord-value',
      '13:2 ldirectord-syntax',
      '14:1 ldirectord-unsupported',
      '14:9 virtual-server-repeated',
      '15:7 ldirectord-port',
    ],
  );
  const [d] = read('chekinterval=5\n').diagnostics;
  assert.ok(d);
  assert.equal(
    renderDiagnostic(d, 'en', () => 'chekinterval=5'),
    `${FILE}:1:1: error: there is no directive 'chekinterval' [word-unknown]\n1 | chekinterval=5\n    ^^^^^^^^^^^^\nhint: did you mean 'checkinterval'?`,
  );
});

test('a pattern that cannot be used is an error where it stands, not a check that always fails', () => {
  assert.deepEqual(codes('virtual=192.0.2.1:80\n\treal=192.0.2.11:80 gate\n\treceive="a++"\n'), [
    '3:11 ldirectord-pattern',
  ]);
  assert.deepEqual(codes('virtual=192.0.2.1:80\n\treal=192.0.2.11:80 gate 1 "/", "("\n'), ['2:7 ldirectord-pattern']);
});

test('what has no effect here is said, with what does its work', () => {
  const r = read('logfile="local0"\nmaintenancedir=/etc/ha.d/down\nfork=yes\nsupervised=no\n');
  assert.deepEqual(
    r.diagnostics.map((d) => `${d.severity} ${d.code}`),
    ['warning ldirectord-no-effect', 'warning ldirectord-no-effect'],
  );
  assert.ok(r.diagnostics.every((d) => d.hint));
  assert.ok(r.config);
});

test('a file that cannot be read is one error', () => {
  const r = readLdirectordCf({ file: '/nowhere', files: filesOf({}) });
  assert.deepEqual(
    r.diagnostics.map((d) => d.code),
    ['file-unreadable'],
  );
});

const piece = fc.constantFrom(
  ...Object.keys(WORDS),
  ...[
    '=',
    ' = ',
    '\n',
    '\n\t',
    '\n    ',
    '"',
    '#',
    '->',
    ':',
    '192.0.2.1',
    '192.0.2.9',
    '[2001:db8::1]',
    '80',
    '0',
    '99999',
    'gate',
    'masq',
    'ipip',
    'yes',
    'no',
    'http',
    'negotiate',
    ',',
    'x',
  ],
);
test('no text makes the reader throw, and every finding has both languages and a place in the file', () =>
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, fc.string({ maxLength: 6 })), { maxLength: 60 }), (pieces) => {
      const text = pieces.join('');
      const lines = text.split('\n');
      for (const d of read(text).diagnostics) {
        assert.ok(d.message.en && d.message.zh);
        if (!d.place) continue;
        const line = lines[d.place.line - 1];
        assert.ok(line !== undefined && d.place.column >= 1 && d.place.column <= line.length + 1, JSON.stringify(d));
      }
    }),
    { numRuns: 3000 },
  ));
