/**
 * drbd-utils read the same files: ranges and words of every option of 8.4, which files are accepted, and the calls that
 * `drbdadm -d up` of 8.4 would make, option by option.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { type DrbdResult, describeDrbdConf, dryRunUp, OPTION_ROWS, readDrbdConf } from '../../src/config/drbd/index.ts';
import { golden } from '../golden/golden.ts';

const root = resolve(import.meta.dirname, '../..');
const corpus = join(process.env['HOLDFAST_CORPUS'] ?? resolve(root, '../shared/corpus'), 'drbd/conf');
const SETUP_84 = '/lib/drbd/drbdsetup-84';
const folder = mkdtempSync(join(tmpdir(), 'holdfast-drbdadm-'));
after(() => rmSync(folder, { recursive: true }));

const ENV = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
const drbdadm = (
  host: string,
  version: string,
  ...args: string[]
): { code: number | null; out: string; err: string } => {
  const r = spawnSync('drbdadm', args, {
    encoding: 'utf8',
    env: { ...ENV, __DRBD_NODE__: host, DRBD_DRIVER_VERSION_OVERRIDE: version },
  });
  assert.equal(r.error, undefined, 'drbd-utils is not installed');
  return { code: r.status, out: r.stdout, err: r.stderr };
};
const disk = {
  read: (p: string) => (existsSync(p) ? readFileSync(p, 'utf8') : undefined),
  glob: (p: string) => (existsSync(p) ? [p] : []),
};
const read = (file: string, hostName: string): DrbdResult => readDrbdConf({ file, files: disk, options: { hostName } });

test('every option of 8.4 has the range, the words and the default that drbdsetup of 8.4 tells', () => {
  let compared = 0;
  for (const command of ['attach', 'connect', 'new-resource']) {
    const r = spawnSync(SETUP_84, ['xml-help', command], { encoding: 'utf8', env: ENV });
    assert.equal(r.status, 0, r.stderr);
    for (const m of r.stdout.matchAll(/<option name="([^"]+)" type="([^"]+)">([\s\S]*?)<\/option>/g)) {
      const [, name, type, body = ''] = m;
      // Addresses of a link that no kernel ever used.
      if (type === 'address') continue;
      const row = OPTION_ROWS.find((o) => o.name === name && ['disk', 'net', 'options'].includes(o.section));
      assert.ok(row, `no row for ${name}`);
      const one = (tag: string): string | undefined => new RegExp(`<${tag}>([^<]*)</${tag}>`).exec(body)?.[1];
      compared++;
      if (type === 'numeric' && row.type.is === 'number') {
        const high = one('max');
        assert.deepEqual([String(row.type.low), String(row.type.default)], [one('min'), one('default')], name);
        // DRBD 9 raised these three.
        if (['resync-rate', 'sndbuf-size', 'rcvbuf-size'].includes(row.name))
          assert.ok(row.type.high >= Number(high), name);
        else assert.equal(String(row.type.high), high, name);
        const prefix = { s: 'sectors', k: 'kib' }[one('unit_prefix') ?? ''];
        if (prefix) assert.equal(row.type.unit, prefix, name);
      } else if (type === 'boolean' && row.type.is === 'yes-no')
        assert.equal(row.type.default ? 'yes' : 'no', one('default'), name);
      else if (type === 'handler' && row.type.is === 'word') {
        const words = [...body.matchAll(/<handler>([^<]*)/g)].map((h) => h[1] as string);
        for (const w of words) assert.ok(row.type.words.includes(w), `${name} ${w}`);
      } else assert.ok(row.type.is === 'text', `${name} is ${type}`);
    }
  }
  assert.ok(compared >= 45, `${compared} options compared`);
});

/** Calls without their order of options, which the tools do not promise; the secret as we mask it. */
const calls = (text: string): string[] =>
  text
    .split('\n')
    .filter((l) => l.startsWith('drbd'))
    .map((l) => {
      const words = l.replace(/--shared-secret=\S+/, '--shared-secret=********').split(' ');
      return [...words.filter((w) => !w.startsWith('--')), ...words.filter((w) => w.startsWith('--')).sort()].join(' ');
    });
const ours = (r: DrbdResult): string[] =>
  (r.config?.resources ?? []).flatMap((x) => (x.run.kind === 'here' ? calls(dryRunUp(x.run).join('\n')) : []));

const CASES: readonly (readonly [file: string, host: string])[] = [
  ['tests_v84_man.res', 'undertest'],
  ['tests_v84_man.res', 'bob'],
  ['tests_v9_drbd_8.4.res', 'undertest'],
  ['tests_v9_drbd_8.4.res', 'peer-host'],
  ['tests_v9_top-level-meta-disk.res', 'ADDRLeft'],
  ['tests_v9_sh-list-adjustable.res', 'undertest'],
  ['tests_v9_stacked_implicit_conn.res', 'node_b'],
];
for (const [file, host] of CASES)
  test(`${file} on ${host}: the calls of drbdadm -d up, option for option`, (t) => {
    const path = join(corpus, file);
    if (!existsSync(path)) return t.skip('the files are not here: set HOLDFAST_CORPUS');
    const r = read(path, host);
    const theirs = drbdadm(host, '8.4.11', '-c', path, '-d', 'up', 'all');
    assert.equal(theirs.code, 0, theirs.err);
    assert.ok(ours(r).length > 0);
    assert.deepEqual([...ours(r)].sort(), calls(theirs.out).sort());
  });

test('what dump prints is read by drbdadm and by us as the same resource', (t) => {
  const path = join(corpus, 'tests_v9_drbd_8.4.res');
  if (!existsSync(path)) return t.skip('the files are not here: set HOLDFAST_CORPUS');
  const first = read(path, 'undertest');
  assert.ok(first.config);
  const dumped = join(folder, 'dump.res');
  writeFileSync(dumped, describeDrbdConf(first.config, path, 'undertest'));
  const again = read(dumped, 'undertest');
  assert.deepEqual(ours(again), ours(first));
  const theirs = drbdadm('undertest', '8.4.11', '-c', dumped, '-d', 'up', 'all');
  assert.deepEqual(calls(theirs.out).sort(), [...ours(first)].sort(), theirs.err);
});

/** What becomes of each file; `drbdadm dump` of the version that it is written for accepts the ones that begin with `+`. */
test('all 64 files of the corpus: configurations are read, what is none is refused with its place', (t) => {
  if (!existsSync(corpus)) return t.skip('the files are not here: set HOLDFAST_CORPUS');
  const names = readdirSync(corpus).sort();
  assert.equal(names.length, 64);
  const lines = names.flatMap((name) => {
    const r = read(join(corpus, name), 'undertest');
    const configuration = /\.(res|conf|example)$/.test(name);
    const versions = configuration ? ['8.4.11', '9.1.1', '9.3.0'] : [];
    const theirs = versions.filter((v) => drbdadm('undertest', v, '-c', join(corpus, name), 'dump').code === 0);
    const verdict = r.config
      ? `read: ${r.config.resources.map((x) => `${x.name} ${x.run.kind}`).join(', ')}`
      : 'refused';
    const found = r.diagnostics
      .slice(0, 4)
      .map((d) => `    ${d.place?.line}:${d.place?.column} ${d.severity} ${d.code}`);
    if (!configuration) assert.equal(r.config, undefined, name);
    return [`${name}: ${verdict}${configuration ? ` (drbdadm as ${theirs.join(', ') || 'none'})` : ''}`, ...found];
  });
  golden(t, 'drbd-corpus', lines.join('\n'));
});
