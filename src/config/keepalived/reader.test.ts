import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Language, renderDiagnostic } from '../../base/index.ts';
import { describeKeepalivedConf } from './describe.ts';
import { rootBlock } from './grammar/root.ts';
import { homesOf } from './grammar/spec.ts';
import { readKeepalivedConf } from './reader.ts';
import { filesOf } from './testdata/files.ts';

const read = (text: string, lenient = false) =>
  readKeepalivedConf({
    file: 'k.conf',
    files: filesOf({ 'k.conf': text }),
    options: { lenient, hostName: 'ha1', maxLines: 2000 },
  });
const codes = (text: string, lenient = false): string[] => read(text, lenient).diagnostics.map((d) => d.code);
const instance = (inside: string, name = 'V', vrid = 1): string =>
  `vrrp_instance ${name} {\n interface eth0\n virtual_router_id ${vrid}\n virtual_ipaddress {\n 10.0.0.${vrid}\n }\n${inside}\n}\n`;

test('all errors of a file are told at once, each with place, fact and way out, in both languages', () => {
  const text = 'vrrp_instance V {\n  interfce eth0\n  virtual_router_id 300\n  priority high\n}\nvrid 3\n';
  const r = read(text);
  assert.equal(r.config, undefined);
  const shown = (l: Language): string =>
    r.diagnostics.map((d) => renderDiagnostic(d, l, (_, n) => text.split('\n')[n - 1])).join('\n');
  assert.equal(
    shown('en'),
    [
      'k.conf:1:15: error: V: interface is not set; the instance is dropped [vrrp-interface-missing]',
      '1 | vrrp_instance V {',
      '                  ^',
      'hint: only unicast with unicast_src_ip may do without',
      'k.conf:1:15: warning: V has no virtual address [vrrp-no-address]',
      '1 | vrrp_instance V {',
      '                  ^',
      "hint: add one, or 'no_virtual_ipaddress' to say that this is meant",
      "k.conf:2:3: error: 'interfce' is not a word of vrrp_instance [word-unknown]",
      '2 |   interfce eth0',
      '      ^^^^^^^^',
      "hint: did you mean 'interface'?",
      'k.conf:3:21: error: virtual_router_id 300 is outside 1..255 [vrrp-vrid-range]',
      '3 |   virtual_router_id 300',
      '                        ^^^',
      'hint: the VRID is one byte (RFC 9568 section 5.2.3)',
      "k.conf:4:12: error: 'high' is not a whole number [number-invalid]",
      '4 |   priority high',
      '               ^^^^',
      "hint: 1..254 for a backup, 255 only where the address is the interface's own; 0 is sent when stopping",
      "k.conf:6:1: error: 'vrid' is not a word of the top level [word-unknown]",
      '6 | vrid 3',
      '    ^^^^',
    ].join('\n'),
  );
  for (const d of r.diagnostics) assert.match(d.message.zh, /[\u4e00-\u9fff]/, d.code);
});
test('a word in the wrong block is told where it belongs', () => {
  const d = read(instance(' vrrp_strict')).diagnostics[0];
  assert.equal(d?.hint?.en, 'it belongs in global_defs');
});
test('lenient keeps running with what keepalived would make of it', () => {
  const r = read(instance(' priority 300\n advert_int 0.5\n frobnicate'), true);
  const v = r.config?.vrrp.instances[0];
  assert.deepEqual([v?.priority, v?.advertInterval], [100, 1_000_000]);
  assert.deepEqual(
    r.diagnostics.map((d) => [d.severity, d.code]),
    [
      ['warning', 'vrrp-priority-range'],
      ['warning', 'vrrp-advert-int-fraction'],
      ['warning', 'word-unknown'],
    ],
  );
});
test('one VRID on one interface serves one instance, unless they cannot hear each other', () => {
  assert.deepEqual(codes(instance('', 'A') + instance('', 'B')), ['vrrp-vrid-repeated']);
  assert.deepEqual(codes(instance('', 'A') + instance(' mcast_dst_ip 224.0.0.99', 'B')), []);
  const to = (peer: string): string => ` unicast_peer {\n ${peer}\n }`;
  assert.deepEqual(codes(instance(to('10.0.0.8'), 'A') + instance(to('10.0.0.9'), 'B')), []);
  assert.deepEqual(codes(instance(to('10.0.0.8'), 'A') + instance(to('10.0.0.8'), 'B')), ['vrrp-vrid-repeated']);
});
test('an advert carries one family and as many addresses as fit; the rest is held untold', () => {
  const many = Array.from({ length: 300 }, (_, i) => ` 10.1.${i >> 8}.${i & 255}`).join('\n');
  const r = read(
    `vrrp_instance V {\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {\n${many}\n }\n}\n`,
    true,
  );
  const v = r.config?.vrrp.instances[0];
  assert.deepEqual([v?.addresses.length, v?.excluded.length, v?.excluded[0]?.prefix.address], [255, 45, '10.1.0.255']);
  assert.deepEqual(
    r.diagnostics.map((d) => d.code),
    ['vrrp-address-count'],
  );
});
test('strict mode tells each thing that it forbids', () => {
  const forbidden = [
    'state MASTER', 'preempt_delay 5', 'accept', 'garp_master_repeat 3', 'garp_lower_prio_delay 3', 'down_timer_adverts 5',
    'lower_prio_no_advert off', 'higher_prio_send_advert', 'unicast_peer {\n 10.0.0.9\n }', 'use_vmac\n vmac_xmit_base',
    'use_vmac 00:00:5e:00:01:09', 'authentication {\n auth_pass x\n }',
    'version 3\n auth_hmac {\n key 1 a\n mode permissive\n }',
  ]; // biome-ignore format: a list
  for (const f of forbidden)
    assert.deepEqual(codes(instance(` strict_mode\n priority 100\n ${f}`)), ['vrrp-strict'], f);
  assert.deepEqual(codes(instance(' strict_mode\n priority 100')), []);
  assert.equal(read(instance(' strict_mode')).config?.vrrp.instances[0]?.accept, false);
  assert.equal(read(instance(' strict_mode\n priority 255')).config?.vrrp.instances[0]?.accept, true);
});
test('an instance takes from global_defs what it does not say', () => {
  const r = read(
    `global_defs {\n vrrp_garp_master_repeat 2\n vrrp_version 3\n}\n${instance('', 'A')}${instance(' garp_master_repeat 4\n version 2', 'B', 2)}`,
  );
  const [a, b] = r.config!.vrrp.instances;
  assert.deepEqual([a?.garp.masterRepeat, a?.garp.lowerPrioRepeat, a?.version], [2, 2, 3]);
  assert.deepEqual([b?.garp.masterRepeat, b?.version], [4, 2]);
});
test('a checker takes from its server, and this from its virtual server', () => {
  const text =
    'virtual_server 10.0.0.1 80 {\n protocol TCP\n retry 7\n delay_loop 9\n weight 5\n real_server 10.0.0.2 80 {\n delay_loop 4\n TCP_CHECK {\n }\n HTTP_GET {\n retry 2\n url {\n }\n }\n }\n}\n';
  const s = read(text).config?.director.virtualServers[0]?.realServers[0];
  const timings = s?.checkers.map((c) =>
    'timing' in c ? [c.kind, c.timing.retry, c.timing.interval, c.timing.retryDelay] : [],
  );
  assert.equal(s?.weight, 5);
  assert.deepEqual(timings, [['http', 2, 4_000_000, 3_000_000], ['tcp', 7, 4_000_000, 1_000_000]]); // biome-ignore format: rows
});
test('reading the small example of the project says nothing but that a word is old', () => {
  const text = readFileSync(join(import.meta.dirname, '../../../examples/seed.conf'), 'utf8');
  const r = read(text);
  assert.deepEqual(
    r.diagnostics.map((d) => d.code),
    ['word-deprecated', 'word-deprecated'],
  );
  assert.equal(r.config?.vrrp.instances[0]?.multicastGroup, '224.1.101.33');
});
test('a thousand instances are read whole', (t) => {
  const text = Array.from({ length: 1000 }, (_, n) =>
    instance(` priority ${(n % 254) + 1}`, `V${n}`, (n % 128) + 1).replace('eth0', `eth${n >> 7}`),
  ).join('');
  const from = performance.now();
  const r = readKeepalivedConf({ file: 'k.conf', files: filesOf({ 'k.conf': text }) });
  t.diagnostic(`1000 instances in ${(performance.now() - from).toFixed(0)} ms`);
  assert.equal(r.config?.vrrp.instances.length, 1000);
  assert.deepEqual(r.diagnostics, []);
});

const vocabulary = [...homesOf(rootBlock).keys()];
/** Text that looks like a configuration: known words, numbers, addresses and braces in any order. */
const soup = fc
  .array(
    fc.oneof(
      fc.constantFrom(...vocabulary),
      fc.constantFrom(
        '{',
        '}',
        '{',
        '}',
        '\n',
        '\n',
        '\n',
        '"',
        '#',
        'eth0',
        '10.0.0.1/24',
        'fe80::1',
        'dev',
        'via',
        'table',
        'weight',
        'reverse',
        'on',
        '$A',
        '~SEQ(A,1,3)',
      ),
      fc.integer({ min: -5, max: 300 }).map(String),
      fc.string({ maxLength: 4 }),
    ),
    { maxLength: 120 },
  )
  .map((a) => a.join(' ').replaceAll('} ', '}\n').replaceAll('{ ', '{\n'));

test('no text makes the reader throw, every finding has its place, and what is accepted is written back the same', () => {
  fc.assert(
    fc.property(soup, fc.boolean(), (text, lenient) => {
      const r = read(text, lenient);
      const lines = text.split('\n');
      for (const d of r.diagnostics) {
        assert.ok(d.place, d.code);
        const line = lines[d.place.line - 1];
        assert.ok(line !== undefined && d.place.column >= 1 && d.place.column <= line.length + 1, d.code);
      }
      if (r.config) assert.deepEqual(read(describeKeepalivedConf(r.config), true).config, r.config, text);
      else assert.ok(r.diagnostics.some((d) => d.severity === 'error'));
    }),
    { numRuns: 1500 },
  );
});
