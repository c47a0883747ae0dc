import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { disk } from './disk.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'hf-disk-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

test('what has no end, never comes or is no file is not waited for, and the reason is known', (t) => {
  const f = folder(t);
  execFileSync('mkfifo', [join(f, 'fifo')]);
  for (const path of ['/dev/zero', join(f, 'fifo'), f]) {
    assert.equal(disk.read(path), undefined);
    assert.equal(disk.why?.(path)?.en, 'not a regular file');
  }
  assert.equal(disk.why?.(join(f, 'none'))?.en, 'there is no such file');
});
test('a file that is too large is not read at all', (t) => {
  const path = join(folder(t), 'large');
  writeFileSync(path, '');
  truncateSync(path, 2 ** 40);
  assert.match(disk.why?.(path)?.en ?? '', /larger than 16 MiB/);
});
test('patterns are those of glob(3): no folders between, no hidden files, sorted', (t) => {
  const f = folder(t);
  mkdirSync(join(f, 'd/e'), { recursive: true });
  for (const name of ['b.conf', 'a.conf', '.hidden.conf', 'd/c.conf', 'd/e/deep.conf', 'x[1].conf'])
    writeFileSync(join(f, name), '');
  const found = (pattern: string): string[] => disk.glob(join(f, pattern)).map((p) => p.slice(f.length + 1));
  assert.deepEqual(found('*.conf'), ['a.conf', 'b.conf', 'x[1].conf']);
  assert.deepEqual(found('**'), ['a.conf', 'b.conf', 'd', 'x[1].conf']);
  assert.deepEqual(found('*/*.conf'), ['d/c.conf']);
  assert.deepEqual(found('[ab].conf'), ['a.conf', 'b.conf']);
  assert.deepEqual(found('.h*'), ['.hidden.conf']);
  assert.deepEqual([found('a.conf'), found('none')], [['a.conf'], []]);
});
