import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { renderDiagnostic } from '../../base/index.ts';
import { readDrbdConf } from '../drbd/index.ts';
import { filesOf } from '../keepalived/testdata/files.ts';
import { type HoldfastResult, holdfastJsonSchema, readHoldfastYaml } from './index.ts';
import { ROOT } from './root.ts';
import { readScalar } from './scalars.ts';
import type { Schema } from './schema.ts';

const FILE = '/etc/holdfast/cluster.yaml';
const read = (text: string, hostName = 'ha1'): HoldfastResult =>
  readHoldfastYaml({ file: FILE, files: filesOf({ [FILE]: text }), options: { hostName } });
const codes = (text: string): string[] =>
  read(text).diagnostics.map((d) => `${d.place?.line ?? '-'}:${d.place?.column ?? '-'} ${d.code}`);
const HEAD = `version: 1
cluster: c
hosts:
  ha1: {links: {lan: 10.1.0.1, direct: 10.2.0.1}}
  ha2: {links: {lan: 10.1.0.2, direct: 10.2.0.2}}
mirrors:
  data:
    disk: /dev/sda
`;
const example = readFileSync(join(import.meta.dirname, '../../../examples/mirror.yaml'), 'utf8');

test('the example is read without a finding, as each of its hosts sees it', () => {
  const [one, two] = ['ha1', 'ha2'].map((h) => read(example, h));
  assert.deepEqual([one?.diagnostics, two?.diagnostics], [[], []]);
  const [a, b] = [one?.config?.mirrors[0], two?.config?.mirrors[0]];
  assert.deepEqual(
    [a?.local, a?.remote, a?.peer],
    [{ address: '10.0.0.1', port: 7788 }, { address: '10.0.0.2', port: 7788 }, 'ha2'],
  );
  assert.deepEqual([b?.local, b?.remote, b?.peer], [a?.remote, a?.local, 'ha1']);
  assert.deepEqual(a?.net, b?.net);
  assert.equal(a?.volumes[0]?.options.resync.minRate, 20 * 1024 ** 2);
  assert.deepEqual(a?.net.auth, { algorithm: 'sha256', secret: { from: 'file', path: '/etc/holdfast/data.secret' } });
});

test('what is left out means the same as in drbd.conf, so a node of either format meets one of the other', () => {
  const yaml = read(HEAD).config?.mirrors[0];
  const res = `resource data { net { verify-alg crc32c; }
 on ha1 { device minor 0; disk /dev/sda; meta-disk internal; address 10.1.0.1:7788; }
 on ha2 { device minor 0; disk /dev/sda; meta-disk internal; address 10.1.0.2:7788; } }`;
  const drbd = readDrbdConf({ file: FILE, files: filesOf({ [FILE]: res }), options: { hostName: 'ha1' } }).config
    ?.mirrors[0];
  assert.ok(yaml && drbd);
  const volume = { ...drbd.volumes[0], minor: undefined, device: '/dev/holdfast/data' };
  assert.deepEqual(yaml, { ...drbd, volumes: [volume] });
});

test('one line for each host is enough, and volumes and disks may differ', () => {
  const r = read(`version: 1
cluster: tiny
hosts: {ha1: 10.0.0.1, ha2: 10.0.0.2}
mirrors:
  m: {volumes: {0: {disk: {ha1: /dev/a, ha2: /dev/b}, metadata: /dev/md}, 5: {disk: /dev/c, size: 1GiB, minor: 3}}, mode: async, port: 9000}
`);
  assert.deepEqual(
    r.diagnostics.map((d) => d.code),
    ['LINK-01'],
  );
  const [m] = r.config?.mirrors ?? [];
  assert.deepEqual([m?.net.protocol, m?.local.port], ['A', 9000]);
  assert.deepEqual(
    m?.volumes.map((v) => [v.number, v.minor, v.disk, v.metadata.kind, v.options.size, v.device]),
    [
      [0, undefined, '/dev/a', 'flexible', undefined, '/dev/holdfast/m-0'],
      [5, 3, '/dev/c', 'internal', 1024 ** 3, '/dev/holdfast/m-5'],
    ],
  );
});

const line = (text: string): string => HEAD + text;
const WRONG: readonly (readonly [name: string, text: string, ...codes: string[]])[] = [
  ['a tab', 'version: 1\ncluster: c\nhosts:\n\tha1: 10.0.0.1\n', '4:1 SYN-01'],
  ['a missing bracket', `${HEAD}    hosts: [ha1, ha2\n`, '10:1 SYN-02'],
  ['an unknown key', line('    dsik: /dev/x\n'), '9:5 SYN-03'],
  ['an unknown section', line('mirors: {}\n'), '9:1 SYN-03'],
  ['a key twice', line('    disk: /dev/b\n'), '9:5 SYN-04'],
  [
    'a host twice',
    'version: 1\ncluster: c\nhosts:\n  a: 10.0.0.1\n  b: 10.0.0.2\n  a: 10.0.0.3\n',
    '6:3 SYN-04',
    '3:1 LINK-01',
  ],
  ['an alias', line('    mode: &x sync\n    handlers: *x\n'), '9:14 SYN-05', '10:15 SYN-05'],
  ['a tag', line('    mode: !!str sync\n'), '9:17 SYN-05'],
  ['a time without unit', line('    timeout: 3\n'), '9:14 SYN-06'],
  ['a rate without a second', line('    resync: {at-least: 20MiB}\n'), '9:24 SYN-06'],
  ['a decimal unit', line('    size: 20MB\n'), '9:11 SYN-06'],
  ['octal', line('    port: 0789\n'), '9:11 SYN-07'],
  ['a word that is none', line('    mode: synch\n'), '9:11 SYN-07'],
  ['a path that is none', line('    metadata: dev\n'), '9:15 SYN-07', '9:15 SYN-07'],
  ['out of range', line('    port: 70000\n'), '9:11 SYN-08'],
  ['a map for a value', line('    mode: {a: b}\n'), '9:11 SYN-09'],
  ['no value', line('    mode:\n'), '9:10 SYN-09'],
  ['no version', 'cluster: c\nhosts: {a: 10.0.0.1, b: 10.0.0.2}\n', '1:1 SYN-10', '2:1 LINK-01'],
  ['a newer file', HEAD.replace('version: 1', 'version: 3'), '1:10 VER-01'],
  ['an address of two hosts', HEAD.replace('10.2.0.2', '10.2.0.1'), '5:40 HOST-02'],
  ['one host', 'version: 1\ncluster: c\nhosts: {a: 10.0.0.1}\n', '3:8 HOST-03'],
  ['links over one card', `${HEAD}links: {lan: {interface: eth0}, direct: {interface: eth0}}\n`, '9:53 LINK-03'],
  ['links in one subnet', HEAD.replace('10.2.0.1', '10.1.0.111'), '4:40 LINK-03'],
  ['a link that no host has', `${HEAD}links: {lna: {interface: eth0}}\n`, '9:9 LINK-04'],
  ['a host that is not there', line('    hosts: [ha1, ha3]\n'), '9:18 MIR-10'],
  ['one host of a mirror', line('    hosts: [ha1]\n'), '9:12 MIR-11'],
  ['a link of a mirror that is not there', line('    links: [dierct]\n'), '9:13 MIR-12', '9:13 MIR-12'],
  ['more links than are used', line('    links: [direct, lan]\n'), '9:21 MIR-13', '9:21 MIR-13'],
  ['disk and volumes', line('    volumes: {0: {disk: /dev/x}}\n'), '8:5 MIR-14'],
  ['no disk', HEAD.replace('    disk: /dev/sda', '    mode: sync'), '7:3 MIR-15', '7:3 MIR-15'],
  ['a disk for one host', HEAD.replace('disk: /dev/sda', 'disk: {ha1: /dev/x}'), '8:11 MIR-15'],
  ['two primaries over async', line('    two-primaries: yes\n    mode: async\n'), '9:20 MIR-17'],
  ['one port for two mirrors', line('  more: {disk: /dev/sdb}\n'), '9:3 MIR-18', '9:3 MIR-18'],
  ['one disk for two mirrors', line('  more: {disk: /dev/sda, port: 7789}\n'), '9:16 MIR-19', '9:16 MIR-19'],
  ['timeouts that do not nest', line('    timeout: 20s\n'), '9:14 TIME-03'],
  ['sections of later', `${HEAD}services: {web: {hosts: [ha1]}}\nbalancers: {}\n`, '9:1 VER-02', '10:1 VER-02'],
  ['a secret by name', line('    authenticate: {secret: {secret: x}}\n'), '9:29 SEC-02'],
];
for (const [name, text, ...expected] of WRONG)
  test(`${name}: each finding has its place`, () => {
    assert.deepEqual([...codes(text)].sort(), [...expected].sort());
    const { diagnostics, config } = read(text);
    assert.equal(
      config === undefined,
      diagnostics.some((d) => d.severity === 'error'),
    );
    for (const d of diagnostics)
      assert.ok(d.message.en !== '' && d.message.zh !== '' && d.message.zh !== d.message.en, d.code);
  });

test('hints name what was meant', () => {
  const hint = (text: string): string | undefined => read(line(text)).diagnostics[0]?.hint?.en;
  assert.equal(hint('    dsik: /dev/x\n'), "did you mean 'disk'?");
  assert.equal(hint('    mode: synch\n'), "did you mean 'sync'?");
  assert.equal(hint('    timeout: 3\n'), 'write 3ms or 3s');
  assert.equal(hint('    size: 20MB\n'), 'write 20MiB');
  assert.equal(hint('    hosts: [ha1, ha3]\n'), "did you mean 'ha1'?");
});

test('a secret that stands in the file is an error and is not shown, wherever it stands', () => {
  for (const text of [
    '    authenticate: {secret: hunter2}\n',
    '    authenticate:\n      secret: "hunter2"\n',
    '    authenticate: {secret: {value: hunter2}}\n',
  ]) {
    const r = read(line(text));
    assert.equal(r.diagnostics[0]?.code, 'SEC-01');
    const shown = r.diagnostics
      .map((d) => renderDiagnostic(d, 'en', (f, n) => r.sources.get(f)?.split('\n')[n - 1]))
      .join('\n');
    assert.ok(!shown.includes('hunter2'), shown);
  }
});

test('every scalar is what was typed: no, 033 and 22:30 are no traps', () => {
  assert.deepEqual(codes(HEAD.replace('cluster: c', 'cluster: no')), []);
  assert.equal(read(HEAD.replace('cluster: c', 'cluster: no')).config?.cluster, 'no');
  assert.equal(read(HEAD.replace('cluster: c', 'cluster: 033')).config?.cluster, '033');
  assert.deepEqual(codes(line('    timeout: 22:30\n')), ['9:14 SYN-07']);
});

/** Each scalar of the schema with the path that leads to it. */
function* scalars(s: Schema, at: string): Generator<readonly [string, Extract<Schema, { is: 'scalar' }>['type']]> {
  switch (s.is) {
    case 'scalar':
      yield [at, s.type];
      return;
    case 'list':
    case 'map':
      yield* scalars(s.of, `${at}.*`);
      return;
    case 'object':
      for (const [k, v] of Object.entries(s.keys)) if (!v.later) yield* scalars(v.schema, `${at}.${k}`);
      return;
    case 'either':
      yield* scalars(s.short, at);
      yield* scalars(s.long, at);
      return;
    case 'secret':
  }
}
for (const [at, type] of scalars(ROOT, '$'))
  if (type.kind === 'time' || type.kind === 'size' || type.kind === 'rate' || type.kind === 'count')
    test(`${at} takes its range and nothing beyond`, () => {
      const unit = { time: 'ms', size: 'B', rate: 'B/s', count: '' }[type.kind];
      for (const n of [type.low, type.high]) assert.ok(readScalar(type, `${n}${unit}`).ok, `${n}${unit}`);
      for (const n of [type.low - 1, type.high + 1]) assert.ok(!readScalar(type, `${n}${unit}`).ok, `${n}${unit}`);
      if (unit !== '') assert.ok(!readScalar(type, String(type.low)).ok, 'without unit');
    });

test('the JSON Schema has every key that is read, and no other', () => {
  const keys = (j: unknown): string[] => {
    if (typeof j !== 'object' || j === null) return [];
    const own = 'properties' in j && typeof j.properties === 'object' ? Object.keys(j.properties ?? {}) : [];
    return [...own, ...Object.values(j).flatMap(keys)];
  };
  const schemaKeys = (s: Schema): string[] => {
    switch (s.is) {
      case 'object':
        return Object.entries(s.keys).flatMap(([k, v]) => [k, ...(v.later ? [] : schemaKeys(v.schema))]);
      case 'list':
      case 'map':
        return schemaKeys(s.of);
      case 'either':
        return [...schemaKeys(s.short), ...schemaKeys(s.long)];
      case 'secret':
        return ['file'];
      case 'scalar':
        return [];
    }
  };
  assert.deepEqual(new Set(keys(holdfastJsonSchema('en'))), new Set(schemaKeys(ROOT)));
  assert.notDeepEqual(holdfastJsonSchema('zh'), holdfastJsonSchema('en'));
});

const piece = fc.constantFrom(
  'version: 1\n',
  'cluster: c\n',
  'hosts:\n',
  '  ha1: 10.0.0.1\n',
  '\t',
  '  ',
  '{',
  '}',
  '[',
  ']',
  ': ',
  '- ',
  '&a ',
  '*a',
  '<<: ',
  '"',
  "'",
  '|\n',
  'mirrors:\n',
  '  data:\n',
  '    disk: /dev/a\n',
  '    secret: x\n',
  '---\n',
  '#',
  '!!str ',
  '\u0000',
  '?',
);
test('no text makes the reader throw, and every finding has both languages', () =>
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary', maxLength: 120 }),
        fc.array(piece, { maxLength: 30 }).map((p) => p.join('')),
      ),
      (text) => {
        for (const d of read(text).diagnostics) assert.ok(d.message.en !== '' && d.message.zh !== '');
      },
    ),
    { numRuns: 500 },
  ));
