import assert from 'node:assert/strict';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { replaceFile } from './safe-file.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'hf-safe-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

test('what is written is for root alone, takes the place of a file of any mode, and leaves nothing beside it', (t) => {
  const f = folder(t);
  writeFileSync(join(f, 'a'), 'old', { mode: 0o666 });
  replaceFile(join(f, 'a'), 'new');
  assert.equal(readFileSync(join(f, 'a'), 'utf8'), 'new');
  assert.equal(statSync(join(f, 'a')).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(f), ['a']);
});
test('a link in the way is not followed, whether it leads somewhere or not', (t) => {
  const f = folder(t);
  writeFileSync(join(f, 'precious'), 'precious');
  symlinkSync('precious', join(f, 'a'));
  symlinkSync('nowhere', join(f, 'b'));
  for (const name of ['a', 'b']) assert.throws(() => replaceFile(join(f, name), 'x'), /symbolic link/);
  assert.equal(readFileSync(join(f, 'precious'), 'utf8'), 'precious');
  assert.ok(!existsSync(join(f, 'nowhere')));
});
test('a device is neither written nor replaced', () => {
  assert.throws(() => replaceFile('/dev/null', 'x'), /not a regular file/);
  assert.ok(statSync('/dev/null').isCharacterDevice());
});
