/**
 * Golden files: what a plan, a decision or a report looks like, as text that a reviewer reads in the diff.
 * `golden(t, 'netplan-adopt', text)` compares with test/golden/netplan-adopt.txt; `npm run golden:update` (or
 * HOLDFAST_GOLDEN=update) writes the file instead. A file that is missing fails: a new one is written on purpose.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export function golden(t: TestContext, name: string, text: string): void {
  assert.match(name, /^[a-z0-9][a-z0-9.-]*$/, 'a golden name is a plain file name without its ending');
  const file = join(import.meta.dirname, `${name}.txt`);
  const now = text.endsWith('\n') ? text : `${text}\n`;
  if (process.env['HOLDFAST_GOLDEN'] === 'update') {
    if (!existsSync(file) || readFileSync(file, 'utf8') !== now) {
      writeFileSync(file, now);
      t.diagnostic(`wrote test/golden/${name}.txt`);
    }
    return;
  }
  assert.ok(existsSync(file), `test/golden/${name}.txt is missing: read the output, then npm run golden:update`);
  assert.equal(
    now,
    readFileSync(file, 'utf8'),
    `differs from test/golden/${name}.txt (npm run golden:update rewrites it)`,
  );
}
