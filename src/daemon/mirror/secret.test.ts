import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { mirrorsOf } from '../mirror-files.ts';
import { secretOf } from './secret.ts';

test('the secret is what drbdadm takes it for: quotes and escapes are not part of it', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-secret-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const read = async (written: string): Promise<string | undefined> => {
    const file = join(dir, 'drbd.conf');
    writeFileSync(
      file,
      `resource r0 { net { cram-hmac-alg sha1; shared-secret ${written}; }
  on a { device /dev/drbd0; disk /dev/sdb; meta-disk internal; address 10.0.0.1:7788; }
  on b { device /dev/drbd0; disk /dev/sdb; meta-disk internal; address 10.0.0.2:7788; } }\n`,
    );
    const [m] = await mirrorsOf(file, 'a');
    const secret = m === undefined ? undefined : secretOf(m);
    return secret === undefined ? undefined : new TextDecoder().decode(secret);
  };
  assert.equal(await read('plain'), 'plain');
  assert.equal(await read('"with space"'), 'with space');
  assert.equal(await read('"a \\"quoted\\" word"'), 'a "quoted" word');
  assert.equal(await read('"back\\\\slash"'), 'back\\slash');
});
