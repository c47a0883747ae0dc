import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ip } from '../../../test/support/wire.ts';
import { renderDiagnostic } from '../../base/index.ts';
import type { MirrorConfig } from '../../mirror/config.ts';
import { filesOf } from '../keepalived/testdata/files.ts';
import { describeDrbdConf } from './describe.ts';
import { OPTION_ROWS } from './options.ts';
import { type DrbdReadOptions, type DrbdResult, readDrbdConf } from './reader.ts';

const FILE = '/etc/drbd.conf';
const read = (text: string, o: DrbdReadOptions = {}, more: Readonly<Record<string, string>> = {}): DrbdResult =>
  readDrbdConf({ file: FILE, files: filesOf({ [FILE]: text, ...more }), options: { hostName: 'a', ...o } });
const codes = (text: string, o: DrbdReadOptions = {}): string[] =>
  read(text, o).diagnostics.map((d) => `${d.place?.line ?? '-'}:${d.place?.column ?? '-'} ${d.code}`);
const mirror = (r: DrbdResult): MirrorConfig => {
  assert.ok(r.config, JSON.stringify(r.diagnostics, null, 1));
  return r.config.mirrors[0] as MirrorConfig;
};
const A = 'on a { device /dev/drbd0; disk /dev/sda; meta-disk internal; address 10.0.0.1:7788; }';
const B = 'on b { device /dev/drbd0; disk /dev/sdb; meta-disk internal; address 10.0.0.2:7788; }';

test('the set-up of a handbook becomes a mirror as each of its hosts sees it', () => {
  const file = `include "drbd.d/global_common.conf";\ninclude "drbd.d/*.res";\n`;
  const more = {
    '/etc/drbd.d/global_common.conf':
      'global { usage-count no; }\ncommon { net { protocol B; ping-int 5; } disk { al-extents 257; } }\n',
    '/etc/drbd.d/r0.res': `resource r0 {\n  net { protocol C; }\n  ${A}\n  ${B}\n  handlers { split-brain "notify root"; }\n}\n`,
  };
  const one = mirror(read(file, {}, more));
  assert.deepEqual(
    [one.host, one.peer, one.local, one.remote],
    ['a', 'b', { address: '10.0.0.1', port: 7788 }, { address: '10.0.0.2', port: 7788 }],
  );
  assert.deepEqual([one.net.protocol, one.net.pingInterval, one.volumes[0]?.options.alExtents], ['C', 5000, 257]);
  assert.deepEqual(one.handlers, { 'split-brain': 'notify root' });
  const { number, minor, device, disk, metadata } = one.volumes[0] as MirrorConfig['volumes'][number];
  assert.deepEqual([number, minor, device, disk, metadata], [0, 0, '/dev/drbd0', '/dev/sda', { kind: 'internal' }]);
  const other = mirror(read(file, { hostName: 'b' }, more));
  assert.deepEqual([other.host, other.peer, other.local, other.volumes[0]?.disk], ['b', 'a', one.remote, '/dev/sdb']);
});

test('a host wins over the resource, the resource over common, a volume over all of them', () => {
  const m = mirror(
    read(`common { disk { al-extents 100; c-min-rate 1M; on-io-error pass_on; } }
resource r { disk { al-extents 200; c-min-rate 2M; }
  volume 0 { device minor 1; disk /dev/x; meta-disk /dev/md; disk { al-extents 300; } }
  volume 7 { device minor 2; disk /dev/y; meta-disk /dev/md [3]; }
  on a { address 10.0.0.1:1; volume 0 { disk /dev/mine; disk { al-extents 400; } } }
  on b { address 10.0.0.2:1; } }`),
  );
  const [zero, seven] = m.volumes;
  assert.deepEqual(
    [zero?.disk, zero?.options.alExtents, zero?.options.resync.minRate, zero?.options.onIoError],
    ['/dev/mine', 400, 2 * 1024 ** 2, 'pass_on'],
  );
  assert.deepEqual(
    [seven?.options.alExtents, zero?.metadata, seven?.metadata],
    [200, { kind: 'flexible', device: '/dev/md' }, { kind: 'indexed', device: '/dev/md', index: 3 }],
  );
});

test('floating hosts are found by their address, IPv6 too', () => {
  const text =
    'resource r { volume 0 { device minor 1; disk /dev/x; } floating 10.0.0.1:77 { } floating 10.0.0.2:77 { } }';
  const m = mirror(read(text, { hostName: 'whoever', addresses: [ip('10.0.0.2')] }));
  assert.deepEqual([m.local.address, m.remote.address, m.host], ['10.0.0.2', '10.0.0.1', '10.0.0.2']);
  const six = mirror(
    read(
      'resource r { device minor 1; disk /dev/x; on a { address ipv6 [fd00::1]:7789; } on b { address ipv6 [fd00::2]:7789; } }',
    ),
  );
  assert.deepEqual([six.local, six.remote.address], [{ address: 'fd00::1', port: 7789 }, 'fd00::2']);
});

test('a resource of other hosts is left to them, and one for more than two hosts is read, told and not run', () => {
  const r = read(`resource there { ${A.replace('on a', 'on x')} ${B} }
resource three { ${A} ${B} on c { device /dev/drbd0; disk /dev/sda; meta-disk internal; address 10.0.0.3:7788; } }
resource two { ${A} ${B} }
resource up { stacked-on-top-of two { device /dev/drbd10; address 10.0.0.9:1; } ${B} }`);
  assert.deepEqual(
    r.config?.resources.map((x) => [x.name, x.run.kind]),
    [
      ['there', 'elsewhere'],
      ['three', 'refused'],
      ['two', 'here'],
      ['up', 'refused'],
    ],
  );
  assert.deepEqual(
    r.diagnostics.map((d) => d.code),
    ['drbd-not-run', 'drbd-not-run'],
  );
});

test('a connection section gives address, port and options', () => {
  const m = mirror(
    read(`resource r { volume 0 { device minor 1; disk /dev/x; meta-disk internal; }
  on a { node-id 0; address 10.0.0.1:1; } on b { node-id 1; }
  connection { host a port 7000; host b address 10.9.9.9:8000; net { protocol A; } volume 0 { disk { resync-rate 9M; } } } }`),
  );
  assert.deepEqual(
    [m.local, m.remote],
    [
      { address: '10.0.0.1', port: 7000 },
      { address: '10.9.9.9', port: 8000 },
    ],
  );
  assert.deepEqual([m.net.protocol, m.volumes[0]?.options.resync.rate], ['A', 9 * 1024 ** 2]);
});

const WRONG: readonly (readonly [name: string, text: string, ...codes: string[]])[] = [
  [
    'a forgotten semicolon',
    `resource r {\n net {\n  timeout 60\n  ping-int 10;\n }\n ${A} ${B} }`,
    '3:12 drbd-semicolon',
  ],
  ['a forgotten semicolon before a brace', `resource r { net { timeout 60 } ${A} ${B} }`, '1:29 drbd-semicolon'],
  ['a brace too few', `resource r { ${A} ${B}`, '1:1 drbd-brace'],
  ['a brace too many', `resource r { ${A} ${B} } }`, `1:${`resource r { ${A} ${B} } }`.length} drbd-brace`],
  [
    'an open string',
    `resource r { ${A} ${B} }\nresource "x`,
    '2:10 drbd-string-open',
    '2:11 drbd-semicolon',
    '2:1 drbd-section-missing',
  ],
  ['an unknown section', 'resources r { }', '1:1 drbd-word-unknown'],
  ['a name twice', `resource r { ${A} ${B} }\nresource r { }`, '2:10 drbd-resource-twice'],
  ['a host twice', `resource r { ${A} ${A} ${B} }`, '1:103 drbd-host-twice', '1:10 drbd-not-run'],
  [
    'a device without a number',
    `resource r { ${A.replace('/dev/drbd0', '/dev/foo')} ${B} }`,
    '1:28 drbd-device',
    '1:21 drbd-device-missing',
  ],
  [
    'two device numbers',
    `resource r { ${A.replace('/dev/drbd0', '/dev/drbd0 minor 1')} ${B} }`,
    '1:28 drbd-device',
    '1:21 drbd-device-missing',
  ],
  [
    'a disk that is no path',
    `resource r { ${A.replace('/dev/sda', 'sda')} ${B} }`,
    '1:45 drbd-disk',
    '1:21 drbd-disk-missing',
  ],
  ['metadata nowhere', `resource r { ${A.replace('internal', 'somewhere')} ${B} }`, '1:65 drbd-meta-disk'],
  [
    'an address without a port',
    `resource r { ${A.replace(':7788', '')} ${B} }`,
    '1:83 drbd-address',
    '1:14 drbd-address-missing',
  ],
  [
    'an address that is none',
    `resource r { ${A.replace('10.0.0.1:7788', 'ha1:7788')} ${B} }`,
    '1:83 drbd-address',
    '1:14 drbd-address-missing',
  ],
  [
    'IPv6 without brackets',
    `resource r { ${A.replace('10.0.0.1:7788', 'fd00::1:7788')} ${B} }`,
    '1:83 drbd-address',
    '1:14 drbd-address-missing',
  ],
  [
    'a volume on one host alone',
    `resource r { on a { volume 1 { device minor 1; disk /dev/x; } address 10.0.0.1:1; } on b { address 10.0.0.2:1; } }`,
    '1:21 drbd-volume-missing',
  ],
  ['no volume', 'resource r { on a { address 10.0.0.1:1; } on b { address 10.0.0.2:1; } }', '1:10 drbd-volume-missing'],
  ['an algorithm without a secret', `resource r { net { cram-hmac-alg sha1; } ${A} ${B} }`, '1:34 drbd-secret-missing'],
  ['a secret without an algorithm', `resource r { net { shared-secret x; } ${A} ${B} }`, '1:34 drbd-secret-unused'],
  ['an algorithm that nobody has', `resource r { net { verify-alg sha2; } ${A} ${B} }`, '1:31 drbd-digest'],
  [
    'authentication by a checksum',
    `resource r { net { cram-hmac-alg crc32c; shared-secret x; } ${A} ${B} }`,
    '1:34 drbd-digest',
  ],
  [
    'two primaries without C',
    `resource r { net { protocol B; allow-two-primaries; } ${A} ${B} }`,
    '1:32 drbd-two-primaries-protocol',
  ],
  [
    'a timeout in the wrong unit',
    `resource r { net { timeout 600; } ${A} ${B} }`,
    '1:28 drbd-timeout-order',
    '1:28 drbd-timeout-order',
  ],
  ['pull-ahead with C', `resource r { net { on-congestion pull-ahead; } ${A} ${B} }`, '1:34 drbd-congestion-protocol'],
  ['fencing without a handler', `resource r { disk { fencing resource-only; } ${A} ${B} }`, '1:10 drbd-fence-handler'],
  ['become-primary-on', `resource r { startup { become-primary-on both; } ${A} ${B} }`, '1:42 drbd-become-primary'],
  ['an include of nothing', 'include "drbd.d/none.conf";', '1:10 include-no-match'],
  ['an include of itself', 'include "drbd.conf";', '1:10 include-twice'],
  ['a version that is not ours', 'require-drbd-module-version-ge 9.0;', '1:32 drbd-version'],
  ['a template', `resource r { template-file "x"; ${A} ${B} }`, '1:14 drbd-template-file'],
  [
    'many things at once',
    'global { usage-cont no; }\nresource r { net { timeout 0; pingint 3; } disk { al-extents 66; } }',
    '1:10 drbd-word-unknown',
    '2:28 drbd-range',
    '2:31 drbd-word-unknown',
    '2:62 drbd-range',
  ],
];
for (const [name, text, ...expected] of WRONG)
  test(`${name}: each finding has its place`, () => assert.deepEqual([...codes(text)].sort(), [...expected].sort()));

test('two resources on one host share no minor number, disk, metadata or port', () => {
  const c = read(`resource r { ${A} ${B} }\nresource s { ${A} ${B} }`)
    .diagnostics.map((d) => d.code)
    .sort();
  assert.deepEqual(c, ['drbd-address-twice', 'drbd-disk-twice', 'drbd-minor-twice']);
});

test('resync-after names what this host runs, by name or minor, and never runs in a circle', () => {
  const host = (name: string, of: number): string =>
    `on ${name} { device /dev/drbd${of}; disk /dev/sd${of}; meta-disk internal; address 10.0.0.${name === 'a' ? 1 : 2}:779${of}; }`;
  const file = (...after: (string | undefined)[]): DrbdResult =>
    read(
      after
        .map((x, i) => {
          const disk = x === undefined ? '' : `disk { resync-after ${x}; }`;
          return `resource r${i} { ${disk} ${host('a', i)} ${host('b', i)} }\n`;
        })
        .join(''),
    );
  const resolved = (r: DrbdResult): unknown => r.config?.mirrors.map((m) => m.volumes[0]?.options.resyncAfter);
  const found = (r: DrbdResult): string[] => r.diagnostics.map((d) => `${d.place?.line} ${d.code}`);
  assert.deepEqual(resolved(file(undefined, 'r0', 'r1/0', '1')), [undefined, 'r0', 'r1/0', 'r1/0']);
  const nobody = file(undefined, 'r9', 'r0/7');
  assert.deepEqual(
    [resolved(nobody), found(nobody)],
    [
      [undefined, 'r9', 'r0/7'],
      ['2 drbd-resync-after', '3 drbd-resync-after'],
    ],
  );
  assert.deepEqual(found(file('r0')), ['1 drbd-resync-after-cycle']);
  assert.deepEqual(found(file('r2', 'r0/0', '1', 'r0')), [
    '1 drbd-resync-after-cycle',
    '2 drbd-resync-after-cycle',
    '3 drbd-resync-after-cycle',
  ]);
});

test('a secret is never printed: not by dump, not by a finding, not by the line under a finding', () => {
  const secret = 'Gei6mahcui4Ai0Oh';
  const text = `resource r {\n net { cram-hmac-alg sha1; shared-secret "${secret}"; }\n ${A} ${B}\n}\n`;
  const r = read(text, { mode: () => 0o644 });
  assert.ok(r.config);
  assert.ok(!describeDrbdConf(r.config, FILE, 'a').includes(secret));
  assert.ok(!JSON.stringify(r.config.mirrors).includes(secret));
  assert.deepEqual(
    r.diagnostics.map((d) => d.code),
    ['drbd-secret-readable'],
  );
  const long = read(text.replace(secret, secret.repeat(5)));
  for (const all of [r, long])
    for (const d of all.diagnostics) {
      const shown = renderDiagnostic(d, 'en', (file, line) => all.sources.get(file)?.split('\n')[line - 1]);
      assert.ok(!shown.includes(secret), shown);
    }
  assert.deepEqual(read(text, { mode: () => 0o600 }).diagnostics, []);
  const at = r.config.mirrors[0]?.net.auth?.secret;
  assert.ok(at?.from === 'place');
  assert.equal(text.split('\n')[at.line - 1]?.slice(at.column - 1, at.column - 1 + at.length), secret);
});

test('every text has both languages and none of them is empty', () => {
  for (const [, text] of WRONG)
    for (const d of read(text).diagnostics)
      for (const t of [d.message, d.hint]) assert.ok(t === undefined || (t.en !== '' && t.zh !== ''), d.code);
});

const word = fc.constantFrom(
  'resource',
  'r',
  'on',
  'a',
  '{',
  '}',
  ';',
  '"x"',
  'disk',
  'net',
  'volume',
  '0',
  'include',
  'connection',
  'host',
  'address',
  '10.0.0.1:1',
  'skip',
  '\n',
  '[',
  ...OPTION_ROWS.slice(0, 40).map((o) => o.name),
);
test('no text makes the reader throw, and every finding lies within the text', () => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.array(word, { maxLength: 60 }).map((w) => w.join(' ')),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const lines = text.split('\n');
      for (const d of read(text).diagnostics)
        if (d.place)
          assert.ok(
            d.place.line <= lines.length && d.place.column <= (lines[d.place.line - 1]?.length ?? 0) + 2,
            `${d.code} ${JSON.stringify(d.place)}`,
          );
    }),
    { numRuns: 300 },
  );
});
