import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

const root = resolve(import.meta.dirname, '../..');
const run = (language: string, ...argv: string[]) =>
  spawnSync(process.execPath, [join(root, 'src/cli/main.ts'), 'wire', ...argv], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, HOLDFAST_LANG: language },
  });
const capture = 'test/golden/drbd/04-discard-and-zeroes.pcap.gz';

test('wire decode prints one line for each message, or one JSON object', () => {
  const plain = run('en', 'decode', capture);
  assert.equal(plain.status, 0, plain.stderr);
  const lines = plain.stdout.trimEnd().split('\n');
  assert.equal(lines.length, 12);
  assert.match(lines[0] as string, /^ +0\.0\d+ 10\.99\.0\.1:\d+ > 10\.99\.0\.2:\d+ DRBD P_TRIM .*size=65536/);
  const json = run('zh', 'decode', '--json', capture);
  const objects = json.stdout
    .trimEnd()
    .split('\n')
    .map((l) => JSON.parse(l));
  assert.deepEqual(
    objects.map((o) => o.message),
    lines.map((l) => l.trim().split(' ')[5]),
  );
});
test('wire decode says in both languages what is wrong with its arguments or its file, and where', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-wire-'));
  try {
    const usage = run('zh', 'decode');
    assert.deepEqual([usage.status, usage.stdout], [2, '']);
    assert.match(usage.stderr, /^用法：/);
    const missing = run('en', 'decode', join(folder, 'none.pcap'));
    assert.equal(missing.status, 1);
    assert.match(missing.stderr, /none\.pcap: ENOENT/);
    const text = join(folder, 'text');
    writeFileSync(text, 'this is no capture at all');
    assert.match(run('en', 'decode', text).stderr, /not a capture: it begins with 0x74686973/);
    assert.match(run('zh', 'decode', text).stderr, /不是抓包文件/);
    const bad = new Uint8Array(40);
    const v = new DataView(bad.buffer);
    v.setUint32(0, 0xa1b2c3d4);
    v.setUint16(4, 2);
    v.setUint32(32, 0xffff_ffff);
    writeFileSync(text, bad);
    assert.match(run('en', 'decode', text).stderr, /byte 24: a record of 4294967295 bytes cannot be/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
