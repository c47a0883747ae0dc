/**
 * Real files: each is read as keepalived 2.2.7 reads it, and what we make of it is a golden file. Only `seed.conf` is ours
 * to show; of the others the golden file has what was found, how often each word came out, and a digest of the whole.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { golden } from '../../../test/golden/golden.ts';
import type { Diagnostic } from '../../base/index.ts';
import { describeKeepalivedConf } from './describe.ts';
import { rootBlock } from './grammar/root.ts';
import { homesOf } from './grammar/spec.ts';
import { checkAgainstHost, type HostFacts } from './host-check.ts';
import { type ReadResult, readKeepalivedConf } from './reader.ts';
import { filesOf } from './testdata/files.ts';

const root = resolve(import.meta.dirname, '../../..');
const corpus = join(process.env['HOLDFAST_CORPUS'] ?? resolve(root, '../shared/corpus'), 'keepalived');

/** `keepalived -t -f FILE`, measured with interfaces eth0..eth3, eth0.1 and ens33 there and only killall installed. */
const CODES: Readonly<Record<string, 0 | 5 | 6>> = {
  'keepalived.conf.HTTP_GET.port': 0,
  'keepalived.conf.IPv6': 0,
  'keepalived.conf.PING_CHECK': 0,
  'keepalived.conf.SMTP_CHECK': 0,
  'keepalived.conf.SSL_GET': 5,
  'keepalived.conf.UDP_CHECK': 0,
  'keepalived.conf.conditional_conf': 5,
  'keepalived.conf.fwmark': 5,
  'keepalived.conf.inhibit': 0,
  'keepalived.conf.misc_check': 0,
  'keepalived.conf.misc_check_arg': 0,
  'keepalived.conf.quorum': 0,
  'keepalived.conf.sample': 0,
  'keepalived.conf.status_code': 0,
  'keepalived.conf.track_interface': 5,
  'keepalived.conf.virtual_server_group': 0,
  'keepalived.conf.virtualhost': 0,
  'keepalived.conf.vrrp': 0,
  'keepalived.conf.vrrp.localcheck': 6,
  'keepalived.conf.vrrp.lvs_syncd': 5,
  'keepalived.conf.vrrp.routes': 5,
  'keepalived.conf.vrrp.rules': 5,
  'keepalived.conf.vrrp.scripts': 0,
  'keepalived.conf.vrrp.static_ipaddress': 5,
  'keepalived.conf.vrrp.sync': 0,
  'seed.conf': 5,
};
const HOST: HostFacts = { links: new Set(['lo', 'eth0', 'eth1', 'eth2', 'eth3', 'eth0.1', 'ens33']) };

const contentOf = (t: TestContext, name: string): string | undefined => {
  const path = join(corpus, name);
  if (existsSync(path)) return readFileSync(path, 'utf8');
  t.skip(`${name} is not here: set HOLDFAST_CORPUS to the folder of real configurations`);
  return undefined;
};
const read = (content: string, lenient: boolean, configId?: string): ReadResult =>
  readKeepalivedConf({
    file: 'k.conf',
    files: filesOf({ 'k.conf': content }),
    options: { lenient, hostName: 'ha1.example', ...(configId === undefined ? {} : { configId }) },
  });
const told = (all: readonly Diagnostic[]): string =>
  all.map((d) => `${d.place?.line ?? '-'}:${d.place?.column ?? '-'} ${d.severity} ${d.code}`).join('\n');

const words = homesOf(rootBlock);
function outline(canonical: string): string {
  const counts = new Map<string, number>();
  for (const line of canonical.split('\n')) {
    const word = /^\s*([a-zA-Z_]+)/.exec(line)?.[1];
    if (word !== undefined && words.has(word)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const tally = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([word, n]) => `${word} ${n}`);
  return `${tally.join('\n')}\nsha256 ${createHash('sha256').update(canonical).digest('hex')}\n`;
}

for (const [name, code] of Object.entries(CODES))
  test(`${name} is read as keepalived reads it (its code ${code})`, (t) => {
    const content = contentOf(t, name);
    if (content === undefined) return;
    const r = read(content, true);
    assert.ok(r.config);
    const host = checkAgainstHost(r.config, HOST, r.interfaces);
    assert.deepEqual(host, []);
    // 6 is about scripts without guard, which is asked when they are about to run; the text itself has no fault.
    assert.equal(r.diagnostics.length > 0 ? 5 : 0, code === 6 ? 0 : code, told(r.diagnostics));
    const canonical = describeKeepalivedConf(r.config);
    assert.deepEqual(read(canonical, false).config, r.config, 'what is written back is read as the same');
    const byDefault = read(content, false);
    golden(
      t,
      `keepalived-${name.toLowerCase().replaceAll('_', '-')}`,
      `by default: ${byDefault.config ? 'accepted' : 'refused'}\n${told(byDefault.diagnostics)}\n\nlenient:\n${told(r.diagnostics)}\n\n${name === 'seed.conf' ? canonical : outline(canonical)}`,
    );
  });

test('the example of the project is the real file, byte for byte', (t) => {
  const content = contentOf(t, 'seed.conf');
  if (content !== undefined) assert.equal(readFileSync(join(root, 'examples/seed.conf'), 'utf8'), content);
});

test('every file of the folder is in the table', (t) => {
  if (!existsSync(corpus)) return t.skip('the folder of real configurations is not here');
  assert.deepEqual(readdirSync(corpus).sort(), Object.keys(CODES).sort());
});

test('no prefix of a real file makes the reader throw, and every finding has its place in the file', (t) => {
  for (const name of Object.keys(CODES)) {
    const content = contentOf(t, name);
    if (content === undefined) return;
    const lines = content.split('\n');
    for (let n = 0; n < content.length; n += 7)
      for (const d of read(content.slice(0, n), n % 2 === 0).diagnostics) assertInside(d, lines);
  }
});
function assertInside(d: Diagnostic, lines: readonly string[]): void {
  assert.ok(d.place, d.code);
  const line = lines[d.place.line - 1];
  assert.ok(line !== undefined, `line ${d.place.line}`);
  assert.ok(d.place.column >= 1 && d.place.column <= line.length + 1 && d.place.length >= 1, `${d.code} column`);
}

test('the conditional file gives each host its own instance', (t) => {
  const content = contentOf(t, 'keepalived.conf.conditional_conf');
  if (content === undefined) return;
  const [high, low] = ['high', 'low'].map((id) => read(content, false, id).config);
  assert.deepEqual([high?.global.netNamespace, high?.vrrp.instances[0]?.priority], ['high', 170]);
  assert.deepEqual([low?.global.netNamespace, low?.vrrp.instances[0]?.priority], ['low', 85]);
});
