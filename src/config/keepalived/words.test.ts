/**
 * Every word of the reference, one by one: a good use has its effect on the configuration, a bad one is refused with
 * its code and place. The list and the grammar must name the same words, so that neither can forget one.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { describeKeepalivedConf } from './describe.ts';
import { rootBlock } from './grammar/root.ts';
import { homesOf } from './grammar/spec.ts';
import { readKeepalivedConf } from './reader.ts';
import { noFiles } from './testdata/files.ts';

type Row = {
  readonly block: string;
  readonly word: string;
  readonly good: string;
  readonly effect: string;
  readonly bad: string;
  readonly code: string;
  readonly also: string;
};

const SHORT: Readonly<Record<string, readonly [string, string]>> = {
  N: ['', 'value-missing'],
  O: ['maybe', 'bool-invalid'],
  B: ['', 'block-missing'],
};
function rowsOf(listing: string): Row[] {
  let blocks: string[] = [];
  return listing.split('\n').flatMap((line): Row[] => {
    if (line.startsWith('## ')) {
      const name = line.slice(3);
      blocks = name.startsWith('checkers: ') ? name.slice(10).split(' ') : [name];
    }
    if (line === '' || line.startsWith('#')) return [];
    const [word = '', good = '', effect = '', bad = '', code = '', also = ''] = line.split('|').map((c) => c.trim());
    const [badArgs, badCode] = bad === 'F' ? [`${good} surplus`, 'words-left-over'] : (SHORT[bad] ?? [bad, code]);
    return blocks.map((block) => ({ block, word, good, effect, bad: badArgs, code: badCode, also }));
  });
}
const rows = rowsOf(readFileSync(join(import.meta.dirname, 'testdata/words.txt'), 'utf8'));

const KNOWN = [
  'vrrp_script S {', ' script /s', ' weight -2', '}',
  'vrrp_track_process P {', ' process n', '}',
  'track_file F {', ' file /f', '}',
  'bfd_instance B {', ' neighbor_ip 10.0.0.90', '}',
].join('\n'); // biome-ignore format: one block on a line
const instance = (inside: string): string =>
  `vrrp_instance I {\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {\n 10.0.0.1/24\n }\n${inside}\n}\n`;
const server = (inVirtual: string, inReal: string, head = '10.0.0.2 80'): string =>
  `virtual_server ${head} {\n${head.startsWith('f') ? '' : 'protocol TCP\n'}${inVirtual}\nreal_server 10.0.0.3 80 {\n${inReal}\n}\n}\n`;
const HTTP = 'HTTP_GET {\nurl {\n}\n}';
const inBlock = (head: string, inside: string): string => `${head} {\n${inside}\n}\n`;
const CHECKER = 'director.virtualServers.0.realServers.0.checkers.0.';
const NEEDED: Readonly<Record<string, string>> = {
  HTTP_GET: 'url {\n}',
  SSL_GET: 'url {\n}',
  MISC_CHECK: 'misc_path /m',
};

/** A whole file with one line in its block, and where in the configuration that block is. */
function fileWith(block: string, word: string, line: string): { readonly file: string; readonly base: string } {
  switch (block) {
    case 'the top level':
      return { file: `${instance('')}${server('', HTTP)}${line}\n`, base: '' };
    case 'global_defs':
      return {
        file: `global_defs {\n${line}\n}\n${instance('use_vmac')}vrrp_instance I6 {\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {\n fe80::1\n }\n}\nstatic_ipaddress {\n 10.8.0.1\n}\n${server('', HTTP)}`,
        base: '',
      };
    case 'track_group':
      return { file: instance('') + inBlock('track_group G', line), base: 'vrrp.trackGroups.0.' };
    case 'track_file':
      return { file: inBlock('track_file X', line), base: 'vrrp.files.0.' };
    case 'vrrp_script':
      return { file: inBlock('vrrp_script X', line), base: 'vrrp.scripts.0.' };
    case 'vrrp_track_process':
      return { file: inBlock('vrrp_track_process X', line), base: 'vrrp.processes.0.' };
    case 'vrrp_sync_group':
      return {
        file: `${KNOWN}\n${instance('')}${inBlock('vrrp_sync_group G', word === 'group' ? line : `group {\nI\n}\n${line}`)}`,
        base: 'vrrp.groups.0.',
      };
    case 'garp_group':
      return { file: inBlock('garp_group', line), base: 'vrrp.garpGroups.0.' };
    case 'vrrp_instance':
      // `vrf` is for an instance that is on no interface.
      return {
        file: `${KNOWN}\n${word === 'vrf' ? instance(`unicast_src_ip 10.0.0.5\nunicast_peer {\n10.0.0.6\n}\n${line}`).replace('interface eth0\n', '') : instance(line)}`,
        base: 'vrrp.instances.0.',
      };
    case 'authentication':
    case 'auth_hmac':
      return {
        file: instance(inBlock(block, line)),
        base: `vrrp.instances.0.${block === 'auth_hmac' ? 'hmac' : 'authentication'}.`,
      };
    case 'bfd_instance':
      return { file: inBlock('bfd_instance X', line), base: 'bfd.0.' };
    case 'SSL':
      return { file: inBlock('SSL', line), base: 'director.tls.' };
    case 'virtual_server':
      return {
        file: server(line, HTTP, word === 'ip_family' ? 'fwmark 5' : undefined),
        base: 'director.virtualServers.0.',
      };
    case 'real_server':
      return { file: `${KNOWN}\n${server('', line)}`, base: 'director.virtualServers.0.realServers.0.' };
    case 'url':
      return { file: server('', inBlock('HTTP_GET', inBlock('url', line))), base: `${CHECKER}urls.0.` };
    case 'host':
      return { file: server('', inBlock('SMTP_CHECK', inBlock('host', line))), base: CHECKER };
    default:
      return { file: `${KNOWN}\n${server('', inBlock(block, `${NEEDED[block] ?? ''}\n${line}`))}`, base: CHECKER };
  }
}

const onLines = (s: string): string => s.replaceAll(/\s?; ?/g, '\n');
const read = (file: string, lenient: boolean) =>
  readKeepalivedConf({
    file: 'k.conf',
    files: { ...noFiles, read: (p) => (p === 'k.conf' ? file : undefined) },
    options: { lenient },
  });
const at = (root: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((o, k) => (o as Record<string, unknown> | undefined)?.[k], root);
const plain = (v: unknown): unknown => (v === undefined ? undefined : JSON.parse(JSON.stringify(v)));

for (const r of rows)
  test(`${r.block}: ${r.word}`, () => {
    const good = fileWith(r.block, r.word, onLines(`${r.also}\n${r.word} ${r.good}`));
    const got = read(good.file, false);
    assert.ok(got.config, `${good.file}\n${JSON.stringify(got.diagnostics, null, 1)}`);
    const canonical = describeKeepalivedConf(got.config);
    const again = read(canonical, false);
    assert.deepEqual(again.config, got.config, `${canonical}\n${JSON.stringify(again.diagnostics, null, 1)}`);
    if (r.effect !== '-') {
      const [path = '', json = ''] = r.effect.split(/ = (.*)/s);
      const full = path.startsWith('/') ? path.slice(1) : good.base + path;
      assert.deepEqual(plain(at(got.config, full)), JSON.parse(json), full);
    }
    const also = r.bad.startsWith('!') ? '' : r.also;
    const bad = fileWith(r.block, r.word, onLines(`${also}\n${r.word} ${r.bad.replace(/^!/, '')}`));
    const refused = read(bad.file, false);
    const found = refused.diagnostics.find((d) => d.code === r.code);
    assert.ok(found, `${r.code} in\n${bad.file}\n${JSON.stringify(refused.diagnostics.map((d) => d.code))}`);
    assert.equal(found.severity, 'error');
    assert.equal(refused.config, undefined);
    assert.ok(found.place && bad.file.split('\n')[found.place.line - 1], 'its place is in the file');
    const lenient = read(bad.file, true);
    const secret = r.code.startsWith('vrrp-hmac'); // a wrong key is never worked around
    assert.equal(lenient.config === undefined, secret, JSON.stringify(lenient.diagnostics));
  });

test('the list and the grammar name the same words in the same blocks', () => {
  const pairs = (of: Iterable<readonly [string, string]>): string[] => [...of].map(([b, w]) => `${b}: ${w}`).sort();
  const grammar = [...homesOf(rootBlock)].flatMap(([w, blocks]) => blocks.map((b) => [b, w] as const));
  assert.deepEqual(pairs(rows.map((r) => [r.block, r.word])), pairs(grammar));
  assert.equal(new Set(rows.map((r) => r.word)).size, 364);
});
