import assert from 'node:assert/strict';
import {
  chmodSync,
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
import { test } from 'node:test';
import { linuxFiles } from '../../host/linux/index.ts';
import { safeLedger } from './ledger.ts';

test('the ledger follows no link, believes nobody else, and is never half written', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hf-ledger-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'a.ipvs');
  const ledger = safeLedger(linuxFiles, path);
  assert.deepEqual(ledger.read(), new Set());
  assert.ok(ledger.write(new Set(['a', 'b'])).ok);
  assert.deepEqual(ledger.read(), new Set(['a', 'b']));
  assert.deepEqual([statSync(path).mode & 0o777, readdirSync(folder)], [0o600, ['a.ipvs']]);

  chmodSync(path, 0o666);
  assert.deepEqual(ledger.read(), new Set(), 'whoever may write it may have written it');

  const victim = join(folder, 'victim');
  writeFileSync(victim, 'precious');
  rmSync(path);
  symlinkSync(victim, path);
  const written = ledger.write(new Set(['a']));
  assert.ok(!written.ok && written.error.doing.en.includes('symbolic link'));
  assert.equal(readFileSync(victim, 'utf8'), 'precious');
  assert.deepEqual(ledger.read(), new Set());
});
